//! Housekeeping in every vnode: what is logged is trimmed, what counts twice is made void, what has
//! expired is removed.

use std::ops::Bound;
use std::time::Duration;

use super::grants::keep;
use super::{Batch, Replica};
use crate::protocol::messages::Change;
use crate::protocol::stage::{SourceError, Stage};
use crate::protocol::time::Time;
use crate::protocol::vnode::{Limits, RECORDS_PER_SWEEP, Vnode};
use crdt::Hlc;
use ring::VnodeId;
use starling::wire::Durability;

impl Replica {
    /// Trims dotlogs, makes void what counts twice, and removes what has expired: a round over all
    /// vnodes, a stretch at a time, so that no write waits for the whole of it.
    pub(super) fn tend(&mut self, batch: &mut Batch<'_>) -> Result<(), SourceError> {
        if batch.now.time < self.tending.next || !self.config.limits.room.takes_writes() {
            return Ok(());
        }
        self.tend_vnodes(batch)?;
        if self.tending.to.is_some() {
            self.tending.next = batch.now.time.after(TEND_ON);
            return Ok(());
        }
        self.tending.again |= self.tend_quarantine(batch)?;
        let pause = if self.tending.again {
            TEND_AGAIN
        } else {
            TEND_EVERY
        };
        self.tending.next = batch.now.time.after(pause);
        self.sweep_expired(self.surely_ms(), batch)?;
        self.take_up_hints(batch);
        self.walk(batch)
    }

    /// The next stretch of a round, or the first one.
    fn tend_vnodes(&mut self, batch: &mut Batch<'_>) -> Result<(), SourceError> {
        let hlc = self.hlc.stamp(batch.now.wall_ms);
        let surely_ms = self.surely_ms();
        let mut voided = Vec::new();
        let from = match self.tending.to.take() {
            Some(last) => Bound::Excluded(last),
            None => {
                self.tending.again = false;
                Bound::Unbounded
            }
        };
        let rest = self.vnodes.range((from, Bound::Unbounded));
        let mut looked_at = 0;
        for id in rest.map(|(&id, _)| id).collect::<Vec<_>>() {
            let tended = self.work(id, batch, |vnode, limits, stage| {
                tend_vnode(vnode, (hlc, surely_ms), limits, stage)
            })?;
            let Ok(tended) = tended else {
                continue;
            };
            if tended.is_marked {
                batch.barrier = batch.barrier.max(Durability::Wal);
            }
            self.tending.again |= tended.has_more;
            if tended.is_changed {
                batch.touched.push(id);
                voided.push((id, tended.answers));
            }
            looked_at += tended.looked_at;
            if looked_at >= MOST_LOOKED_AT {
                self.tending.to = Some(id);
                break;
            }
        }
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

/// How far a round of housekeeping has come.
#[derive(Debug, Default)]
pub(super) struct Tending {
    /// When to go on.
    next: Time,
    /// The vnode that was the last one of a stretch, unless a round has ended.
    to: Option<VnodeId>,
    /// There is more to do in some vnode than one round takes.
    again: bool,
}

impl Tending {
    /// When to go on, if that is before the next tick for another reason would do.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        (self.again || self.to.is_some()).then_some(self.next)
    }
}

/// What was done in one vnode.
struct Tended {
    /// How many entries were looked at, or could have been.
    looked_at: usize,
    is_changed: bool,
    /// There is more to do.
    has_more: bool,
    /// It has marked itself as behind.
    is_marked: bool,
    /// The events that it made of its own.
    answers: Vec<Change>,
}

/// Everything of one vnode but what has expired. Events are stamped with the first, and records
/// removed that are too old by the second.
fn tend_vnode(
    vnode: &mut Vnode,
    (hlc, surely_ms): (Hlc, u64),
    limits: &Limits,
    stage: &mut Stage<'_>,
) -> Result<Tended, SourceError> {
    let mut answers = vnode.void_doubles(hlc, limits, stage)?;
    let purged = vnode.purge_cleared(hlc, limits, stage)?;
    answers.extend(purged.answers);
    let trimmed = vnode.trim(hlc, limits, stage)?;
    answers.extend(trimmed.answers);
    let (mut expired, mut swept) = (0, 0);
    if vnode.may_sweep_records(surely_ms, limits) {
        expired = vnode.sweep_records(surely_ms, limits, stage)?;
        swept = RECORDS_PER_SWEEP;
    }
    let is_marked = vnode.mark_behind(stage);
    let settled = vnode.settle_some(stage)?;
    let has_vouched = vnode.pay_back(stage);
    let is_changed =
        has_vouched || purged.is_changed || trimmed.entries + expired + settled + answers.len() > 0;
    Ok(Tended {
        looked_at: trimmed.entries + swept + settled + answers.len(),
        is_changed,
        has_more: purged.has_more || trimmed.has_more,
        is_marked,
        answers,
    })
}

/// How often dotlogs are trimmed and records swept.
pub(super) const TEND_EVERY: Duration = Duration::from_millis(500);
/// How soon again when a batch of trimming was full: no slower than rows are written.
const TEND_AGAIN: Duration = Duration::from_millis(20);
/// How soon the next stretch of a round follows: whoever waits is served in between.
const TEND_ON: Duration = Duration::from_millis(2);
/// How many entries a stretch looks at, but for the rest of its last vnode: a quarter of a
/// millisecond.
const MOST_LOOKED_AT: usize = 256;
