//! The walk over what is stored: a stretch of one vnode after the other, so that damage is found
//! before somebody needs what it hit.
//!
//! Where something could not be read, by whomever, the walk goes next. It stays at a place that it
//! cannot read, and after [`MOST_TRIES`] in a row, about ten seconds, takes it for damaged.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::aside::Aside;
use super::{Batch, Replica};
use crate::protocol::stage::{MOST_TRIES, SourceError};
use crate::protocol::vnode::Place;
use ring::VnodeId;

/// How far the walk has come.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Where it looks next.
    at: Option<(VnodeId, Option<Place>)>,
    /// How often in a row it could not be read there.
    unread: u32,
    /// The vnodes of which something could not be read: they come before the others.
    suspects: BTreeSet<VnodeId>,
}

impl Replica {
    /// Something of a vnode could not be read: the walk finds out whether that lasts.
    pub(super) fn suspect(&mut self, id: VnodeId) {
        let Walk {
            at,
            unread,
            suspects,
        } = &mut self.walk;
        let is_at_one = at.as_ref().is_some_and(|(at, _)| suspects.contains(at));
        suspects.insert(id);
        if !is_at_one && at.as_ref().is_none_or(|(at, _)| *at != id) {
            (*at, *unread) = (Some((id, None)), 0);
        }
    }

    /// Looks at a stretch of what is stored.
    pub(super) fn walk(&mut self, batch: &Batch<'_>) -> Result<(), SourceError> {
        let limit = self.config.verify_rows;
        if limit == 0 {
            return Ok(());
        }
        let mut suspects = std::mem::take(&mut self.walk.suspects);
        suspects.retain(|&id| self.walked(Bound::Included(id)) == Some(id));
        self.walk.suspects = suspects;
        let at = self.walk.at.take();
        let from = at
            .as_ref()
            .map_or(Bound::Unbounded, |(id, _)| Bound::Included(*id));
        let Some(id) = self.walked(from) else {
            return Ok(());
        };
        // Where a vnode is gone, the next one is looked at from its beginning.
        let place = at.filter(|(of, _)| *of == id).and_then(|(_, at)| at);
        let used = self.vnodes.get(&id);
        let vnode = used.or_else(|| self.aside.get(&id).and_then(Aside::before));
        let verified = vnode.map(|vnode| vnode.verify(place.clone(), limit, &batch.stage));
        let next = match verified.transpose() {
            Ok(next) => next.flatten(),
            Err(error) => return self.look_again(id, place, error),
        };
        self.walk.unread = 0;
        self.walk.at = match next {
            Some(place) => Some((id, Some(place))),
            None => self.after(id).map(|id| (id, None)),
        };
        Ok(())
    }

    /// The walk came to nothing here, and looks here again. What cannot be read costs nobody a
    /// batch until that has lasted.
    fn look_again(
        &mut self,
        id: VnodeId,
        place: Option<Place>,
        error: SourceError,
    ) -> Result<(), SourceError> {
        let after = place.as_ref().map_or(&[][..], |(_, key)| key).to_vec();
        self.walk.at = Some((id, place));
        self.walk.suspects.insert(id);
        self.walk.unread += 1;
        let may_pass = matches!(error, SourceError::Unreadable { .. });
        if may_pass && self.walk.unread < MOST_TRIES {
            return Ok(());
        }
        self.walk.unread = 0;
        Err(error.lasting(&after).within(id))
    }

    /// Where the walk goes when it has been through a vnode.
    fn after(&mut self, id: VnodeId) -> Option<VnodeId> {
        let suspects = &mut self.walk.suspects;
        suspects.remove(&id);
        let following = suspects.range((Bound::Excluded(id), Bound::Unbounded));
        let suspect = following.chain(&*suspects).next().copied();
        suspect.or_else(|| self.walked(Bound::Excluded(id)))
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
