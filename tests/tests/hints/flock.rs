//! Five nodes that hand each other what they say, as long as nobody is cut off.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crdt::{Context, Dot, OpId};
use ring::{BucketId, ClusterId, NodeId, QBits, ReplicaCount, Ring, Token, VnodeId};
use starling::wire::Durability;
use starling_node::protocol::coordinator::{
    Coordinator, CoordinatorConfig, Effect, Order, OrderFailed, Outcome, WriteDone, WriteOrder,
};
use starling_node::protocol::hints::HintConfig;
use starling_node::protocol::keys::KeyPrefix;
use starling_node::protocol::messages::{PeerReply, PeerRequest, Replicate};
use starling_node::protocol::replica::{Input, Output, Past, Replica, ReplicaConfig, WriteError};
use starling_node::protocol::time::{Moment, Time};
use starling_node::protocol::vnode::{Action, Command, Sending, Written};
use starling_node::runtime::source::StoreSource;
use starling_node::store::{Engine, MemoryEngine};
use starling_tests::rings::of_equal_nodes;
use starling_tests::sim::disk::{barrier_of, batch_of};

/// Five nodes that own a vnode (the first three of them) or may stand in.
pub(crate) struct Flock {
    ring: Ring,
    config: ReplicaConfig,
    nodes: BTreeMap<NodeId, Node>,
    away: Vec<NodeId>,
    cuts: Vec<(NodeId, NodeId)>,
    seconds: u64,
    /// How far wall clocks are ahead, in milliseconds.
    ahead: BTreeMap<NodeId, i64>,
}

struct Node {
    engine: MemoryEngine,
    replica: Replica,
    coordinator: Coordinator,
    lives: u64,
}

impl Flock {
    pub(crate) fn new(hints: HintConfig) -> Self {
        let config = ReplicaConfig {
            hints,
            ..ReplicaConfig::default()
        };
        let mut flock = Self {
            ring: ring(),
            config,
            nodes: BTreeMap::new(),
            away: Vec::new(),
            cuts: Vec::new(),
            seconds: 0,
            ahead: BTreeMap::new(),
        };
        for id in (1..=5).map(NodeId) {
            let node = Node {
                engine: MemoryEngine::new(),
                replica: Replica::new(id, flock.config.clone(), false, id.0, Past::default()),
                coordinator: Coordinator::new(id, CoordinatorConfig::default()),
                lives: 1,
            };
            flock.nodes.insert(id, node);
            flock.begin(id);
        }
        flock.heal();
        flock
    }

    /// The owners in order, and then the others.
    pub(crate) fn nodes(&self) -> [NodeId; 5] {
        let owners = self.ring.owners(id().n, id().partition);
        let owners = owners.expect("there is such a partition");
        let mut nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        nodes.sort_by_key(|&node| owners.position(node).unwrap_or(usize::MAX));
        nodes.try_into().expect("there are five")
    }

    fn begin(&mut self, node: NodeId) {
        let topology = Input::Topology {
            ring: Box::new(self.ring.clone()),
            counts: vec![ReplicaCount::DEFAULT],
        };
        let ring = self.ring.clone();
        self.node(node).coordinator.set_ring(ring);
        self.handle(node, topology);
    }

    pub(crate) fn restart(&mut self, id: NodeId) {
        let config = self.config.clone();
        let node = self.node(id);
        node.engine.crash_process();
        node.lives += 1;
        let past = node.replica.past();
        node.replica = Replica::new(id, config, false, 100 * node.lives + id.0, past);
        self.begin(id);
    }

    /// Nobody reaches this node, and all know it.
    pub(crate) fn cut(&mut self, node: NodeId) {
        self.away.push(node);
        self.tell();
    }

    pub(crate) fn cut_link(&mut self, a: NodeId, b: NodeId) {
        self.cuts.extend([(a, b), (b, a)]);
        self.tell();
    }

    pub(crate) fn heal(&mut self) {
        self.away.clear();
        self.cuts.clear();
        self.tell();
    }

    fn tell(&mut self) {
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        for &here in &all {
            for &peer in all.iter().filter(|&&peer| peer != here) {
                let reaches = self.reaches(here, peer);
                let coordinator = &mut self.node(here).coordinator;
                coordinator.handle_reachable(peer, reaches);
            }
        }
    }

    fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        let is_away = |node| self.away.contains(&node);
        !is_away(from) && !is_away(to) && !self.cuts.contains(&(from, to)) || from == to
    }

    /// Lets so many seconds go by.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        for _ in 0..seconds {
            self.seconds += 1;
            all.iter().for_each(|&node| self.handle(node, Input::Tick));
        }
    }

    /// Hands an input in, and carries out all that follows from it.
    fn handle(&mut self, node: NodeId, input: Input) {
        self.outputs_of(node, input);
    }

    /// The same; gives what comes out at this node for others than its replica.
    fn outputs_of(&mut self, node: NodeId, input: Input) -> Vec<Output> {
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
                        // The call's name says who waits for its answer.
                        let (from, call) = (at, tag << 8 | at.0);
                        let request = Input::Request {
                            from,
                            call,
                            request,
                            until,
                        };
                        waiting.push_back((to, request));
                    }
                    Output::Call { to, tag, .. } => {
                        let (from, reply) = (to, None);
                        waiting.push_back((at, Input::Reply { from, tag, reply }));
                    }
                    Output::Answer { to, call, reply } if call != ASKED => {
                        let (from, tag, reply) = (at, call >> 8, Some(reply));
                        waiting.push_back((to, Input::Reply { from, tag, reply }));
                    }
                    output => mine.push(output),
                }
            }
        }
        mine
    }

    fn commit(&mut self, at: NodeId, input: Input) -> Vec<Output> {
        let now = self.own_clocks(at);
        let Node {
            engine, replica, ..
        } = self.node(at);
        let commit = replica.handle_batch(now, vec![input], &StoreSource::new(engine));
        let commit = commit.expect("no damage but that of a shelf");
        engine
            .write(&batch_of(&commit.changes))
            .expect("no fault is injected");
        engine
            .barrier(barrier_of(commit.barrier))
            .expect("no fault is injected");
        replica.handle_committed(now.time, commit.barrier);
        commit.outputs
    }

    /// Asks `to` something as `from`, and waits for the answer.
    pub(crate) fn ask(
        &mut self,
        from: NodeId,
        to: NodeId,
        request: PeerRequest,
    ) -> Option<PeerReply> {
        let asked = Input::Request {
            from,
            call: ASKED,
            request,
            until: Time::NEVER,
        };
        let outputs = self.outputs_of(to, asked).into_iter();
        let mut replies = outputs.filter_map(|output| match output {
            Output::Answer { reply, .. } => Some(reply),
            _ => None,
        });
        replies.next()
    }

    /// Enters a write, by an owner or a stand-in.
    pub(crate) fn enter(
        &mut self,
        node: NodeId,
        sequence: u64,
        action: Action,
        stands_in: bool,
    ) -> Result<Written, WriteError> {
        let write = Input::Write {
            ticket: sequence,
            vnode: id(),
            command: command(sequence, action),
            durability: Durability::Wal,
            stands_in,
            until: Time::NEVER,
        };
        let outputs = self.outputs_of(node, write).into_iter();
        let mut written = outputs.filter_map(|output| match output {
            Output::Written { result, .. } => Some(result),
            _ => None,
        });
        written.next().expect("a write is answered")
    }

    /// Enters a write at an owner: what the others are to get.
    pub(crate) fn write(&mut self, owner: NodeId, sequence: u64, action: Action) -> Replicate {
        let written = self.enter(owner, sequence, action, false);
        let written = written.expect("nothing is over a limit");
        let Sending::Changes(changes) = written.sending else {
            panic!("{written:?} is not new")
        };
        Replicate {
            vnode: id(),
            durability: Durability::Wal,
            changes,
        }
    }

    /// Carries out a client's write with (w, pw).
    pub(crate) fn order(
        &mut self,
        at: NodeId,
        command: Command,
        (w, pw): (u8, u8),
        sloppy: bool,
    ) -> Result<WriteDone, OrderFailed> {
        let sequence = command.operation.sequence;
        let order = Order::Write(WriteOrder {
            vnode: id(),
            command,
            w,
            pw,
            sloppy,
            durability: Durability::Wal,
            read_back: None,
            session: None,
            deadline: self.now().time.after(Duration::from_secs(1)),
        });
        let now = self.now();
        self.node(at).coordinator.handle_order(now, sequence, order);
        while let Some(effect) = self.node(at).coordinator.poll_effect() {
            match effect {
                Effect::Submit(input) => {
                    for output in self.outputs_of(at, input) {
                        self.node(at).coordinator.handle_output(now, output);
                    }
                }
                Effect::Call {
                    to, call, request, ..
                } => {
                    let reachable = self.reaches(at, to);
                    let reply = reachable.then(|| self.ask(at, to, request)).flatten();
                    self.node(at).coordinator.handle_reply(now, call, reply);
                }
                Effect::Finished {
                    outcome: Outcome::Written(done),
                    ..
                } => return done,
                Effect::Finished { outcome, .. } => panic!("{outcome:?} is none of a write"),
            }
        }
        panic!("the write never ends")
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("there is such a node")
    }

    pub(crate) fn replica(&self, id: NodeId) -> &Replica {
        &self.nodes[&id].replica
    }

    pub(crate) fn engine(&self, node: NodeId) -> &MemoryEngine {
        &self.nodes[&node].engine
    }

    pub(crate) fn keeps(&self, node: NodeId, dot: Dot) -> bool {
        self.replica(node).hints().holds(id(), std::iter::once(dot))
    }

    pub(crate) fn holds(&self, node: NodeId, dot: Dot) -> bool {
        let vnode = self.replica(node).vnode(id());
        vnode.is_some_and(|vnode| vnode.clock().contains(dot))
    }

    /// The wall clock of a node is set: so far ahead of the right time.
    pub(crate) fn set_clock(&mut self, node: NodeId, ahead_ms: i64) {
        self.ahead.insert(node, ahead_ms);
    }

    fn own_clocks(&self, node: NodeId) -> Moment {
        let mut now = self.now();
        let ahead = self.ahead.get(&node).copied().unwrap_or(0);
        now.wall_ms = now.wall_ms.saturating_add_signed(ahead);
        now
    }

    /// The right time.
    pub(crate) fn now(&self) -> Moment {
        Moment {
            time: Time::at(Duration::from_secs(self.seconds)),
            wall_ms: 1_700_000_000_000 + 1_000 * self.seconds,
        }
    }
}

pub(crate) fn dots_of(written: &Written) -> Vec<Dot> {
    match &written.sending {
        Sending::Changes(changes) => changes.iter().map(|change| change.event.dot).collect(),
        _ => Vec::new(),
    }
}

/// A put of the key.
pub(crate) fn put(sequence: u64) -> Command {
    command(sequence, Action::Put(Bytes::from_static(b"v")))
}

/// An increment of the key.
pub(crate) fn increment(sequence: u64) -> Command {
    command(sequence, Action::Increment(1))
}

pub(crate) fn command(sequence: u64, action: Action) -> Command {
    let token = Token(1);
    let prefix = KeyPrefix::new(3, token, BucketId(1), b"k", b"");
    let operation = OpId {
        client: 1,
        sequence,
    };
    Command::single(prefix, action, Context::default(), operation)
}

/// The vnode of the key.
fn id() -> VnodeId {
    VnodeId {
        n: ReplicaCount::DEFAULT,
        partition: bits().partition(Token(1)),
    }
}

fn bits() -> QBits {
    QBits::new(3).expect("a ring may be cut in eight")
}

fn ring() -> Ring {
    of_equal_nodes(ClusterId(1), 5, bits(), ReplicaCount::DEFAULT)
}

/// The name of a call that a test makes.
const ASKED: u64 = 0;
