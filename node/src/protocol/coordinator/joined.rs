//! Joining the rows that several replicas answered with.

use std::collections::BTreeMap;

use crate::protocol::keys::RowKey;
use crate::protocol::messages::RowsRead;
use crdt::kinds::Leaf;
use crdt::{Context, Row};

/// The join of whole replicas, as far as a selection shows them. Each replica's rows are filled
/// with the clock that belongs to them; a row that a replica does not have is, there, an empty row
/// so filled: what its clock has seen of the row is gone.
#[derive(Debug, Default)]
pub(super) struct Joined {
    rows: BTreeMap<RowKey, Row>,
    /// What a row is at all replicas so far that do not have it.
    absent: Row,
}

impl Joined {
    /// Joins one more replica's answer.
    pub(super) fn add(&mut self, reply: &RowsRead) {
        let mut absent_there = Row::default();
        absent_there.fill(&reply.clock);
        for keyed in &reply.rows {
            let mut theirs = keyed.row.clone();
            theirs.fill(&reply.clock);
            let row = self
                .rows
                .entry(keyed.key.clone())
                .or_insert_with(|| self.absent.clone());
            row.join(&theirs);
        }
        if self.rows.len() > reply.rows.len() {
            for (key, row) in &mut self.rows {
                let is_theirs = reply
                    .rows
                    .binary_search_by(|keyed| keyed.key.cmp(key))
                    .is_ok();
                if !is_theirs {
                    row.join(&absent_there);
                }
            }
        }
        self.absent.join(&absent_there);
    }

    /// The joined rows, filled.
    pub(super) fn rows(&self) -> &BTreeMap<RowKey, Row> {
        &self.rows
    }

    /// The rows that show a version, what a reader of no row has seen, and what a reader of all of
    /// them has.
    pub(super) fn finish(mut self) -> (BTreeMap<RowKey, Row>, Context, Context) {
        let bases = self.absent.seen();
        let mut context = bases.clone();
        for (key, row) in &self.rows {
            // A row's own context may hold what a peer had seen of other rows when it sent this
            // one: it speaks for this row alone. The one row of a value is all of its key.
            if key.leaf() == Leaf::Value && key.path().names().is_empty() {
                context.join(row.context());
            }
            row.versions().keys().for_each(|&dot| context.insert(dot));
        }
        self.rows.retain(|_, row| !row.versions().is_empty());
        (self.rows, bases, context)
    }
}
