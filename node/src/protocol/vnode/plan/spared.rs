//! What a retry leaves standing: what others wrote, beside which it stands until the next write.

use super::{PENDING, Planner};
use crate::mutants::{self, Mutant};
use crate::protocol::keys::RowKey;
use crdt::Row;
use crdt::dots::DotSet;
use crdt::kinds::rules::Twice;

/// What a retry leaves standing in a row.
#[derive(Default)]
pub(super) struct Spared {
    pub(super) all: DotSet,
    /// What is surely older than its first try.
    older: DotSet,
}

impl Planner<'_> {
    /// What a retry does not cover of a row, although its kind would. It leaves what others wrote
    /// standing beside it: that may have been written over its first try, which is not here, or the
    /// first try without it. The next write covers both.
    ///
    /// What has an end leaves only what is newer than its first try: the older is not to come back
    /// then. So does what an older version may veto, since it would have no effect beside it, and
    /// only where the row was changed over something that is not here.
    pub(super) fn spared(&self, key: &RowKey, row: &Row) -> Spared {
        let rules = key.leaf().rules();
        let is_free = !rules.vetoes || !row.context().is_empty();
        let may_leave = is_free && rules.twice == Twice::Aliases;
        let Some(began_ms) = self.began_ms.filter(|_| may_leave) else {
            return Spared::default();
        };
        let mut spared = Spared::default();
        let mut bytes = 0;
        for (&dot, version) in row.versions() {
            let is_new = version.hlc.milliseconds() >= began_ms;
            let is_other = dot != PENDING && version.op != self.operation;
            if is_other && (is_new || !(rules.vetoes || self.has_end)) {
                bytes += version.body.len();
                spared.all.insert(dot);
                if !is_new {
                    spared.older.insert(dot);
                }
            }
        }
        let is_much = spared.all.len() > MOST_SPARED || bytes > MOST_SPARED_BYTES;
        if is_much || mutants::is_active(Mutant::RetryCovers) {
            return Spared::default();
        }
        spared
    }

    /// Notes what a planned retry leaves standing.
    pub(super) fn leave(&mut self, row: &RowKey, spared: &Spared) {
        if let Some(&place) = self.places.get(row) {
            self.plans[place].beside.join(&spared.older);
        }
    }
}

/// By how much the clocks of two coordinators may differ, and more.
pub(super) const APART_MS: u64 = 1_000;
/// Versions that a retry leaves standing in a row at the most, and the bytes of their bodies; where
/// there are more it covers all.
const MOST_SPARED: u64 = 16;
const MOST_SPARED_BYTES: usize = 256 << 10;
