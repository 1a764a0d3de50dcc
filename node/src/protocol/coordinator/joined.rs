//! Joining the rows that several replicas answered with.

use std::collections::BTreeMap;

use crate::protocol::clears::Clears;
use crate::protocol::keys::RowKey;
use crate::protocol::messages::{KeyedRow, RowsRead};
use crdt::kinds::Leaf;
use crdt::{Context, Row};

/// The join of whole replicas, as far as a selection shows them. Each replica's rows are filled
/// with the clock that belongs to them; a row that a replica does not have is, there, an empty row
/// so filled: what its clock has seen of the row is gone.
///
/// All rows are filled with the same, which is kept once and not in each of them.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// The rows, not filled.
    rows: BTreeMap<RowKey, Row>,
    /// What the clocks of the replicas so far have seen: what fills the rows, those that no replica
    /// has among them.
    seen: Context,
}

impl Joined {
    /// Joins one more replica's answer, whose rows are in the order of their keys.
    pub(super) fn add(&mut self, reply: RowsRead) {
        let there = Context::of(reply.clock.dots().bases());
        let mut theirs = reply.rows.into_iter().peekable();
        let mut new = Vec::new();
        for (key, row) in &mut self.rows {
            while let Some(keyed) = theirs.next_if(|keyed| keyed.key < *key) {
                new.push(keyed);
            }
            let same = theirs.next_if(|keyed| keyed.key == *key);
            let same = same.map_or_else(Row::default, |keyed| keyed.row);
            row.join_filled(&self.seen, &same, &there);
        }
        new.extend(theirs);
        let seen = &self.seen;
        let new = new.into_iter().map(|KeyedRow { key, mut row }| {
            row.join_filled(&there, &Row::default(), seen);
            (key, row)
        });
        if self.rows.is_empty() {
            self.rows = new.collect();
        } else {
            self.rows.extend(new);
        }
        self.seen.join(&there);
    }

    /// Leaves out what any replica knows to be cleared, and the clears.
    fn hide_cleared(&mut self) {
        let mut clears = Clears::default();
        for (key, row) in &self.rows {
            clears.meet(key, row);
        }
        self.rows.retain(|key, row| {
            clears.hide(key, row);
            key.leaf() != Leaf::Cleared
        });
    }

    /// The joined rows, not filled.
    pub(super) fn rows(&self) -> &BTreeMap<RowKey, Row> {
        &self.rows
    }

    /// The rows that show a version, what a reader of no row has seen, and what a reader of all of
    /// them has. The first goes with every row: it fills them.
    pub(super) fn finish(mut self) -> (BTreeMap<RowKey, Row>, Context, Context) {
        self.hide_cleared();
        let mut context = self.seen.clone();
        for (key, row) in &self.rows {
            // A row's own context may hold what a peer had seen of other rows when it sent this
            // one: it speaks for this row alone. The one row of a value is all of its key.
            if key.leaf() == Leaf::Value && key.path().names().is_empty() {
                context.join(row.context());
            }
            row.versions().keys().for_each(|&dot| context.insert(dot));
        }
        self.rows.retain(|_, row| !row.versions().is_empty());
        (self.rows, self.seen, context)
    }
}

/// The versions that any replica shows of the rows of a listing. It has but a few rows of each key,
/// and not the same ones from every replica, so what is missing says nothing: of a row that one
/// replica has renewed and another still shows with its old end, both versions are in it.
pub(super) fn listed(replies: impl Iterator<Item = RowsRead>) -> BTreeMap<RowKey, Row> {
    let mut listed: BTreeMap<RowKey, Row> = BTreeMap::new();
    for keyed in replies.flat_map(|reply| reply.rows) {
        let row = listed.entry(keyed.key).or_default();
        for (&dot, version) in keyed.row.versions() {
            row.join(&Row::write(dot, version.clone(), Context::default()));
        }
    }
    listed
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{RowsRead, listed};
    use crate::protocol::keys::{KeyPrefix, RowKey};
    use crate::protocol::messages::KeyedRow;
    use crdt::dots::DotSet;
    use crdt::kinds::Leaf;
    use crdt::{Actor, Clock, Context, Dot, Hlc, Row, Version};
    use ring::{BucketId, Token};

    fn key() -> RowKey {
        KeyPrefix::new(3, Token(1), BucketId(1), b"k", b"").row(Leaf::Value, b"")
    }

    fn reply(row: Row) -> RowsRead {
        RowsRead {
            rows: vec![KeyedRow { key: key(), row }],
            clock: Clock::default(),
            catching_up: false,
            until: None,
            sampled: None,
            left_out: DotSet::default(),
        }
    }

    #[test]
    fn a_listing_shows_what_one_owner_has_renewed_whoever_answers_last() {
        let dot = |counter| Dot::new(Actor { node: 1, nonce: 1 }, counter);
        let ending = |end| Version {
            expires_ms: Some(end),
            ..Version::new(Hlc::at(1), None, Bytes::new())
        };
        let mut covered = Context::default();
        covered.insert(dot(1));
        let old = || reply(Row::write(dot(1), ending(10), Context::default()));
        let renewed = || reply(Row::write(dot(2), ending(99), covered.clone()));
        for replies in [[old(), renewed()], [renewed(), old()]] {
            let rows = listed(replies.into_iter());
            let ends = rows[&key()].versions().values().map(|v| v.expires_ms);
            assert_eq!(ends.max(), Some(Some(99)));
        }
    }
}
