//! `starling server`: runs a node until it is told to stop.
//!
//! SIGTERM and SIGINT stop it in order; the second of them ends it at once, which costs nothing
//! but a slower start. A child of `starling demo` also stops when its standard input ends.

use std::io::Read;
use std::path::PathBuf;
use std::thread;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::exit::Exit;
use super::output::Output;
use crate::config::{Config, LogFormat, LogLevel, LogSection};
use crate::runtime::{Node, Stopper};

/// Which node to run.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerOptions {
    /// Its configuration; `starling config example` prints one.
    #[arg(
        short,
        long,
        default_value = "/etc/starling/starling.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// Stop when standard input ends, as it does when the process that holds it does.
    #[arg(long)]
    exit_with_parent: bool,
}

/// Runs the node.
pub(crate) fn run(options: &ServerOptions, output: Output) -> anyhow::Result<Exit> {
    let config = Config::load(&options.config)?;
    start_log(&config.log)?;
    let node = Node::start(config)?;
    output.note(format_args!(
        "node {} takes QUIC at {} and HTTP at {}",
        node.node_id(),
        node.quic_address(),
        node.http_address()
    ));
    let stopper = node.stopper();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || stop_at_signals(&stopper))?;
    if options.exit_with_parent {
        let stopper = node.stopper();
        let watch = move || {
            wait_for_end_of_input();
            stopper.stop();
        };
        thread::Builder::new()
            .name("parent".to_owned())
            .spawn(watch)?;
    }
    node.wait()?;
    Ok(Exit::Done)
}

/// Logs go to stderr; `STARLING_LOG` says more finely what is wanted.
fn start_log(section: &LogSection) -> anyhow::Result<()> {
    let level = match section.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .with_env_var("STARLING_LOG")
        .from_env()
        .context("STARLING_LOG")?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match section.format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}

/// Without signal handlers the node runs on and is stopped by their default, at once.
fn stop_at_signals(stopper: &Stopper) {
    let watched = super::block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping in order; a second signal ends the node at once");
        stopper.stop();
        either(&mut terminate, &mut interrupt).await;
        Ok::<(), std::io::Error>(())
    });
    match watched {
        Ok(Ok(())) => std::process::exit(1),
        Ok(Err(error)) => tracing::warn!(%error, "signals cannot be watched"),
        Err(error) => tracing::warn!(%error, "signals cannot be watched"),
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

fn wait_for_end_of_input() {
    let mut buffer = [0; 256];
    let mut input = std::io::stdin().lock();
    // What is written there does not matter; an error is an end too.
    while input.read(&mut buffer).is_ok_and(|length| length > 0) {}
}
