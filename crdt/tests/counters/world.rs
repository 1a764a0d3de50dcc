//! A run: clients increment, retry and reset, batches are lost and late, and one disk may fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fastrand::Rng;

use super::Mutant;
use super::ghost::{Ghost, History, Operation};
use super::node::{Batch, Node};
use crdt::{Actor, OpId};

/// What may happen in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) nodes: u64,
    /// How many counters there are. With few, each is written so often that totals, which are
    /// cumulative, make up for lost batches.
    pub(crate) keys: u8,
    /// The messages in a hundred that are lost.
    pub(crate) loss: u32,
    /// Once, a node loses everything and begins anew.
    pub(crate) loses_a_disk: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            nodes: 3,
            keys: 2,
            loss: 40,
            loses_a_disk: false,
        }
    }
}

impl Setting {
    /// A disk fails, and it hurts: batches are rarely resent as part of a later total.
    pub(crate) fn losing() -> Self {
        Self {
            keys: 12,
            loss: 60,
            loses_a_disk: true,
            ..Self::default()
        }
    }
}

/// How often things happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Operations applied under a second dot.
    pub(crate) retries: usize,
    pub(crate) resets: usize,
    /// Increments made void, counted at the end.
    pub(crate) voids: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.retries += other.retries;
        self.resets += other.resets;
        self.voids += other.voids;
    }
}

/// Where a run departed from the oracle. Seed and setting reproduce it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A counter shows another value than the increments that its shares reflect.
    Value {
        seed: u64,
        step: usize,
        node: Actor,
        key: u8,
        got: i128,
        expected: i128,
    },
    /// An operation counts another number of times than the rule says.
    Counted {
        seed: u64,
        node: Actor,
        op: OpId,
        got: usize,
        expected: usize,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value {
                seed,
                step,
                node,
                key,
                got,
                expected,
            } => write!(
                f,
                "seed {seed}, step {step}: {node:?} shows {got} of key {key}, not {expected}"
            ),
            Self::Counted {
                seed,
                node,
                op,
                got,
                expected,
            } => write!(
                f,
                "seed {seed}: at {node:?} operation {} counts {got} times, not {expected}",
                op.sequence
            ),
        }
    }
}

/// Runs one seed.
pub(crate) fn run(seed: u64, setting: Setting, mutant: Option<Mutant>) -> Result<Tally, Failure> {
    let mut world = World {
        seed,
        rng: Rng::with_seed(seed),
        setting,
        mutant,
        history: History::default(),
        nodes: (0..setting.nodes)
            .map(|node| Node::new(node, mutant))
            .collect(),
        network: Vec::new(),
        held: BTreeSet::new(),
        last_void: 0,
        tally: Tally::default(),
    };
    let lossy_step = setting
        .loses_a_disk
        .then(|| world.rng.usize(STEPS / 4..STEPS));
    for step in 0..STEPS {
        if lossy_step == Some(step) {
            world.lose_a_disk();
        }
        world.step(step)?;
    }
    world.finish()
}

#[derive(Debug)]
struct World {
    seed: u64,
    rng: Rng,
    setting: Setting,
    mutant: Option<Mutant>,
    history: History,
    nodes: Vec<Node>,
    network: Vec<(Actor, Batch)>,
    /// The operations that two replicas held when the disk failed: none of them may be lost.
    held: BTreeSet<OpId>,
    /// Which node last made an increment void: the one whose loss hurts most.
    last_void: usize,
    tally: Tally,
}

impl World {
    fn step(&mut self, step: usize) -> Result<(), Failure> {
        let (at, key) = (
            self.rng.usize(..self.nodes.len()),
            self.rng.u8(..self.setting.keys),
        );
        match self.rng.u32(..100) {
            0..25 => {
                let amount = self.rng.choice([1, 2, 5, -1]).unwrap_or(1);
                let operation = self.history.begin(key, amount);
                self.increment(at, operation);
            }
            25..40 if !self.history.operations.is_empty() => {
                let operation = self.history.operations.len();
                // A client retries what is young: the record is there, or has not arrived.
                let oldest = operation.saturating_sub(8);
                let operation = self.history.operations[self.rng.usize(oldest..operation)];
                self.tally.retries += usize::from(self.increment(at, operation));
            }
            40..45 => {
                let batch = self.nodes[at].reset(key);
                self.tally.resets += 1;
                self.send(at, &batch);
            }
            45..53 => {
                let batch = self.nodes[at].make_voids();
                self.send(at, &batch);
                if !batch.is_empty() {
                    self.last_void = at;
                }
            }
            53..80 => self.deliver(),
            80..88 => {
                let source = self.nodes[self.rng.usize(..self.nodes.len())].clone();
                let key = self.rng.bool().then_some(key);
                self.nodes[at].pull(&source, key);
            }
            _ => return self.check(at, key, step),
        }
        Ok(())
    }

    /// True if the operation was applied and not found in a record.
    fn increment(&mut self, at: usize, operation: Operation) -> bool {
        let blind = self.rng.bool();
        let Some((dot, batch)) = self.nodes[at].increment(operation, blind) else {
            return false;
        };
        self.history.amounts.insert(dot, operation.amount);
        self.send(at, &batch);
        true
    }

    fn send(&mut self, from: usize, batch: &Batch) {
        for (index, node) in self.nodes.iter().enumerate() {
            if index != from && self.rng.u32(..100) >= self.setting.loss {
                let copies = if self.rng.u32(..100) < 80 { 1 } else { 2 };
                let copy = (node.replica.actor, batch.clone());
                self.network.extend(std::iter::repeat_n(copy, copies));
            }
        }
    }

    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let index = self.rng.usize(..self.network.len());
        let (to, batch) = self.network.swap_remove(index);
        if let Some(node) = self.nodes.iter_mut().find(|node| node.replica.actor == to) {
            node.handle(&batch);
        }
        if self.rng.u32(..100) < 5 {
            self.network.push((to, batch));
        }
    }

    /// The node that made the latest void loses everything, and what it has sent is lost as well.
    fn lose_a_disk(&mut self) {
        for operation in &self.history.operations {
            let dots = self
                .nodes
                .iter()
                .filter_map(|node| node.records.get(&operation.id));
            let dots: BTreeSet<_> = dots.flat_map(|record| record.dots()).collect();
            let holders = |dot| {
                let holds = |node: &&Node| node.replica.clock.contains(dot);
                self.nodes.iter().filter(holds).count()
            };
            if dots.into_iter().any(|dot| holders(dot) >= 2) {
                self.held.insert(operation.id);
            }
        }
        let at = self.last_void;
        let lost = self.nodes[at].replica.actor;
        self.nodes[at] = Node::new(self.setting.nodes, self.mutant);
        self.network.retain(|(_, batch)| !batch.is_from(lost));
        self.nodes
            .iter_mut()
            .for_each(|node| drop(node.peers.remove(&lost)));
    }

    fn finish(mut self) -> Result<Tally, Failure> {
        for _ in 0..2 {
            self.pull_everything();
            self.nodes
                .iter_mut()
                .for_each(|node| drop(node.make_voids()));
        }
        self.pull_everything();
        for (to, batch) in std::mem::take(&mut self.network) {
            if let Some(node) = self.nodes.iter_mut().find(|node| node.replica.actor == to) {
                node.handle(&batch);
            }
        }
        self.pull_everything();
        for at in 0..self.nodes.len() {
            let mut ghosts = BTreeMap::new();
            for key in 0..self.setting.keys {
                self.check(at, key, STEPS)?;
                ghosts.insert(key, self.nodes[at].counter(key).1);
            }
            for &operation in &self.history.operations {
                self.check_operation(at, operation, &ghosts[&operation.key])?;
            }
            self.tally.voids += ghosts
                .values()
                .map(|ghost| ghost.voided.len())
                .sum::<usize>();
        }
        Ok(self.tally)
    }

    fn pull_everything(&mut self) {
        for _ in 0..2 {
            for at in 0..self.nodes.len() {
                for source in self.nodes.clone() {
                    self.nodes[at].pull(&source, None);
                }
            }
        }
    }

    /// The value must be the sum of the increments that the shares reflect.
    fn check(&self, at: usize, key: u8, step: usize) -> Result<(), Failure> {
        let node = &self.nodes[at];
        let (got, ghost) = node.counter(key);
        let expected = self.history.value(&ghost);
        if got == expected {
            return Ok(());
        }
        let (seed, node) = (self.seed, node.replica.actor);
        Err(Failure::Value {
            seed,
            step,
            node,
            key,
            got,
            expected,
        })
    }

    /// In the end an operation counts once, unless a reset observed its winner.
    fn check_operation(
        &self,
        at: usize,
        operation: Operation,
        ghost: &Ghost,
    ) -> Result<(), Failure> {
        let (op, node) = (operation.id, &self.nodes[at]);
        let record = node.records.get(&op);
        let here = record.into_iter().flat_map(|record| record.dots());
        let here: BTreeSet<_> = here.filter(|dot| ghost.added.contains(dot)).collect();
        let expected = match here.first() {
            Some(winner) => usize::from(!ghost.reset.contains(winner)),
            None => usize::from(self.held.contains(&op)),
        };
        let got = ghost.alive().filter(|dot| here.contains(dot)).count();
        if got == expected {
            return Ok(());
        }
        let (seed, node) = (self.seed, node.replica.actor);
        Err(Failure::Counted {
            seed,
            node,
            op,
            got,
            expected,
        })
    }
}

const STEPS: usize = 240;
