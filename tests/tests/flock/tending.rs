//! Housekeeping goes over all vnodes in stretches: no write waits for the whole of it.

use std::time::Duration;

use bytes::Bytes;

use crdt::{Context, OpId};
use ring::{BucketId, ClusterId, NodeId, QBits, ReplicaCount, Token, VnodeId};
use starling::wire::Durability;
use starling_node::protocol::keys::KeyPrefix;
use starling_node::protocol::replica::{Input, Past, Replica, ReplicaConfig};
use starling_node::protocol::stage::Family;
use starling_node::protocol::time::{Moment, Time};
use starling_node::protocol::vnode::{Action, Command};
use starling_node::runtime::source::{StoreSource, fill};
use starling_node::store::{Batch, Engine, MemoryEngine};
use starling_tests::rings::of_equal_nodes;

#[test]
fn no_batch_trims_more_than_a_stretch_of_a_round() {
    let mut node = Node::new();
    let all = usize::from(PARTITIONS) * WRITES;
    (0..all).for_each(|sequence| node.put(sequence as u64));
    let mut batches = Vec::new();
    for _ in 0..3_000 {
        node.ms += 1;
        if node.replica.poll_timeout() <= Some(node.now().time) {
            batches.push(node.handle(Input::Tick));
        }
    }
    assert_eq!(batches.iter().sum::<usize>(), all);
    let most = batches.iter().max().copied().unwrap_or(0);
    assert!(most <= 2 * WRITES, "{most} of {all} entries in one batch");
}

/// The only node of a cluster, which owns all partitions.
struct Node {
    engine: MemoryEngine,
    replica: Replica,
    ms: u64,
}

impl Node {
    fn new() -> Self {
        let replica = Replica::new(HERE, ReplicaConfig::default(), false, 1, Past::default());
        let mut node = Self {
            engine: MemoryEngine::new(),
            replica,
            ms: 0,
        };
        let bits = QBits::new(PARTITION_BITS).expect("a ring may be cut so often");
        node.handle(Input::Topology {
            ring: Box::new(of_equal_nodes(ClusterId(1), 1, bits, ALONE)),
            counts: vec![ALONE],
        });
        node
    }

    /// Writes a new key, in each partition in turn.
    fn put(&mut self, sequence: u64) {
        let partition = sequence % u64::from(PARTITIONS);
        let token = Token(partition << (64 - PARTITION_BITS));
        let name = sequence.to_be_bytes();
        let prefix = KeyPrefix::new(1, token, BucketId(1), &name, b"");
        let id = OpId {
            client: 1,
            sequence,
        };
        let value = Action::Put(Bytes::from_static(b"value"));
        let bits = QBits::new(PARTITION_BITS).expect("a ring may be cut so often");
        self.handle(Input::Write {
            ticket: sequence,
            vnode: VnodeId {
                n: ALONE,
                partition: bits.partition(token),
            },
            command: Command::single(prefix, value, Context::default(), id),
            durability: Durability::Wal,
            stands_in: false,
            until: Time::NEVER,
        });
    }

    /// Carries out a batch. Returns how many entries of dotlogs it removed.
    fn handle(&mut self, input: Input) -> usize {
        let now = self.now();
        let source = StoreSource::new(&self.engine);
        let commit = self.replica.handle_batch(now, vec![input], &source);
        let commit = commit.expect("memory can be read");
        let mut batch = Batch::new();
        fill(&mut batch, &commit.changes);
        self.engine.write(&batch).expect("memory can be written");
        self.replica.handle_committed(now.time, commit.barrier);
        let changes = commit.changes.iter();
        let trimmed =
            changes.filter(|(family, _, value)| *family == Family::Dotlog && value.is_none());
        trimmed.count()
    }

    fn now(&self) -> Moment {
        Moment {
            time: Time::at(Duration::from_millis(self.ms)),
            wall_ms: 1_700_000_000_000 + self.ms,
        }
    }
}

const HERE: NodeId = NodeId(1);
const ALONE: ReplicaCount = ReplicaCount::MIN;
const PARTITION_BITS: u8 = 4;
const PARTITIONS: u8 = 1 << PARTITION_BITS;
/// Writes in each partition: what a stretch goes through at most, and no more.
const WRITES: usize = 256;
