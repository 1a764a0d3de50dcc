//! `list`: items in an order that users choose, one row for each item.
//!
//! An item's row has its [`Position`] as its part, and positions are in the order of the list. So a
//! list is read by a scan, an insertion is one write whatever the length, and a removal leaves
//! nothing behind.
//!
//! | concurrent | gives |
//! |---|---|
//! | insert x, insert y at one place | both, in the same order everywhere |
//! | insert a run, insert a run at one place | one run behind the other, never mixed |
//! | insert beside x, remove x | the inserted item stays where it is |
//! | replace x by a, replace x by b | the one with the greater (stamp, dot) |
//! | replace x, remove x | the replacement: a removal takes only what it saw |
//! | remove x, remove x | x is out |
//!
//! Source: see [`position`].

pub mod position;

use bytes::Bytes;

use crate::kinds::rules::{Rows, Rules, Twice, Unmade, Update};
use crate::kinds::value::Sibling;
use crate::kinds::{Edit, register};
use crate::row::Row;

pub use position::{MAX_POSITION, Maker, Position, PositionError};

/// Items are put in and taken out.
pub const RULES: Rules = Rules {
    make: |row, update| match update {
        Update::Insert(item) => Ok(Some(put(row, item.clone()))),
        Update::Remove => Ok(Some(remove(row))),
        _ => Err(Unmade::NotOfKind),
    },
    ..Rules::new(
        "item",
        Rows::Items(|row| item(row).is_some()),
        Twice::Aliases,
    )
};

/// Writes an item: a new one into the empty row of its position, or another over what is seen.
#[must_use]
pub fn put(row: &Row, item: Bytes) -> Edit {
    Edit::put(row, item)
}

/// Removes exactly what is seen of the item here.
#[must_use]
pub fn remove(row: &Row) -> Edit {
    Edit::remove(row)
}

/// The item of a joined row. `None` if it was removed.
#[must_use]
pub fn item(row: &Row) -> Option<Sibling> {
    register::latest(row)
}
