//! The committer: the thread that owns the [`Replica`] and writes the store (`numbers.md`: group
//! commit; design, section 10).
//!
//! ```text
//!   node loop ──Vec<Queued>──> everything waiting, up to a cap
//!                                 │ Replica::handle_batch
//!                                 │ views odd · one engine.write · views even
//!                                 │ one engine.barrier
//!                                 │ Replica::handle_committed
//!   node loop <──Vec<Output>──────┘ one message
//! ```
//!
//! While one batch is being written the next one gathers, so batches grow with the load by
//! themselves. Nothing is let out before its batch is as durable as was asked.

mod statistics;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use starling::wire::Durability;

use super::clock::Clock;
use super::source::{StoreSource, fill};
use super::view::Views;
use crate::admin::Metrics;
use crate::protocol::messages::{PeerReply, Refusal};
use crate::protocol::replica::{Commit, Input, Output, Replica, WriteError};
use crate::protocol::stage::{Family, SourceError};
use crate::protocol::time::Time;
use crate::store::{Barrier, Batch, Engine, StoreError, Table};

pub(crate) use statistics::{Published, Statistics};

/// An input on its way to the committer, and about how many bytes it holds.
#[derive(Debug)]
pub(crate) struct Queued {
    /// The input.
    pub(crate) input: Input,
    /// Its size, for the cap on one batch.
    pub(crate) bytes: usize,
}

/// What the committer thread works with.
pub(crate) struct CommitterParts {
    /// The machine.
    pub(crate) replica: Replica,
    /// The store, synced to the disk.
    pub(crate) engine: Arc<dyn Engine>,
    /// Where readers find rows' clocks.
    pub(crate) views: Arc<Views>,
    /// The node's clocks.
    pub(crate) clock: Clock,
    /// The node's counters.
    pub(crate) metrics: Arc<Metrics>,
    /// Where to show what the vnodes come to.
    pub(crate) statistics: Published,
}

/// The handle of the committer thread.
#[derive(Debug)]
pub(crate) struct Committer {
    sender: Sender<Vec<Queued>>,
    waiting: Arc<AtomicUsize>,
    thread: JoinHandle<Result<(), StoreError>>,
}

impl Committer {
    /// Starts the thread. `outputs` must not block.
    ///
    /// # Errors
    /// When the operating system has no thread left.
    pub(crate) fn start(
        parts: CommitterParts,
        outputs: impl FnMut(Vec<Output>) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, inputs) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let worker = Worker {
            parts,
            outputs,
            inputs,
            waiting: Arc::clone(&waiting),
            queue: VecDeque::new(),
            batch: Batch::new(),
            catching_up: true,
            failure: None,
            published: None,
        };
        let thread = thread::Builder::new().name("committer".to_owned());
        let thread = thread.spawn(move || worker.run())?;
        Ok(Self {
            sender,
            waiting,
            thread,
        })
    }

    /// Hands inputs over. At most [`MOST_WAITING`] wait; beyond it reads, writes and requests are
    /// refused as overload, and the answers to them returned here. Comparisons of clocks begin
    /// anew by themselves, so the rest is taken always: there is little of it.
    pub(crate) fn submit(&self, mut queued: Vec<Queued>) -> Vec<Output> {
        let mut refused = Vec::new();
        if self.waiting.load(Ordering::Relaxed) > MOST_WAITING {
            queued.retain(|queued| match refusal(&queued.input) {
                Some(output) => {
                    refused.push(output);
                    false
                }
                None => true,
            });
        }
        if !queued.is_empty() {
            self.waiting.fetch_add(queued.len(), Ordering::Relaxed);
            if self.sender.send(queued).is_err() {
                tracing::error!("the committer is gone; nothing can be written any more");
            }
        }
        refused
    }

    /// Writes what waits, syncs the store to the disk and ends the thread.
    ///
    /// # Errors
    /// When the last sync failed: the shutdown was not clean.
    pub(crate) fn stop(self) -> Result<(), StoreError> {
        drop(self.sender);
        match self.thread.join() {
            Ok(result) => result,
            Err(_) => Err(StoreError::Io {
                action: "finish writing to",
                path: "the store".into(),
                detail: "the committer thread had failed".to_owned(),
            }),
        }
    }
}

/// The thread's state.
struct Worker<F> {
    parts: CommitterParts,
    outputs: F,
    inputs: Receiver<Vec<Queued>>,
    waiting: Arc<AtomicUsize>,
    queue: VecDeque<Queued>,
    batch: Batch,
    /// A view may say so of its vnode.
    catching_up: bool,
    /// Why the last batch failed that did.
    failure: Option<String>,
    published: Option<Time>,
}

impl<F: FnMut(Vec<Output>)> Worker<F> {
    fn run(mut self) -> Result<(), StoreError> {
        while self.gather() {
            let inputs = self.take();
            let outputs = self.commit(inputs);
            if !outputs.is_empty() {
                (self.outputs)(outputs);
            }
            self.publish_statistics();
        }
        self.parts.engine.barrier(Barrier::Synced)
    }

    /// Waits for the first input and takes all that wait. Without one until the machine's timeout,
    /// that becomes the input. False when the node stops.
    fn gather(&mut self) -> bool {
        if self.queue.is_empty() {
            let wait = match self.parts.replica.poll_timeout() {
                Some(time) => self.parts.clock.until(time),
                None => LONGEST_SLEEP,
            };
            match self.inputs.recv_timeout(wait) {
                Ok(queued) => self.queue.extend(queued),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        loop {
            match self.inputs.try_recv() {
                Ok(queued) => self.queue.extend(queued),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return true,
            }
        }
    }

    /// The next batch, within the caps, with a tick if that is due.
    fn take(&mut self) -> Vec<Input> {
        let mut inputs = Vec::with_capacity(self.queue.len().min(MOST_INPUTS) + 1);
        let mut bytes = 0;
        while inputs.len() < MOST_INPUTS && bytes < MOST_BYTES {
            let Some(queued) = self.queue.pop_front() else {
                break;
            };
            bytes += queued.bytes;
            inputs.push(queued.input);
        }
        self.waiting.fetch_sub(inputs.len(), Ordering::Relaxed);
        let now = self.parts.clock.time();
        if self
            .parts
            .replica
            .poll_timeout()
            .is_some_and(|time| time <= now)
        {
            inputs.push(Input::Tick);
        }
        inputs
    }

    /// Makes, writes and lets out one batch.
    fn commit(&mut self, inputs: Vec<Input>) -> Vec<Output> {
        if inputs.is_empty() {
            return Vec::new();
        }
        let count = inputs.len();
        self.count_known(&inputs);
        let now = self.parts.clock.now();
        let engine = Arc::clone(&self.parts.engine);
        let source = StoreSource::new(&*engine);
        let commit = match self.parts.replica.handle_batch(now, inputs, &source) {
            Ok(commit) => commit,
            Err(error) => {
                tracing::error!(%error, "a batch was given up; its vnodes begin anew");
                if let SourceError::Corrupt { .. } = error {
                    self.parts.metrics.corruptions.inc();
                }
                return self.fail(Refusal::Storage, error.to_string());
            }
        };
        match self.write(&commit) {
            Ok(()) => {
                self.parts.metrics.committed(count, self.batch.bytes());
                self.count_trimmed(&commit);
                self.parts
                    .replica
                    .handle_committed(self.parts.clock.time(), commit.barrier);
                self.refresh_views();
                commit.outputs
            }
            Err(error) => {
                if error.must_abort() {
                    abort(&error);
                }
                tracing::error!(%error, "a batch could not be written; its vnodes begin anew");
                if error.is_corruption() {
                    self.parts.metrics.corruptions.inc();
                }
                let full = error.is_disk_full();
                let refusal = if full {
                    Refusal::DiskFull
                } else {
                    Refusal::Storage
                };
                self.fail(refusal, error.to_string())
            }
        }
    }

    fn write(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let CommitterParts {
            engine,
            views,
            replica,
            ..
        } = &self.parts;
        self.batch.clear();
        if !commit.changes.is_empty() {
            fill(&mut self.batch, &commit.changes);
            // Stamps must not run backwards over a restart: see `last_stamp`.
            let stamp = replica.last_stamp().to_bits().to_be_bytes();
            self.batch.put(Table::Meta, STAMP_KEY, &stamp);
            views.begin(&commit.touched);
            engine.write(&self.batch)?;
        }
        for vnode in commit.touched.iter().filter_map(|&id| replica.vnode(id)) {
            views.publish(vnode);
            self.catching_up |= vnode.is_catching_up();
        }
        match barrier(commit.barrier) {
            Barrier::Memory => Ok(()),
            level => engine.barrier(level),
        }
    }

    /// The answers to a batch that came to nothing. The vnodes are recovered from the store, which
    /// must be on the disk for that, since what they find there they take for durable.
    fn fail(&mut self, refusal: Refusal, failure: String) -> Vec<Output> {
        self.parts.metrics.failed_commits.inc();
        self.failure = Some(failure);
        let engine = Arc::clone(&self.parts.engine);
        if let Err(error) = engine.barrier(Barrier::Synced) {
            if error.must_abort() {
                abort(&error);
            }
            tracing::error!(%error, "the store could not be synced after a failure");
        }
        let outputs = self
            .parts
            .replica
            .handle_failure(refusal, &StoreSource::new(&*engine));
        self.parts.views.replace(&self.parts.replica);
        self.catching_up = true;
        self.published = None;
        outputs
    }

    /// A vnode can catch up without a write: by a comparison that finds it equal.
    fn refresh_views(&mut self) {
        if self.catching_up {
            let views = &self.parts.views;
            let refresh = |still, vnode| views.refresh(vnode) | still;
            self.catching_up = self.parts.replica.vnodes().fold(false, refresh);
        }
    }

    /// Counts the dots of pulled rows that were here before the pull was answered: near zero, or
    /// pulls bring what nobody needs.
    fn count_known(&self, inputs: &[Input]) {
        for input in inputs {
            if let Input::Reply {
                reply: Some(PeerReply::Pulled(pulled)),
                ..
            } = input
                && let Some(vnode) = self.parts.replica.vnode(pulled.vnode)
            {
                let dots = pulled.bundle.events.iter().map(|event| event.dot);
                let known = dots.filter(|&dot| vnode.clock().contains(dot)).count();
                let known = u64::try_from(known).unwrap_or(u64::MAX);
                self.parts.metrics.pulled_but_equal.inc_by(known);
            }
        }
    }

    /// The dotlog shrinks by trimming alone.
    fn count_trimmed(&self, commit: &Commit) {
        let changes = commit.changes.iter();
        let gone =
            changes.filter(|(family, _, value)| *family == Family::Dotlog && value.is_none());
        self.parts
            .metrics
            .trimmed
            .inc_by(u64::try_from(gone.count()).unwrap_or(u64::MAX));
    }

    /// Shows the state of the vnodes about once a second, sooner while some are catching up.
    fn publish_statistics(&mut self) {
        let now = self.parts.clock.time();
        let shown = self.parts.statistics.latest();
        let every = if shown.catching_up > 0 || shown.vnodes == 0 {
            SOON
        } else {
            PUBLISH_EVERY
        };
        if self
            .published
            .is_some_and(|earlier| now.since(earlier) < every)
        {
            return;
        }
        self.published = Some(now);
        let mut statistics = Statistics::of(&self.parts.replica, self.parts.engine.statistics());
        statistics.failure.clone_from(&self.failure);
        self.parts.metrics.show(&statistics);
        self.parts.statistics.show(statistics);
    }
}

/// The stamp that an earlier life of this node gave last, so that a wall clock that was set back
/// does not repeat stamps.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn last_stamp(engine: &dyn Engine) -> Result<crdt::Hlc, StoreError> {
    let stored = engine.get(Table::Meta, STAMP_KEY)?;
    let bits = stored
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes);
    Ok(crdt::Hlc::from_bits(bits))
}

/// The answer to an input that is not even queued; none to what nobody waits for.
fn refusal(input: &Input) -> Option<Output> {
    let refusal = Refusal::Overloaded;
    match *input {
        Input::Write { ticket, .. } => Some(Output::Written {
            ticket,
            result: Err(WriteError::Refused(refusal)),
        }),
        Input::Read { ticket, .. } => Some(Output::RowsRead {
            ticket,
            result: Err(refusal),
        }),
        Input::Request { from, call, .. } => Some(Output::Answer {
            to: from,
            call,
            reply: PeerReply::Refused(refusal),
        }),
        Input::Reply { .. } | Input::Repair { .. } | Input::Tick | Input::Topology { .. } => None,
    }
}

fn barrier(durability: Durability) -> Barrier {
    match durability {
        Durability::Memory => Barrier::Memory,
        Durability::Wal => Barrier::Wal,
        Durability::Synced => Barrier::Synced,
    }
}

/// After a failed sync nothing that the process remembers can be trusted to be on the disk.
fn abort(error: &StoreError) -> ! {
    tracing::error!(%error, "the node stops at once");
    std::process::abort()
}

const STAMP_KEY: &[u8] = b"hlc";
/// Inputs in one batch. More would make the first of them wait too long.
const MOST_INPUTS: usize = 512;
/// Bytes of inputs in one batch, exceeded by the last one at most.
const MOST_BYTES: usize = 4 << 20;
/// Inputs that wait. At some 20 microseconds each that is about half a second of work.
const MOST_WAITING: usize = 32_768;
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(100);
