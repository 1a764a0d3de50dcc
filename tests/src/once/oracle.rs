//! What was truly done, and what the owners must show of it in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::KEYS;
use super::asked::Asked;
use super::owner::{Owner, prefix};
use crdt::dots::DotSet;
use crdt::kinds::map::Path;
use crdt::kinds::{Leaf, counter, counter::Share};
use crdt::{Actor, Clock, Context, Dot, OpId};
use starling_node::protocol::event::Effect;
use starling_node::protocol::keys::RowKey;
use starling_node::protocol::messages::Change;

/// One event.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) row: RowKey,
    pub(super) operation: Option<OpId>,
    pub(super) effect: Option<Effect>,
    /// It wrote a version, which ends then.
    pub(super) version: Option<Option<u64>>,
    /// A reset took away this share up to there.
    reset: Option<(Actor, u64)>,
    pub(super) covers: Context,
    /// What it covers of others that its client had not seen.
    pub(super) unseen: DotSet,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { effect, covers, .. } = self;
        match self.operation {
            Some(id) => write!(f, "{id} {effect:?} over {covers:?}"),
            None => write!(f, "of the owner's own"),
        }
    }
}

/// Every event of a run.
#[derive(Debug, Default)]
pub(super) struct Facts(pub(super) BTreeMap<Dot, Fact>);

impl Facts {
    /// Enters an event. A put covers what its client had seen, everything else that a client asked
    /// for what its vnode saw. What a vnode removes of its own must follow from these.
    pub(super) fn enter(&mut self, Change { event, delta }: &Change, asked: Option<&Asked>) {
        let effect = event.operation.map(|operation| operation.effect);
        let version = delta.versions().get(&event.dot);
        let share = version.filter(|_| effect == Some(Effect::Removal));
        let share = share.and_then(|version| Share::decode(&version.body).ok());
        let is_put = event.row.leaf() == Leaf::Value && effect == Some(Effect::Carried);
        let context = asked.filter(|_| is_put).map(Asked::context);
        let fact = Fact {
            row: event.row.clone(),
            operation: event.operation.map(|operation| operation.id),
            effect,
            version: version.map(|version| version.expires_ms),
            reset: share.and_then(|share| Some((event.row.actor()?, share.reset_part().upto))),
            covers: match (context, event.operation) {
                (Some(seen), _) => seen,
                (None, Some(_)) => delta.context().clone(),
                (None, None) => Context::default(),
            },
            unseen: event.covers.clone(),
        };
        self.0.entry(event.dot).or_insert(fact);
    }

    /// The events of one operation.
    pub(super) fn dots_of(&self, id: OpId) -> impl Iterator<Item = Dot> {
        let facts = self.0.iter();
        let own = facts.filter(move |(_, fact)| fact.operation == Some(id));
        own.map(|(&dot, _)| dot)
    }

    /// Does an owner show what it must, when nothing is under way any more and it is `now_ms`?
    pub(super) fn check(&self, owner: &Owner, asked: &[Asked], now_ms: u64) -> Result<(), String> {
        let clock = owner.vnode.clock();
        for asked in asked {
            let is_there = self.dots_of(asked.id()).any(|dot| clock.contains(dot));
            if asked.was_entered && asked.writes() && !is_there {
                return Err(format!("{} was entered and is nowhere", asked.id()));
            }
        }
        self.check_rows(owner, asked, now_ms)?;
        for key in 0..KEYS {
            for path in counters_of(key, asked) {
                self.check_counter(owner, (key, &path), asked)?;
            }
        }
        Ok(())
    }

    /// The sum holds every operation that was entered, once, unless a reset took it.
    fn check_counter(
        &self,
        owner: &Owner,
        (key, path): (u8, &Path),
        asked: &[Asked],
    ) -> Result<(), String> {
        let range = prefix(key).leaf_range(path, Leaf::Share);
        let value = counter::value(&owner.rows_between(range)).map_err(|e| e.to_string())?;
        let mut rest = value;
        for asked in asked {
            let Some(amount) = asked.increment_of(key, path) else {
                continue;
            };
            // The digits below this one are gone from the rest already.
            let weight = i128::from(amount.unsigned_abs());
            let digit = (rest / weight).rem_euclid(8);
            let digit = if digit > 4 { digit - 8 } else { digit };
            rest -= digit * weight;
            let times = digit * i128::from(amount.signum());
            let expected = self.expected(asked.id(), (key, path), owner.vnode.clock());
            if !expected.contains(&times) {
                let (node, id) = (owner.node, asked.id());
                return Err(format!(
                    "at owner {node} {id} ({amount}) counts {times} times, not {expected:?}"
                ));
            }
        }
        if rest == 0 {
            Ok(())
        } else {
            Err(format!("{rest} came from nowhere"))
        }
    }

    /// How often an increment may count: never or once if a reset saw only one of its copies.
    fn expected(&self, id: OpId, (key, path): (u8, &Path), clock: &Clock) -> &'static [i128] {
        let prefix = prefix(key);
        let here = |(dot, fact): &(&Dot, &Fact)| {
            let is_of_counter = fact.row.is_of(&prefix) && fact.row.path() == *path;
            is_of_counter && fact.row.leaf() == Leaf::Share && clock.contains(**dot)
        };
        let facts: Vec<(&Dot, &Fact)> = self.0.iter().filter(here).collect();
        let is_reset = |dot: Dot| {
            let mut resets = facts.iter().filter_map(|(_, fact)| fact.reset);
            resets.any(|(actor, upto)| actor == dot.actor && dot.counter <= upto)
        };
        let own = facts.iter().filter(|(_, fact)| {
            fact.operation == Some(id) && matches!(fact.effect, Some(Effect::Increment(_)))
        });
        let own: Vec<Dot> = own.map(|(dot, _)| **dot).collect();
        match own.iter().filter(|&&dot| is_reset(dot)).count() {
            0 if own.is_empty() => &[0],
            0 => &[1],
            reset if reset == own.len() => &[0],
            _ => &[0, 1],
        }
    }
}

/// The counters of a key that somebody changed.
fn counters_of(key: u8, asked: &[Asked]) -> BTreeSet<Path> {
    let increments = asked.iter().flat_map(Asked::increments);
    let of_key = increments.filter(|(of, ..)| *of == key);
    of_key.map(|(_, path, _)| path.clone()).collect()
}
