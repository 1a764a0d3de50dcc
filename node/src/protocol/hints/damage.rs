//! Shelves that cannot be read: each costs what lies on it, and nothing else of the node.
//!
//! Owners have what a shelf holds from each other, so nobody has to wait for it. A shelf that is
//! damaged is set aside: its bytes stay, nothing is added to it and nothing of it is handed over.
//! It is taken up again when the shelves are looked for again, and set aside as soon as the damage
//! is met. A read that fails for other reasons may succeed later: it costs one delivery, and only
//! after [`MOST_TRIES`] in a row the shelf.

use std::collections::BTreeMap;

use super::Hints;
use crate::protocol::messages::Refusal;
use crate::protocol::stage::{MOST_TRIES, SourceError};
use ring::VnodeId;

impl Hints {
    /// The shelves that are set aside, each with what is wrong with it.
    #[must_use]
    pub fn damaged(&self) -> &BTreeMap<VnodeId, String> {
        &self.damaged
    }

    /// Why the shelves of an earlier life could not be looked for: nothing is kept for anybody, and
    /// nothing handed over, until that succeeds.
    #[must_use]
    pub fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    /// Nothing more is done with a shelf.
    pub(super) fn set_aside(&mut self, id: VnodeId, error: &SourceError) {
        self.shelves.remove(&id);
        self.damaged.insert(id, error.to_string());
    }

    /// A shelf could not be read, and nothing has been changed: whatever waits for it goes on
    /// without.
    pub(super) fn bear(&mut self, id: VnodeId, error: &SourceError) {
        if let SourceError::Unreadable { .. } = error
            && let Some(shelf) = self.shelves.get_mut(&id)
        {
            shelf.unread += 1;
            if shelf.unread < MOST_TRIES {
                return;
            }
        }
        self.set_aside(id, error);
    }

    /// Something was to be entered on a shelf. Where that met damage, nothing of it was staged, and
    /// what the shelf remembers may be half of it: it is set aside, and the request is refused.
    pub(super) fn entered<T>(
        &mut self,
        id: VnodeId,
        done: Result<T, SourceError>,
    ) -> Result<Result<T, Refusal>, SourceError> {
        match done {
            Ok(done) => Ok(Ok(done)),
            Err(error @ SourceError::Unreadable { .. }) => Err(error),
            Err(error @ (SourceError::Corrupt { .. } | SourceError::Senseless { .. })) => {
                self.set_aside(id, &error);
                Ok(Err(Refusal::Storage))
            }
        }
    }
}
