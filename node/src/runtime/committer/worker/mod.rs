//! The committer thread: gather, commit, let out.

mod backlog;
mod disk;
mod lanes;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use super::statistics::Statistics;
use super::{CommitterParts, Queued, STAMP_KEY, SURELY_KEY, Shared};
use crate::protocol::messages::{PeerReply, Refusal};
use crate::protocol::replica::{Commit, Input, Output, Past};
use crate::protocol::stage::{Family, SourceError};
use crate::protocol::time::Time;
use crate::runtime::source::{StoreSource, fill};
use crate::store::{Barrier, Batch, StoreError, Table};
use backlog::Watch;
use disk::Disk;
use lanes::Lanes;
use starling::wire::Durability;

pub(in crate::runtime) use disk::Probe;

/// The thread's state.
pub(super) struct Worker<F> {
    parts: CommitterParts,
    outputs: F,
    inputs: Receiver<Vec<Queued>>,
    shared: Arc<Shared>,
    queue: Lanes,
    watch: Watch,
    batch: Batch,
    /// A view may say so of its vnode.
    catching_up: bool,
    /// Why a batch failed; forgotten when one succeeds again, unless vnodes were lost by it.
    failure: Option<String>,
    /// A failed batch has left vnodes that cannot be recovered.
    damaged: bool,
    published: Option<Time>,
    /// None if the store is not on a disk.
    disk: Option<Disk>,
}

impl<F: FnMut(Vec<Output>)> Worker<F> {
    pub(super) fn new(
        mut parts: CommitterParts,
        inputs: Receiver<Vec<Queued>>,
        shared: Arc<Shared>,
        outputs: F,
    ) -> Self {
        let disk = parts.disk.take();
        Self {
            disk: disk.map(|(probe, reserve)| Disk::new(probe, reserve)),
            parts,
            outputs,
            inputs,
            shared,
            queue: Lanes::default(),
            watch: Watch::default(),
            batch: Batch::new(),
            catching_up: true,
            failure: None,
            damaged: false,
            published: None,
        }
    }

    /// Runs until nobody can hand in anything any more, then syncs the store to the disk.
    pub(super) fn run(mut self) -> Result<(), StoreError> {
        self.check_disk();
        while self.gather() {
            self.check_disk();
            self.check_backlog();
            let mut inputs = self.take();
            self.hold_topology(&mut inputs);
            let outputs = self.commit(inputs);
            if !outputs.is_empty() {
                (self.outputs)(outputs);
            }
            self.publish_statistics();
        }
        self.parts.store.borrow().barrier(Barrier::Synced)
    }

    /// Waits for the first input and takes all that wait. Without one until the machine's timeout,
    /// that becomes the input. False when the node stops.
    fn gather(&mut self) -> bool {
        if self.queue.is_empty() {
            let check = self.disk.as_ref().and_then(Disk::next_check);
            let watch = self.watch.next_check();
            let timeouts = [self.parts.replica.poll_timeout(), check, watch];
            let wait = match timeouts.into_iter().flatten().min() {
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
        let mut inputs = self.queue.take();
        self.shared
            .waiting
            .fetch_sub(inputs.len(), Ordering::Relaxed);
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
        let reshapes = inputs
            .iter()
            .any(|input| matches!(input, Input::Topology { .. }));
        self.count_known(&inputs);
        let now = self.parts.clock.own();
        let store = self.parts.store.clone();
        let expired = self.parts.replica.expired();
        let handled = {
            let engine = store.borrow();
            let source = StoreSource::new(&*engine);
            self.parts.replica.handle_batch(now, inputs, &source)
        };
        let expired = self.parts.replica.expired() - expired;
        self.parts.metrics.expired.inc_by(expired);
        self.tell_unread();
        let ahead_ms = self.parts.replica.wall_ahead_ms();
        self.parts.clock.correct(now, ahead_ms);
        let mut commit = match handled {
            Ok(commit) => commit,
            Err(error) => {
                let corrupt = matches!(error, SourceError::Corrupt { .. });
                return self.fail(&Failure::new(&error, corrupt, reshapes), Refusal::Storage);
            }
        };
        if self.disk.as_ref().is_some_and(Disk::is_stalled) {
            // Every write was refused, so nobody is promised anything.
            commit.barrier = Durability::Memory;
        }
        match self.write(&commit) {
            Ok(()) => {
                self.succeed(count, &commit);
                commit.outputs
            }
            Err(error) if error.must_abort() => abort(&error),
            Err(error) if error.is_disk_full() && self.disk.is_some() => {
                self.stall(&error, Refusal::DiskFull)
            }
            Err(error) => {
                let full = error.is_disk_full();
                let refusal = if full {
                    Refusal::DiskFull
                } else {
                    Refusal::Storage
                };
                self.fail(
                    &Failure::new(&error, error.is_corruption(), reshapes),
                    refusal,
                )
            }
        }
    }

    fn tell_unread(&mut self) {
        if let Some(reason) = self.parts.replica.take_unread() {
            tracing::error!(
                reason,
                "something stored could not be read: who needs it is refused, and it is tried \
                 again; check the disk"
            );
        }
    }

    fn succeed(&mut self, inputs: usize, commit: &Commit) {
        let now = self.parts.clock.time();
        self.parts.replica.handle_committed(now, commit.barrier);
        self.release_topology();
        self.refresh_views();
        if !commit.changes.is_empty() {
            self.parts.metrics.committed(inputs, self.batch.bytes());
            self.count_trimmed(commit);
            if !self.damaged {
                self.failure = None;
            }
        }
    }

    fn write(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let CommitterParts {
            store,
            views,
            replica,
            ..
        } = &self.parts;
        let engine = store.borrow();
        self.batch.clear();
        if !commit.changes.is_empty() {
            fill(&mut self.batch, &commit.changes);
            let Past { stamp, surely_ms } = replica.past();
            for (key, number) in [(STAMP_KEY, stamp.to_bits()), (SURELY_KEY, surely_ms)] {
                self.batch.put(Table::Meta, key, &number.to_be_bytes());
            }
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
    fn fail(&mut self, failure: &Failure, refusal: Refusal) -> Vec<Output> {
        tracing::error!(error = %failure.reason, "a batch came to nothing; its vnodes begin anew");
        self.parts.metrics.failed_commits.inc();
        if failure.corrupt {
            self.parts.metrics.corruptions.inc();
        }
        let synced = self.parts.store.borrow().barrier(Barrier::Synced);
        if let Err(error) = synced {
            if error.must_abort() {
                abort(&error);
            }
            if error.is_disk_full() && self.disk.is_some() {
                return self.stall(&error, refusal);
            }
            tracing::error!(%error, "the store could not be synced after a failure");
        }
        let outputs = self.begin_anew(refusal);
        self.damaged |= failure.reshapes;
        self.failure = Some(failure.reason.clone());
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
        let engine = self.parts.store.borrow().statistics();
        let mut statistics = Statistics::of(now, &self.parts.replica, engine);
        statistics.failure.clone_from(&self.failure);
        statistics.backlog = self.watch.backlog();
        if let Some(disk) = &self.disk {
            statistics.room = disk.room();
            statistics.free_bytes = disk.free();
        }
        statistics.tell_news(&shown);
        self.parts.metrics.show(&statistics);
        self.parts.statistics.show(statistics);
    }
}

/// Why a batch came to nothing.
struct Failure {
    reason: String,
    /// What is stored is damaged.
    corrupt: bool,
    /// The batch was to make vnodes.
    reshapes: bool,
}

impl Failure {
    fn new(error: &impl ToString, corrupt: bool, reshapes: bool) -> Self {
        Self {
            reason: error.to_string(),
            corrupt,
            reshapes,
        }
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

const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
/// Between two looks at the free space of the disk.
const CHECK_EVERY: Duration = Duration::from_secs(1);
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(100);
