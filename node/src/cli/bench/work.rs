//! The workers: each has its own keys, one operation under way, and its own histogram.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use hdrhistogram::Histogram;

use super::{BenchOptions, Workload};
use crate::cli::clock::Stopwatch;
use starling::{Bucket, Client, Context, Durability, Error};

/// What all workers share.
#[derive(Debug)]
pub(super) struct Job {
    workload: Workload,
    bucket: String,
    prefix: String,
    keys: u64,
    reads: u8,
    value: Bytes,
    r: Option<u8>,
    w: Option<u8>,
    durability: Option<Durability>,
    until: Until,
    watch: Stopwatch,
    stopped: AtomicBool,
    /// Operations begun, for `Until::Count`.
    begun: AtomicU64,
    /// Operations ended, for the eye.
    pub(super) done: AtomicU64,
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
enum Until {
    Elapsed(Duration),
    Count(u64),
    /// Each key was written once.
    Loaded,
}

/// What came of the operations.
#[derive(Debug)]
pub(super) struct Tally {
    /// Latencies of reads, in microseconds.
    pub(super) reads: Histogram<u64>,
    /// Latencies of writes, in microseconds.
    pub(super) writes: Histogram<u64>,
    /// Messages of failed operations, with how often they came; at most [`MAX_MESSAGES`].
    pub(super) errors: BTreeMap<String, u64>,
}

/// What a worker leaves: the tally, and the contexts for the worker that goes on with its keys.
pub(super) type Left = (Tally, Contexts);

/// What a worker last saw of each of its keys.
pub(super) type Contexts = Vec<Option<Context>>;

/// One worker.
struct Worker {
    job: Arc<Job>,
    bucket: Bucket,
    /// The first of its keys; the others follow in steps of `step`.
    first: u64,
    step: u64,
    own_keys: u64,
    contexts: Contexts,
    random: fastrand::Rng,
    tally: Tally,
}

impl Job {
    pub(super) fn new(options: &BenchOptions, bucket: String) -> Self {
        let until = options
            .count
            .map_or(Until::Elapsed(options.duration), Until::Count);
        Self::with(options, bucket, options.workload, until)
    }

    /// Every key is written once.
    pub(super) fn loading(options: &BenchOptions, bucket: String) -> Self {
        Self::with(options, bucket, Workload::Put, Until::Loaded)
    }

    fn with(options: &BenchOptions, bucket: String, workload: Workload, until: Until) -> Self {
        let size = usize::try_from(options.value_size.as_u64()).unwrap_or(usize::MAX);
        let mut random = fastrand::Rng::with_seed(1);
        let value = std::iter::repeat_with(|| random.alphanumeric()).take(size.min(MAX_VALUE));
        Self {
            workload,
            bucket,
            prefix: options
                .prefix
                .clone()
                .unwrap_or_else(|| random_prefix().to_owned()),
            keys: options.keys,
            reads: options.reads,
            value: value.collect::<String>().into(),
            r: options.r,
            w: options.w,
            durability: options.durability.map(Into::into),
            until,
            watch: Stopwatch::start(),
            stopped: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            done: AtomicU64::new(0),
        }
    }

    /// How many operations there will be, if that is known.
    pub(super) fn count(&self) -> Option<u64> {
        match self.until {
            Until::Elapsed(_) => None,
            Until::Count(count) => Some(count),
            Until::Loaded => Some(self.keys),
        }
    }

    /// Lets the workers end.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Runs worker number `first` of `step`, which goes on from `contexts`.
    pub(super) async fn work(
        self: Arc<Self>,
        client: Client,
        (first, step): (u64, u64),
        mut contexts: Contexts,
    ) -> anyhow::Result<Left> {
        let own_keys = self.keys.saturating_sub(first).div_ceil(step);
        let slots = usize::try_from(own_keys).context("too many keys")?;
        contexts.resize(slots, None);
        let worker = Worker {
            bucket: client.bucket(&self.bucket),
            job: self,
            first,
            step,
            own_keys,
            contexts,
            random: fastrand::Rng::with_seed(first),
            tally: Tally::new()?,
        };
        // With fewer keys than workers, some have nothing to do.
        if own_keys == 0 {
            Ok((worker.tally, worker.contexts))
        } else {
            Ok(worker.run().await)
        }
    }

    /// Whether operation number `at` of a worker is to begin.
    fn begins(&self, at: u64, own_keys: u64) -> bool {
        let is_wanted = match self.until {
            Until::Elapsed(duration) => self.watch.elapsed() < duration,
            Until::Count(count) => self.begun.fetch_add(1, Ordering::Relaxed) < count,
            Until::Loaded => at < own_keys,
        };
        is_wanted && !self.stopped.load(Ordering::Relaxed)
    }
}

impl Worker {
    async fn run(mut self) -> Left {
        let mut at = 0;
        while self.job.begins(at, self.own_keys) {
            let own = match self.job.until {
                Until::Loaded => at,
                Until::Elapsed(_) | Until::Count(_) => self.random.u64(..self.own_keys),
            };
            at += 1;
            let reads = match self.job.workload {
                Workload::Get => true,
                Workload::Mixed => self.random.u8(..100) < self.job.reads,
                Workload::Put | Workload::Counter | Workload::Set => false,
            };
            let watch = Stopwatch::start();
            let done = if reads {
                self.read(own).await
            } else {
                self.write(own).await
            };
            let micros = u64::try_from(watch.elapsed().as_micros()).unwrap_or(u64::MAX);
            let latencies = if reads {
                &mut self.tally.reads
            } else {
                &mut self.tally.writes
            };
            match done {
                Ok(()) => latencies.saturating_record(micros),
                Err(error) => {
                    self.tally.note(&error);
                    // A cluster that refuses at once must not be asked in a spin.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            self.job.done.fetch_add(1, Ordering::Relaxed);
        }
        (self.tally, self.contexts)
    }

    async fn read(&mut self, own: u64) -> Result<(), Error> {
        let mut query = self.bucket.get(self.key(own));
        if let Some(r) = self.job.r {
            query = query.r(r);
        }
        let read = query.await?;
        self.remember(own, read.context());
        Ok(())
    }

    async fn write(&mut self, own: u64) -> Result<(), Error> {
        let key = self.key(own);
        let written = match self.job.workload {
            Workload::Put | Workload::Get | Workload::Mixed => {
                let mut write = self.bucket.put(key, self.job.value.clone());
                let context = usize::try_from(own)
                    .ok()
                    .and_then(|own| self.contexts.get(own));
                if let Some(Some(context)) = context {
                    write = write.context(context);
                }
                self.with_options(write).await?
            }
            Workload::Counter => self.with_options(self.bucket.counter(key).add(1)).await?,
            Workload::Set => {
                let element = format!("element-{}", self.random.u64(..ELEMENTS));
                self.with_options(self.bucket.set(key).add(element)).await?
            }
        };
        if matches!(
            self.job.workload,
            Workload::Put | Workload::Get | Workload::Mixed
        ) {
            self.remember(own, written.context());
        }
        Ok(())
    }

    fn with_options<M>(&self, mut write: starling::Write<M>) -> starling::Write<M> {
        if let Some(w) = self.job.w {
            write = write.w(w);
        }
        match self.job.durability {
            Some(durability) => write.durability(durability),
            None => write,
        }
    }

    fn remember(&mut self, own: u64, context: &Context) {
        if let Some(slot) = usize::try_from(own)
            .ok()
            .and_then(|own| self.contexts.get_mut(own))
        {
            *slot = Some(context.clone());
        }
    }

    fn key(&self, own: u64) -> String {
        format!("{}-{:08}", self.job.prefix, self.first + own * self.step)
    }
}

impl Tally {
    pub(super) fn new() -> anyhow::Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, LONGEST, 3).context("a histogram");
        Ok(Self {
            reads: histogram()?,
            writes: histogram()?,
            errors: BTreeMap::new(),
        })
    }

    pub(super) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.reads.add(&other.reads).context("adding latencies")?;
        self.writes.add(&other.writes).context("adding latencies")?;
        for (message, count) in &other.errors {
            self.count_error(message.clone(), *count);
        }
        Ok(())
    }

    /// Operations that succeeded.
    pub(super) fn operations(&self) -> u64 {
        self.reads.len() + self.writes.len()
    }

    fn note(&mut self, error: &Error) {
        self.count_error(format!("{:?}: {error}", error.kind()), 1);
    }

    fn count_error(&mut self, message: String, count: u64) {
        let is_known = self.errors.contains_key(&message);
        let message = if is_known || self.errors.len() < MAX_MESSAGES {
            message
        } else {
            "others".to_owned()
        };
        *self.errors.entry(message).or_default() += count;
    }
}

/// The same for loading and measuring, and another in the next run.
fn random_prefix() -> &'static str {
    static PREFIX: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PREFIX.get_or_init(|| format!("{:08x}", fastrand::u32(..)))
}

const MAX_VALUE: usize = starling::wire::MAX_VALUE;
/// How many elements a set can have.
const ELEMENTS: u64 = 1000;
/// Latencies beyond a minute count as a minute, in microseconds.
const LONGEST: u64 = 60_000_000;
const MAX_MESSAGES: usize = 20;
