//! Housekeeping in every vnode: what is logged is trimmed, what counts twice is made void, what has
//! expired is removed.

use std::ops::Bound;
use std::time::Duration;

use super::grants::keep;
use super::{Batch, Replica};
use crate::protocol::stage::SourceError;
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
        let mut voided = Vec::new();
        self.tends_again = false;
        for (&id, vnode) in &mut self.vnodes {
            let mut voids = vnode.void_doubles(hlc, &self.config.limits, &mut batch.stage)?;
            let purged = vnode.purge_cleared(hlc, &mut batch.stage)?;
            voids.extend(purged.answers);
            let trimmed = vnode.trim(&self.config.limits, &mut batch.stage)?;
            self.tends_again |= purged.has_more || trimmed >= self.config.limits.events_per_trim;
            let expired = vnode.sweep_records(hlc, &self.config.limits, &mut batch.stage)?;
            if vnode.mark_behind(&mut batch.stage) {
                batch.barrier = batch.barrier.max(Durability::Wal);
            }
            let settled = vnode.settle_some(&mut batch.stage)?;
            if purged.is_changed || trimmed + expired + settled + voids.len() > 0 {
                batch.touched.push(id);
                voided.push((id, voids));
            }
        }
        if self.tends_again {
            self.next_tending = batch.now.time.after(TEND_AGAIN);
        }
        self.sweep_expired(hlc, batch)?;
        for (id, voids) in voided {
            keep(&voids, batch);
            self.spread(id, &voids, batch);
        }
        Ok(())
    }

    /// Removes what has expired, in one vnode at a time.
    fn sweep_expired(&mut self, hlc: Hlc, batch: &mut Batch<'_>) -> Result<(), SourceError> {
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
        if let Some(vnode) = self.vnodes.get_mut(&id)
            && vnode.sweep_expired(hlc, &mut batch.stage)? > 0
        {
            batch.touched.push(id);
        }
        Ok(())
    }
}

/// How often dotlogs are trimmed and records swept.
const TEND_EVERY: Duration = Duration::from_millis(500);
/// How soon again when a batch of trimming was full: no slower than rows are written.
pub(super) const TEND_AGAIN: Duration = Duration::from_millis(20);
