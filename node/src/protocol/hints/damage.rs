//! Shelves that cannot be read: each costs what lies on it, and nothing else of the node.
//!
//! Owners have what a shelf holds from each other, so nobody has to wait for it. A shelf that is
//! damaged is set aside: its bytes stay, nothing is added to it and nothing of it is handed over.
//! It is taken up again when the shelves are looked for again, and set aside as soon as the damage
//! is met.
//!
//! A read that fails for other reasons may succeed later. A delivery that meets it is tried again
//! when the owner is asked next; a shelf of which nothing could be read for long is set aside, as
//! is one to which something was to be added, since it remembers half of that. It is taken up again
//! by the housekeeping, for ever, after pauses that grow ([`Unreadable`]).

use super::shelf::{self, Held, Shelf};
use super::{Hints, Seat};
use crate::protocol::messages::Refusal;
use crate::protocol::stage::{Source, SourceError};
use crate::protocol::unreadable::Unreadable;
use ring::VnodeId;

/// A shelf of which nothing is taken and to which nothing is added.
#[derive(Debug)]
pub(super) struct Aside {
    reason: String,
    /// For how long it could not be read; `None` if it is damaged: trying again is of no use.
    unread: Option<Unreadable>,
}

/// What could not be read of where the shelves lie: it may hide some.
#[derive(Debug)]
pub(super) struct Hidden {
    reason: String,
    unread: Unreadable,
}

impl Hints {
    /// The shelves that are damaged, each with how.
    pub fn damaged(&self) -> impl Iterator<Item = (VnodeId, &str)> {
        let damaged = self
            .aside
            .iter()
            .filter(|(_, aside)| aside.unread.is_none());
        damaged.map(|(&id, aside)| (id, &*aside.reason))
    }

    /// The shelves that are set aside until they can be read, each with what was met.
    pub fn unreadable(&self) -> impl Iterator<Item = (VnodeId, &str)> {
        let unread = self
            .aside
            .iter()
            .filter(|(_, aside)| aside.unread.is_some());
        unread.map(|(&id, aside)| (id, &*aside.reason))
    }

    /// Why some shelves of an earlier life may not have been found: those are not handed over until
    /// they are. All others are, and more is kept for anybody whose shelf can be read.
    #[must_use]
    pub fn hidden(&self) -> Option<&str> {
        self.hidden.as_ref().map(|hidden| &*hidden.reason)
    }

    /// Looks for shelves of an earlier life and takes up those that are not known yet.
    pub(super) fn look_for_shelves(
        &mut self,
        source: &dyn Source,
        seat: &mut dyn FnMut(VnodeId) -> Seat,
    ) {
        let (found, failed) = shelf::list(source);
        for id in found {
            if !self.shelves.contains_key(&id) && !self.aside.contains_key(&id) {
                self.take_up(id, Unreadable::default(), source, seat);
            }
        }
        let before = self.hidden.take();
        self.hidden = failed.map(|error| {
            let mut unread = before.map_or_else(Unreadable::default, |before| before.unread);
            unread.fail(self.now);
            let reason = error.to_string();
            Hidden { reason, unread }
        });
    }

    /// Takes up a shelf that could not be read for so long.
    fn take_up(
        &mut self,
        id: VnodeId,
        unread: Unreadable,
        source: &dyn Source,
        seat: &mut dyn FnMut(VnodeId) -> Seat,
    ) {
        let taken = Held::of(id, source).and_then(|held| match held {
            Some(held) => Shelf::recover(id, seat(id), held, source).map(Some),
            None => Ok(None),
        });
        match taken {
            Ok(Some(shelf)) => {
                self.shelves.insert(id, Shelf { unread, ..shelf });
            }
            Ok(None) => {}
            Err(error) => self.put_aside(id, unread, &error),
        }
    }

    /// Tries again what could not be read and may have passed.
    pub fn try_again(&mut self, source: &dyn Source, mut seat: impl FnMut(VnodeId) -> Seat) {
        let now = self.now;
        let unread = self.aside.iter();
        let unread = unread.filter_map(|(&id, aside)| Some((id, aside.unread?)));
        let due = unread.filter(|(_, unread)| unread.is_due(now));
        for (id, unread) in due.collect::<Vec<_>>() {
            self.aside.remove(&id);
            self.take_up(id, unread, source, &mut seat);
        }
        let hidden = self.hidden.as_ref();
        if hidden.is_some_and(|hidden| hidden.unread.is_due(now)) {
            self.look_for_shelves(source, &mut seat);
        }
    }

    /// Nothing more is done with a shelf.
    fn set_aside(&mut self, id: VnodeId, error: &SourceError) {
        let shelf = self.shelves.remove(&id);
        let unread = shelf.map_or_else(Unreadable::default, |shelf| shelf.unread);
        self.put_aside(id, unread, error);
    }

    fn put_aside(&mut self, id: VnodeId, mut unread: Unreadable, error: &SourceError) {
        unread.fail(self.now);
        let may_pass = matches!(error, SourceError::Unreadable { .. });
        let aside = Aside {
            reason: error.to_string(),
            unread: may_pass.then_some(unread),
        };
        self.aside.insert(id, aside);
    }

    /// A shelf could not be read, and nothing has been changed: whatever waits for it goes on
    /// without.
    pub(super) fn bear(&mut self, id: VnodeId, error: &SourceError) {
        if let SourceError::Unreadable { .. } = error
            && let Some(shelf) = self.shelves.get_mut(&id)
        {
            shelf.unread.fail(self.now);
            if !shelf.unread.lasts() {
                return;
            }
        }
        self.set_aside(id, error);
    }

    /// Something was to be entered on a shelf. Where that failed, nothing of it was staged, and
    /// what the shelf remembers may be half of it: it is set aside, and the request is refused.
    pub(super) fn entered<T>(
        &mut self,
        id: VnodeId,
        done: Result<T, SourceError>,
    ) -> Result<T, Refusal> {
        match done {
            Ok(done) => {
                if let Some(shelf) = self.shelves.get_mut(&id) {
                    shelf.unread = Unreadable::default();
                }
                Ok(done)
            }
            Err(error) => {
                self.set_aside(id, &error);
                Err(Refusal::Storage)
            }
        }
    }
}
