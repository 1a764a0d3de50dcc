//! Subjects of one row: values, registers and flags.

use bytes::Bytes;
use fastrand::Rng;

use crate::subject::{Edits, Rows, Subject, row};
use crdt::Dot;
use crdt::kinds::flag::{Wins, disable, enable, is_enabled};
use crdt::kinds::{Edit, register, value};

const PART: Bytes = Bytes::new();

/// `Some` puts a byte, `None` deletes.
type Put = Option<u8>;

fn random_put(rng: &mut Rng) -> Put {
    (rng.u8(0..4) > 0).then(|| rng.u8(..))
}

fn put(rows: &Rows, put: Put) -> Edits {
    let row = row(rows, &PART);
    let edit = match put {
        Some(byte) => Edit::put(&row, Bytes::copy_from_slice(&[byte])),
        None => Edit::remove(&row),
    };
    vec![(PART, edit)]
}

/// A value with siblings. A plain one has at most one.
pub(crate) struct Value;

impl Subject for Value {
    type Operation = Put;
    type Shown = Vec<Vec<u8>>;
    type Plain = Put;

    fn random(rng: &mut Rng) -> Put {
        random_put(rng)
    }

    fn edits(rows: &Rows, _dot: Dot, operation: &Put) -> Edits {
        put(rows, *operation)
    }

    fn shown(rows: &Rows) -> Vec<Vec<u8>> {
        let siblings = value::siblings(&row(rows, &PART));
        siblings
            .iter()
            .map(|sibling| sibling.value.to_vec())
            .collect()
    }

    fn apply(plain: &mut Put, operation: &Put) {
        *plain = *operation;
    }

    fn plainly(plain: &Put) -> Vec<Vec<u8>> {
        plain.iter().map(|&byte| vec![byte]).collect()
    }
}

/// A register of which the latest assignment counts.
pub(crate) struct Register;

impl Subject for Register {
    type Operation = Put;
    type Shown = Option<Vec<u8>>;
    type Plain = Put;

    fn random(rng: &mut Rng) -> Put {
        random_put(rng)
    }

    fn edits(rows: &Rows, _dot: Dot, operation: &Put) -> Edits {
        let row = row(rows, &PART);
        let edit = match operation {
            Some(byte) => register::assign(&row, Bytes::copy_from_slice(&[*byte])),
            None => register::remove(&row),
        };
        vec![(PART, edit)]
    }

    fn shown(rows: &Rows) -> Option<Vec<u8>> {
        register::latest(&row(rows, &PART)).map(|latest| latest.value.to_vec())
    }

    fn apply(plain: &mut Put, operation: &Put) {
        *plain = *operation;
    }

    fn plainly(plain: &Put) -> Option<Vec<u8>> {
        plain.map(|byte| vec![byte])
    }
}

fn turn(rows: &Rows, on: bool, wins: Wins) -> Edits {
    let row = row(rows, &PART);
    let edit = if on {
        enable(&row, wins)
    } else {
        disable(&row, wins)
    };
    vec![(PART, edit)]
}

/// A flag whose enabling wins.
pub(crate) struct EnableWins;

/// A flag whose disabling wins.
pub(crate) struct DisableWins;

macro_rules! flag {
    ($subject:ty, $wins:expr) => {
        impl Subject for $subject {
            type Operation = bool;
            type Shown = bool;
            type Plain = bool;

            fn random(rng: &mut Rng) -> bool {
                rng.bool()
            }

            fn edits(rows: &Rows, _dot: Dot, operation: &bool) -> Edits {
                turn(rows, *operation, $wins)
            }

            fn shown(rows: &Rows) -> bool {
                is_enabled(&row(rows, &PART), $wins)
            }

            fn apply(plain: &mut bool, operation: &bool) {
                *plain = *operation;
            }

            fn plainly(plain: &bool) -> bool {
                *plain
            }
        }
    };
}

flag!(EnableWins, Wins::Enable);
flag!(DisableWins, Wins::Disable);
