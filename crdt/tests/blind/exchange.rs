//! How two replicas become equal: by the dots that one lacks, or by everything.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use super::Mutant;
use super::oracle::Events;
use super::replica::{Key, Replica, fold};
use crdt::{Actor, Clock, Dot, Row};

/// The answer to a pull: filled rows and the dots behind which they were found.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    from: u64,
    /// Whom it was meant for. Another life of the same node drops it.
    pub(crate) to: Actor,
    clock: Clock,
    rows: Vec<Pulled>,
    dots: BTreeMap<Dot, Key>,
}

/// One row of an answer.
#[derive(Debug, Clone)]
struct Pulled {
    key: Key,
    row: Row,
    ghost: Events,
}

/// Which of the missing rows an answer holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extent {
    /// All of them.
    Whole,
    /// At most this many, each with all of its missing dots.
    Keys(usize),
    /// This one: a read repair.
    Only(Key),
}

impl Replica {
    /// Answers a pull of `peer`, or nothing when a missing dot was pruned from the log.
    pub(crate) fn answer(&self, peer: &Self, extent: Extent, rng: &mut Rng) -> Option<Answer> {
        let mut dots = BTreeMap::new();
        for (actor, first, last) in self.clock.missing_from(&peer.clock).ranges() {
            for counter in first..=last {
                let dot = Dot::new(actor, counter);
                dots.insert(dot, *self.log.get(&dot)?);
            }
        }
        let mut keys: Vec<Key> = BTreeSet::from_iter(dots.values().copied())
            .into_iter()
            .collect();
        match extent {
            Extent::Whole => {}
            Extent::Keys(limit) => {
                rng.shuffle(&mut keys);
                keys.truncate(limit);
            }
            Extent::Only(key) => keys.retain(|&missing| missing == key),
        }
        dots.retain(|_, key| keys.contains(key));
        Some(Answer {
            from: self.node,
            to: peer.actor,
            clock: self.clock.clone(),
            rows: keys.into_iter().map(|key| self.pulled(key)).collect(),
            dots,
        })
    }

    /// Takes an answer: rows first, then the dots that they were requested for.
    pub(crate) fn handle_answer(&mut self, answer: Answer) {
        answer
            .rows
            .into_iter()
            .for_each(|pulled| self.absorb(pulled));
        for (&dot, &key) in &answer.dots {
            self.clock.insert(dot);
            self.log.insert(dot, key);
        }
        self.peers.insert(answer.from, answer.clock);
    }

    /// Joins everything of `source`: rows of either side, then the clock.
    pub(crate) fn full_sync(&mut self, source: &Self) {
        let here = self.rows.keys().chain(self.ghosts.keys());
        let there = source.rows.keys().chain(source.ghosts.keys());
        let keys: BTreeSet<Key> = here.chain(there).copied().collect();
        for key in keys {
            self.absorb(source.pulled(key));
        }
        self.clock.join(source.clock.dots());
        for (&dot, &key) in &source.log {
            self.log.insert(dot, key);
        }
    }

    /// Pulls everything from `source`, by dots or if need be by rows. True if by rows.
    pub(crate) fn pull_all(&mut self, source: &Self, rng: &mut Rng) -> bool {
        match source.answer(self, Extent::Whole, rng) {
            Some(answer) => self.handle_answer(answer),
            None => {
                self.full_sync(source);
                return true;
            }
        }
        false
    }

    fn pulled(&self, key: Key) -> Pulled {
        let (row, ghost) = (self.filled(key), self.ghost(key));
        Pulled { key, row, ghost }
    }

    fn absorb(&mut self, pulled: Pulled) {
        let Pulled { key, row, ghost } = pulled;
        if self.is(Mutant::PullIsBlind) {
            self.rows.entry(key).or_default().push(row);
        } else {
            let joined = fold(&[self.filled(key), row]);
            self.store(key, joined);
        }
        self.ghosts.entry(key).or_default().join(ghost);
    }
}
