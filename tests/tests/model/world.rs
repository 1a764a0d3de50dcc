//! A run: clients write, the network misbehaves, disks fail, and the oracle watches.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use crate::oracle::{Event, Oracle};
use crate::replica::{Ghosts, Key, Replica, Snapshot};
use crate::setting::{Setting, Tally};
use crdt::{Context, Dot, Row};
use ring::NodeId;
use starling_node::protocol::messages::{Change, Page, Pulled};
use starling_node::protocol::vnode::Limits;

/// Runs one seed. The error says where it departed from the oracle.
pub(crate) fn run(seed: u64, setting: Setting) -> Result<Tally, String> {
    let mut world = World::new(seed, setting);
    for step in 0..STEPS {
        world
            .step()
            .map_err(|what| format!("step {step}: {what}"))?;
    }
    world.finish()
}

/// What travels between vnodes.
#[derive(Debug, Clone)]
enum Message {
    Delta(Vec<Change>, Key, Event),
    Pulled(u64, Pulled, Ghosts),
    Page(Page, Ghosts),
}

/// How many starts there had been, and what was on the disk then.
pub(crate) type Kept = (usize, Snapshot);
/// A token, and what its holder has truly seen.
type Seen = (Context, BTreeSet<Event>);

pub(crate) struct World {
    pub(crate) rng: Rng,
    setting: Setting,
    oracle: Oracle,
    pub(crate) replicas: BTreeMap<u64, Replica>,
    /// Copies of each disk with the number of starts before them, oldest first.
    pub(crate) snapshots: BTreeMap<u64, Vec<Kept>>,
    pub(crate) starts: BTreeMap<u64, usize>,
    network: Vec<(u64, Message)>,
    clients: [BTreeMap<Key, Seen>; 3],
    /// Names the next node or nonce; never used twice.
    next: u64,
    pub(crate) tally: Tally,
}

impl World {
    fn new(seed: u64, setting: Setting) -> Self {
        let replicas =
            (1..=setting.nodes).map(|node| (node, Replica::begin(node, 1_000 + node, None)));
        let mut world = Self {
            rng: Rng::with_seed(seed),
            setting,
            oracle: Oracle::default(),
            replicas: replicas.collect(),
            snapshots: BTreeMap::new(),
            starts: BTreeMap::new(),
            network: Vec::new(),
            clients: Default::default(),
            next: 2_000,
            tally: Tally::default(),
        };
        world.meet();
        world
    }

    fn step(&mut self) -> Result<(), String> {
        let node = self.any();
        match self.rng.u32(..1_000) {
            0..340 => self.write(node),
            340..420 => {
                let key = self.rng.u8(..KEYS);
                self.check(node, key, None)?;
                let client = self.rng.usize(..3);
                let read = self.read(&[node], key);
                self.clients[client].insert(key, read);
            }
            420..660 => self.deliver(),
            660..760 => self.pull(node),
            760..810 => self.ask_page(node),
            810..850 => self.compare(node),
            850..920 => self.tally.trimmed += self.at(node).trim(),
            920..960 => self.keep(node),
            960..980 if self.setting.restarts => self.restart(node),
            980..986 if self.setting.restarts => self.clone_of(node),
            986..996 if self.setting.replaces => self.replace(node),
            _ => {}
        }
        Ok(())
    }

    /// A client writes with what it has just read, with an older token, or with none.
    fn write(&mut self, node: u64) {
        let (key, client) = (self.rng.u8(..KEYS), self.rng.usize(..3));
        let is_put = self.rng.u32(..100) >= 35;
        let (context, mut past) = match self.rng.u32(..100) {
            0..45 => {
                let mut nodes: Vec<u64> = self.replicas.keys().copied().collect();
                self.rng.shuffle(&mut nodes);
                nodes.truncate(self.rng.usize(1..=3));
                self.read(&nodes, key)
            }
            45..80 => self.clients[client].get(&key).cloned().unwrap_or_default(),
            _ => Default::default(),
        };
        if !is_put && context.is_empty() {
            // A delete without a context removes what its coordinator shows.
            past = self.at(node).shown(key);
        }
        let event = self.oracle.event(is_put, past.clone());
        let (changes, dots) = self.at(node).write(key, event, is_put, context.clone());
        self.tally.writes += 1;
        if self.rng.u32(..100) < 60 && !context.is_empty() {
            let mut reply = context;
            dots.iter().for_each(|&dot: &Dot| reply.insert(dot));
            past.insert(event);
            self.clients[client].insert(key, (reply, past));
        }
        for peer in self.others(node) {
            if self.rng.f64() > self.setting.loss {
                for _ in 0..if self.rng.u32(..100) < 85 { 1 } else { 2 } {
                    self.network
                        .push((peer, Message::Delta(changes.clone(), key, event)));
                }
            }
        }
    }

    /// Reads at several vnodes: the token, and what its holder has seen.
    fn read(&self, nodes: &[u64], key: Key) -> Seen {
        let mut row = Row::default();
        let mut ghost = BTreeSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let filled = self.replicas[node].filled(key);
            if index == 0 {
                row = filled;
            } else {
                row.join(&filled);
            }
            ghost.extend(self.replicas[node].ghost(key));
        }
        (row.seen(), self.oracle.seen(&ghost))
    }

    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let index = self.rng.usize(..self.network.len());
        let (node, message) = self.network.swap_remove(index);
        self.hand_over(node, &message);
        if self.rng.u32(..100) < 5 {
            self.network.push((node, message));
        }
    }

    fn hand_over(&mut self, node: u64, message: &Message) {
        let Some(replica) = self.replicas.get_mut(&node) else {
            return;
        };
        match message {
            Message::Delta(changes, key, event) => replica.receive(changes, *key, *event),
            Message::Pulled(from, pulled, ghosts) => {
                if pulled.incarnation != replica.vnode.actor().nonce {
                    return;
                }
                replica.absorb(&pulled.bundle, ghosts);
                replica.vnode.handle_pulled(NodeId(*from), pulled.more);
                if !pulled
                    .trimmed
                    .difference(replica.vnode.clock().dots())
                    .is_empty()
                {
                    self.tally.full_syncs += usize::from(replica.vnode.next_page().is_none());
                    replica.vnode.begin_sync(NodeId(*from));
                }
            }
            Message::Page(page, ghosts) => {
                replica.absorb_page(page, ghosts);
                self.tally.pages += 1;
            }
        }
    }

    /// Answers to one ask may be cut short by their size.
    fn limits(&mut self) -> Limits {
        let message_bytes = if self.rng.bool() { 4 << 20 } else { 150 };
        Limits {
            message_bytes,
            ..Limits::default()
        }
    }

    fn pull(&mut self, node: u64) {
        let source = self.any();
        if source == node {
            return;
        }
        let limits = self.limits();
        let Some(mut puller) = self.replicas.remove(&node) else {
            return;
        };
        let from = &self.replicas[&source];
        let pulled = puller.pull_from(from, &limits);
        let ghosts = from.ghosts.clone();
        self.replicas.insert(node, puller);
        if let Some(pulled) = pulled {
            self.tally.pulls += 1;
            self.send(node, Message::Pulled(source, pulled, ghosts));
        }
    }

    /// A vnode in a full sync asks for its next page, or gives up.
    fn ask_page(&mut self, node: u64) {
        let limits = self.limits();
        let Some((source, sync)) = self.at(node).vnode.next_page() else {
            return;
        };
        match self.replicas.get(&source.0) {
            Some(source) if self.rng.u32(..100) < 95 => {
                let page = source.answer_sync(&sync, &limits);
                let ghosts = source.ghosts.clone();
                self.send(node, Message::Page(page, ghosts));
            }
            _ => self.at(node).vnode.abandon_sync(),
        }
    }

    /// At once, or some time.
    fn send(&mut self, node: u64, message: Message) {
        if self.rng.bool() {
            self.hand_over(node, &message);
        } else {
            self.network.push((node, message));
        }
    }

    fn compare(&mut self, node: u64) {
        let Some(mut replica) = self.replicas.remove(&node) else {
            return;
        };
        self.replicas
            .values()
            .for_each(|other| replica.compare(other));
        self.replicas.insert(node, replica);
    }

    /// Everybody knows who the owners are.
    pub(crate) fn meet(&mut self) {
        let nodes: Vec<u64> = self.replicas.keys().copied().collect();
        for (&node, replica) in &mut self.replicas {
            let others = nodes.iter().filter(|&&other| other != node);
            replica.vnode.set_owners(others.map(|&other| NodeId(other)));
        }
    }

    /// Everyone pulls, late messages arrive, everyone pulls again: then all must be equal.
    fn finish(mut self) -> Result<Tally, String> {
        self.rounds(8);
        for (node, message) in std::mem::take(&mut self.network) {
            self.hand_over(node, &message);
        }
        self.rounds(8);
        let nodes: Vec<u64> = self.replicas.keys().copied().collect();
        for key in 0..KEYS {
            let ghosts = self.replicas.values().map(|replica| replica.ghost(key));
            let ghost = ghosts.flatten().collect();
            let expected = self.oracle.alive(&ghost);
            for &node in &nodes {
                self.check(node, key, Some(&expected))
                    .map_err(|what| format!("at last: {what}"))?;
                let left = !self.replicas[&node].stored(key).context().is_empty();
                self.tally.contexts_left += usize::from(left);
            }
        }
        let mut clocks = self.replicas.values().map(|replica| replica.vnode.clock());
        let first = clocks.next().expect("there are vnodes");
        if clocks.all(|clock| clock == first) {
            Ok(self.tally)
        } else {
            Err("the clocks differ after everyone pulled".to_owned())
        }
    }

    fn rounds(&mut self, rounds: usize) {
        let nodes: Vec<u64> = self.replicas.keys().copied().collect();
        let limits = Limits::default();
        for _ in 0..rounds {
            for &node in &nodes {
                self.at(node).vnode.abandon_sync();
                for &source in nodes.iter().filter(|&&source| source != node) {
                    let Some(mut puller) = self.replicas.remove(&node) else {
                        continue;
                    };
                    let pulled = puller.pull_from(&self.replicas[&source], &limits);
                    let ghosts = self.replicas[&source].ghosts.clone();
                    self.replicas.insert(node, puller);
                    if let Some(pulled) = pulled {
                        self.hand_over(node, &Message::Pulled(source, pulled, ghosts));
                    }
                    while let Some((from, sync)) = self.at(node).vnode.next_page() {
                        let page = self.replicas[&from.0].answer_sync(&sync, &limits);
                        let ghosts = self.replicas[&from.0].ghosts.clone();
                        self.hand_over(node, &Message::Page(page, ghosts));
                    }
                }
                self.compare(node);
                self.tally.trimmed += self.at(node).trim();
            }
        }
    }

    fn check(&self, node: u64, key: Key, expected: Option<&BTreeSet<Event>>) -> Result<(), String> {
        let replica = &self.replicas[&node];
        let own = self.oracle.alive(&replica.ghost(key));
        let (shown, expected) = (replica.shown(key), expected.unwrap_or(&own));
        if shown == *expected {
            return Ok(());
        }
        Err(format!(
            "vnode {node} shows {shown:?} of key {key}, not {expected:?}"
        ))
    }

    fn at(&mut self, node: u64) -> &mut Replica {
        self.replicas
            .get_mut(&node)
            .expect("the node was drawn from this map")
    }

    fn any(&mut self) -> u64 {
        let nodes: Vec<u64> = self.replicas.keys().copied().collect();
        nodes[self.rng.usize(..nodes.len())]
    }

    fn others(&self, node: u64) -> Vec<u64> {
        self.replicas
            .keys()
            .copied()
            .filter(|&other| other != node)
            .collect()
    }

    pub(crate) fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

const STEPS: usize = 300;
/// How many keys the clients use.
const KEYS: Key = 4;
