//! Subjects that hold elements: the three sets, and the sketch that only counts them.

use std::collections::BTreeSet;

use bytes::Bytes;
use fastrand::Rng;

use crate::subject::{Edits, Rows, Subject, row};
use crdt::kinds::{hll, remove_wins, set};
use crdt::{Dot, Row};

/// An element is added, or removed, or all are.
#[derive(Debug)]
pub(crate) enum Operation {
    Add(u8),
    Remove(u8),
    Clear,
}

fn random(rng: &mut Rng) -> Operation {
    match rng.u8(0..9) {
        0 => Operation::Clear,
        1..4 => Operation::Remove(rng.u8(0..5)),
        _ => Operation::Add(rng.u8(0..5)),
    }
}

fn apply(plain: &mut BTreeSet<u8>, operation: &Operation) {
    match operation {
        Operation::Add(element) => {
            plain.insert(*element);
        }
        Operation::Remove(element) => {
            plain.remove(element);
        }
        Operation::Clear => plain.clear(),
    }
}

fn elements(rows: &Rows, contains: fn(&Row) -> bool) -> BTreeSet<u8> {
    let rows = rows.iter().filter(|(_, row)| contains(row));
    rows.map(|(part, _)| part[0]).collect()
}

fn part(element: u8) -> Bytes {
    Bytes::copy_from_slice(&[element])
}

macro_rules! set {
    ($subject:ident, $kind:ident, $clear:expr) => {
        impl Subject for $subject {
            type Operation = Operation;
            type Shown = BTreeSet<u8>;
            type Plain = BTreeSet<u8>;

            fn random(rng: &mut Rng) -> Operation {
                random(rng)
            }

            fn edits(rows: &Rows, _dot: Dot, operation: &Operation) -> Edits {
                let edit = |element: &u8| row(rows, &[*element]);
                match operation {
                    Operation::Add(e) => vec![(part(*e), $kind::add(&edit(e)))],
                    Operation::Remove(e) => vec![(part(*e), $kind::remove(&edit(e)))],
                    Operation::Clear => {
                        let rows = rows.iter();
                        rows.map(|(part, row)| (part.clone(), $clear(row)))
                            .collect()
                    }
                }
            }

            fn shown(rows: &Rows) -> BTreeSet<u8> {
                elements(rows, $kind::contains)
            }

            fn apply(plain: &mut BTreeSet<u8>, operation: &Operation) {
                apply(plain, operation);
            }

            fn plainly(plain: &BTreeSet<u8>) -> BTreeSet<u8> {
                plain.clone()
            }
        }
    };
}

/// A set whose adds win.
pub(crate) struct AddWins;

/// A set whose removals win.
pub(crate) struct RemoveWins;

set!(AddWins, set, set::remove);
set!(RemoveWins, remove_wins, remove_wins::forget);

/// A set that takes no removals.
pub(crate) struct GrowOnly;

impl Subject for GrowOnly {
    type Operation = u8;
    type Shown = BTreeSet<u8>;
    type Plain = BTreeSet<u8>;

    fn random(rng: &mut Rng) -> u8 {
        rng.u8(0..20)
    }

    fn edits(rows: &Rows, _dot: Dot, element: &u8) -> Edits {
        vec![(part(*element), set::add(&row(rows, &[*element])))]
    }

    fn shown(rows: &Rows) -> BTreeSet<u8> {
        elements(rows, set::contains)
    }

    fn apply(plain: &mut BTreeSet<u8>, element: &u8) {
        plain.insert(*element);
    }

    fn plainly(plain: &BTreeSet<u8>) -> BTreeSet<u8> {
        plain.clone()
    }
}

/// A sketch, which counts a few dozen different things exactly.
pub(crate) struct Sketch;

impl Subject for Sketch {
    type Operation = u8;
    type Shown = u64;
    type Plain = BTreeSet<u8>;

    fn random(rng: &mut Rng) -> u8 {
        rng.u8(0..25)
    }

    fn edits(rows: &Rows, _dot: Dot, thing: &u8) -> Edits {
        let hash = (u64::from(*thing) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = hll::place(hash);
        let edit = hll::observe(&row(rows, &[place.block]), [(place.index, place.rank)]);
        let edit = edit.expect("every row here holds registers");
        edit.map(|edit| (part(place.block), edit))
            .into_iter()
            .collect()
    }

    fn shown(rows: &Rows) -> u64 {
        let blocks: Result<Vec<_>, _> = rows.values().map(hll::Block::of).collect();
        hll::estimate(&blocks.expect("every row here holds registers"))
    }

    fn apply(plain: &mut BTreeSet<u8>, thing: &u8) {
        plain.insert(*thing);
    }

    fn plainly(plain: &BTreeSet<u8>) -> u64 {
        plain.len() as u64
    }
}
