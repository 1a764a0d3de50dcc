//! Housekeeping in every vnode: what is logged is trimmed, what counts twice is made void, what has
//! expired is removed.

use std::ops::Bound;
use std::time::Duration;

use super::grants::keep;
use super::{Batch, Replica};
use crate::protocol::stage::{SourceError, Stage};
use crate::protocol::vnode::{Limits, Purged, Vnode};
use crdt::Hlc;
use starling::wire::Durability;

impl Replica {
    /// Trims dotlogs, makes void what counts twice, and removes what has expired.
    pub(super) fn tend(&mut self, batch: &mut Batch<'_>) -> Result<(), SourceError> {
        if batch.now.time < self.next_tending || !self.config.limits.room.takes_writes() {
            return Ok(());
        }
        self.next_tending = batch.now.time.after(TEND_EVERY);
        let hlc = self.hlc.stamp(batch.now.wall_ms);
        let surely_ms = self.surely_ms();
        let mut voided = Vec::new();
        self.tends_again = false;
        for id in self.vnodes.keys().copied().collect::<Vec<_>>() {
            let tended = self.work(id, batch, |vnode, limits, stage| {
                tend_vnode(vnode, (hlc, surely_ms), limits, stage)
            })?;
            let Ok((tended, is_marked)) = tended else {
                continue;
            };
            if is_marked {
                batch.barrier = batch.barrier.max(Durability::Wal);
            }
            self.tends_again |= tended.has_more;
            if tended.is_changed {
                batch.touched.push(id);
                voided.push((id, tended.answers));
            }
        }
        self.tends_again |= self.tend_quarantine(batch)?;
        if self.tends_again {
            self.next_tending = batch.now.time.after(TEND_AGAIN);
        }
        self.sweep_expired(surely_ms, batch)?;
        self.take_up_hints(batch);
        self.walk(batch)?;
        for (id, voids) in voided {
            keep(&voids, batch);
            self.spread(id, &voids, batch);
        }
        Ok(())
    }

    /// Removes what has expired, in one vnode at a time.
    fn sweep_expired(&mut self, now_ms: u64, batch: &mut Batch<'_>) -> Result<(), SourceError> {
        let after = self
            .vnodes
            .range((Bound::Excluded(self.expired_in), Bound::Unbounded));
        let mut turn = after
            .chain(&self.vnodes)
            .filter(|(_, vnode)| vnode.may_expire());
        let Some(id) = turn.next().map(|(&id, _)| id) else {
            return Ok(());
        };
        self.expired_in = id;
        let vnode = self.vnodes.get_mut(&id);
        let swept = vnode.map_or(Ok(0), |v| v.sweep_expired(now_ms, &mut batch.stage));
        if self.looked(id, swept)?.is_ok_and(|swept| swept > 0) {
            batch.touched.push(id);
        }
        Ok(())
    }
}

/// Everything of one vnode but what has expired. Events are stamped with the first, and records
/// removed that are too old by the second. True if it has marked itself as behind.
fn tend_vnode(
    vnode: &mut Vnode,
    (hlc, surely_ms): (Hlc, u64),
    limits: &Limits,
    stage: &mut Stage<'_>,
) -> Result<(Purged, bool), SourceError> {
    let mut answers = vnode.void_doubles(hlc, limits, stage)?;
    let purged = vnode.purge_cleared(hlc, stage)?;
    answers.extend(purged.answers);
    let trimmed = vnode.trim(hlc, limits, stage)?;
    answers.extend(trimmed.answers);
    let expired = vnode.sweep_records(surely_ms, limits, stage)?;
    let is_marked = vnode.mark_behind(stage);
    let settled = vnode.settle_some(stage)?;
    let has_vouched = vnode.pay_back(stage);
    let is_changed =
        has_vouched || purged.is_changed || trimmed.entries + expired + settled + answers.len() > 0;
    let tended = Purged {
        has_more: purged.has_more || trimmed.has_more,
        is_changed,
        answers,
    };
    Ok((tended, is_marked))
}

/// How often dotlogs are trimmed and records swept.
const TEND_EVERY: Duration = Duration::from_millis(500);
/// How soon again when a batch of trimming was full: no slower than rows are written.
pub(super) const TEND_AGAIN: Duration = Duration::from_millis(20);
