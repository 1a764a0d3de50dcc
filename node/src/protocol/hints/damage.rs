//! Shelves that cannot be read: each costs what lies on it, and nothing else of the node.
//!
//! Owners have what a shelf holds from each other, so nobody has to wait for it. A shelf that is
//! damaged is set aside: its bytes stay, nothing is added to it and nothing of it is handed over.
//! It is taken up again when the shelves are looked for again, and set aside as soon as the damage
//! is met.
//!
//! A read that fails for other reasons may succeed later. A delivery that meets it is tried again.
//! A shelf to which something was to be added remembers half of that: it is set aside, and taken up
//! again with the next housekeeping. Both at most [`MOST_TRIES`] times in a row.

use super::shelf::{self, Held, Shelf};
use super::{Hints, Seat};
use crate::protocol::messages::Refusal;
use crate::protocol::stage::{MOST_TRIES, Source, SourceError};
use ring::VnodeId;

/// A shelf of which nothing is taken and to which nothing is added.
#[derive(Debug)]
pub(super) struct Aside {
    reason: String,
    /// How often in a row it could not be read; `None` if trying again is of no use.
    unread: Option<u32>,
}

impl Aside {
    fn new(unread: u32, error: &SourceError) -> Self {
        let may_pass = matches!(error, SourceError::Unreadable { .. }) && unread < MOST_TRIES;
        Self {
            reason: error.to_string(),
            unread: may_pass.then_some(unread),
        }
    }
}

/// What could not be read of where the shelves lie: it may hide some.
#[derive(Debug)]
pub(super) struct Hidden {
    reason: String,
    /// How often in a row that was so.
    unread: u32,
}

impl Hints {
    /// The shelves that are set aside, each with what is wrong with it.
    pub fn damaged(&self) -> impl Iterator<Item = (VnodeId, &str)> {
        self.aside.iter().map(|(&id, aside)| (id, &*aside.reason))
    }

    /// Why some shelves of an earlier life may not have been found: those are not handed over. All
    /// others are, and more is kept for anybody whose shelf can be read.
    #[must_use]
    pub fn unread(&self) -> Option<&str> {
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
                self.take_up(id, 0, source, seat);
            }
        }
        let before = self.hidden.take();
        self.hidden = failed.map(|error| Hidden {
            reason: error.to_string(),
            unread: before.map_or(0, |before| before.unread) + 1,
        });
    }

    /// Takes up a shelf that could not be read so often in a row.
    fn take_up(
        &mut self,
        id: VnodeId,
        unread: u32,
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
            Err(error) => {
                self.aside.insert(id, Aside::new(unread + 1, &error));
            }
        }
    }

    /// Tries again what could not be read and may have passed.
    pub fn try_again(&mut self, source: &dyn Source, mut seat: impl FnMut(VnodeId) -> Seat) {
        let unread = self.aside.iter();
        let unread = unread.filter_map(|(&id, aside)| Some((id, aside.unread?)));
        for (id, tries) in unread.collect::<Vec<_>>() {
            self.aside.remove(&id);
            self.take_up(id, tries, source, &mut seat);
        }
        let hidden = self.hidden.as_ref();
        if hidden.is_some_and(|hidden| hidden.unread < MOST_TRIES) {
            self.look_for_shelves(source, &mut seat);
        }
    }

    /// Nothing more is done with a shelf.
    fn set_aside(&mut self, id: VnodeId, error: &SourceError) {
        let shelf = self.shelves.remove(&id);
        let unread = shelf.map_or(0, |shelf| shelf.unread);
        self.aside.insert(id, Aside::new(unread + 1, error));
    }

    /// A shelf could not be read, and nothing has been changed: whatever waits for it goes on
    /// without.
    pub(super) fn bear(&mut self, id: VnodeId, error: &SourceError) {
        if let SourceError::Unreadable { .. } = error
            && let Some(shelf) = self.shelves.get_mut(&id)
            && shelf.unread + 1 < MOST_TRIES
        {
            shelf.unread += 1;
            return;
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
        done.map_err(|error| {
            self.set_aside(id, &error);
            Refusal::Storage
        })
    }
}
