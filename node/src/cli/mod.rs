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
mod each;
mod examples;
mod exit;
mod hints;
mod http;
mod import;
mod init;
mod inspect;
mod node;
mod output;
mod owners;
mod repair;
mod server;
mod status;
mod text;
mod version;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

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
    /// What the nodes think of each other.
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// What nodes keep for owners that were away.
    #[command(subcommand)]
    Hints(hints::HintsCommand),
    /// Whether the owners of every key hold the same, and what damage was found.
    #[command(subcommand)]
    Repair(repair::RepairCommand),
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

impl Cli {
    /// Reads a command line; the help of a command ends with its example.
    fn read<T: Into<OsString> + Clone>(
        words: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let mut command = examples::add(Self::command());
        let matches = command.try_get_matches_from_mut(words)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
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
    if !matches!(command, Command::Data(_)) {
        global.asking.refuse_session()?;
    }
    match command {
        Command::Demo(options) => demo::run(&options, &global),
        Command::Server(options) => server::run(&options, output),
        Command::Init(options) => block_on(init::run(options, output))?,
        Command::Config(command) => command.run(output),
        Command::Cert(command) => command.run(output),
        Command::Status => connected(&global, async |client| status::run(&client, output).await),
        Command::Node(command) => {
            connected(&global, async |client| command.run(&client, output).await)
        }
        Command::Hints(command) => {
            connected(&global, async |client| command.run(&client, output).await)
        }
        Command::Repair(command) => {
            connected(&global, async |client| command.run(&client, output).await)
        }
        Command::Bucket(command) => {
            connected(&global, async |client| command.run(&client, output).await)
        }
        Command::Data(command) => connected(&global, async |client| {
            command.run(&client, &global.asking, output).await
        }),
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
mod tests;
