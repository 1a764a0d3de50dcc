//! Three nodes with their disks, which hand each other what they say as long as nobody is away.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crdt::kinds::Leaf;
use crdt::{Actor, Clock, Context, Dot, Hlc, OpId, Row, Version};
use ring::{BucketId, ClusterId, NodeId, PartitionId, QBits, ReplicaCount, Ring, Token, VnodeId};
use starling::wire::Durability;
use starling_node::protocol::keys::{KeyPrefix, checkpoint_key, data_range};
use starling_node::protocol::messages::{
    PeerReply, PeerRequest, ReadRows, Refusal, RowsRead, Selection,
};
use starling_node::protocol::replica::{Input, Output, Past, Replica, ReplicaConfig, WriteError};
use starling_node::protocol::stage::{Family, Source, encode_row};
use starling_node::protocol::time::{Moment, Time};
use starling_node::protocol::vnode::{Action, Command};
use starling_node::runtime::source::StoreSource;
use starling_node::store::{Barrier, Batch, Engine, MemoryEngine, Table};
use starling_tests::rings::of_equal_nodes;
use starling_tests::sim::disk::{barrier_of, batch_of};

pub(crate) const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// The nodes, and who of them is cut off.
pub(crate) struct Flock {
    n: ReplicaCount,
    config: ReplicaConfig,
    nodes: BTreeMap<NodeId, Node>,
    pub(crate) away: BTreeSet<NodeId>,
    seconds: u64,
    sequence: u64,
    /// Batches that came to nothing.
    pub(crate) failures: usize,
    /// Bytes of questions and answers about contents since this was last set to zero.
    pub(crate) bytes: usize,
}

/// A key and its value.
pub(crate) type Stored = (Vec<u8>, Vec<u8>);

struct Node {
    engine: MemoryEngine,
    replica: Replica,
    lives: u64,
}

impl Flock {
    /// Nodes that keep `n` copies of everything, in one partition.
    pub(crate) fn new(n: u8) -> Self {
        Self::with(n, ReplicaConfig::default(), 0)
    }

    /// The same, so set, and with so many rows of one version each from the beginning.
    pub(crate) fn with(n: u8, config: ReplicaConfig, rows: u64) -> Self {
        let mut flock = Self {
            config,
            n: ReplicaCount::new(n).expect("a number of copies"),
            nodes: BTreeMap::new(),
            away: BTreeSet::new(),
            seconds: 0,
            sequence: 0,
            failures: 0,
            bytes: 0,
        };
        for id in NODES {
            let engine = MemoryEngine::new();
            flock.fill(&engine, rows);
            let replica = replica(id, 1, &flock.config);
            let lives = 1;
            let node = Node {
                engine,
                replica,
                lives,
            };
            flock.nodes.insert(id, node);
        }
        NODES.into_iter().for_each(|id| flock.begin(id));
        flock
    }

    fn fill(&self, engine: &MemoryEngine, rows: u64) {
        if rows == 0 {
            return;
        }
        let (mut batch, mut clock) = (Batch::new(), Clock::default());
        let actor = Actor { node: 9, nonce: 9 };
        for number in 1..=rows {
            let dot = Dot::new(actor, number);
            let version = Version::new(Hlc::at(number), None, Bytes::from_static(b"value"));
            let key = self
                .prefix(&format!("row-{number:07}"))
                .row(Leaf::Value, b"");
            let row = Row::write(dot, version, Context::default());
            batch.put(
                Table::Data,
                key.as_bytes(),
                &encode_row(key.as_bytes(), &row),
            );
            clock.insert(dot);
        }
        batch.put(Table::Meta, &checkpoint_key(self.id()), &clock.encode());
        engine.write(&batch).expect("no fault is injected");
    }

    pub(crate) fn id(&self) -> VnodeId {
        VnodeId {
            n: self.n,
            partition: PartitionId(0),
        }
    }

    pub(crate) fn replica(&self, node: NodeId) -> &Replica {
        &self.nodes[&node].replica
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("there is such a node")
    }

    fn begin(&mut self, node: NodeId) {
        let topology = Input::Topology {
            ring: Box::new(ring(self.n)),
            counts: vec![self.n],
        };
        self.handle(node, topology);
    }

    /// kill -9, and a start.
    pub(crate) fn restart(&mut self, id: NodeId) {
        let config = self.config.clone();
        let node = self.node(id);
        node.engine.crash_process();
        node.lives += 1;
        node.replica = replica(id, node.lives, &config);
        self.begin(id);
    }

    /// A start on an empty disk.
    pub(crate) fn replace_disk(&mut self, id: NodeId) {
        self.node(id).engine = MemoryEngine::new();
        self.restart(id);
    }

    /// Lets so many seconds go by, in halves.
    pub(crate) fn pass(&mut self, seconds: u64) {
        for _ in 0..2 * seconds {
            self.seconds += 1;
            NODES
                .into_iter()
                .for_each(|node| drop(self.handle(node, Input::Tick)));
        }
    }

    /// Somebody wants the contents compared by one node, now.
    pub(crate) fn scrub(&mut self, node: NodeId) {
        self.handle(node, Input::Scrub);
    }

    /// Lets so many seconds go by at one node.
    pub(crate) fn pass_at(&mut self, node: NodeId, seconds: u64) {
        for _ in 0..2 * seconds {
            self.seconds += 1;
            self.handle(node, Input::Tick);
        }
    }

    /// The owners of the vnode, first the one that was named first.
    pub(crate) fn owners(&self) -> Vec<NodeId> {
        let ring = ring(self.n);
        let owners = ring.owners(self.n, PartitionId(0));
        owners.iter().flat_map(|list| list.iter()).collect()
    }

    /// Writes a value under a key at one node; the others pull it.
    pub(crate) fn put(&mut self, node: NodeId, key: &str) -> Result<(), WriteError> {
        self.sequence += 1;
        let operation = OpId {
            client: 1,
            sequence: self.sequence,
        };
        let value = Action::Put(Bytes::copy_from_slice(key.as_bytes()));
        let command = Command::single(self.prefix(key), value, Context::default(), operation);
        let write = Input::Write {
            ticket: self.sequence,
            vnode: self.id(),
            command,
            durability: Durability::Synced,
            stands_in: false,
            until: Time::NEVER,
        };
        let written = self.handle(node, write).into_iter();
        let mut written = written.filter_map(|output| match output {
            Output::Written { result, .. } => Some(result.map(|_| ())),
            _ => None,
        });
        written.next().expect("a write is answered")
    }

    pub(crate) fn read(&mut self, node: NodeId, key: &str) -> Result<RowsRead, Refusal> {
        let read = ReadRows {
            vnode: self.id(),
            selection: Selection::Key(self.prefix(key)),
            whole_clock: false,
            durable: None,
        };
        let rows = self.handle(
            node,
            Input::Read {
                ticket: 0,
                read,
                until: Time::NEVER,
            },
        );
        let mut rows = rows.into_iter().filter_map(|output| match output {
            Output::RowsRead { result, .. } => Some(result),
            _ => None,
        });
        rows.next().expect("a read is answered")
    }

    pub(crate) fn prefix(&self, key: &str) -> KeyPrefix {
        KeyPrefix::new(u8::from(self.n), Token(1), BucketId(1), key.as_bytes(), b"")
    }

    /// The stored rows of a node, damaged or not.
    pub(crate) fn rows(&self, node: NodeId) -> Vec<Stored> {
        let (from, to) = data_range(self.id(), bits());
        let mut rows = Vec::new();
        StoreSource::new(&self.nodes[&node].engine)
            .scan(Family::Data, &from, &to, &mut |key, stored| {
                rows.push((key.to_vec(), stored.to_vec()));
                std::ops::ControlFlow::Continue(())
            })
            .expect("no fault is injected");
        rows
    }

    /// Flips a bit of the stored row of a key.
    pub(crate) fn damage(&mut self, node: NodeId, key: &str) {
        let (key, mut stored) = self.row(node, key);
        stored[3] ^= 4;
        self.store(node, Table::Data, &key, Some(&stored));
    }

    /// The stored row of a key.
    pub(crate) fn row(&self, node: NodeId, key: &str) -> Stored {
        let prefix = self.prefix(key);
        let rows = self.rows(node).into_iter();
        let mut rows = rows.filter(|(key, _)| key.starts_with(prefix.as_bytes()));
        rows.next().expect("there is such a row")
    }

    pub(crate) fn engine(&self, node: NodeId) -> &MemoryEngine {
        &self.nodes[&node].engine
    }

    /// Writes behind the node's back.
    pub(crate) fn store(&mut self, node: NodeId, table: Table, key: &[u8], value: Option<&[u8]>) {
        let mut batch = Batch::new();
        match value {
            Some(value) => batch.put(table, key, value),
            None => batch.delete(table, key),
        }
        let engine = &self.nodes[&node].engine;
        engine.write(&batch).expect("no fault is injected");
        engine
            .barrier(Barrier::Synced)
            .expect("no fault is injected");
    }

    pub(crate) fn clock(&self, node: NodeId) -> Option<Clock> {
        let vnode = self.replica(node).vnode(self.id());
        vnode.map(|vnode| vnode.clock().clone())
    }

    fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        !self.away.contains(&from) && !self.away.contains(&to)
    }

    /// Hands an input in, and carries out all that follows from it. Gives what comes out for others
    /// than peers.
    fn handle(&mut self, node: NodeId, input: Input) -> Vec<Output> {
        let mut waiting = VecDeque::from([(node, input)]);
        let mut mine = Vec::new();
        while let Some((at, input)) = waiting.pop_front() {
            for output in self.commit(at, input) {
                match output {
                    Output::Call {
                        to,
                        tag,
                        request,
                        until,
                    } if self.reaches(at, to) => {
                        if let PeerRequest::Examine(_) | PeerRequest::Read(_) = request {
                            self.bytes += encoded(&request);
                        }
                        // The call's name says who waits for its answer.
                        let (from, call) = (at, tag << 8 | at.0);
                        waiting.push_back((
                            to,
                            Input::Request {
                                from,
                                call,
                                request,
                                until,
                            },
                        ));
                    }
                    Output::Call { to, tag, .. } => {
                        let (from, reply) = (to, None);
                        waiting.push_back((at, Input::Reply { from, tag, reply }));
                    }
                    Output::Answer { to, call, reply } => {
                        if let PeerReply::Examined(_) | PeerReply::Rows(_) = reply {
                            self.bytes += encoded(&reply);
                        }
                        let (from, tag, reply) = (at, call >> 8, Some(reply));
                        waiting.push_back((to, Input::Reply { from, tag, reply }));
                    }
                    output @ (Output::Written { .. }
                    | Output::RowsRead { .. }
                    | Output::Held { .. }) => {
                        mine.push(output);
                    }
                    Output::Behind { .. } => {}
                }
            }
        }
        mine
    }

    fn commit(&mut self, at: NodeId, input: Input) -> Vec<Output> {
        let now = Moment {
            time: Time::at(Duration::from_millis(500 * self.seconds)),
            wall_ms: 1_000_000 + 500 * self.seconds,
        };
        let Node {
            engine, replica, ..
        } = self.node(at);
        let disk = StoreSource::new(engine);
        let Ok(commit) = replica.handle_batch(now, vec![input], &disk) else {
            let outputs = replica.handle_failure(Refusal::Storage, &disk);
            self.failures += 1;
            return outputs;
        };
        let batch = batch_of(&commit.changes);
        engine.write(&batch).expect("no fault is injected");
        engine
            .barrier(barrier_of(commit.barrier))
            .expect("no fault is injected");
        replica.handle_committed(now.time, commit.barrier);
        commit.outputs
    }
}

fn encoded(message: &impl serde::Serialize) -> usize {
    let bytes = starling_node::protocol::messages::codec::encode(message);
    bytes.expect("a message has bytes").len()
}

fn replica(id: NodeId, life: u64, config: &ReplicaConfig) -> Replica {
    let seed = 100 * life + id.0;
    Replica::new(id, config.clone(), false, seed, Past::default())
}

fn bits() -> QBits {
    QBits::new(0).expect("a ring may be whole")
}

fn ring(n: ReplicaCount) -> Ring {
    of_equal_nodes(ClusterId(1), 3, bits(), n)
}
