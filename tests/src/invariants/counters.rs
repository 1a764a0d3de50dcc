//! Every increment counts once, however often it was tried and wherever.
//!
//! The i-th increment of a key adds plus or minus 8 to the power of i, so the value in base 8 (with
//! digits from -3 to 4) says of each increment how often it counts.
//!
//! | of its events | it counts |
//! |---|---|
//! | some are at the owners in the end | once |
//! | none is: a crash took more than their level survives | never or once |
//! | all of those there were reset by a reset that is there too | never |
//! | some of those there were reset | never or once: the reset may have seen a loser alone |
//! | a reset of them was lost with disks | never or once: its actor's next increment may carry it |
//! | one of them was lost with every disk that had it | once more: likewise, with its record lost |

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::Observation;
use crate::sim::ledger::{Entry, Ledger};
use crdt::kinds::Leaf;
use crdt::kinds::counter::{self, Share};
use crdt::kinds::map::Path;
use crdt::{Actor, Clock, Dot, Row};
use starling_node::protocol::clears::Clears;
use starling_node::protocol::event::Effect;
use starling_node::protocol::keys::KeyPrefix;
use starling_node::protocol::messages::{Range, Selection};
use starling_node::protocol::stage::Source;
use starling_node::protocol::vnode::{Limits, read_rows};

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Quiet(nodes) = observation else {
        return Ok(());
    };
    for (subject, path) in counters(ledger) {
        let (at, path) = (&ledger.subjects[subject], &path);
        let counter = Counter { subject, path };
        for resting in *nodes {
            let Some(vnode) = resting.replica.vnode(at.vnode) else {
                continue;
            };
            let value = value(&at.prefix, path, resting.source)?;
            let checked = counter.check(value, vnode.clock(), ledger);
            checked.map_err(|what| {
                let (node, prefix) = (resting.node, &at.prefix);
                format!("node {node}, {prefix:?} {path:?}, value {value}: {what}")
            })?;
        }
    }
    Ok(())
}

/// Every counter that somebody changed: its key, and its field in a map.
fn counters(ledger: &Ledger) -> BTreeSet<(usize, Path)> {
    let mut counters = BTreeSet::new();
    for operation in &ledger.operations {
        for wanted in &operation.changes {
            let increments = operation.increments_of(wanted.subject);
            counters.extend(increments.map(|(path, _)| (wanted.subject, path.clone())));
        }
    }
    counters
}

/// The stored value of a counter.
fn value(prefix: &KeyPrefix, path: &Path, source: &dyn Source) -> Result<i128, String> {
    let (from, to) = prefix.leaf_range(path, Leaf::Share);
    let range = Range {
        from: from.into(),
        to: to.into(),
        reverse: false,
        limit: None,
    };
    let rows = read_rows(
        source,
        &Selection::Range(range),
        &Clears::default(),
        &Limits::default(),
    );
    let rows = rows.map_err(|error| error.to_string())?;
    let rows = rows.map_err(|refusal| format!("{refusal:?}"))?;
    let rows: Vec<Row> = rows.rows.into_iter().map(|keyed| keyed.row).collect();
    counter::value(&rows).map_err(|error| error.to_string())
}

/// A counter: a key, or a field of a map.
struct Counter<'a> {
    subject: usize,
    path: &'a Path,
}

impl Counter<'_> {
    fn check(&self, value: i128, clock: &Clock, ledger: &Ledger) -> Result<(), String> {
        let mut rest = value;
        for (index, operation) in ledger.operations.iter().enumerate() {
            let mut increments = operation.increments_of(self.subject);
            let Some((_, amount)) = increments.find(|(path, _)| *path == self.path) else {
                continue;
            };
            // The digits below this one are gone from the rest already.
            let weight = i128::from(amount.unsigned_abs());
            let digit = (rest / weight).rem_euclid(8);
            let digit = if digit > 4 { digit - 8 } else { digit };
            rest -= digit * weight;
            let times = digit * i128::from(amount.signum());
            let expected = self.expected(index, clock, ledger);
            if !expected.contains(&times) {
                let id = operation.id;
                let dots = self.events(ledger).filter(|e| e.operation == Some(index));
                let dots: Vec<String> = dots.map(|entry| entry.event.dot.to_string()).collect();
                return Err(format!(
                    "{id} ({amount}, events {dots:?}) counts {times} times, not {expected:?}"
                ));
            }
        }
        if rest == 0 {
            Ok(())
        } else {
            Err(format!("{rest} came from nowhere"))
        }
    }

    /// How often an increment may count.
    fn expected(&self, operation: usize, clock: &Clock, ledger: &Ledger) -> RangeInclusive<i128> {
        let is_here = |entry: &&Entry| clock.contains(entry.event.dot);
        let (resets, increments): (Vec<_>, Vec<_>) = self.events(ledger).partition(|entry| {
            let effect = entry.event.operation.map(|operation| operation.effect);
            effect == Some(Effect::Removal)
        });
        let (there, lost): (Vec<_>, Vec<_>) = resets.into_iter().partition(is_here);
        let is_reset_by = |resets: &[&Entry], dot: &Dot| {
            let mut resets = resets.iter().copied().filter_map(reset_of);
            resets.any(|(actor, upto)| actor == dot.actor && dot.counter <= upto)
        };
        let is_reset = |dot: &&Dot| is_reset_by(&there, dot);
        let of_it = increments.iter().filter(|e| e.operation == Some(operation));
        let of_it = of_it.map(|entry| entry.event.dot);
        let (dots, gone): (Vec<Dot>, Vec<Dot>) = of_it.partition(|&dot| clock.contains(dot));
        // What was lost as an event may count all the same, and its record not be there any more.
        let carried = gone.iter().filter(|dot| {
            let later = increments.iter().filter(|entry| is_here(entry));
            let mut later = later.filter(|entry| entry.operation.is_some());
            let has_later = later.any(|entry| {
                entry.event.dot.actor == dot.actor && entry.event.dot.counter > dot.counter
            });
            has_later && !is_reset(dot)
        });
        let carried = i128::try_from(carried.count()).unwrap_or(i128::MAX);
        match (dots.len(), dots.iter().filter(is_reset).count()) {
            (0, _) => 0..=carried.max(1),
            (_, 0) if dots.iter().any(|dot| is_reset_by(&lost, dot)) => 0..=1 + carried,
            (_, 0) => 1..=1 + carried,
            (all, reset) if all == reset => 0..=carried,
            _ => 0..=1 + carried,
        }
    }

    /// Every event of this counter.
    fn events<'a>(&'a self, ledger: &'a Ledger) -> impl Iterator<Item = &'a Entry> {
        let of_key = ledger.entries_of(&ledger.subjects[self.subject].prefix);
        of_key.filter(move |entry| {
            entry.event.row.leaf() == Leaf::Share && entry.event.row.path() == *self.path
        })
    }
}

/// Whose increments an event of a reset took away, and up to which.
fn reset_of(entry: &Entry) -> Option<(Actor, u64)> {
    let share = Share::decode(entry.body.as_ref()?).ok()?;
    Some((entry.event.row.actor()?, share.reset_part().upto))
}
