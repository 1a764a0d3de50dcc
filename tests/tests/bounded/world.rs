//! A schedule: clients ask, the network misbehaves, processes and disks fail, the oracle watches.

use std::time::Duration;

use fastrand::Rng;

use crate::network::{Packet, Tag};
use crate::node::{Loss, Node, command, id};
use crate::oracle::Oracle;
use crate::setting::{Setting, Tally};
use crdt::Clock;
use crdt::dots::DotSet;
use ring::NodeId;
use starling::wire::Durability;
use starling_node::protocol::event::Effect;
use starling_node::protocol::messages::{Again, PeerRequest, Replicate};
use starling_node::protocol::replica::{Input, Output, WriteError};
use starling_node::protocol::time::{Moment, Time};
use starling_node::protocol::vnode::{Rejected, Sending, Written};

/// Runs one schedule. The error says what was wrong.
pub(crate) fn run(seed: u64, setting: Setting) -> Result<Tally, String> {
    let mut world = World::new(seed, setting);
    for step in 0..STEPS {
        world.step();
        let checked = world.oracle.check(&world.nodes);
        checked.map_err(|what| format!("step {step}: {what}"))?;
    }
    world.finish()
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    setting: Setting,
    pub(crate) now_ms: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) oracle: Oracle,
    pub(crate) network: Vec<Packet>,
    /// A node that reaches nobody, and until when.
    pub(crate) cut: (usize, u64),
    /// How likely a message is lost.
    pub(crate) loss: f64,
    /// The last disk that lost something, and what the others had seen then.
    recovering: (usize, Clock),
    /// Names the next process, and seeds it.
    next: u64,
    tally: Tally,
}

impl World {
    fn new(seed: u64, setting: Setting) -> Self {
        let mut world = Self {
            rng: Rng::with_seed(seed),
            setting,
            now_ms: 1_000,
            nodes: Vec::new(),
            oracle: Oracle::default(),
            network: Vec::new(),
            cut: (0, 0),
            loss: 0.0,
            recovering: (0, Clock::default()),
            next: seed << 16,
            tally: Tally::default(),
        };
        for node in 1..=3 {
            let life = world.fresh();
            world.nodes.push(Node::new(NodeId(node), life, life));
        }
        (0..3).for_each(|node| world.meet(node));
        world.settle(2);
        world.loss = 0.2 * world.rng.f64();
        world
    }

    fn step(&mut self) {
        self.now_ms += self.rng.u64(..60);
        let node = self.rng.usize(..3);
        match self.rng.u32(..1_000) {
            0..220 => self.ask(node),
            220..620 => (0..self.rng.u32(1..8)).for_each(|_| self.deliver()),
            620..880 => self.tick(node),
            880..910 => self.nodes[node].keep_image(),
            910..914 if self.setting.absences => {
                let passes = self.rng.u64(10 * 60_000..50 * 60_000);
                self.now_ms += passes;
                self.cut.1 += passes;
            }
            920..950 => {
                self.cut = (node, self.now_ms + self.rng.u64(..1_500));
                self.tally.cuts += 1;
            }
            950..980 if self.setting.restarts => {
                let life = self.fresh();
                self.nodes[node].restart(life, life);
                self.meet(node);
                self.tally.restarts += 1;
            }
            980..1_000 if self.setting.losses => self.lose(node),
            _ => self.deliver(),
        }
    }

    /// A client sends a new operation, or one of before again.
    fn ask(&mut self, node: usize) {
        let known = self.oracle.count();
        let operation = if known > 0 && self.rng.u32(..100) < 45 {
            known - 1 - self.rng.usize(..known.min(4))
        } else {
            let amount = self.rng.i64(1..=6);
            let adds = known == 0 || self.rng.u32(..100) < 40;
            self.oracle
                .begin(if adds { amount } else { -amount }, self.now_ms)
        };
        self.send(node, operation);
    }

    /// Sends an operation through a node. True if it was entered, now or before.
    fn send(&mut self, node: usize, operation: usize) -> bool {
        let (amount, age) = self.oracle.asked(operation, self.now_ms);
        let write = Input::Write {
            ticket: 0,
            vnode: id(),
            command: command(operation, amount, age),
            durability: Durability::Wal,
            stands_in: false,
            until: Time::NEVER,
        };
        let mut entered = None;
        for output in self.handle(node, write) {
            if let Output::Written { result, .. } = output {
                entered = Some(result);
            }
        }
        match entered.expect("every write is answered") {
            Ok(written) => {
                self.replicate(node, operation, written);
                *(if amount > 0 {
                    &mut self.tally.added
                } else {
                    &mut self.tally.spent
                }) += 1;
                return true;
            }
            Err(WriteError::Rejected(Rejected::Insufficient { .. })) => self.tally.refused += 1,
            Err(WriteError::Rejected(Rejected::NotWhole { .. })) => self.tally.not_whole += 1,
            Err(WriteError::Rejected(Rejected::TooLate { .. })) if self.setting.absences => {
                self.tally.late += 1;
            }
            Err(other) => panic!("a write was refused: {other:?}"),
        }
        false
    }

    /// What a coordinator does with what was entered; two owners are enough.
    fn replicate(&mut self, node: usize, operation: usize, written: Written) {
        let (vnode, durability) = (id(), Durability::Wal);
        let request = match written.sending {
            Sending::Changes(changes) => {
                let [change] = &changes[..] else {
                    panic!("one counter changes by one event: {changes:?}");
                };
                self.oracle.entered(operation, change.event.dot);
                PeerRequest::Replicate(Replicate {
                    vnode,
                    durability,
                    changes,
                })
            }
            Sending::Again(dots) => PeerRequest::Again(Again {
                vnode,
                durability,
                dots,
            }),
            Sending::Held(holders) => {
                if !holders.is_empty() {
                    self.oracle.acknowledged(operation);
                }
                return;
            }
            Sending::Nothing => return,
        };
        for to in (0..3).filter(|&to| to != node) {
            let ends = self.ends(node, to);
            let request = Box::new(request.clone());
            self.post(Packet::Call(ends, Tag::Client(operation), request));
        }
    }

    /// A disk loses something, one at a time: not before every node knows again what it did, and
    /// the disk that was last has all that the others had.
    fn lose(&mut self, node: usize) {
        let (last, needed) = &self.recovering;
        let has_recovered = self.nodes[*last].durable().covers(needed);
        let mut nodes = self.nodes.iter();
        if !has_recovered || nodes.any(|node| node.vnode().awaited().is_some()) {
            return;
        }
        let mut seen = DotSet::default();
        for other in self
            .nodes
            .iter()
            .filter(|other| other.id != self.nodes[node].id)
        {
            seen.join(other.vnode().clock().dots());
        }
        self.recovering = (node, Clock::of(seen));
        let number = self.rng.usize(..1_000);
        let (loss, count) = match self.rng.u32(..3) {
            0 => (Loss::Empty, &mut self.tally.lost),
            1 => (Loss::Old(number), &mut self.tally.restored),
            _ => (Loss::Crash(number), &mut self.tally.crashed),
        };
        *count += 1;
        let life = self.fresh();
        self.nodes[node].lose(loss, life, life);
        self.meet(node);
    }

    fn tick(&mut self, node: usize) {
        self.handle(node, Input::Tick);
    }

    fn meet(&mut self, node: usize) {
        let now = self.moment();
        let outputs = self.nodes[node].meet(now);
        self.send_out(node, &outputs);
    }

    pub(crate) fn handle(&mut self, node: usize, input: Input) -> Vec<Output> {
        let now = self.moment();
        let outputs = self.nodes[node].handle(now, input);
        self.send_out(node, &outputs);
        outputs
    }

    fn send_out(&mut self, node: usize, outputs: &[Output]) {
        for output in outputs {
            if let Output::Call {
                to, tag, request, ..
            } = output
            {
                self.count(request);
                let to = self.index_of(*to);
                let ends = self.ends(node, to);
                self.post(Packet::Call(
                    ends,
                    Tag::Own(*tag),
                    Box::new(request.clone()),
                ));
            }
        }
    }

    fn count(&mut self, request: &PeerRequest) {
        if let PeerRequest::Replicate(replicate) = request {
            for change in &replicate.changes {
                match change.event.operation.map(|operation| operation.effect) {
                    Some(Effect::TakenBack(_)) => self.tally.taken_back += 1,
                    None => self.tally.granted += 1,
                    Some(_) => {}
                }
            }
        }
    }

    /// The network heals: everything arrives, everyone compares, pulls, trims.
    fn settle(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.now_ms += 550;
            (0..3).for_each(|node| self.tick(node));
            while !self.network.is_empty() {
                let packet = self.network.swap_remove(0);
                self.hand_over(packet);
            }
        }
    }

    fn finish(mut self) -> Result<Tally, String> {
        self.loss = 0.0;
        self.cut = (0, 0);
        self.settle(ROUNDS);
        self.tally.copies = self.oracle.copies() as u64;
        if let Some(operation) = self.oracle.forgotten(&self.nodes) {
            return Err(format!(
                "operation {operation} was acknowledged and is gone"
            ));
        }
        let asked = self.oracle.check(&self.nodes)?;
        let expected = if self.setting.absences {
            asked.min(self.nodes[0].balance())
        } else {
            asked
        };
        self.agree(expected)?;
        if expected > 0 {
            self.spend_all(expected)?;
        }
        Ok(self.tally)
    }

    fn agree(&self, expected: i128) -> Result<(), String> {
        for node in &self.nodes {
            let (balance, ledger) = (node.balance(), node.ledger());
            if balance != expected {
                return Err(format!(
                    "at last {:?} shows {balance}, not {expected}",
                    node.id
                ));
            }
            let held = (1..=3).map(|node| i128::from(ledger.rights_of(node)));
            if held.sum::<i128>() != expected {
                return Err(format!("at last the rights are not the value: {ledger:?}"));
            }
        }
        Ok(())
    }

    /// All of it is spent through one node, which has to ask the others.
    fn spend_all(&mut self, value: i128) -> Result<(), String> {
        let amount = i64::try_from(value).expect("clients add little");
        let operation = self.oracle.begin(-amount, self.now_ms);
        let node = self.rng.usize(..3);
        for _ in 0..ROUNDS {
            if self.send(node, operation) {
                self.settle(2);
                return self.agree(0);
            }
            self.settle(1);
        }
        Err(format!(
            "{value} could not be spent: {:?}",
            self.nodes[node].ledger()
        ))
    }

    fn index_of(&self, id: NodeId) -> usize {
        let mut nodes = self.nodes.iter();
        nodes
            .position(|node| node.id == id)
            .expect("there are no others")
    }

    fn moment(&self) -> Moment {
        Moment {
            time: Time::at(Duration::from_millis(self.now_ms)),
            wall_ms: self.now_ms,
        }
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

const STEPS: usize = 150;
/// In so many rounds everything must be settled.
const ROUNDS: usize = 12;
