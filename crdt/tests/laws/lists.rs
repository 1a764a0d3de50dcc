//! The list as a subject, with indexes as its users know them.

use bytes::Bytes;
use fastrand::Rng;

use crate::subject::{Edits, Rows, Subject};
use crdt::kinds::list::{Position, item, put, remove};
use crdt::{Dot, Row};

/// A list of bytes. Indexes are taken modulo what is there.
pub(crate) struct List;

/// What a user does to a list.
#[derive(Debug)]
pub(crate) enum Operation {
    /// Before the item at an index, or at the end.
    Insert(usize, Vec<u8>),
    Replace(usize, u8),
    Remove(usize),
}

impl Subject for List {
    type Operation = Operation;
    type Shown = Vec<u8>;
    type Plain = Vec<u8>;

    fn random(rng: &mut Rng) -> Operation {
        let index = rng.usize(0..1_000);
        match rng.u8(0..6) {
            0 => Operation::Remove(index),
            1 => Operation::Replace(index, rng.u8(..)),
            _ => {
                let count = rng.usize(1..4);
                Operation::Insert(index, (0..count).map(|_| rng.u8(..)).collect())
            }
        }
    }

    fn edits(rows: &Rows, dot: Dot, operation: &Operation) -> Edits {
        let alive: Vec<(&Bytes, &Row)> =
            rows.iter().filter(|(_, row)| item(row).is_some()).collect();
        let at = |index: &usize| index.checked_rem(alive.len()).map(|index| alive[index]);
        match operation {
            Operation::Insert(index, items) => insert(&alive, dot, *index, items),
            Operation::Replace(index, byte) => {
                let edit = |row| put(row, Bytes::copy_from_slice(&[*byte]));
                let place = at(index).map(|(part, row)| (part.clone(), edit(row)));
                place.into_iter().collect()
            }
            Operation::Remove(index) => {
                let place = at(index).map(|(part, row)| (part.clone(), remove(row)));
                place.into_iter().collect()
            }
        }
    }

    fn shown(rows: &Rows) -> Vec<u8> {
        let items = rows.values().filter_map(item);
        items.flat_map(|item| item.value.to_vec()).collect()
    }

    fn apply(plain: &mut Vec<u8>, operation: &Operation) {
        let length = plain.len();
        match operation {
            Operation::Insert(index, items) => {
                let index = index % (length + 1);
                plain.splice(index..index, items.iter().copied());
            }
            Operation::Replace(index, byte) if length > 0 => plain[index % length] = *byte,
            Operation::Remove(index) if length > 0 => {
                plain.remove(index % length);
            }
            Operation::Replace(..) | Operation::Remove(_) => {}
        }
    }

    fn plainly(plain: &Vec<u8>) -> Vec<u8> {
        plain.clone()
    }
}

fn insert(alive: &[(&Bytes, &Row)], dot: Dot, index: usize, items: &[u8]) -> Edits {
    let index = index % (alive.len() + 1);
    let position = |index: usize| {
        let (part, _) = alive.get(index)?;
        Some(Position::decode(part).expect("every part is a position"))
    };
    let (left, right) = (index.checked_sub(1).and_then(position), position(index));
    let count = u16::try_from(items.len()).expect("few items are inserted at once");
    let run = Position::run(left.as_ref(), right.as_ref(), dot, count).expect("there is room");
    let edits = run.iter().zip(items).map(|(position, byte)| {
        let edit = put(&Row::default(), Bytes::copy_from_slice(&[*byte]));
        (position.as_bytes().clone(), edit)
    });
    edits.collect()
}
