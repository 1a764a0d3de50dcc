//! The walk over what is stored: a stretch of one vnode after the other, so that damage is found
//! before somebody needs what it hit.
//!
//! ```text
//!   round      one vnode after the other, each from its beginning to its end
//!   beside it  the vnodes of which something could not be read, by whomever: one at a time
//! ```
//!
//! What cannot be read stops the round nowhere. Beside it, the walk stays at such a place until it
//! can be read, or until that has lasted: then it is taken for damaged.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::aside::Aside;
use super::tending::TEND_EVERY;
use super::{Batch, Replica};
use crate::protocol::stage::SourceError;
use crate::protocol::time::Time;
use crate::protocol::unreadable::Unreadable;
use crate::protocol::vnode::Place;
use ring::VnodeId;

/// How far the walk has come.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// When it goes on.
    next: Time,
    /// Where it looks next on its round.
    round: Option<(VnodeId, Option<Place>)>,
    /// The vnodes of which something could not be read, and from where on each is looked through.
    suspects: BTreeMap<VnodeId, Option<Place>>,
    /// Where among them it looks: at this one, or behind it.
    beside: Option<Bound<VnodeId>>,
    /// For how long that one could not be read where the walk has come to.
    unread: Unreadable,
}

impl Replica {
    /// Something of a vnode could not be read: the walk finds out whether that lasts.
    pub(super) fn suspect(&mut self, id: VnodeId) {
        self.walk.suspects.entry(id).or_default();
    }

    /// Looks at a stretch of what is stored, and at one of what could not be read.
    pub(super) fn walk(&mut self, batch: &Batch<'_>) -> Result<(), SourceError> {
        let now = batch.now.time;
        if self.config.verify_rows == 0 || now < self.walk.next {
            return Ok(());
        }
        self.walk.next = now.after(TEND_EVERY);
        self.look_beside(batch)?;
        self.go_round(batch)
    }

    /// Looks at a stretch of a vnode of which something could not be read. That costs nobody a
    /// batch until it has lasted.
    fn look_beside(&mut self, batch: &Batch<'_>) -> Result<(), SourceError> {
        let Some((id, place)) = self.next_suspect() else {
            return Ok(());
        };
        match self.verify(id, place.clone(), batch) {
            Ok(next) => {
                self.walk.unread = Unreadable::default();
                if next.is_some() {
                    self.walk.suspects.insert(id, next);
                } else {
                    self.walk.suspects.remove(&id);
                    self.walk.beside = Some(Bound::Excluded(id));
                }
                Ok(())
            }
            Err(error) => {
                self.walk.unread.fail(batch.now.time);
                let may_pass = matches!(error, SourceError::Unreadable { .. });
                if may_pass && !self.walk.unread.lasts() {
                    return Ok(());
                }
                let after = place.map_or(Vec::new(), |(_, key)| key);
                Err(error.lasting(&after).within(id))
            }
        }
    }

    /// The vnode that is looked through beside the round, and from where on.
    fn next_suspect(&mut self) -> Option<(VnodeId, Option<Place>)> {
        let mut suspects = std::mem::take(&mut self.walk.suspects);
        suspects.retain(|&id, _| self.walked(Bound::Included(id)) == Some(id));
        let last = self.walk.beside;
        let from = last.unwrap_or(Bound::Unbounded);
        let mut following = suspects.range((from, Bound::Unbounded)).chain(&suspects);
        let next = following.next().map(|(&id, place)| (id, place.clone()));
        self.walk.suspects = suspects;
        self.walk.beside = next.as_ref().map(|(id, _)| Bound::Included(*id));
        if self.walk.beside != last {
            self.walk.unread = Unreadable::default();
        }
        next
    }

    /// Looks at a stretch of one vnode after the other.
    fn go_round(&mut self, batch: &Batch<'_>) -> Result<(), SourceError> {
        let at = self.walk.round.take();
        let from = at
            .as_ref()
            .map_or(Bound::Unbounded, |(id, _)| Bound::Included(*id));
        let Some(id) = self.walked(from) else {
            return Ok(());
        };
        // Where a vnode is gone, the next one is looked at from its beginning.
        let place = at.filter(|(of, _)| *of == id).and_then(|(_, at)| at);
        let next = match self.verify(id, place.clone(), batch) {
            Ok(next) => next,
            Err(error @ SourceError::Unreadable { .. }) => {
                // The rest of it is looked at beside the round.
                self.unread = Some(error.to_string());
                self.walk.suspects.entry(id).or_insert(place);
                None
            }
            Err(error @ (SourceError::Corrupt { .. } | SourceError::Senseless { .. })) => {
                self.walk.round = Some((id, place));
                return Err(error.within(id));
            }
        };
        self.walk.round = match next {
            Some(place) => Some((id, Some(place))),
            None => self.walked(Bound::Excluded(id)).map(|id| (id, None)),
        };
        Ok(())
    }

    fn verify(
        &self,
        id: VnodeId,
        place: Option<Place>,
        batch: &Batch<'_>,
    ) -> Result<Option<Place>, SourceError> {
        let used = self.vnodes.get(&id);
        let vnode = used.or_else(|| self.aside.get(&id).and_then(Aside::before));
        let rows = self.config.verify_rows;
        let verified = vnode.map(|vnode| vnode.verify(place, rows, &batch.stage));
        Ok(verified.transpose()?.flatten())
    }

    /// The first vnode from there on that the walk can look at: one in use, or one that is aside
    /// and has been in use.
    fn walked(&self, from: Bound<VnodeId>) -> Option<VnodeId> {
        let used = self.vnodes.range((from, Bound::Unbounded)).next();
        let mut aside = self.aside.range((from, Bound::Unbounded));
        let aside = aside.find(|(_, aside)| aside.before().is_some());
        let aside = aside.map(|(&id, _)| id);
        used.map(|(&id, _)| id).into_iter().chain(aside).min()
    }
}
