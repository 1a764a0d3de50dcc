//! `starling bench`: what an operation costs, in waiting and in processor time.
//!
//! A closed loop: so many workers, each with one operation under way, so latencies are those of a
//! cluster that is kept busy; with `--rate` those at a chosen rate. Every worker has keys of its
//! own, and a put carries the context of the put before it, so no siblings arise; sets, maps and
//! partition keys are filled first and used by all. Processor time is what the kernel accounts to
//! the processes: nodes and client are told apart, and nobody is asked to measure himself.
//!
//! Files: `workload` which operations there are · `act` the operations · `work` the workers ·
//! `pace` when operations begin · `cpu` processes and their accounts · `report` the result.

mod act;
mod cpu;
mod pace;
mod report;
mod work;
mod workload;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use bytesize::ByteSize;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinSet;

use super::clock::Stopwatch;
use super::data::DurabilityName;
use super::exit::Exit;
use super::output::Output;
use cpu::Accounts;
use report::Report;
use starling::{Client, Kind};
use work::{Contexts, Job};
use workload::Workload;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchOptions {
    /// Which operations.
    #[arg(long, value_enum, default_value = "mixed")]
    workload: Workload,
    /// In `mixed`: how many of a hundred operations are gets.
    #[arg(long, default_value_t = 50, value_name = "PERCENT",
          value_parser = clap::value_parser!(u8).range(0..=100))]
    reads: u8,
    /// How long.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10s",
          value_name = "DURATION")]
    duration: Duration,
    /// How many operations, instead of how long.
    #[arg(long, value_name = "COUNT", conflicts_with = "duration")]
    count: Option<u64>,
    /// Begin so many operations a second, evenly, instead of each when the one before has ended;
    /// as far as --concurrency allows, and what waits for that counts as latency.
    #[arg(long, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
    /// Bytes of a value.
    #[arg(long, default_value = "100B", value_name = "SIZE")]
    value_size: ByteSize,
    /// How many keys: 100,000 if not given, and 1 where keys have --elements.
    #[arg(long, value_name = "COUNT",
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    keys: Option<u64>,
    /// How many elements, fields or sort keys each set, map or partition key has, which are written
    /// first.
    #[arg(long, value_name = "COUNT",
          value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    elements: Option<u64>,
    /// In `scan`, `members` and `length`: how many elements to ask for at a time.
    #[arg(long, default_value_t = 1_000, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    page_size: u32,
    /// Operations under way at one time: 64 if not given, and 1 in `members` and
    /// `length`.
    #[arg(long, value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=8192))]
    concurrency: Option<u16>,
    /// How many replicas must answer a read.
    #[arg(short, long, value_name = "COUNT")]
    r: Option<u8>,
    /// How many replicas must have a write.
    #[arg(short, long, value_name = "COUNT")]
    w: Option<u8>,
    /// How durable at each of them.
    #[arg(long, value_enum, value_name = "LEVEL")]
    durability: Option<DurabilityName>,
    /// Owners of each key, for the bucket that is made.
    #[arg(long, value_name = "COUNT")]
    n: Option<u8>,
    /// The bucket, made if it is not there; bench-KIND if not given.
    #[arg(long)]
    bucket: Option<String>,
    /// What all keys begin with; random if not given, so that runs do not meet.
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
    /// Do not write the keys first that gets are to find (they are there: see --prefix).
    #[arg(long)]
    no_load: bool,
    /// The nodes' processes on this machine; found by themselves if not given.
    #[arg(long, value_delimiter = ',', value_name = "PID")]
    pids: Vec<u32>,
}

impl BenchOptions {
    fn keys(&self) -> u64 {
        let elements = self.workload.elements(self.elements);
        let usual = if elements.is_filled { 1 } else { KEYS };
        self.keys.unwrap_or(usual)
    }

    fn concurrency(&self) -> u16 {
        let usual = match self.workload {
            Workload::Members | Workload::Length => 1,
            _ => CONCURRENCY,
        };
        self.concurrency.unwrap_or(usual)
    }
}

/// Measures and reports.
pub(crate) async fn run(
    client: &Client,
    options: BenchOptions,
    output: Output,
) -> anyhow::Result<Exit> {
    let kind = options.workload.kind();
    let bucket = options
        .bucket
        .clone()
        .unwrap_or_else(|| default_bucket(kind));
    let mut make = client.create_bucket(&bucket).kind(kind);
    if let Some(n) = options.n {
        make = make.n(n);
    }
    make.await?;
    let accounts = Accounts::open(&options.pids, client);
    let mut contexts = vec![Contexts::new(); usize::from(options.concurrency())];
    if !options.no_load {
        prepare(client, &options, &bucket, &mut contexts, output).await?;
    }
    let job = Arc::new(Job::new(&options, bucket.clone())?);
    let before = accounts.read();
    let watch = Stopwatch::start();
    measure(client, &job, &mut contexts).await?;
    let elapsed = watch.elapsed();
    let used = accounts.read().since(&before);
    let tally = job.tally();
    let report = Report::new(&options, &tally, elapsed, used);
    report.print(output)?;
    Ok(if tally.errors.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// Writes every key once, so that gets find something and puts have something to replace; or all
/// parts of every key.
async fn prepare(
    client: &Client,
    options: &BenchOptions,
    bucket: &str,
    contexts: &mut [Contexts],
    output: Output,
) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    let (job, what) = if options.workload.loads_keys() {
        let job = Arc::new(Job::loading(options, bucket.to_owned())?);
        measure(client, &job, contexts).await?;
        (job, "keys")
    } else if options.workload.elements(options.elements).is_filled {
        let job = Arc::new(Job::filling(options, bucket.to_owned())?);
        // Large writes: a few at a time keep the cluster busy.
        let mut none = vec![Contexts::new(); FILLERS];
        measure(client, &job, &mut none).await?;
        (job, "elements")
    } else {
        return Ok(());
    };
    let seconds = super::text::seconds(watch.elapsed());
    let count = super::text::grouped(job.done.load(Ordering::Relaxed));
    output.note(format_args!("loaded {count} {what} in {seconds}"));
    match job.tally().errors.first_key_value() {
        Some((message, _)) => anyhow::bail!("the {what} could not be loaded: {message}"),
        None => Ok(()),
    }
}

/// Runs a worker for each entry of `contexts`, which it goes on from and leaves behind.
async fn measure(client: &Client, job: &Arc<Job>, contexts: &mut [Contexts]) -> anyhow::Result<()> {
    let bar = progress_bar(job);
    let mut workers = JoinSet::new();
    let step = u64::try_from(contexts.len()).unwrap_or(u64::MAX);
    for (first, slot) in (0..).zip(contexts.iter_mut()) {
        let work = Arc::clone(job).work(client.clone(), (first, step), std::mem::take(slot));
        workers.spawn(async move { (first, work.await) });
    }
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            ended = workers.join_next() => {
                let Some(ended) = ended else { break };
                let (first, left) = ended.context("a worker was interrupted")?;
                let seen = left?;
                let slot = usize::try_from(first).ok().and_then(|first| contexts.get_mut(first));
                if let Some(slot) = slot {
                    *slot = seen;
                }
            }
            _ = tick.tick() => bar.set_position(job.done.load(Ordering::Relaxed)),
            _ = tokio::signal::ctrl_c() => job.stop(),
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn progress_bar(job: &Job) -> ProgressBar {
    let target = ProgressDrawTarget::stderr();
    let bar = ProgressBar::with_draw_target(job.count(), target);
    let template = match job.count() {
        Some(_) => "{elapsed} {wide_bar} {human_pos} of {human_len}, {per_sec}",
        None => "{elapsed} {human_pos} operations, {per_sec}",
    };
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn default_bucket(kind: Kind) -> String {
    format!("bench-{kind}")
}

const KEYS: u64 = 100_000;
const CONCURRENCY: u16 = 64;
/// Large writes under way before the beginning.
const FILLERS: usize = 8;
