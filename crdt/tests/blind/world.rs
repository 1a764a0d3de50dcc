//! A run: clients write, the network misbehaves, disks fail, and the oracle watches.

use std::collections::BTreeMap;
use std::fmt;

use fastrand::Rng;

use super::Mutant;
use super::exchange::{Answer, Extent};
use super::oracle::{Events, Oracle};
use super::replica::{Delta, Key, Replica, Rows, shown};
use super::setting::{Setting, Tally};
use crdt::{Actor, Context, Row};

/// Where a run departed from the oracle. The seed and the setting reproduce it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A replica shows other events than those it reflects and that none of them overwrites.
    Shown {
        seed: u64,
        step: usize,
        node: u64,
        key: Key,
        got: Events,
        expected: Events,
    },
    /// Clocks differ after everyone pulled, or contexts are left although no disk failed.
    Leftover { seed: u64, node: u64 },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown {
                seed,
                step,
                node,
                key,
                got,
                expected,
            } => write!(
                f,
                "seed {seed}, step {step}: node {node} shows {got:?} of key {key}, not {expected:?}"
            ),
            Self::Leftover { seed, node } => write!(
                f,
                "seed {seed}: after the pulls node {node} has another clock or a context left"
            ),
        }
    }
}

/// Runs one seed.
pub(crate) fn run(seed: u64, setting: Setting, mutant: Option<Mutant>) -> Result<Tally, Failure> {
    let mut world = World::new(seed, setting, mutant);
    for step in 0..STEPS {
        world.step(step)?;
    }
    world.finish()
}

/// What travels between replicas.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Delta(Delta),
    Answer(Answer),
}

/// For each key a client's token, and what it has truly seen.
type Tokens = BTreeMap<Key, (Context, Events)>;

/// The whole state of a run.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) seed: u64,
    pub(super) rng: Rng,
    pub(super) setting: Setting,
    pub(super) mutant: Option<Mutant>,
    pub(super) oracle: Oracle,
    pub(super) replicas: BTreeMap<u64, Replica>,
    /// Up to three of each node, oldest first.
    pub(super) snapshots: BTreeMap<u64, Vec<Replica>>,
    /// The rows of a node as they once were, for the mutant that reads them with a later clock.
    pub(super) older: BTreeMap<u64, Rows>,
    pub(super) network: Vec<(u64, Message)>,
    pub(super) clients: [Tokens; 3],
    /// Names the next node and the next actor's nonce; never used twice.
    pub(super) next: u64,
    pub(super) tally: Tally,
}

impl World {
    fn new(seed: u64, setting: Setting, mutant: Option<Mutant>) -> Self {
        let replicas: BTreeMap<u64, Replica> = (0..setting.nodes)
            .map(|node| (node, Replica::new(Actor { node, nonce: node }, mutant)))
            .collect();
        let snapshots = replicas
            .iter()
            .map(|(&node, replica)| (node, vec![replica.clone()]));
        Self {
            seed,
            rng: Rng::with_seed(seed),
            setting,
            mutant,
            oracle: Oracle::default(),
            snapshots: snapshots.collect(),
            replicas,
            older: BTreeMap::new(),
            network: Vec::new(),
            clients: Default::default(),
            next: setting.nodes,
            tally: Tally::default(),
        }
    }

    fn step(&mut self, step: usize) -> Result<(), Failure> {
        let node = self.any_node();
        match self.rng.u32(..1000) {
            0..360 => self.write(node),
            360..440 => return self.read(node, step),
            440..720 => self.deliver(),
            720..800 => self.pull(node),
            800..860 => {
                let key = self.rng.u8(..KEYS);
                replica(&mut self.replicas, node).fold_some(key, &mut self.rng);
                self.tally.folds += 1;
            }
            860..890 => replica(&mut self.replicas, node).settle(),
            890..920 if self.setting.prunes => {
                let members: Vec<u64> = self.replicas.keys().copied().collect();
                self.tally.pruned += replica(&mut self.replicas, node).prune(&members);
            }
            920..950 => {
                self.older.insert(node, self.replicas[&node].rows.clone());
            }
            950..970 => {
                let snapshots = self.snapshots.entry(node).or_default();
                snapshots.push(self.replicas[&node].clone());
                let surplus = snapshots.len().saturating_sub(3);
                snapshots.drain(..surplus);
            }
            970..978 if self.setting.restarts => self.restart(node),
            978..982 if self.setting.restarts => self.clone_of(node),
            982..990 if self.setting.replaces => self.replace(node),
            _ => {}
        }
        Ok(())
    }

    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let index = self.rng.usize(..self.network.len());
        let (node, message) = self.network.swap_remove(index);
        self.hand_over(node, message.clone());
        if self.rng.u32(..100) < 5 {
            self.network.push((node, message));
        }
    }

    fn hand_over(&mut self, node: u64, message: Message) {
        let Some(replica) = self.replicas.get_mut(&node) else {
            return;
        };
        match message {
            Message::Delta(delta) => replica.handle_delta(delta),
            Message::Answer(answer) if answer.to == replica.actor => replica.handle_answer(answer),
            Message::Answer(_) => {}
        }
    }

    /// One replica pulls from another; the answer comes at once, or some time later.
    fn pull(&mut self, node: u64) {
        let source = self.any_node();
        if source == node {
            return;
        }
        let extent = if self.rng.bool() {
            Extent::Whole
        } else {
            Extent::Keys(2)
        };
        let source = self.replicas[&source].clone();
        let puller = replica(&mut self.replicas, node);
        self.tally.pulls += 1;
        match source.answer(puller, extent, &mut self.rng) {
            Some(answer) if self.rng.bool() => puller.handle_answer(answer),
            Some(answer) => self.network.push((node, Message::Answer(answer))),
            None => {
                puller.full_sync(&source);
                self.tally.full_syncs += 1;
            }
        }
    }

    /// Everyone pulls, late messages arrive, everyone pulls again: then all must be equal.
    fn finish(mut self) -> Result<Tally, Failure> {
        self.pull_rounds(4);
        for (node, message) in std::mem::take(&mut self.network) {
            self.hand_over(node, message);
        }
        self.pull_rounds(3);
        self.replicas.values_mut().for_each(Replica::settle);
        let nodes: Vec<u64> = self.replicas.keys().copied().collect();
        let lost = self.tally.restarts + self.tally.replacements > 0;
        for key in 0..KEYS {
            let mut ghost = Events::default();
            nodes
                .iter()
                .for_each(|node| ghost.join(self.replicas[node].ghost(key)));
            let expected = self.oracle.alive(ghost);
            for &node in &nodes {
                let row = self.replicas[&node].row(key);
                self.compare(node, key, STEPS, &row, expected)?;
                self.tally.contexts_left += usize::from(!row.context().is_empty());
            }
        }
        for &node in &nodes {
            let left = self.tally.contexts_left > 0 && !lost;
            if left || self.replicas[&node].clock != self.replicas[&nodes[0]].clock {
                return Err(Failure::Leftover {
                    seed: self.seed,
                    node,
                });
            }
        }
        Ok(self.tally)
    }

    fn pull_rounds(&mut self, rounds: usize) {
        let nodes: Vec<u64> = self.replicas.keys().copied().collect();
        for _ in 0..rounds {
            for &node in &nodes {
                for source in nodes.iter().filter(|&&source| source != node) {
                    let source = self.replicas[source].clone();
                    let by_rows =
                        replica(&mut self.replicas, node).pull_all(&source, &mut self.rng);
                    self.tally.full_syncs += usize::from(by_rows);
                }
            }
        }
    }

    pub(super) fn check(&self, node: u64, key: Key, step: usize) -> Result<(), Failure> {
        let replica = &self.replicas[&node];
        let expected = self.oracle.alive(replica.ghost(key));
        self.compare(node, key, step, &replica.row(key), expected)
    }

    pub(super) fn compare(
        &self,
        node: u64,
        key: Key,
        step: usize,
        row: &Row,
        expected: Events,
    ) -> Result<(), Failure> {
        let (seed, got) = (self.seed, shown(row));
        if got == expected {
            Ok(())
        } else {
            Err(Failure::Shown {
                seed,
                step,
                node,
                key,
                got,
                expected,
            })
        }
    }

    pub(super) fn any_node(&mut self) -> u64 {
        let nodes: Vec<u64> = self.replicas.keys().copied().collect();
        nodes[self.rng.usize(..nodes.len())]
    }

    pub(super) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}

/// One of the replicas.
pub(super) fn replica(replicas: &mut BTreeMap<u64, Replica>, node: u64) -> &mut Replica {
    replicas
        .get_mut(&node)
        .expect("the node was drawn from this map")
}

const STEPS: usize = 260;
/// How many keys the clients use.
pub(super) const KEYS: Key = 4;
