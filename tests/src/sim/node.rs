//! A node: a disk that outlives its process, two clocks, and the machines while the process runs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::disk::Image;
use super::monotonic::Standing;
use super::queue::Instant;
use crdt::Dot;
use ring::{NodeId, Ring, VnodeId};
use starling::wire::Durability;
use starling_node::protocol::coordinator::{Coordinator, CoordinatorConfig};
use starling_node::protocol::event::Event;
use starling_node::protocol::keys::RowKey;
use starling_node::protocol::replica::{Input, Output, Past, Replica, ReplicaConfig};
use starling_node::protocol::time::{Moment, Time};
use starling_node::store::{Batch, MemoryEngine};

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) engine: MemoryEngine,
    /// When the disk began to hold what it holds: it was replaced then.
    pub(crate) disk_since: Instant,
    pub(crate) process: Option<Process>,
    /// How many processes there have been: what was meant for an earlier one is dropped.
    pub(crate) life: u32,
    /// When the process began; its steady clock counts from here.
    pub(crate) born: Instant,
    /// How far the wall clock is ahead, in milliseconds.
    pub(crate) wall_ahead: i64,
    pub(crate) paused_until: Instant,
    /// What its processes knew of time, as the shell keeps it on the disk.
    pub(crate) past: Past,
    /// Copies of the disk, oldest first.
    pub(crate) backups: Vec<Backup>,
}

/// A copy of a disk.
#[derive(Debug, Clone)]
pub(crate) struct Backup {
    pub(crate) image: Image,
    pub(crate) past: Past,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) replica: Replica,
    pub(crate) coordinator: Coordinator,
    /// What waits for the committer.
    pub(crate) inbox: Vec<Input>,
    /// A tick waits in the inbox.
    pub(crate) has_tick: bool,
    /// The committer is at work, or is about to be.
    pub(crate) is_busy: bool,
    /// The batch at hand.
    pub(crate) batch: Option<InFlight>,
    pub(crate) has_recovered: bool,
    /// It was checked what it recovered.
    pub(crate) is_checked: bool,
    /// How often it has put a vnode into quarantine, and how many are there, as last seen.
    pub(crate) quarantined: (u64, usize),
    /// When the next wake-up is due.
    pub(crate) wake_at: Option<Instant>,
    /// What a peer's call asked this node to store, to know what an ack promises.
    pub(crate) asked: BTreeMap<u64, (Vec<Dot>, Durability)>,
    /// Which peers' calls ask for rows durably.
    pub(crate) standing: BTreeMap<u64, Standing>,
    /// Until when peers wait for the answers to their calls.
    pub(crate) awaited: BTreeMap<u64, Instant>,
}

/// A batch on its way to the disk.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) batch: Batch,
    pub(crate) barrier: Durability,
    pub(crate) outputs: Vec<Output>,
    pub(crate) events: BTreeMap<VnodeId, Vec<Event>>,
    pub(crate) rows: BTreeMap<VnodeId, Vec<RowKey>>,
}

impl Node {
    pub(crate) fn new(id: NodeId) -> Self {
        Self {
            id,
            engine: MemoryEngine::new(),
            disk_since: 0,
            process: None,
            life: 0,
            born: 0,
            wall_ahead: 0,
            paused_until: 0,
            past: Past::default(),
            backups: Vec::new(),
        }
    }

    /// Begins a process on what the disk holds.
    pub(crate) fn start(
        &mut self,
        now: Instant,
        (replica, coordinator): (ReplicaConfig, CoordinatorConfig),
        behind: bool,
        seed: u64,
    ) {
        self.life += 1;
        self.born = now;
        self.paused_until = now;
        self.process = Some(Process {
            replica: Replica::new(self.id, replica, behind, seed, self.past),
            coordinator: Coordinator::new(self.id, coordinator),
            inbox: Vec::new(),
            has_tick: false,
            is_busy: false,
            batch: None,
            has_recovered: false,
            is_checked: false,
            quarantined: (0, 0),
            wake_at: None,
            asked: BTreeMap::new(),
            standing: BTreeMap::new(),
            awaited: BTreeMap::new(),
        });
    }

    /// Ends the process, wherever it is.
    pub(crate) fn stop(&mut self) {
        self.past = self.known_past();
        self.process = None;
        self.life += 1;
    }

    /// What its processes know of time until now.
    pub(crate) fn known_past(&self) -> Past {
        self.process.as_ref().map_or(self.past, |process| {
            let past = process.replica.past();
            let stamp = self.past.stamp.max(past.stamp);
            Past { stamp, ..past }
        })
    }

    /// Both clocks.
    pub(crate) fn moment(&self, now: Instant) -> Moment {
        let time = Time::at(Duration::from_micros(now.saturating_sub(self.born)));
        let wall_ms = wall_ms(now).saturating_add_signed(self.wall_ahead);
        Moment { time, wall_ms }
    }

    /// When in the world it is `time` by the process's steady clock.
    pub(crate) fn world_time(&self, time: Time) -> Instant {
        let since_start = u64::try_from(time.since_start().as_micros()).unwrap_or(u64::MAX);
        self.born.saturating_add(since_start)
    }
}

impl Process {
    /// Tells both machines who owns what.
    pub(crate) fn set_ring(&mut self, ring: &Ring) {
        self.coordinator.set_ring(ring.clone());
        let counts = vec![ring.layout().n()];
        self.inbox.push(Input::Topology {
            ring: Box::new(ring.clone()),
            counts,
        });
    }
}

/// What a wall clock says that is right, in milliseconds since the Unix epoch.
pub(crate) fn wall_ms(now: Instant) -> u64 {
    EPOCH_MS + now / 1_000
}

/// When the world begins, by a wall clock that is right.
const EPOCH_MS: u64 = 1_700_000_000_000;
