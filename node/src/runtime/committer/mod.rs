//! The committer: the thread that owns the [`Replica`] and writes the store, by group commit.
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
mod worker;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use super::clock::Clock;
use super::store::Store;
use super::view::Views;
use crate::admin::Metrics;
use crate::protocol::replica::{Input, Output, Past, Replica};
use crate::store::{Engine, StoreError, Table};
use worker::Worker;

pub(crate) use statistics::{Published, Statistics};
pub(in crate::runtime) use worker::Probe;

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
    pub(crate) store: Store,
    /// How to find out what is free of the disk under it, and the bytes of it that shall stay so.
    pub(crate) disk: Option<(Probe, u64)>,
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
    shared: Arc<Shared>,
    thread: JoinHandle<Result<(), StoreError>>,
}

/// What the thread and those who hand inputs over to it both know.
#[derive(Debug, Default)]
struct Shared {
    /// Inputs that wait.
    waiting: AtomicUsize,
    /// See [`Committer::pressure`].
    pressure: AtomicU16,
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
        let shared = Arc::new(Shared::default());
        let worker = Worker::new(parts, inputs, Arc::clone(&shared), outputs);
        let thread = thread::Builder::new().name("committer".to_owned());
        let thread = thread.spawn(move || worker.run())?;
        Ok(Self {
            sender,
            shared,
            thread,
        })
    }

    /// Hands inputs over. At most [`MOST_WAITING`] wait; beyond it reads, writes and requests are
    /// refused as overload, and the answers to them returned here, and repairs and what tells of
    /// unreadable rows are dropped. The rest is taken always: it is bounded by the calls of this
    /// node that are under way.
    pub(crate) fn submit(&self, mut queued: Vec<Queued>) -> Vec<Output> {
        let mut refused = Vec::new();
        if self.shared.waiting.load(Ordering::Relaxed) > MOST_WAITING {
            queued.retain(|queued| match queued.input.refused() {
                Some(output) => {
                    refused.push(output);
                    false
                }
                None => !queued.input.is_dispensable(),
            });
        }
        if !queued.is_empty() {
            let waiting = &self.shared.waiting;
            waiting.fetch_add(queued.len(), Ordering::Relaxed);
            // If the thread has failed, the node loop finds out and ends.
            self.sender.send(queued).ok();
        }
        refused
    }

    /// How much of what a node usually takes on of its clients' writes it should not, because the
    /// store is behind: in thousandths, as of a tenth of a second ago.
    pub(crate) fn pressure(&self) -> u16 {
        self.shared.pressure.load(Ordering::Relaxed)
    }

    /// Whether the thread has ended, which it does by itself only if it fails.
    pub(crate) fn is_gone(&self) -> bool {
        self.thread.is_finished()
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

/// What the last life of this node knew of time, so that a wall clock that is wrong after a restart
/// repeats no stamps that were right, and ends nothing early.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn past(engine: &dyn Engine) -> Result<Past, StoreError> {
    let number = |key: &[u8]| -> Result<u64, StoreError> {
        let stored = engine.get(Table::Meta, key)?;
        let number = stored.and_then(|bytes| bytes.try_into().ok());
        Ok(number.map_or(0, u64::from_be_bytes))
    };
    Ok(Past {
        stamp: crdt::Hlc::from_bits(number(STAMP_KEY)?),
        surely_ms: number(SURELY_KEY)?,
    })
}

/// The greatest stamp given or taken over.
const STAMP_KEY: &[u8] = b"hlc";
/// A time that has surely come.
const SURELY_KEY: &[u8] = b"surely";
/// Inputs that wait. At some 20 microseconds each that is about half a second of work.
const MOST_WAITING: usize = 32_768;
