//! Reads of three owners that answer when the test says so.

mod bodies;
mod monotonic;
mod sessions;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Coordinator, CoordinatorConfig, Effect, Order, OrderFailed, Outcome, ReadOrder};
use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{KeyedRow, PeerReply, PeerRequest, Refusal, RowsRead, Selection};
use crate::protocol::replica::{Input, Output};
use crate::protocol::time::{Moment, Time};
use crdt::Clock;
use crdt::dots::DotSet;
use ring::{
    BucketId, ClusterId, Layout, NodeId, NodeRole, NodeState, PartitionId, QBits, ReplicaCount,
    Ring, RoleStamp, Roles, Token, VnodeId, Zone,
};
use starling::wire::Durability;

const HERE: NodeId = NodeId(1);
const OTHERS: [NodeId; 2] = [NodeId(2), NodeId(3)];

/// Three nodes that own everything.
fn ring() -> Ring {
    let mut roles = Roles::new();
    for node in 1..=3 {
        let stamp = RoleStamp {
            counter: 1,
            author: HERE,
        };
        let role = NodeRole {
            stamp,
            state: NodeState::Normal,
            weight: 100,
            zone: Zone::new("z").unwrap(),
        };
        roles.insert(NodeId(node), &role);
    }
    let layout = Layout::first(roles, QBits::new(2).unwrap(), ReplicaCount::DEFAULT);
    Ring::new(ClusterId(1), layout.unwrap())
}

fn vnode() -> VnodeId {
    VnodeId {
        n: ReplicaCount::DEFAULT,
        partition: PartitionId(0),
    }
}

/// How the coordinator's own replica answers reads.
#[derive(Debug, Clone, Copy)]
enum Serving {
    Prompt,
    /// Later than anybody asks for here.
    Slow,
    Not,
}

/// The coordinator of node 1, which reaches the two others.
struct Desk {
    coordinator: Coordinator,
    orders: u64,
    /// Whom it has asked and not heard, by which calls.
    open: VecDeque<(NodeId, u64)>,
    /// Reads that are answered.
    answered: u64,
    /// Those that failed.
    failed: Vec<OrderFailed>,
    /// What this node's clock holds, and those of the others.
    clocks: BTreeMap<NodeId, Clock>,
    /// The rows of those that have any.
    rows: BTreeMap<NodeId, Vec<KeyedRow>>,
    /// This node's vnode is in use.
    serving: Serving,
    /// Reads are monotonic.
    monotonic: Option<Durability>,
    /// Who is to pull what from whom, and what its answer goes to.
    pulls: VecDeque<Pull>,
}

/// A pull that a read waits for.
struct Pull {
    node: NodeId,
    /// The call that asked a peer for it; none of this node itself.
    call: Option<u64>,
    from: NodeId,
    dots: DotSet,
}

impl Desk {
    fn new() -> Self {
        let mut coordinator = Coordinator::new(HERE, CoordinatorConfig::default());
        coordinator.set_ring(ring());
        for peer in OTHERS {
            coordinator.handle_reachable(peer, true);
        }
        Self {
            coordinator,
            orders: 0,
            open: VecDeque::new(),
            answered: 0,
            failed: Vec::new(),
            clocks: BTreeMap::new(),
            rows: BTreeMap::new(),
            serving: Serving::Prompt,
            monotonic: None,
            pulls: VecDeque::new(),
        }
    }

    /// Begins a read of two owners, one of which is this node; gives the other.
    fn read(&mut self, ms: u64) -> NodeId {
        let open = self.open.len();
        self.begin(ms, 2, None);
        assert_eq!(self.open.len(), open + 1, "one peer is asked at first");
        self.open.back().expect("it was asked").0
    }

    /// Begins a read of `r` owners, perhaps in a session.
    fn begin(&mut self, ms: u64, r: u8, session: Option<DotSet>) {
        self.take_up((ms, ms), r, session);
    }

    /// Takes up at the second time an order that has arrived at the first.
    fn take_up(&mut self, (arrived, ms): (u64, u64), r: u8, session: Option<DotSet>) {
        self.orders += 1;
        let prefix = KeyPrefix::new(3, Token(1), BucketId(1), b"k", b"");
        let order = Order::Read(ReadOrder {
            vnode: vnode(),
            selection: Selection::Key(prefix),
            r,
            local: false,
            repair: None,
            session,
            monotonic: self.monotonic,
            deadline: moment(arrived).time.after(PATIENCE),
        });
        self.coordinator
            .handle_order(moment(ms), self.orders, order);
        self.drain(ms);
    }

    /// Lets the time come.
    fn pass(&mut self, ms: u64) {
        let due = self.coordinator.poll_timeout();
        if due.is_some_and(|due| due <= moment(ms).time) {
            self.coordinator.handle_timeout(moment(ms));
        }
        self.drain(ms);
    }

    /// These peers answer all that they were asked.
    fn answer(&mut self, ms: u64, peers: &[NodeId]) {
        for (peer, call) in std::mem::take(&mut self.open) {
            if peers.contains(&peer) {
                let reply = Some(PeerReply::Rows(self.held(peer)));
                self.coordinator.handle_reply(moment(ms), call, reply);
                self.drain(ms);
            } else {
                self.open.push_back((peer, call));
            }
        }
    }

    fn drain(&mut self, ms: u64) {
        while let Some(effect) = self.coordinator.poll_effect() {
            match effect {
                Effect::Submit(Input::Read { ticket, .. }) => {
                    let result = match self.serving {
                        Serving::Prompt => Ok(self.held(HERE)),
                        Serving::Slow => continue,
                        Serving::Not => Err(Refusal::Quarantined),
                    };
                    let output = Output::RowsRead { ticket, result };
                    self.coordinator.handle_output(moment(ms), output);
                }
                Effect::Submit(Input::Hold { dots, from, .. }) => self.pulls.push_back(Pull {
                    node: HERE,
                    call: None,
                    from: from.expect("whom it is to pull from"),
                    dots,
                }),
                Effect::Call {
                    to,
                    call,
                    request: PeerRequest::Again(again),
                    ..
                } => self.pulls.push_back(Pull {
                    node: to,
                    call: Some(call),
                    from: HERE,
                    dots: again.dots,
                }),
                Effect::Call { to, call, .. } => self.open.push_back((to, call)),
                Effect::Finished { outcome, .. } => match outcome {
                    Outcome::Read(Ok(_)) => self.answered += 1,
                    Outcome::Read(Err(failed)) => self.failed.push(failed),
                    outcome @ (Outcome::Written(_) | Outcome::Inspected(_)) => {
                        panic!("{outcome:?} is none of a read")
                    }
                },
                Effect::Submit(input) => panic!("{input:?} is none of a read"),
            }
        }
    }

    /// What a node holds: mostly no row, and what its clock says that it has seen.
    fn held(&self, node: NodeId) -> RowsRead {
        RowsRead {
            rows: self.rows.get(&node).cloned().unwrap_or_default(),
            clock: self.clocks.get(&node).cloned().unwrap_or_default(),
            catching_up: false,
            until: None,
            sampled: None,
            left_out: DotSet::default(),
        }
    }

    /// A hundred reads, each of which is answered after a millisecond.
    fn warm(&mut self) {
        for ms in 0..100 {
            self.read(ms);
            self.answer(ms + 1, &OTHERS);
        }
        assert_eq!(self.answered, 100);
        self.answered = 0;
    }
}

fn moment(ms: u64) -> Moment {
    Moment {
        time: Time::at(Duration::from_millis(ms)),
        wall_ms: ms,
    }
}

/// How long clients wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// The other one of the two peers.
fn other(peer: NodeId) -> NodeId {
    OTHERS[usize::from(peer == OTHERS[0])]
}

#[test]
fn an_order_that_has_waited_until_its_deadline_is_not_begun() {
    let mut desk = Desk::new();
    desk.take_up((0, 4_999), 2, None);
    assert_eq!(desk.open.len(), 1, "there is a millisecond left");
    desk.take_up((0, 5_000), 2, None);
    assert_eq!(desk.open.len(), 1, "nobody is asked");
    assert_eq!(desk.failed, [OrderFailed::Overloaded]);
}

#[test]
fn a_silent_owner_costs_a_read_a_few_milliseconds() {
    let mut desk = Desk::new();
    desk.warm();
    let silent = desk.read(1_000);
    desk.pass(1_001);
    assert_eq!(desk.open.len(), 1, "it is not late yet");
    desk.pass(1_003);
    desk.answer(1_004, &[other(silent)]);
    assert_eq!((desk.answered, desk.coordinator.hedged()), (1, 1));
}

#[test]
fn who_leaves_a_read_unanswered_is_asked_last_until_it_answers() {
    let mut desk = Desk::new();
    desk.warm();
    let silent = desk.read(1_000);
    assert_eq!(desk.read(1_020), other(silent));
    assert_eq!(desk.read(1_020), other(silent), "however busy that one is");
    desk.answer(1_021, &OTHERS);
    assert_eq!(desk.read(9_000), silent, "it was slow once, long ago");
}

#[test]
fn few_reads_are_hedged_when_all_owners_are_slow() {
    let mut desk = Desk::new();
    desk.warm();
    for _ in 0..100 {
        desk.read(1_000);
    }
    (1_000..1_050).for_each(|ms| desk.pass(ms));
    assert_eq!(desk.coordinator.hedged(), 10);
    assert_eq!(desk.answered, 0);
}

#[test]
fn all_reads_under_way_leave_an_owner_that_falls_silent() {
    let mut desk = Desk::new();
    desk.warm();
    let first = desk.read(1_000);
    for _ in 1..100 {
        desk.read(1_000);
    }
    for ms in 1_001..1_010 {
        desk.answer(ms, &[other(first)]);
        desk.pass(ms);
    }
    assert_eq!(desk.answered, 100);
}
