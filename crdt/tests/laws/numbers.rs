//! Subjects that are numbers: the two counters, the maximum and the minimum.

use bytes::Bytes;
use fastrand::Rng;

use crate::subject::{Edits, Rows, Subject, row};
use crdt::codec::Encoder;
use crdt::kinds::counter::{self, Share};
use crdt::kinds::{Edit, Leaf, bounded, extremum, map};
use crdt::{Actor, Dot};

/// The part of an actor's share.
pub(crate) fn share_part(actor: Actor) -> Vec<u8> {
    let mut encoder = Encoder::default();
    actor.encode(&mut encoder);
    encoder.finish()
}

/// A counter with observed resets.
pub(crate) struct Counter;

impl Subject for Counter {
    /// An amount, or a reset.
    type Operation = Option<i64>;
    type Shown = i128;
    type Plain = i128;

    fn random(rng: &mut Rng) -> Option<i64> {
        (rng.u8(0..6) > 0).then(|| rng.i64(-9..20))
    }

    fn edits(rows: &Rows, dot: Dot, operation: &Option<i64>) -> Edits {
        let Some(amount) = operation else {
            let reset = |(part, row): (&Bytes, _)| {
                let edit = map::erase(Leaf::Share, row).expect("every row here holds shares");
                edit.map(|edit| (part.clone(), edit))
            };
            return rows.iter().filter_map(reset).collect();
        };
        let part = share_part(dot.actor);
        let row = row(rows, &part);
        let mut share = Share::of(&row).expect("every row here holds shares");
        share.add(dot.counter, *amount);
        vec![(part.into(), Edit::put(&row, share.encode()))]
    }

    fn shown(rows: &Rows) -> i128 {
        counter::value(rows.values()).expect("every row here holds shares")
    }

    fn apply(plain: &mut i128, operation: &Option<i64>) {
        *plain = operation.map_or(0, |amount| *plain + i128::from(amount));
    }

    fn plainly(plain: &i128) -> i128 {
        *plain
    }
}

/// A counter that is never below 0.
pub(crate) struct Bounded;

/// What a node may do with a bounded counter.
#[derive(Debug)]
pub(crate) enum Operation {
    Add(u64),
    Spend(u64),
    Grant(u64, u64),
}

/// What one node alone has: the counter's value, and how much of it the node may spend.
#[derive(Default)]
pub(crate) struct Purse {
    value: i128,
    own: u64,
}

fn ledger(rows: &Rows) -> bounded::Ledger {
    let rows = rows.iter();
    let rows = rows.map(|(part, row)| {
        let node = bounded::node_of(part).expect("every part is a node");
        (node, row)
    });
    bounded::ledger(rows).expect("every row here holds rights")
}

impl Subject for Bounded {
    type Operation = Operation;
    type Shown = i128;
    type Plain = Purse;

    fn random(rng: &mut Rng) -> Operation {
        match rng.u8(0..4) {
            0 => Operation::Add(rng.u64(0..30)),
            // The node of the sequential law is 1.
            1 => Operation::Grant(rng.u64(2..4), rng.u64(0..10)),
            _ => Operation::Spend(rng.u64(0..10)),
        }
    }

    fn edits(rows: &Rows, dot: Dot, operation: &Operation) -> Edits {
        let (ledger, node) = (ledger(rows), dot.actor.node);
        let rights = match *operation {
            Operation::Add(amount) => ledger.add(node, amount),
            Operation::Spend(amount) => ledger.spend(node, amount),
            Operation::Grant(to, amount) => ledger.grant(node, to, amount),
        };
        let part = bounded::part(node);
        let edit = |rights: bounded::Rights| Edit::put(&row(rows, &part), rights.encode());
        // A refusal writes nothing.
        rights
            .ok()
            .map(|rights| (part.clone(), edit(rights)))
            .into_iter()
            .collect()
    }

    fn shown(rows: &Rows) -> i128 {
        ledger(rows).value()
    }

    fn apply(plain: &mut Purse, operation: &Operation) {
        match *operation {
            Operation::Add(amount) => {
                plain.value += i128::from(amount);
                plain.own += amount;
            }
            Operation::Spend(amount) if amount <= plain.own => {
                plain.value -= i128::from(amount);
                plain.own -= amount;
            }
            Operation::Grant(_, amount) if amount <= plain.own => plain.own -= amount,
            Operation::Spend(_) | Operation::Grant(..) => {}
        }
    }

    fn plainly(plain: &Purse) -> i128 {
        plain.value
    }
}

/// A number that only grows.
pub(crate) struct Maximum;

/// A number that only shrinks.
pub(crate) struct Minimum;

const PART: Bytes = Bytes::new();

macro_rules! extremum {
    ($subject:ty, $extend:path, $read:path, $choose:path) => {
        impl Subject for $subject {
            /// A number, or a removal.
            type Operation = Option<i64>;
            type Shown = Option<i64>;
            type Plain = Option<i64>;

            fn random(rng: &mut Rng) -> Option<i64> {
                (rng.u8(0..6) > 0).then(|| rng.i64(-50..50))
            }

            fn edits(rows: &Rows, _dot: Dot, operation: &Option<i64>) -> Edits {
                let row = row(rows, &PART);
                let edit = match operation {
                    Some(to) => $extend(&row, *to).expect("every row here holds numbers"),
                    None => Some(extremum::remove(&row)),
                };
                edit.map(|edit| (PART, edit)).into_iter().collect()
            }

            fn shown(rows: &Rows) -> Option<i64> {
                $read(&row(rows, &PART)).expect("every row here holds numbers")
            }

            fn apply(plain: &mut Option<i64>, operation: &Option<i64>) {
                *plain = operation.map(|to| plain.map_or(to, |held| $choose(held, to)));
            }

            fn plainly(plain: &Option<i64>) -> Option<i64> {
                *plain
            }
        }
    };
}

extremum!(Maximum, extremum::raise, extremum::max, i64::max);
extremum!(Minimum, extremum::lower, extremum::min, i64::min);
