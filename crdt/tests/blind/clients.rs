//! What clients do: read, write with a token, and repair while reading.

use super::Mutant;
use super::exchange::Extent;
use super::oracle::Events;
use super::replica::{Key, Write, fold, shown};
use super::world::{Failure, KEYS, Message, World, replica};
use crdt::dots::DotSet;
use crdt::{Context, Dot, Row};

impl World {
    /// A client writes with what it has just read, with an older token, or with none.
    pub(super) fn write(&mut self, node: u64) {
        let (key, client) = (self.rng.u8(..KEYS), self.rng.usize(..3));
        let (context, past) = match self.rng.u32(..100) {
            0..45 => self.quorum_read(key),
            45..80 => self.clients[client].get(&key).cloned().unwrap_or_default(),
            _ => Default::default(),
        };
        let is_put = self.rng.u32(..100) >= 35;
        let event = self.oracle.event(is_put, past);
        let write = Write {
            key,
            event,
            is_put,
            context: context.clone(),
        };
        let delta = replica(&mut self.replicas, node).write(write);
        self.tally.writes += 1;
        if self.rng.u32(..100) < 60 {
            let mut reply = context;
            if let Some(dot) = delta.dot {
                reply.join(&self.reply_to(dot));
            }
            let mut seen = past;
            seen.insert(event);
            self.clients[client].insert(key, (reply, seen));
        }
        let peers: Vec<u64> = self
            .replicas
            .keys()
            .copied()
            .filter(|&n| n != node)
            .collect();
        for peer in peers {
            if self.rng.f64() > self.setting.loss {
                let copies = if self.rng.u32(..100) < 85 { 1 } else { 2 };
                for _ in 0..copies {
                    self.network.push((peer, Message::Delta(delta.clone())));
                }
            }
        }
    }

    /// Reads at one to three replicas; sometimes repairs another by a pull of this key alone.
    fn quorum_read(&mut self, key: Key) -> (Context, Events) {
        let mut nodes: Vec<u64> = self.replicas.keys().copied().collect();
        self.rng.shuffle(&mut nodes);
        nodes.truncate(self.rng.usize(1..=3));
        let newer_clock = self.is(Mutant::ClockNewerThanRow);
        let rows: Vec<Row> = nodes
            .iter()
            .map(|node| match self.older.get(node).filter(|_| newer_clock) {
                Some(rows) => {
                    let mut row = fold(rows.get(&key).map_or(&[], Vec::as_slice));
                    row.fill(&self.replicas[node].clock);
                    row
                }
                None => self.replicas[node].filled(key),
            })
            .collect();
        let row = fold(&rows);
        let mut ghost = Events::default();
        if newer_clock {
            ghost = shown(&row);
        } else {
            nodes
                .iter()
                .for_each(|node| ghost.join(self.replicas[node].ghost(key)));
            if self.rng.u32(..100) < 30 {
                self.repair(&nodes, key);
            }
        }
        (self.token(&row), self.oracle.seen(ghost))
    }

    fn repair(&mut self, answered: &[u64], key: Key) {
        let target = self.any_node();
        for source in answered.iter().filter(|&&source| source != target) {
            let (peer, only) = (&self.replicas[&target], Extent::Only(key));
            if let Some(answer) = self.replicas[source].answer(peer, only, &mut self.rng) {
                self.network.push((target, Message::Answer(answer)));
                self.tally.repairs += 1;
            }
        }
    }

    /// A client reads at one replica, which must show what the oracle says.
    pub(super) fn read(&mut self, node: u64, step: usize) -> Result<(), Failure> {
        let (key, client) = (self.rng.u8(..KEYS), self.rng.usize(..3));
        self.check(node, key, step)?;
        let replica = &self.replicas[&node];
        let token = self.token(&replica.filled(key));
        let seen = self.oracle.seen(replica.ghost(key));
        self.clients[client].insert(key, (token, seen));
        Ok(())
    }

    /// What a reader of `row` takes away.
    fn token(&self, row: &Row) -> Context {
        if self.is(Mutant::TokenWithoutVersions) {
            row.context().clone()
        } else if self.is(Mutant::TokenAsVector) {
            let seen = row.seen();
            let mut below = DotSet::default();
            for (actor, _, last) in seen.dots().ranges() {
                below.insert_range(actor, 1, last);
            }
            Context::of(below)
        } else {
            row.seen()
        }
    }

    /// What the reply to a write adds to the client's token.
    fn reply_to(&self, dot: Dot) -> Context {
        let first = if self.is(Mutant::ReplyAsVector) {
            1
        } else {
            dot.counter
        };
        let mut dots = DotSet::default();
        dots.insert_range(dot.actor, first, dot.counter);
        Context::of(dots)
    }
}
