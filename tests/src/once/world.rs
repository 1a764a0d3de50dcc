//! A run: operations, retries, crashes and late returns in the order that a seed says.

use fastrand::Rng;

use super::KEYS;
use super::asked::{Asked, can_end, some_edits, some_name};
use super::oracle::Facts;
use super::owner::{Owner, after_the_grace, prefix};
use crdt::kinds::Leaf;
use crdt::{Context, Hlc};
use ring::NodeId;
use starling_node::protocol::messages::{Change, Pulled};
use starling_node::protocol::vnode::{Rejected, Sending};

/// What may happen in a run.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// How many owners there are, each of which coordinates: two to four.
    pub owners: u64,
    /// How many messages in a hundred are lost.
    pub loss: u32,
}

/// How often things happened: a path that is never walked proves nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    /// Tries of operations that were entered before.
    pub retries: usize,
    /// Of these, how many were known again.
    pub repeats: usize,
    /// Names that were used for another change, and refused.
    pub reused: usize,
    /// Restarts.
    pub crashes: usize,
    /// Owners that went away and came back.
    pub returns: usize,
    /// Events that vnodes made by themselves: voids and removals of aliases.
    pub answers: usize,
    /// Shares of counters that were removed when all of them was reset.
    pub collected: usize,
    /// Rows that lost a version which was over.
    pub expired: usize,
}

impl Tally {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        self.retries += other.retries;
        self.repeats += other.repeats;
        self.reused += other.reused;
        self.crashes += other.crashes;
        self.returns += other.returns;
        self.answers += other.answers;
        self.collected += other.collected;
        self.expired += other.expired;
    }
}

/// Runs one seed.
///
/// # Errors
/// Where the run departed from the oracle.
pub fn run(seed: u64, setting: Setting) -> Result<Tally, String> {
    let mut world = World::new(seed, setting);
    for step in 0..STEPS {
        let done = world.step(step);
        done.map_err(|what| format!("step {step}: {what}"))?;
    }
    world.finish()?;
    Ok(world.tally)
}

/// What travels between owners.
#[derive(Debug, Clone)]
pub(super) enum Message {
    Deltas(Vec<Change>),
    Pulled(usize, Pulled),
}

/// Owners, what travels between them, and what was asked.
#[derive(Debug)]
pub(super) struct World {
    pub(super) random: Rng,
    setting: Setting,
    pub(super) now_ms: u64,
    pub(super) owners: Vec<Owner>,
    /// The step at which each owner can be reached again.
    away_until: Vec<usize>,
    pub(super) network: Vec<(usize, Message)>,
    pub(super) asked: Vec<Asked>,
    pub(super) facts: Facts,
    /// Names the next process; never used twice.
    next_nonce: u64,
    pub(super) tally: Tally,
}

impl World {
    pub(super) fn new(seed: u64, setting: Setting) -> Self {
        let owners = (1..=setting.owners).map(|node| Owner::begin(node, 1_000 + node));
        let owners: Vec<Owner> = owners.collect();
        let mut world = Self {
            random: Rng::with_seed(seed),
            setting,
            now_ms: 1_700_000_000_000,
            away_until: vec![0; owners.len()],
            owners,
            network: Vec::new(),
            asked: Vec::new(),
            facts: Facts::default(),
            next_nonce: 2_000,
            tally: Tally::default(),
        };
        (0..world.owners.len()).for_each(|at| world.introduce(at));
        world
    }

    fn step(&mut self, step: usize) -> Result<(), String> {
        self.now_ms += self.random.u64(0..300);
        let reachable = (0..self.owners.len()).filter(|&at| self.away_until[at] <= step);
        let reachable: Vec<usize> = reachable.collect();
        let at = self.random.usize(..self.owners.len());
        match self.random.u32(..1_000) {
            0..200 => self.begin(at)?,
            200..400 => self.retry(at)?,
            400..430 => self.reuse(at)?,
            430..660 => self.deliver(&reachable),
            660..800 => {
                if let [one, other, ..] = self.shuffled(&reachable)[..] {
                    self.pull(one, other);
                }
            }
            800..880 => {
                if let [one, other, ..] = self.shuffled(&reachable)[..] {
                    self.compare(one, other);
                    self.tend(one);
                }
            }
            880..920 => self.crash(at),
            920..945 => {
                self.away_until[at] = step + self.random.usize(10..=80);
                self.tally.returns += 1;
            }
            945..955 => self.now_ms = after_the_grace(self.now_ms),
            955..975 => self.tally.expired += self.owners[at].sweep(self.now_ms),
            _ => {}
        }
        Ok(())
    }

    /// A new operation, over what its client has seen at some owner, or over nothing.
    fn begin(&mut self, at: usize) -> Result<(), String> {
        let key = self.random.u8(..KEYS);
        let context = if self.random.u32(..10) < 6 {
            let read_at = self.random.usize(..self.owners.len());
            self.owners[read_at].seen(&prefix(key))
        } else {
            Context::default()
        };
        let id = 1 + self.asked.len() as u64;
        let edits = some_edits(&mut self.random, id, &self.asked, key);
        if edits.is_empty() {
            return Ok(());
        }
        let lasts = self.random.u32(..10) < 2 && can_end(&edits);
        let mut asked = Asked::new(id, key, context, edits);
        asked.began_ms = self.now_ms;
        asked.command.ttl_ms = lasts.then(|| self.random.u64(1_000..10_000));
        self.asked.push(asked);
        self.attempt(self.asked.len() - 1, at)
    }

    /// One of the latest operations is tried again, wherever and whether or not it was entered.
    fn retry(&mut self, at: usize) -> Result<(), String> {
        let latest = self.asked.len().saturating_sub(8);
        if latest == self.asked.len() {
            return Ok(());
        }
        let index = self.random.usize(latest..self.asked.len());
        let place = some_name(&mut self.random);
        self.asked[index].insert_at(place);
        // Who uses an id again in a later call does not say how old it is.
        let is_said = self.random.u32(..10) > 0;
        self.asked[index].grow_old(self.now_ms, is_said);
        self.attempt(index, at)
    }

    /// A try of an operation at one owner.
    pub(super) fn attempt(&mut self, index: usize, at: usize) -> Result<(), String> {
        let asked = &mut self.asked[index];
        let id = asked.id();
        let owner = &mut self.owners[at];
        let clock = owner.vnode.clock();
        let is_known = self.facts.dots_of(id).any(|dot| clock.contains(dot));
        self.tally.retries += usize::from(asked.was_entered);
        self.now_ms += 1;
        let written = owner.write(Hlc::at(self.now_ms), &asked.command);
        let written = match written {
            Ok(written) => written,
            Err(Rejected::CounterOverflow | Rejected::TooManySiblings { .. }) => return Ok(()),
            Err(rejected) => return Err(format!("{id} was refused: {rejected:?}")),
        };
        asked.was_entered = true;
        self.tally.repeats += usize::from(written.repeated);
        if is_known && !written.repeated {
            let node = owner.node;
            return Err(format!("owner {node} holds {id} and entered it again"));
        }
        let message = match written.sending {
            Sending::Changes(changes) => {
                let asked = asked.clone();
                self.enter(&changes, Some(&asked));
                Message::Deltas(changes)
            }
            Sending::Again(_) => {
                self.ask_again(at);
                return Ok(());
            }
            Sending::Held(_) | Sending::Nothing => return Ok(()),
        };
        self.broadcast(at, &message);
        Ok(())
    }

    /// Another change under a name that an owner knows.
    fn reuse(&mut self, at: usize) -> Result<(), String> {
        let Some(asked) = self.random.choice(&self.asked) else {
            return Ok(());
        };
        let (mut command, id) = (asked.command.clone(), asked.id());
        let owner = &mut self.owners[at];
        let clock = owner.vnode.clock();
        if !self.facts.dots_of(id).any(|dot| clock.contains(dot)) {
            return Ok(());
        }
        command.digest = !command.digest;
        match owner.write(Hlc::at(self.now_ms), &command) {
            Err(Rejected::OperationReused) => {
                self.tally.reused += 1;
                Ok(())
            }
            other => Err(format!("{id} with another digest came to {other:?}")),
        }
    }

    fn deliver(&mut self, reachable: &[usize]) {
        let ready = |(to, _): &(usize, Message)| reachable.contains(to);
        let ready: Vec<usize> = (0..self.network.len())
            .filter(|&i| ready(&self.network[i]))
            .collect();
        let Some(&index) = self.random.choice(&ready) else {
            return;
        };
        let (to, message) = self.network.swap_remove(index);
        self.hand_over(to, &message);
        if self.random.u32(..10) == 0 {
            self.network.push((to, message));
        }
    }

    pub(super) fn hand_over(&mut self, to: usize, message: &Message) {
        self.now_ms += 1;
        let hlc = Hlc::at(self.now_ms);
        let answers = match message {
            Message::Deltas(changes) => self.owners[to].receive(hlc, changes),
            Message::Pulled(from, pulled) => {
                let from = self.owners[*from].node;
                self.owners[to].take(hlc, from, pulled)
            }
        };
        self.answer(to, answers);
    }

    /// One owner pulls from another; the answer comes at once, or some time.
    pub(super) fn pull(&mut self, to: usize, from: usize) {
        let Some(pulled) = self.ask(to, from) else {
            return;
        };
        let message = Message::Pulled(from, pulled);
        if self.random.bool() {
            self.hand_over(to, &message);
        } else {
            self.network.push((to, message));
        }
    }

    /// One owner pulls from another, and has the answer.
    pub(super) fn pull_at_once(&mut self, to: usize, from: usize) {
        if let Some(pulled) = self.ask(to, from) {
            self.hand_over(to, &Message::Pulled(from, pulled));
        }
    }

    fn ask(&mut self, to: usize, from: usize) -> Option<Pulled> {
        let (to, from) = two(&mut self.owners, to, from)?;
        to.ask(from)
    }

    pub(super) fn compare(&mut self, to: usize, other: usize) {
        if let Some((to, other)) = two(&mut self.owners, to, other) {
            to.compare(other);
        }
    }

    pub(super) fn tend(&mut self, at: usize) {
        self.now_ms += 1;
        let voids = self.owners[at].tend(Hlc::at(self.now_ms));
        self.answer(at, voids);
    }

    /// The process ends and another begins on the same disk.
    pub(super) fn crash(&mut self, at: usize) {
        self.next_nonce += 1;
        self.owners[at].restart(self.next_nonce);
        self.introduce(at);
        self.tally.crashes += 1;
    }

    /// Tells an owner who the others are.
    fn introduce(&mut self, at: usize) {
        let nodes = self.owners.iter().map(|owner| NodeId(owner.node));
        let others: Vec<NodeId> = nodes.collect();
        let owner = &mut self.owners[at];
        let here = NodeId(owner.node);
        owner
            .vnode
            .set_owners(others.into_iter().filter(|&other| other != here));
    }

    pub(super) fn answer(&mut self, at: usize, answers: Vec<Change>) {
        if !answers.is_empty() {
            self.tally.answers += answers.len();
            let is_collected = |change: &&Change| {
                let Change { event, delta } = change;
                event.row.leaf() == Leaf::Share && delta.versions().is_empty()
            };
            self.tally.collected += answers.iter().filter(is_collected).count();
            self.enter(&answers, None);
            self.broadcast(at, &Message::Deltas(answers));
        }
    }

    /// What a vnode makes of its own in answer to a write is of no operation.
    fn enter(&mut self, changes: &[Change], asked: Option<&Asked>) {
        for change in changes {
            let asked = asked.filter(|_| change.event.operation.is_some());
            self.facts.enter(change, asked);
        }
    }

    /// An operation was tried again where it is known: the others pull what they lack.
    fn ask_again(&mut self, from: usize) {
        for to in (0..self.owners.len()).filter(|&to| to != from) {
            if self.random.u32(..100) >= self.setting.loss {
                self.pull(to, from);
            }
        }
    }

    fn broadcast(&mut self, from: usize, message: &Message) {
        for to in (0..self.owners.len()).filter(|&to| to != from) {
            if self.random.u32(..100) >= self.setting.loss {
                self.network.push((to, message.clone()));
            }
        }
    }

    fn shuffled(&mut self, reachable: &[usize]) -> Vec<usize> {
        let mut owners = reachable.to_vec();
        self.random.shuffle(&mut owners);
        owners
    }
}

/// Two different owners, the first to be changed.
pub(super) fn two(owners: &mut [Owner], one: usize, other: usize) -> Option<(&mut Owner, &Owner)> {
    let [one, other] = owners.get_disjoint_mut([one, other]).ok()?;
    Some((one, &*other))
}

const STEPS: usize = 220;
