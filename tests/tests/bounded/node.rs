//! One owner: its disk, and the replica of the process at hand.

use std::time::Duration;

use crdt::kinds::Leaf;
use crdt::kinds::bounded::{self, Ledger, Rights};
use crdt::kinds::map::Path;
use crdt::{Clock, Context, OpId};
use ring::{BucketId, ClusterId, NodeId, PartitionId, QBits, ReplicaCount, Ring, Token, VnodeId};
use starling_node::protocol::keys::KeyPrefix;
use starling_node::protocol::messages::Fingerprint;
use starling_node::protocol::replica::{Input, Output, Past, Replica, ReplicaConfig};
use starling_node::protocol::stage::{Family, Stage, decode_row};
use starling_node::protocol::time::Moment;
use starling_node::protocol::vnode::{Action, Command, Vnode};
use starling_node::runtime::source::StoreSource;
use starling_node::store::{Engine, MemoryEngine};
use starling_tests::rings::of_equal_nodes;
use starling_tests::sim::disk::{Image, barrier_of, batch_of};

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// Names the process at hand.
    pub(crate) life: u64,
    replica: Replica,
    engine: MemoryEngine,
    images: Vec<Image>,
}

/// What happens to a disk.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss {
    /// It is a new one.
    Empty,
    /// It is a copy of an earlier one.
    Old(usize),
    /// Of what was not synced it holds a part.
    Crash(usize),
}

impl Node {
    /// A node on an empty disk. The seed is never used again.
    pub(crate) fn new(id: NodeId, life: u64, seed: u64) -> Self {
        Self {
            id,
            life,
            replica: replica(id, false, seed),
            engine: MemoryEngine::new(),
            images: Vec::new(),
        }
    }

    /// Begins a new process on what the disk holds.
    pub(crate) fn restart(&mut self, life: u64, seed: u64) {
        self.engine.crash_process();
        self.life = life;
        self.replica = replica(self.id, false, seed);
    }

    /// Begins a new process on a disk that lost something.
    pub(crate) fn lose(&mut self, loss: Loss, life: u64, seed: u64) {
        match loss {
            Loss::Empty => self.engine = MemoryEngine::new(),
            Loss::Old(which) => {
                if let Some(image) = self.images.get(which % self.images.len().max(1)) {
                    self.engine = image.restore().expect("a new engine has no faults");
                }
            }
            Loss::Crash(keep) => self.engine.crash_machine(|unsynced| keep % (unsynced + 1)),
        }
        self.life = life;
        self.replica = replica(self.id, true, seed);
    }

    pub(crate) fn keep_image(&mut self) {
        self.images
            .push(Image::of(&self.engine).expect("no fault is injected"));
    }

    /// Tells the process who owns what: its first batch.
    pub(crate) fn meet(&mut self, now: Moment) -> Vec<Output> {
        let counts = vec![ReplicaCount::DEFAULT];
        let ring = Box::new(ring());
        self.handle(now, Input::Topology { ring, counts })
    }

    /// Handles one batch and writes it.
    pub(crate) fn handle(&mut self, now: Moment, input: Input) -> Vec<Output> {
        let disk = StoreSource::new(&self.engine);
        let commit = self.replica.handle_batch(now, vec![input], &disk);
        let commit = commit.expect("the disk is sound");
        self.engine
            .write(&batch_of(&commit.changes))
            .expect("no fault is injected");
        self.engine
            .barrier(barrier_of(commit.barrier))
            .expect("no fault is injected");
        self.replica.handle_committed(now.time, commit.barrier);
        commit.outputs
    }

    pub(crate) fn vnode(&self) -> &Vnode {
        self.replica.vnode(id()).expect("every node owns it")
    }

    /// What would survive a crash of the machine.
    pub(crate) fn durable(&self) -> Clock {
        let stranger = Fingerprint {
            vnode: id(),
            incarnation: 0,
            clock: 0,
            known_durable: 0,
        };
        let difference = self.vnode().difference(&stranger);
        difference.expect("no clock has this hash").durable
    }

    /// The rights of all nodes, as this one's disk has them.
    pub(crate) fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        self.each_row(|node, rights| ledger.set(node, rights));
        ledger
    }

    /// Additions less spends, as this node's disk has them.
    pub(crate) fn balance(&self) -> i128 {
        let mut balance = 0;
        self.each_row(|_, rights| balance += i128::from(rights.added) - i128::from(rights.used));
        balance
    }

    fn each_row(&self, mut visit: impl FnMut(u64, Rights)) {
        let (from, to) = prefix().leaf_range(&Path::root(), Leaf::Rights);
        let disk = StoreSource::new(&self.engine);
        let rows = Stage::new(&disk).range(Family::Data, &from, &to, usize::MAX);
        for (key, stored) in rows.expect("the disk is sound") {
            let row = decode_row(&key, &stored).expect("rows are sound");
            let part = key.get(key.len() - 8..).expect("a part has eight bytes");
            let node = bounded::node_of(part).expect("a part is a node");
            visit(node, Rights::of(&row).expect("rights are sound"));
        }
    }
}

/// A client's operation: adds, or with a negative amount spends.
pub(crate) fn command(operation: usize, amount: i64, age_ms: u64) -> Command {
    let sequence = operation as u64;
    let name = OpId {
        client: 1,
        sequence,
    };
    let action = Action::Bounded(amount);
    let command = Command::single(prefix(), action, Context::default(), name);
    let digest = u32::from(amount.unsigned_abs() as u16);
    Command {
        digest,
        age_ms,
        ..command
    }
}

pub(crate) fn id() -> VnodeId {
    VnodeId {
        n: ReplicaCount::DEFAULT,
        partition: PartitionId(0),
    }
}

fn prefix() -> KeyPrefix {
    KeyPrefix::new(3, Token(7), BucketId(1), b"tickets", b"")
}

fn replica(id: NodeId, behind: bool, seed: u64) -> Replica {
    let config = ReplicaConfig {
        compare_every: Duration::from_millis(100),
        pull_delay: Duration::ZERO,
        sync_every: Duration::from_millis(100),
        call_timeout: Duration::from_millis(400),
        ..ReplicaConfig::default()
    };
    Replica::new(id, config, behind, seed, Past::default())
}

fn ring() -> Ring {
    let bits = QBits::new(0).expect("a ring may be whole");
    of_equal_nodes(ClusterId(1), 3, bits, ReplicaCount::DEFAULT)
}
