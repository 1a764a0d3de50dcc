//! `starling demo`: a cluster on this machine in one command, put to work and checked.
//!
//! The nodes are child processes of this very binary, so a kill is a real SIGKILL and a start a
//! real recovery. The work is real too: the machine's package database and the licence texts that
//! every Debian ships, checked against what plain tools say. Whatever differs is shown and makes
//! the exit code 1.
//!
//! Files: `cluster` the child processes · `place` their directory · `steps` what is printed ·
//! `packages`, `words` the two jobs · `check` the comparison · `shell` the commands on the running
//! cluster.

mod check;
mod cluster;
mod packages;
mod place;
mod shell;
mod steps;
mod words;

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::connect::Global;
use super::exit::Exit;
use super::output::Output;
use cluster::Cluster;
use starling::Client;
use steps::Steps;

/// What to demonstrate.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoOptions {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_name = "COUNT",
          value_parser = clap::value_parser!(u8).range(1..=16))]
    nodes: u8,
    /// The work to do before the shell.
    #[arg(long, value_enum, default_value = "main")]
    job: Job,
    /// The same as --job none: just a cluster and a shell on it.
    #[arg(long)]
    skip_job: bool,
    /// Keep the cluster here, and go on with it in the next demo. Without this it is temporary.
    #[arg(long, value_name = "DIR")]
    persist: Option<PathBuf>,
    /// End after the job, even on a terminal.
    #[arg(long)]
    no_shell: bool,
}

/// The work to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Job {
    /// Packages and words, with a node killed on the way.
    Main,
    /// Nothing.
    None,
}

/// Runs the demo to its end.
pub(crate) fn run(options: &DemoOptions, global: &Global) -> anyhow::Result<Exit> {
    let output = global.output();
    super::block_on(async {
        let mut cluster = Cluster::create(options.persist.clone(), usize::from(options.nodes))?;
        let ended = tokio::select! {
            ended = show(options, &mut cluster, output) => ended,
            _ = tokio::signal::ctrl_c() => {
                output.note("interrupted: the nodes are stopped");
                Ok(Exit::Failed)
            }
        };
        cluster.stop().await;
        ended
    })?
}

async fn show(
    options: &DemoOptions,
    cluster: &mut Cluster,
    output: Output,
) -> anyhow::Result<Exit> {
    let steps = Steps::new(output);
    steps.title("A cluster of child processes")?;
    cluster.begin(&steps).await?;
    let client = Client::connect_url(&cluster.url()).await?;
    steps.plain(format_args!(
        "  files     {}",
        cluster.directory().display()
    ))?;
    steps.plain(format_args!(
        "  connect   export STARLING_URL='{}'",
        cluster.url()
    ))?;
    let mut exit = Exit::Done;
    if options.job == Job::Main && !options.skip_job {
        if cluster.is_new() {
            exit = main_job(&client, cluster, &steps).await?;
        } else {
            steps.plain("  the data of an earlier demo is there, so the job is not done again")?;
        }
    }
    if !options.no_shell && io::stdin().is_terminal() && io::stdout().is_terminal() {
        shell::run(&client, cluster, output).await?;
    }
    client.close().await;
    Ok(exit)
}

/// The main job on real input, and its verdict.
async fn main_job(client: &Client, cluster: &mut Cluster, steps: &Steps) -> anyhow::Result<Exit> {
    steps.title("The machine's package database")?;
    let packages = packages::import(client, cluster.directory(), steps).await?;
    steps.title("The words of the licence texts")?;
    let words = words::count(client, cluster, steps).await?;
    steps.title("Checking")?;
    check::settle(client, steps).await?;
    let differences = check::compare(client, &packages, &words, steps).await?;
    steps.verdict(&differences)?;
    Ok(if differences.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}
