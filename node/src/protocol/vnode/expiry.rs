//! Removing the versions whose time is over.
//!
//! The end of a version is part of it, and readers hide it from then on, alike everywhere. What is
//! left is to free its room: each vnode walks its rows and takes the versions out that have been
//! over for a while. That needs no event: the dot is in the clock, and a row that does not show it
//! says "gone" to whoever still has it. A row's context stays until the clock explains it; nothing
//! that a version had killed comes back with its end.
//!
//! A node walks through one vnode after the other, a bounded stretch at a time, so expired data may
//! stay on the disk for a while: with ten million rows about twenty minutes. A vnode in which a
//! whole walk met nothing that expires is left alone until something is written that does.

use super::Vnode;
use crate::mutants::{self, Mutant};
use crate::protocol::keys::{RowKey, data_range, successor};
use crate::protocol::stage::{Family, SourceError, Stage, decode_row};
use crdt::{Context, Row};

/// How far the walk has come, and whether there is anything to look for.
#[derive(Debug)]
pub(super) struct Expiring {
    at: Vec<u8>,
    /// This walk, or a write since it began, met a version that expires.
    is_met: bool,
    is_worth_it: bool,
}

impl Expiring {
    /// At its beginning a vnode does not know what it holds.
    pub(super) fn new() -> Self {
        Self {
            at: Vec::new(),
            is_met: false,
            is_worth_it: true,
        }
    }

    /// A row is written that may hold versions that expire.
    pub(super) fn meet(&mut self, row: &Row) {
        if row.versions().values().any(|v| v.expires_ms.is_some()) {
            self.is_met = true;
            self.is_worth_it = true;
        }
    }
}

impl Vnode {
    /// May there be versions that expire?
    #[must_use]
    pub fn may_expire(&self) -> bool {
        self.expiring.is_worth_it
    }

    /// Looks through a stretch of the rows at a time that has surely come. The next call goes on
    /// where this one ended. Returns how many rows lost a version.
    ///
    /// # Errors
    /// When the store cannot be read: nothing has changed, and the next call looks there again.
    pub fn sweep_expired(
        &mut self,
        now_ms: u64,
        stage: &mut Stage<'_>,
    ) -> Result<usize, SourceError> {
        let (start, end) = data_range(self.id, self.bits);
        let from = self.expiring.at.clone().max(start);
        let found = stage.range(Family::Data, &from, &end, STRETCH)?;
        self.expiring.at = Vec::new();
        let over = now_ms.saturating_sub(GRACE_MS);
        let mut changed = 0;
        for (key, stored) in &found {
            let mut row = decode_row(key, stored)?;
            self.expiring.meet(&row);
            let (is_over, kills) = (row.remove_expired(over), row.context().dots().len());
            if !is_over && !row.versions().is_empty() {
                continue;
            }
            // What an earlier walk left of a row goes when the clock explains it.
            row.strip(&self.clock);
            if mutants::is_active(Mutant::ExpiryDropsContext) {
                row.set_context(Context::default());
            }
            self.expiring.is_met |= row.versions().is_empty() && !row.is_empty();
            if is_over || row.context().dots().len() < kills {
                let key = RowKey::decode(key).map_err(|error| SourceError::corrupt(key, error))?;
                stage.put_row(&key, &row);
                changed += usize::from(is_over);
            }
        }
        if let Some((last, _)) = found.last().filter(|_| found.len() == STRETCH) {
            self.expiring.at = successor(last);
        } else {
            self.expiring.is_worth_it = std::mem::take(&mut self.expiring.is_met);
        }
        Ok(changed)
    }
}

/// Rows that one step looks at.
const STRETCH: usize = 4_096;
/// How long a version is kept after its end: longer than any two clocks may be apart that agree, so
/// that no reader whose clock is behind would have shown it.
const GRACE_MS: u64 = 60_000;
