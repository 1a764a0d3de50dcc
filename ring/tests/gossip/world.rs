//! A cluster in virtual time: one queue of messages and timers, a network that loses, cuts and
//! delays, nodes that crash, pause and come back. A seed repeats everything.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use ring::gossip::{Carriage, Event, Gossip, GossipConfig, MAX_DATAGRAM, MAX_PAGE};
use ring::{
    Address, ClusterId, Incarnation, Load, Member, MemberMap, MemberName, MemberState, NodeId, Zone,
};

pub(crate) const CLUSTER: ClusterId = ClusterId(0x5747_4152);

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn id(node: usize) -> NodeId {
    NodeId(node as u64 + 1)
}

/// The record of a node in its life number `boot`.
pub(crate) fn record(node: usize, boot: u64) -> Member {
    Member {
        id: id(node),
        incarnation: Incarnation::at(boot),
        state: MemberState::Alive,
        version: 0,
        name: MemberName::new(format!("node-{node}")).expect("a plain name"),
        addresses: vec![Address::new(format!("10.0.0.{}:7401", node % 250)).expect("plain")],
        http: Some(Address::new(format!("10.0.0.{}:7480", node % 250)).expect("plain")),
        zone: Zone::new("a").expect("a plain zone"),
        weight: 100,
        layout: None,
        load: Load::default(),
        hlc_offset_ms: 0,
    }
}

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) nodes: Vec<Node>,
    /// The share of datagrams that get lost.
    pub(crate) loss: f64,
    /// What gets nowhere: from, to.
    pub(crate) cuts: BTreeSet<(usize, usize)>,
    /// What happened, when and where.
    pub(crate) log: Vec<(Duration, usize, Event)>,
    random: fastrand::Rng,
    queue: BinaryHeap<Reverse<Due>>,
    count: u64,
}

pub(crate) struct Node {
    pub(crate) gossip: Option<Gossip>,
    /// It runs again then.
    paused: Option<Pause>,
    boot: u64,
    /// The world's time at which its clock began.
    began: Duration,
    wake: Option<Duration>,
    pub(crate) sent: Traffic,
}

/// A node that is stopped, with what waits in its socket.
struct Pause {
    since: Duration,
    inbox: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) bytes: usize,
    pub(crate) messages: usize,
}

/// Ordered by time and then by the order of its making.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Duration,
    count: u64,
    to: usize,
    what: What,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Timer,
    Message(usize, Vec<u8>),
}

impl World {
    /// `nodes` that know each other, and that everything has been said about.
    pub(crate) fn new(nodes: usize, seed: u64) -> Self {
        let mut world = Self::empty(seed);
        let mut known = MemberMap::new();
        for node in 0..nodes {
            let said = Member {
                version: 1,
                ..record(node, BOOT)
            };
            known.insert(said).expect("few members");
        }
        for node in 0..nodes {
            world.nodes.push(Node::absent());
            world.start(node, &known);
        }
        world
    }

    pub(crate) fn empty(seed: u64) -> Self {
        Self {
            now: seconds(1_000),
            nodes: Vec::new(),
            loss: 0.0,
            cuts: BTreeSet::new(),
            log: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            queue: BinaryHeap::new(),
            count: 0,
        }
    }

    /// Starts a node anew, which remembers the members `known`.
    pub(crate) fn start(&mut self, node: usize, known: &MemberMap) {
        let (now, seed) = (self.now, self.random.u64(..));
        let config = GossipConfig::default();
        let state = &mut self.nodes[node];
        state.boot += 1;
        // Clocks begin at any time, as they do.
        state.began = now.saturating_sub(Duration::from_millis(seed % 10_000));
        let own = record(node, state.boot * BOOT);
        let local = now - state.began;
        let gossip = Gossip::new(local, CLUSTER, own, known, seed, config);
        state.gossip = Some(gossip.expect("records keep their bounds"));
        state.paused = None;
        self.drain(node);
    }

    pub(crate) fn crash(&mut self, node: usize) {
        self.nodes[node].gossip = None;
    }

    pub(crate) fn pause(&mut self, node: usize) {
        let since = self.now;
        self.nodes[node].paused = Some(Pause {
            since,
            inbox: Vec::new(),
        });
    }

    /// A stopped node goes on; its driver has noticed, or leaves that to the machine.
    pub(crate) fn resume(&mut self, node: usize, is_noticed: bool) {
        let Some(pause) = self.nodes[node].paused.take() else {
            return;
        };
        let local = self.local(node);
        let late = self.now - pause.since;
        if let Some(gossip) = &mut self.nodes[node].gossip {
            if is_noticed {
                gossip.handle_late_tick(local, late);
            }
            for (from, bytes) in pause.inbox {
                gossip.handle_message(local, id(from), &bytes).ok();
            }
            gossip.handle_timeout(local);
        }
        self.drain(node);
    }

    /// Lets the time pass.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(Reverse(due)) = self.queue.pop_if_before(end) {
            self.now = due.at;
            self.handle(due);
        }
        self.now = end;
    }

    /// Runs until `is_done`, looking every tenth of a second; gives how long that took.
    pub(crate) fn run_until(
        &mut self,
        most: Duration,
        mut is_done: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let begin = self.now;
        while self.now < begin + most {
            if is_done(self) {
                return Some(self.now - begin);
            }
            self.run(Duration::from_millis(100));
        }
        is_done(self).then(|| self.now - begin)
    }

    /// Does something with one machine.
    pub(crate) fn with<T>(
        &mut self,
        node: usize,
        act: impl FnOnce(Duration, &mut Gossip) -> T,
    ) -> T {
        let local = self.local(node);
        let gossip = self.nodes[node].gossip.as_mut();
        let done = act(local, gossip.expect("the node runs"));
        self.drain(node);
        done
    }

    /// All nodes that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = (usize, &Gossip)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(node, state)| Some((node, state.gossip.as_ref()?)))
    }

    /// Whether every other node that runs holds `node` for `state`.
    pub(crate) fn all_hold(&self, node: usize, state: MemberState) -> bool {
        let mut others = self.running().filter(|(other, _)| *other != node);
        others.all(|(_, gossip)| gossip.state(id(node)) == Some(state))
    }

    /// Whether all nodes that run hold all nodes that run for alive.
    pub(crate) fn is_at_peace(&self) -> bool {
        let running: Vec<usize> = self.running().map(|(node, _)| node).collect();
        running
            .iter()
            .all(|node| self.all_hold(*node, MemberState::Alive))
    }

    /// Who was held for down, by whom and when.
    pub(crate) fn convictions(&self) -> Vec<(Duration, usize, NodeId)> {
        let events = self.log.iter();
        events
            .filter_map(|(at, node, event)| match event {
                Event::Down { peer } => Some((*at, *node, *peer)),
                _ => None,
            })
            .collect()
    }

    /// How often somebody was held for suspect by somebody.
    pub(crate) fn suspected(&self) -> usize {
        let is_suspicion = |event: &Event| matches!(event, Event::Suspected { .. });
        self.log
            .iter()
            .filter(|(_, _, event)| is_suspicion(event))
            .count()
    }

    pub(crate) fn local(&self, node: usize) -> Duration {
        self.now - self.nodes[node].began
    }

    fn handle(&mut self, due: Due) {
        let (node, local) = (due.to, self.local(due.to));
        let state = &mut self.nodes[node];
        let Some(gossip) = &mut state.gossip else {
            return;
        };
        if let Some(pause) = &mut state.paused {
            if let What::Message(from, bytes) = due.what
                && pause.inbox.len() < SOCKET
            {
                pause.inbox.push((from, bytes));
            }
            return;
        }
        match due.what {
            What::Timer if state.wake == Some(due.at) => gossip.handle_timeout(local),
            What::Timer => return,
            What::Message(from, bytes) => {
                gossip.handle_message(local, id(from), &bytes).ok();
            }
        }
        self.drain(node);
    }

    /// Carries out what a machine wants.
    fn drain(&mut self, node: usize) {
        let now = self.now;
        let state = &mut self.nodes[node];
        let Some(gossip) = &mut state.gossip else {
            return;
        };
        let mut sent = Vec::new();
        while let Some(transmit) = gossip.poll_transmit() {
            sent.push(transmit);
        }
        while let Some(event) = gossip.poll_event() {
            self.log.push((now, node, event));
        }
        let wake = gossip
            .poll_timeout()
            .map(|wake| (state.began + wake).max(now));
        if wake != state.wake {
            state.wake = wake;
            if let Some(at) = wake {
                self.schedule(at, node, What::Timer);
            }
        }
        for transmit in sent {
            let limit = match transmit.carriage {
                Carriage::Datagram => MAX_DATAGRAM,
                Carriage::Stream => MAX_PAGE,
            };
            assert!(transmit.bytes.len() <= limit, "{}", transmit.bytes.len());
            let traffic = &mut self.nodes[node].sent;
            traffic.bytes += transmit.bytes.len();
            traffic.messages += 1;
            let to = usize::try_from(transmit.to.0 - 1).expect("a small number");
            let is_lost = transmit.carriage == Carriage::Datagram && self.random.f64() < self.loss;
            if !is_lost && !self.cuts.contains(&(node, to)) && to < self.nodes.len() {
                let delay = Duration::from_micros(self.random.u64(500..10_000));
                self.schedule(now + delay, to, What::Message(node, transmit.bytes));
            }
        }
    }

    fn schedule(&mut self, at: Duration, to: usize, what: What) {
        self.count += 1;
        let count = self.count;
        self.queue.push(Reverse(Due {
            at,
            count,
            to,
            what,
        }));
    }
}

impl Node {
    pub(crate) fn absent() -> Self {
        Self {
            gossip: None,
            paused: None,
            boot: 0,
            began: Duration::ZERO,
            wake: None,
            sent: Traffic::default(),
        }
    }
}

trait PopBefore {
    fn pop_if_before(&mut self, end: Duration) -> Option<Reverse<Due>>;
}

impl PopBefore for BinaryHeap<Reverse<Due>> {
    fn pop_if_before(&mut self, end: Duration) -> Option<Reverse<Due>> {
        let is_before = self.peek().is_some_and(|Reverse(due)| due.at < end);
        is_before.then(|| self.pop()).flatten()
    }
}

/// The boot stamp of a first life; that of the second one is twice it.
const BOOT: u64 = 1_000;
/// How many messages wait for a stopped node.
const SOCKET: usize = 500;

/// The number that an environment variable holds.
pub(crate) fn asked<T: std::str::FromStr>(variable: &str) -> Option<T> {
    let set = std::env::var(variable).ok()?;
    let number = set.parse().ok();
    assert!(number.is_some(), "{variable} is a number, not {set:?}");
    number
}
