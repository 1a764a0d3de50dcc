//! A disk without room: noticed before the store meets it, survived if it meets it all the same.
//!
//! ```text
//!   once a second   free space ──> RoomGauge ──> Replica::set_room: growth is refused, and goes on
//!   a full disk     ──> stalled: reads and pulls by others only, from what the store shows
//!   room again      ──> the store is opened again, synced, and the vnodes begin anew from it
//! ```
//!
//! While it is stalled nothing is written and no barrier is raised: the store holds batches that
//! its log lacks, and nothing of them may be promised to anybody.

use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;

use super::{CHECK_EVERY, Worker, abort};
use crate::protocol::messages::Refusal;
use crate::protocol::replica::{Input, Output};
use crate::protocol::room::{Room, RoomGauge};
use crate::protocol::time::Time;
use crate::protocol::vnode::Vnode;
use crate::runtime::committer::Queued;
use crate::runtime::source::StoreSource;
use crate::store::{Barrier, StoreError};
use ring::VnodeId;
use starling::wire::Durability;

/// How the free space of a disk is found out.
pub(crate) type Probe = Box<dyn FnMut() -> std::io::Result<u64> + Send>;

/// What the committer knows of the disk under its store.
pub(super) struct Disk {
    probe: Probe,
    gauge: RoomGauge,
    checked: Option<Time>,
    free: Option<u64>,
    /// The store has met the full disk, and writes no more until it is opened again.
    stalled: bool,
    /// The newest topology that is not carried out yet.
    held: Option<Input>,
}

impl Disk {
    pub(super) fn new(probe: Probe, reserve: u64) -> Self {
        Self {
            probe,
            gauge: RoomGauge::new(reserve),
            checked: None,
            free: None,
            stalled: false,
            held: None,
        }
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Bytes that are free, if that is known.
    pub(super) fn free(&self) -> Option<u64> {
        self.free
    }

    /// What is taken with the room that there is.
    pub(super) fn room(&self) -> Room {
        if self.stalled {
            Room::Spent
        } else {
            self.gauge.room()
        }
    }

    /// When to look at the disk next.
    pub(super) fn next_check(&self) -> Option<Time> {
        self.checked.map(|checked| checked.after(CHECK_EVERY))
    }
}

impl<F: FnMut(Vec<Output>)> Worker<F> {
    /// Looks at the disk once a second, and acts on what has changed.
    pub(super) fn check_disk(&mut self) {
        let now = self.parts.clock.time();
        let Some(disk) = &mut self.disk else { return };
        if disk.next_check().is_some_and(|next| now < next) {
            return;
        }
        disk.checked = Some(now);
        let before = disk.gauge.room();
        let mut has_room = false;
        match (disk.probe)() {
            Ok(free) => {
                disk.free = Some(free);
                has_room = disk.gauge.handle_free(free) == Room::Ample;
            }
            // What was known last holds on: that a disk does not tell its size is no reason to
            // refuse writes.
            Err(error) => tracing::warn!(%error, "the free space of the disk is not known"),
        }
        let (room, free_bytes) = (disk.gauge.room(), disk.free.unwrap_or_default());
        if room != before {
            match room {
                Room::Ample => tracing::info!(free_bytes, "the disk has room again"),
                Room::Scarce => tracing::warn!(
                    free_bytes,
                    "the disk is nearly full: writes that grow the store are refused, everything \
                     else goes on"
                ),
                Room::Spent => tracing::error!(
                    free_bytes,
                    "the disk is full: all writes are refused, reads go on; add space"
                ),
            }
            self.published = None;
        }
        if self.disk.as_ref().is_some_and(Disk::is_stalled) && has_room {
            self.resume();
        }
        self.show_room();
    }

    /// Tells the replica what to take.
    pub(super) fn show_room(&mut self) {
        if let Some(disk) = &self.disk {
            self.parts.replica.set_room(disk.room());
        }
    }

    /// The store has met a full disk: the answers to the batch at hand. The vnodes begin anew from
    /// what the store shows, of which no more counts as durable than did before.
    pub(super) fn stall(&mut self, error: &StoreError, refusal: Refusal) -> Vec<Output> {
        tracing::error!(
            %error,
            "the store met a full disk: all writes are refused until there is space, reads go on"
        );
        self.parts.metrics.failed_commits.inc();
        if let Some(disk) = &mut self.disk {
            disk.stalled = true;
        }
        self.show_room();
        self.begin_anew(refusal)
    }

    /// A topology must not be lost with its batch, nor carried out while the store cannot keep it:
    /// the newest, which says all that earlier ones said, is kept until the disk has room. While
    /// the store is stalled it is taken out of the inputs.
    pub(super) fn hold_topology(&mut self, inputs: &mut Vec<Input>) {
        let Some(disk) = &mut self.disk else { return };
        let is_topology = |input: &Input| matches!(input, Input::Topology { .. });
        if let Some(newest) = inputs.iter().rfind(|input| is_topology(input)) {
            disk.held = Some(newest.clone());
        }
        if disk.stalled {
            inputs.retain(|input| !is_topology(input));
        }
    }

    /// A batch is written, and with it what it was to bring.
    pub(super) fn release_topology(&mut self) {
        if let Some(disk) = self.disk.as_mut().filter(|disk| !disk.stalled) {
            disk.held = None;
        }
    }

    /// There is room again: opens the store anew and goes on.
    fn resume(&mut self) {
        // What is read from now on may be older than the clocks that readers are shown.
        let replica = &self.parts.replica;
        let used = replica.vnodes().map(Vnode::id);
        let shown: Vec<VnodeId> = used.chain(replica.unread().map(|(id, _)| id)).collect();
        self.parts.views.begin(&shown);
        let store = self.parts.store.clone();
        loop {
            let opened = store.reopen();
            match opened.and_then(|()| store.borrow().barrier(Barrier::Synced)) {
                Ok(()) => break,
                Err(error) if error.is_disk_full() => {
                    tracing::error!(%error, "the store does not open yet; it is tried again");
                }
                Err(error) => abort(&error),
            }
            if !self.pause() {
                return;
            }
        }
        // Nobody waits: what was refused has been answered.
        self.begin_anew(Refusal::Storage);
        let now = self.parts.clock.time();
        self.parts.replica.handle_committed(now, Durability::Synced);
        if let Some(disk) = &mut self.disk {
            disk.stalled = false;
            let held = disk.held.take();
            let queued = held.map(|input| Queued { input, bytes: 0 });
            let waiting = &self.shared.waiting;
            waiting.fetch_add(queued.iter().len(), Ordering::Relaxed);
            self.queue.extend(queued);
        }
        tracing::info!("the store was opened again, and takes writes");
    }

    /// Lets a second pass, while inputs gather as always. False when the node stops.
    fn pause(&mut self) -> bool {
        let until = self.parts.clock.time().after(CHECK_EVERY);
        loop {
            match self.inputs.recv_timeout(self.parts.clock.until(until)) {
                Ok(queued) => self.queue.extend(queued),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Forgets what the vnodes remember, and recovers them from the store.
    pub(super) fn begin_anew(&mut self, refusal: Refusal) -> Vec<Output> {
        let store = self.parts.store.clone();
        let engine = store.borrow();
        let source = StoreSource::new(&*engine);
        let before = self.parts.replica.in_hand();
        let outputs = self.parts.replica.handle_failure(refusal, &source);
        self.parts.views.replace(&self.parts.replica);
        self.damaged |= self.parts.replica.in_hand() < before;
        self.catching_up = true;
        self.published = None;
        outputs
    }
}
