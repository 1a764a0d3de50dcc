//! A few nodes that hand each other what they say at once, as long as nothing is cut: for tests of
//! one mechanism, step by step.
//!
//! It drives the node's own replicas and coordinators over the memory engine, as
//! [`sim`](crate::sim) does, and leaves nothing to chance: what a test hands in is carried out with
//! all that follows from it before the next step, and time passes when the test says so.
//!
//! | module | holds |
//! |---|---|
//! | `messages` | what goes from node to node |
//! | `orders` | writes and reads |
//! | `contents` | what the disks hold, and damage to it |

mod contents;
mod messages;
mod orders;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::rings::of_equal_nodes;
use ring::{ClusterId, NodeId, QBits, ReplicaCount, Ring, Token, VnodeId};
use starling_node::protocol::coordinator::{Coordinator, CoordinatorConfig};
use starling_node::protocol::replica::{Input, Past, Replica, ReplicaConfig};
use starling_node::protocol::time::{Moment, Time};
use starling_node::store::MemoryEngine;

pub use contents::Stored;
pub use orders::{command, dots_of, increment, put};

/// Where all keys lie.
const TOKEN: Token = Token(1);
/// How time passes if a test does not say otherwise, in milliseconds.
const HALF_A_SECOND: u64 = 500;

/// The nodes, of which some own the partition of all keys and the others may stand in.
#[derive(Debug)]
pub struct Flock {
    n: ReplicaCount,
    bits: QBits,
    ring: Ring,
    config: ReplicaConfig,
    nodes: BTreeMap<NodeId, Bird>,
    away: BTreeSet<NodeId>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    /// Who answers nothing, while all are connected to it.
    hanging: BTreeSet<NodeId>,
    /// Milliseconds since the beginning.
    ms: u64,
    /// How far wall clocks are ahead, in milliseconds.
    ahead: BTreeMap<NodeId, i64>,
    sequence: u64,
    failures: usize,
    bytes: usize,
}

/// A node: its disk, and what runs on it.
#[derive(Debug)]
struct Bird {
    engine: MemoryEngine,
    replica: Replica,
    coordinator: Coordinator,
    lives: u64,
}

impl Flock {
    /// `nodes` nodes with empty disks that keep `n` copies of everything.
    ///
    /// # Panics
    /// When there are fewer nodes than copies.
    #[must_use]
    pub fn new(nodes: u64, n: u8, config: ReplicaConfig) -> Self {
        Self::with_rows(nodes, n, config, 0)
    }

    /// The same, with so many rows of one version each at every node from the beginning.
    ///
    /// # Panics
    /// When there are fewer nodes than copies.
    #[must_use]
    pub fn with_rows(nodes: u64, n: u8, config: ReplicaConfig, rows: u64) -> Self {
        let n = ReplicaCount::new(n).expect("a number of copies");
        // Whoever stands in is found among the owners of other partitions.
        let cuts = if nodes > u64::from(u8::from(n)) { 3 } else { 0 };
        let bits = QBits::new(cuts).expect("a ring may be cut in eight");
        let mut flock = Self {
            n,
            bits,
            ring: of_equal_nodes(ClusterId(1), nodes, bits, n),
            config,
            nodes: BTreeMap::new(),
            away: BTreeSet::new(),
            cuts: BTreeSet::new(),
            hanging: BTreeSet::new(),
            ms: 0,
            ahead: BTreeMap::new(),
            sequence: 0,
            failures: 0,
            bytes: 0,
        };
        for id in (1..=nodes).map(NodeId) {
            let engine = MemoryEngine::new();
            flock.fill(&engine, rows);
            let bird = Bird {
                engine,
                replica: Replica::new(id, flock.config.clone(), false, id.0, Past::default()),
                coordinator: Coordinator::new(id, CoordinatorConfig::default()),
                lives: 1,
            };
            flock.nodes.insert(id, bird);
            flock.begin(id);
        }
        flock.heal();
        flock
    }

    /// The partition's name at its owners.
    #[must_use]
    pub fn vnode(&self) -> VnodeId {
        VnodeId {
            n: self.n,
            partition: self.bits.partition(TOKEN),
        }
    }

    /// All nodes: the owners in their order, and then the others.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn nodes<const COUNT: usize>(&self) -> [NodeId; COUNT] {
        let owners = self.ring.owners(self.n, self.vnode().partition);
        let owners = owners.expect("there is such a partition");
        let mut nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        nodes.sort_by_key(|&node| owners.position(node).unwrap_or(usize::MAX));
        nodes.try_into().expect("there are so many nodes")
    }

    fn begin(&mut self, node: NodeId) {
        let ring = self.ring.clone();
        let topology = Input::Topology {
            ring: Box::new(ring.clone()),
            counts: vec![self.n],
        };
        self.bird(node).coordinator.set_ring(ring);
        self.handle(node, topology);
    }

    /// kill -9, and a start.
    pub fn restart(&mut self, id: NodeId) {
        let past = self.bird(id).replica.past();
        self.start(id, past);
    }

    /// A start on an empty disk.
    pub fn replace_disk(&mut self, id: NodeId) {
        self.bird(id).engine = MemoryEngine::new();
        self.start(id, Past::default());
    }

    fn start(&mut self, id: NodeId, past: Past) {
        let config = self.config.clone();
        let bird = self.bird(id);
        bird.engine.crash_process();
        bird.lives += 1;
        bird.replica = Replica::new(id, config, false, 100 * bird.lives + id.0, past);
        self.begin(id);
    }

    /// Nobody reaches this node, and all know it.
    pub fn cut(&mut self, node: NodeId) {
        self.away.insert(node);
        self.tell();
    }

    /// These two do not reach each other, and know it.
    pub fn cut_link(&mut self, a: NodeId, b: NodeId) {
        self.cuts.extend([(a, b), (b, a)]);
        self.tell();
    }

    /// This node stands still, and nobody knows: it answers nothing.
    pub fn hang(&mut self, node: NodeId) {
        self.hanging.insert(node);
    }

    /// All reach each other, and answer.
    pub fn heal(&mut self) {
        self.hanging.clear();
        self.away.clear();
        self.cuts.clear();
        self.tell();
    }

    fn tell(&mut self) {
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        for &here in &all {
            for &peer in all.iter().filter(|&&peer| peer != here) {
                let reaches = self.reaches(here, peer);
                let coordinator = &mut self.bird(here).coordinator;
                coordinator.handle_reachable(peer, reaches);
            }
        }
    }

    fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        let is_away = |node| self.away.contains(node);
        from == to || ![from, to].iter().any(is_away) && !self.cuts.contains(&(from, to))
    }

    /// Lets so many seconds go by, in halves.
    pub fn pass(&mut self, seconds: u64) {
        self.pass_in_steps(2 * seconds, HALF_A_SECOND);
    }

    /// Lets so many steps go by, of so many milliseconds each.
    pub fn pass_in_steps(&mut self, steps: u64, ms: u64) {
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        for _ in 0..steps {
            self.ms += ms;
            for &node in &all {
                self.handle(node, Input::Tick);
            }
        }
    }

    /// Lets so many seconds go by at one node; the others answer, and do nothing by themselves.
    pub fn pass_at(&mut self, node: NodeId, seconds: u64) {
        for _ in 0..2 * seconds {
            self.ms += HALF_A_SECOND;
            self.handle(node, Input::Tick);
        }
    }

    /// The wall clock of a node is set: so far ahead of the right time.
    pub fn set_clock(&mut self, node: NodeId, ahead_ms: i64) {
        self.ahead.insert(node, ahead_ms);
    }

    fn clocks_of(&self, node: NodeId) -> Moment {
        let mut now = self.now();
        let ahead = self.ahead.get(&node).copied().unwrap_or(0);
        now.wall_ms = now.wall_ms.saturating_add_signed(ahead);
        now
    }

    /// The right time.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment {
            time: Time::at(Duration::from_millis(self.ms)),
            wall_ms: 1_700_000_000_000 + self.ms,
        }
    }

    /// How many batches came to nothing.
    #[must_use]
    pub fn failures(&self) -> usize {
        self.failures
    }

    /// What a node's replica is now.
    #[must_use]
    pub fn replica(&self, id: NodeId) -> &Replica {
        &self.nodes[&id].replica
    }

    /// A node's disk.
    #[must_use]
    pub fn engine(&self, node: NodeId) -> &MemoryEngine {
        &self.nodes[&node].engine
    }

    fn bird(&mut self, id: NodeId) -> &mut Bird {
        self.nodes.get_mut(&id).expect("there is such a node")
    }
}
