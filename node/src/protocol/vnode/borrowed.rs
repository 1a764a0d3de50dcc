//! What the rows here owe to events that are not here.
//!
//! A row that another owner sends has lost all that this owner has seen removed. The events that
//! it logs come along with the row; those that it has trimmed come at the end of a full sync, and a
//! version that they removed is gone here before that. Nothing says so but the row: the clock has
//! the version, and does not have its removal. If every disk with the removal is lost meanwhile,
//! another owner that still shows the version has a clock equal to this one's, and there is nothing
//! to pull that would ever make the two one.
//!
//! So in the batch of the rows a vnode writes down which events they may show the effects of: it
//! has *borrowed* them, until they are here. Whoever takes a row from it borrows them too.
//!
//! ```text
//!   rows come, events do not     borrowed
//!   the events come              paid back
//!   no owner has them any more   the vnode vouches for what they did: it takes one dot of its own,
//!                                without a row and without an entry in the dotlog
//! ```
//!
//! What a dot without an entry stands for comes by a full sync alone. So each other owner that
//! lacks the dot takes over all rows of this vnode, with what is gone from them and with what their
//! contexts name, before it has it; or it has borrowed the dot until then.

use super::Vnode;
use crate::protocol::keys::borrowed_key;
use crate::protocol::messages::Bundle;
use crate::protocol::stage::{Family, Source, SourceError, Stage};
use crdt::Clock;
use crdt::codec::{Decoder, Encoder};
use crdt::dots::DotSet;
use ring::VnodeId;

impl Vnode {
    /// The events that are not here and that rows here may show the effects of.
    #[must_use]
    pub fn borrowed(&self) -> DotSet {
        self.borrowed.difference(self.clock.dots())
    }

    /// What whoever has seen `have` borrows with rows of this vnode: what is trimmed here, and what
    /// is borrowed here.
    pub(super) fn lent_to(&self, have: &Clock) -> DotSet {
        let mut lent = self.unlogged.missing_from(have);
        lent.join(&self.borrowed().difference(have.dots()));
        lent
    }

    /// Notes what comes with the rows of a bundle and stays away. The note is made before the
    /// events of the bundle are entered, and holds some of them: what is here is not borrowed.
    pub(super) fn borrow(&mut self, bundle: &Bundle, stage: &mut Stage<'_>) {
        let lent = bundle.lent.difference(self.clock.dots());
        if !self.borrowed.covers(&lent) {
            self.borrowed.join(&lent);
            self.put_borrowed(stage);
        }
    }

    /// Forgets what has been paid back, and vouches for what can never be, once every other owner
    /// has been heard and none has it. True if it vouched.
    pub fn pay_back(&mut self, stage: &mut Stage<'_>) -> bool {
        if self.borrowed.is_empty() {
            return false;
        }
        let owing = self.borrowed();
        let has_some = |clock: &Clock| owing.difference(clock.dots()) != owing;
        let may_come = self.awaited().is_some() || self.peers().any(|(_, v)| has_some(v.clock()));
        let is_lost = !owing.is_empty() && !may_come;
        if !owing.is_empty() && !is_lost {
            return false;
        }
        self.borrowed = DotSet::default();
        self.put_borrowed(stage);
        if is_lost {
            let mut own = DotSet::default();
            own.insert(self.next_dot());
            self.enter_unlogged(&own, stage);
        }
        is_lost
    }

    fn put_borrowed(&self, stage: &mut Stage<'_>) {
        let key = borrowed_key(self.id);
        if self.borrowed.is_empty() {
            stage.delete(Family::Meta, key);
        } else {
            let mut encoder = Encoder::with_capacity(64);
            self.borrowed.encode(&mut encoder);
            stage.put(Family::Meta, key, encoder.finish());
        }
    }
}

/// What a vnode had borrowed when it ended.
pub(super) fn recover_borrowed(id: VnodeId, source: &dyn Source) -> Result<DotSet, SourceError> {
    let key = borrowed_key(id);
    let Some(stored) = source.get(Family::Meta, &key)? else {
        return Ok(DotSet::default());
    };
    let mut decoder = Decoder::new(&stored);
    let decoded = DotSet::decode(&mut decoder).and_then(|dots| decoder.finish().map(|()| dots));
    decoded.map_err(|error| SourceError::corrupt(&key, error))
}
