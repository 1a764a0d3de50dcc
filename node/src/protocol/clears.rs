//! The clears of large collections that still have to be heeded ([`crdt::kinds::cleared`]).
//!
//! ```text
//!   a clear arrives   its range is hidden at once, in every read, pull and write
//!   bit by bit        the rows of the range are gone through, and what is hidden is removed
//!   at last           every owner holds the clear, the clock has all it removed, and its event is
//!                     trimmed: it is forgotten
//! ```
//!
//! Until it is forgotten a clear waits for versions that are still on their way here: the clock
//! does not know them, so it alone can tell that they are gone.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::keys::{Bounds, RowKey};
use crdt::Row;
use crdt::dots::DotSet;
use crdt::kinds::{Leaf, cleared};

/// Clears by the keys of their rows, so that those of one key stand together.
#[derive(Debug, Clone, Default)]
pub struct Clears {
    by_key: BTreeMap<RowKey, Clear>,
}

/// One range that was cleared.
#[derive(Debug, Clone)]
struct Clear {
    /// The first key of the range.
    from: Vec<u8>,
    /// The first key behind it.
    to: Vec<u8>,
    /// Under which dots nothing stands there any more.
    removed: DotSet,
    /// How far the rows have been gone through; `None` for all of them.
    purged_to: Option<Vec<u8>>,
}

impl Clear {
    fn holds(&self, key: &RowKey) -> bool {
        (&self.from[..]..&self.to[..]).contains(&key.as_bytes()) && !cleared::spares(key.leaf())
    }
}

impl Clears {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Takes note of a clear's row, as it is now. True if it clears more than was known: the range
    /// has to be gone through anew. A body that makes no sense to this version clears nothing.
    pub fn meet(&mut self, key: &RowKey, row: &Row) -> bool {
        let Some((from, to)) = key.cleared() else {
            return false;
        };
        let removed = cleared::removed(row).unwrap_or_default();
        let known = self.by_key.get(key).map(|clear| &clear.removed);
        if removed.is_empty() || known.is_some_and(|known| known.covers(&removed)) {
            return false;
        }
        self.add(key.clone(), (from, to), &removed);
        true
    }

    /// Takes up a range that was not gone through to its end.
    pub(super) fn resume(&mut self, key: RowKey, removed: &DotSet) {
        if let Some(range) = key.cleared() {
            self.add(key, range, removed);
        }
    }

    fn add(&mut self, key: RowKey, (from, to): Bounds, removed: &DotSet) {
        let purged_to = Some(from.clone());
        let clear = self.by_key.entry(key).or_insert_with(|| Clear {
            from,
            to,
            removed: DotSet::default(),
            purged_to: None,
        });
        clear.removed.join(removed);
        clear.purged_to = purged_to;
    }

    /// Leaves out of a row what is cleared. True if there was something.
    pub fn hide(&self, key: &RowKey, row: &mut Row) -> bool {
        let before = row.versions().len();
        for (_, clear) in self.holding(key) {
            row.hide(&clear.removed);
        }
        row.versions().len() < before
    }

    /// The rows of the clears whose ranges hold a row.
    pub fn around(&self, key: &RowKey) -> impl Iterator<Item = &RowKey> {
        self.holding(key).map(|(clear, _)| clear)
    }

    fn holding(&self, key: &RowKey) -> impl Iterator<Item = (&RowKey, &Clear)> {
        let of_key = (!self.is_empty()).then(|| self.of_key(key));
        let of_key = of_key.into_iter().flatten();
        of_key.filter(move |(_, clear)| clear.holds(key))
    }

    /// The rows of the clears whose ranges meet a range of keys.
    pub fn meeting(&self, from: &[u8], to: &[u8]) -> impl Iterator<Item = &RowKey> {
        let meets = move |clear: &Clear| clear.from[..] < *to && *from < clear.to[..];
        let meeting = self.by_key.iter().filter(move |(_, clear)| meets(clear));
        meeting.map(|(key, _)| key)
    }

    /// Each by the key of its row, with the dots under which nothing stands any more.
    pub fn iter(&self) -> impl Iterator<Item = (&RowKey, &DotSet)> {
        self.by_key.iter().map(|(key, clear)| (key, &clear.removed))
    }

    /// The first whose rows were not all gone through, and the range that is left.
    pub(super) fn unfinished(&self) -> Option<(RowKey, Bounds)> {
        self.by_key.iter().find_map(|(key, clear)| {
            let from = clear.purged_to.clone()?;
            Some((key.clone(), (from, clear.to.clone())))
        })
    }

    /// The rows of one were gone through up to here, or all of them.
    pub(super) fn purged(&mut self, key: &RowKey, to: Option<Vec<u8>>) {
        if let Some(clear) = self.by_key.get_mut(key) {
            clear.purged_to = to;
        }
    }

    /// Forgets one.
    pub(super) fn forget(&mut self, key: &RowKey) {
        self.by_key.remove(key);
    }

    /// The clears that belong to the same key of a client as a row.
    fn of_key(&self, key: &RowKey) -> impl Iterator<Item = (&RowKey, &Clear)> {
        let prefix = key.prefix();
        let first = prefix.row(Leaf::ALL[0], &[]);
        let rows = self
            .by_key
            .range((Bound::Included(first), Bound::Unbounded));
        rows.take_while(move |(of, _)| of.is_of(&prefix))
    }
}
