//! Where the counters in the fields of maps are that a clear of the map has to reset.
//!
//! A clear takes everything by one event but counters, whose shares are reset one by one
//! ([`crdt::kinds::cleared`]). In a map of a million fields they would be found by looking at every
//! one of these. So of every share in a field that holds more than was reset of it a mark is kept,
//! written and removed in the batch that changes the row:
//!
//! ```text
//!   "shares" | row key of the share
//! ```
//!
//! A clear then costs what counters there are, and nothing for the other fields. A counter that is
//! a key of its own has no mark: it is in no map, and an increment of it costs nothing more.

use super::keys::{Bounds, RowKey, data_range};
use crdt::Row;
use crdt::kinds::Leaf;
use crdt::kinds::counter::Share;
use ring::{QBits, VnodeId};

/// The `meta` key of the mark of a row; `None` if it has none, whatever it holds.
#[must_use]
pub fn mark_key(key: &RowKey) -> Option<Vec<u8>> {
    let is_marked = key.leaf() == Leaf::Share && key.is_in_field();
    is_marked.then(|| [SHARES, key.as_bytes()].concat())
}

/// Does a share hold more than was reset of it? One that cannot be read is for whoever resets it to
/// tell.
#[must_use]
pub fn is_marked(row: &Row) -> bool {
    let share = Share::of(row);
    !share.is_ok_and(|share| share.is_reset())
}

/// Where the marks of the rows of a range lie: from, and up to but without.
#[must_use]
pub fn marks_range((from, to): &Bounds) -> Bounds {
    ([SHARES, from].concat(), [SHARES, to].concat())
}

/// Where the marks of all rows of a vnode lie.
#[must_use]
pub fn marks_of_vnode(id: VnodeId, bits: QBits) -> Bounds {
    marks_range(&data_range(id, bits))
}

/// The key of the row that a mark stands for.
#[must_use]
pub fn row_of_mark(mark: &[u8]) -> &[u8] {
    mark.strip_prefix(SHARES).unwrap_or_default()
}

const SHARES: &[u8] = b"shares";
