//! The workers: each has one operation under way. They share the histograms, which are half a
//! megabyte each.
//!
//! Keys that hold one thing are divided among them, so that no two write the same one. Keys with
//! parts are everybody's: what is measured is that many write into one of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use hdrhistogram::Histogram;

use super::BenchOptions;
use super::act::{Actor, Done, PARTS_AT_ONCE};
use super::pace::{Pace, Turn};
use super::workload::{Elements, Workload};
use crate::cli::clock::Stopwatch;
use starling::{Bucket, Client, Context, Durability, Error};

/// What all workers share.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) workload: Workload,
    /// The parts of each key.
    pub(super) elements: Elements,
    /// How many elements a page has.
    pub(super) page: u32,
    pub(super) value: Bytes,
    pub(super) r: Option<u8>,
    pub(super) w: Option<u8>,
    pub(super) durability: Option<Durability>,
    bucket: String,
    prefix: String,
    keys: u64,
    reads: u8,
    until: Until,
    pace: Pace,
    stopped: AtomicBool,
    /// Operations ended, or elements filled in, for the eye.
    pub(super) done: AtomicU64,
    tally: Mutex<Tally>,
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
enum Until {
    Elapsed(Duration),
    Count(u64),
    /// Each key was written once.
    Loaded,
    /// All parts of each key were written.
    Filled,
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
    /// How many elements were read.
    pub(super) elements: u64,
}

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
}

impl Job {
    pub(super) fn new(options: &BenchOptions, bucket: String) -> anyhow::Result<Self> {
        let until = options
            .count
            .map_or(Until::Elapsed(options.duration), Until::Count);
        Self::with(options, bucket, options.workload, until)
    }

    /// Every key is written once.
    pub(super) fn loading(options: &BenchOptions, bucket: String) -> anyhow::Result<Self> {
        Self::with(options, bucket, Workload::Put, Until::Loaded)
    }

    /// The parts of every key are written.
    pub(super) fn filling(options: &BenchOptions, bucket: String) -> anyhow::Result<Self> {
        Self::with(options, bucket, options.workload, Until::Filled)
    }

    fn with(
        options: &BenchOptions,
        bucket: String,
        workload: Workload,
        until: Until,
    ) -> anyhow::Result<Self> {
        let size = usize::try_from(options.value_size.as_u64()).unwrap_or(usize::MAX);
        let mut random = fastrand::Rng::with_seed(1);
        let value = std::iter::repeat_with(|| random.alphanumeric()).take(size.min(MAX_VALUE));
        Ok(Self {
            workload,
            elements: workload.elements(options.elements),
            page: options.page_size,
            value: value.collect::<String>().into(),
            r: options.r,
            w: options.w,
            durability: options.durability.map(Into::into),
            bucket,
            prefix: options
                .prefix
                .clone()
                .unwrap_or_else(|| random_prefix().to_owned()),
            keys: options.keys(),
            reads: options.reads,
            until,
            pace: Pace::new(match until {
                Until::Elapsed(_) | Until::Count(_) => options.rate,
                Until::Loaded | Until::Filled => None,
            }),
            stopped: AtomicBool::new(false),
            done: AtomicU64::new(0),
            tally: Mutex::new(Tally::new()?),
        })
    }

    /// What came of the operations so far.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much there will be to do, if that is known.
    pub(super) fn count(&self) -> Option<u64> {
        match self.until {
            Until::Elapsed(_) => None,
            Until::Count(count) => Some(count),
            Until::Loaded => Some(self.keys),
            Until::Filled => Some(self.keys.saturating_mul(self.elements.names)),
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
    ) -> anyhow::Result<Contexts> {
        let seed = first;
        let (all, (first, step)) = match self.until {
            Until::Filled => (self.keys * self.pieces(), (first, step)),
            _ if self.workload.shares_keys() => (self.keys, (0, 1)),
            Until::Elapsed(_) | Until::Count(_) | Until::Loaded => (self.keys, (first, step)),
        };
        let own_keys = all.saturating_sub(first).div_ceil(step);
        if !self.workload.shares_keys() {
            let slots = usize::try_from(own_keys).context("too many keys")?;
            contexts.resize(slots, None);
        }
        let worker = Worker {
            bucket: client.bucket(&self.bucket),
            job: self,
            first,
            step,
            own_keys,
            contexts,
            random: fastrand::Rng::with_seed(seed),
        };
        // With fewer keys than workers, some have nothing to do.
        if own_keys == 0 {
            Ok(worker.contexts)
        } else {
            Ok(worker.run().await)
        }
    }

    /// In how many pieces the parts of a key are written before the beginning.
    fn pieces(&self) -> u64 {
        self.elements.names.div_ceil(PARTS_AT_ONCE)
    }

    /// The next operation, which is number `at` of a worker; `None` if there is none.
    fn next(&self, at: u64, own_keys: u64) -> Option<Turn> {
        let turn = self.pace.take();
        let is_wanted = match self.until {
            Until::Elapsed(duration) => turn.due < duration,
            Until::Count(count) => turn.number < count,
            Until::Loaded | Until::Filled => at < own_keys,
        };
        (is_wanted && !self.is_stopped()).then_some(turn)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Waits until an operation is due; says how late it is if it was due before.
    async fn wait_for(&self, turn: Turn) -> Duration {
        let mut ahead = self.pace.ahead(turn);
        if ahead.is_zero() {
            return self.pace.behind(turn);
        }
        while !ahead.is_zero() && !self.is_stopped() {
            tokio::time::sleep(ahead.min(LONGEST_WAIT)).await;
            ahead = self.pace.ahead(turn);
        }
        Duration::ZERO
    }

    fn key(&self, number: u64) -> String {
        format!("{}-{number:08}", self.prefix)
    }
}

impl Worker {
    async fn run(mut self) -> Contexts {
        let mut at = 0;
        while let Some(turn) = self.job.next(at, self.own_keys) {
            let late = self.job.wait_for(turn).await;
            let own = match self.job.until {
                Until::Loaded | Until::Filled => at,
                Until::Elapsed(_) | Until::Count(_) => self.random.u64(..self.own_keys),
            };
            at += 1;
            let chance = self.random.u8(..100);
            let fills = matches!(self.job.until, Until::Filled);
            let reads = !fills && self.job.workload.is_read(chance, self.job.reads);
            let watch = Stopwatch::start();
            let done = self.act(own, reads).await;
            let took = late + watch.elapsed();
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let mut units = 1;
            match done {
                Ok(done) => {
                    self.job.tally().count(reads, micros, done.elements);
                    if fills {
                        units = done.elements;
                    }
                    self.remember(own, done.context);
                }
                Err(error) => {
                    self.job.tally().note(&error);
                    // A cluster that refuses at once must not be asked in a spin.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            self.job.done.fetch_add(units, Ordering::Relaxed);
        }
        self.contexts
    }

    async fn act(&mut self, own: u64, reads: bool) -> Result<Done, Error> {
        let job = Arc::clone(&self.job);
        let number = self.first + own * self.step;
        let slot = usize::try_from(own).ok();
        let context = slot.and_then(|own| self.contexts.get(own)?.as_ref());
        let mut actor = Actor {
            job: &job,
            bucket: &self.bucket,
            random: &mut self.random,
        };
        if let Until::Filled = job.until {
            let pieces = job.pieces();
            let from = number % pieces * PARTS_AT_ONCE;
            return actor.fill(job.key(number / pieces), from).await;
        }
        if reads {
            actor.read(job.key(number)).await
        } else {
            actor.write(job.key(number), context).await
        }
    }

    fn remember(&mut self, own: u64, context: Option<Context>) {
        let own = usize::try_from(own).ok();
        let slot = own.and_then(|own| self.contexts.get_mut(own));
        if let (Some(slot), Some(context)) = (slot, context) {
            *slot = Some(context);
        }
    }
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        let histogram = || Histogram::new_with_bounds(1, LONGEST, 3).context("a histogram");
        Ok(Self {
            reads: histogram()?,
            writes: histogram()?,
            errors: BTreeMap::new(),
            elements: 0,
        })
    }

    /// Counts an operation that succeeded.
    fn count(&mut self, reads: bool, micros: u64, elements: u64) {
        let latencies = if reads {
            &mut self.reads
        } else {
            &mut self.writes
        };
        latencies.saturating_record(micros);
        self.elements += elements;
    }

    /// Operations that succeeded.
    pub(super) fn operations(&self) -> u64 {
        self.reads.len() + self.writes.len()
    }

    fn note(&mut self, error: &Error) {
        let message = format!("{:?}: {error}", error.kind());
        let is_known = self.errors.contains_key(&message);
        let message = if is_known || self.errors.len() < MAX_MESSAGES {
            message
        } else {
            "others".to_owned()
        };
        *self.errors.entry(message).or_default() += 1;
    }
}

/// The same for loading and measuring, and another in the next run.
fn random_prefix() -> &'static str {
    static PREFIX: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PREFIX.get_or_init(|| format!("{:08x}", fastrand::u32(..)))
}

const MAX_VALUE: usize = starling::wire::MAX_VALUE;
/// Latencies beyond a minute count as a minute, in microseconds.
const LONGEST: u64 = 60_000_000;
const MAX_MESSAGES: usize = 20;
/// How long a worker that waits for its turn does not look whether all is to end.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
