//! The `starling` command: one binary for nodes, operators, scripts and first tries.
//!
//! Data goes to stdout, notes to stderr, and exit codes say what happened (`exit`). One file, or
//! folder, per command; `connect` has what all of those share that talk to a cluster, `output` how
//! they print.

mod bench;
mod bucket;
mod cert;
mod clock;
mod config;
mod connect;
mod data;
mod demo;
mod exit;
mod http;
mod import;
mod init;
mod inspect;
mod output;
mod owners;
mod server;
mod status;
mod text;
mod version;

use std::future::Future;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use connect::Global;
use data::{DataCommand, Target};
use exit::Exit;
use output::{Output, Paint};
use starling::Client;

/// A leaderless key-value store.
#[derive(Debug, Parser)]
#[command(
    name = "starling",
    version,
    max_term_width = 100,
    subcommand_required = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A cluster of child processes on this machine, put to work and checked; then a shell on it.
    Demo(demo::DemoOptions),
    /// Run a node.
    Server(server::ServerOptions),
    /// Make a cluster of nodes that are running.
    Init(init::InitOptions),
    /// Check a configuration, or print a commented one.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Make and show certificates.
    #[command(subcommand)]
    Cert(cert::CertCommand),
    /// The cluster at a glance; exit code 0 if all is well, 2 if degraded, 3 if unavailable.
    Status,
    /// Make and list buckets.
    #[command(subcommand)]
    Bucket(bucket::BucketCommand),
    #[command(flatten)]
    Data(DataCommand),
    /// Every replica of a key: versions, clocks, who lacks what.
    Inspect {
        #[command(flatten)]
        target: Target,
    },
    /// Who owns what.
    #[command(subcommand)]
    Ring(owners::RingCommand),
    /// Read a CSV or JSON-lines file into a bucket.
    Import(import::ImportOptions),
    /// Measure a cluster: throughput, latencies, processor time per operation.
    Bench(bench::BenchOptions),
    /// The version, and what this binary can do.
    Version,
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help is an answer, not an error. If it cannot be printed there is nothing to add.
            error.print().unwrap_or_default();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            }
            .into();
        }
    };
    let output = cli.global.output();
    match execute(cli, output) {
        Ok(exit) => exit.into(),
        Err(error) if exit::is_broken_pipe(&error) => Exit::Done.into(),
        Err(error) => {
            report(&error, output);
            Exit::of(&error).into()
        }
    }
}

fn execute(cli: Cli, output: Output) -> anyhow::Result<Exit> {
    let Cli { global, command } = cli;
    match command {
        Command::Demo(options) => demo::run(&options, &global),
        Command::Server(options) => server::run(&options, output),
        Command::Init(options) => block_on(init::run(options, output))?,
        Command::Config(command) => command.run(output),
        Command::Cert(command) => command.run(output),
        Command::Status => connected(&global, async |client| status::run(&client, output).await),
        Command::Bucket(command) => {
            connected(&global, async |client| command.run(&client, output).await)
        }
        Command::Data(command) => {
            connected(&global, async |client| command.run(&client, output).await)
        }
        Command::Inspect { target } => connected(&global, async |client| {
            inspect::run(&client, &target, output).await
        }),
        Command::Ring(command) => {
            connected(&global, async |client| command.run(&client, output).await)
        }
        Command::Import(options) => connected(&global, async |client| {
            import::run(&client, options, output).await
        }),
        Command::Bench(options) => connected(&global, async |client| {
            bench::run(&client, options, output).await
        }),
        Command::Version => version::run(output).map(|()| Exit::Done),
    }
}

/// Connects, runs `work`, and takes leave of the nodes.
fn connected(
    global: &Global,
    work: impl AsyncFnOnce(Client) -> anyhow::Result<Exit>,
) -> anyhow::Result<Exit> {
    block_on(async {
        let client = global.connect().await?;
        let done = work(client.clone()).await;
        client.close().await;
        done
    })?
}

/// One thread is enough for a command; the nodes do the work.
fn block_on<F: Future>(future: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the operating system gives no event loop")?;
    Ok(runtime.block_on(future))
}

/// An error as one paragraph.
fn report(error: &anyhow::Error, output: Output) {
    let name = output.paint(Paint::Bad, "starling:");
    output.note(format_args!("{name} {error:#}"));
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_key_of_a_row_is_not_the_key_of_a_certificate() {
        let line = ["starling", "--key", "our.key", "get", "users", "ada"];
        let cli = Cli::try_parse_from(line).expect("both keys have a place");
        assert_eq!(cli.global.key, Some("our.key".into()));
    }

    #[test]
    fn options_of_all_commands_do_not_hide_arguments_of_one() {
        for line in [
            "get users ada --sort 1 -r 2 --local --node n1 --json",
            "put users ada Ada -w 3 --durability synced --context 00 --timeout 1s --return-value",
            "incr words the -5 --idempotency-key order-42 --key k.pem --cert c.pem --ca ca.pem",
            "sadd tags post rust kv --seed 127.0.0.1:7401 -s 127.0.0.1:7402",
            "inspect words the",
            "ring owners words the",
            "bucket create words --kind counter --n 3",
            "init -c a.toml --member name=n1,id=00000000000000ff,addr=127.0.0.1:7401,zone=a",
            "import a.csv --bucket b --key-template {a}:{b} --value-field c --kind value",
            "bench --workload put --value-size 1KiB --keys 10 --concurrency 1 --pids 1,2",
            "bench --workload members --elements 1000 --page-size 500 -r 1",
            "demo --nodes 3 --no-shell --job none",
            "cert client shop --admin --directory certs",
            "server -c a.toml --exit-with-parent",
            "status",
        ] {
            let words = ["starling"].into_iter().chain(line.split(' '));
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
    }
}
