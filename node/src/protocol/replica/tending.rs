//! Housekeeping in every vnode: what is logged is trimmed, what counts twice is made void, what has
//! expired is removed.

use std::ops::Bound;
use std::time::Duration;

use super::grants::keep;
use super::{Batch, Replica};
use crate::protocol::stage::SourceError;
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
        for (&id, vnode) in &mut self.vnodes {
            let tended = tend_vnode(vnode, (hlc, surely_ms), &self.config.limits, batch);
            let tended = tended.map_err(|error| error.within(id))?;
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
        self.verify(batch)?;
        for (id, voids) in voided {
            keep(&voids, batch);
            self.spread(id, &voids, batch);
        }
        Ok(())
    }

    /// Looks at a stretch of what is stored, in one vnode after the other.
    fn verify(&mut self, batch: &Batch<'_>) -> Result<(), SourceError> {
        let limit = self.config.verify_rows;
        if limit == 0 {
            return Ok(());
        }
        let (from, place) = match self.verifying.take() {
            Some((id, place)) => (Bound::Included(id), Some((id, place))),
            None => (Bound::Unbounded, None),
        };
        let Some((&id, vnode)) = self.vnodes.range((from, Bound::Unbounded)).next() else {
            return Ok(());
        };
        // Where a vnode is gone, the next one is looked at from its beginning.
        let place = place.filter(|(of, _)| *of == id).and_then(|(_, at)| at);
        let next = match vnode.verify(place.clone(), limit, &batch.stage) {
            Ok(next) => next,
            Err(error) => return self.look_again(id, place, error),
        };
        self.unread = 0;
        let after = (Bound::Excluded(id), Bound::Unbounded);
        let following = self.vnodes.range(after).next();
        self.verifying = match next {
            Some(place) => Some((id, Some(place))),
            None => following.map(|(&id, _)| (id, None)),
        };
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
        if let Some(vnode) = self.vnodes.get_mut(&id)
            && vnode
                .sweep_expired(now_ms, &mut batch.stage)
                .map_err(|error| error.within(id))?
                > 0
        {
            batch.touched.push(id);
        }
        Ok(())
    }
}

/// Everything of one vnode but what has expired. Events are stamped with the first, and records
/// removed that are too old by the second.
fn tend_vnode(
    vnode: &mut Vnode,
    (hlc, surely_ms): (Hlc, u64),
    limits: &Limits,
    batch: &mut Batch<'_>,
) -> Result<Purged, SourceError> {
    let mut answers = vnode.void_doubles(hlc, limits, &mut batch.stage)?;
    let purged = vnode.purge_cleared(hlc, &mut batch.stage)?;
    answers.extend(purged.answers);
    let trimmed = vnode.trim(hlc, limits, &mut batch.stage)?;
    answers.extend(trimmed.answers);
    let expired = vnode.sweep_records(surely_ms, limits, &mut batch.stage)?;
    if vnode.mark_behind(&mut batch.stage) {
        batch.barrier = batch.barrier.max(Durability::Wal);
    }
    let settled = vnode.settle_some(&mut batch.stage)?;
    let has_vouched = vnode.pay_back(&mut batch.stage);
    let is_changed =
        has_vouched || purged.is_changed || trimmed.entries + expired + settled + answers.len() > 0;
    Ok(Purged {
        has_more: purged.has_more || trimmed.has_more,
        is_changed,
        answers,
    })
}

/// How often dotlogs are trimmed and records swept.
const TEND_EVERY: Duration = Duration::from_millis(500);
/// How soon again when a batch of trimming was full: no slower than rows are written.
pub(super) const TEND_AGAIN: Duration = Duration::from_millis(20);
