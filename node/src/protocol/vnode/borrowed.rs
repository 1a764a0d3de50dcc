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
//! lacks the dot takes over all rows of this vnode, with what is gone from them and with what
//! their contexts name, before it has it; or it has borrowed the dot until then. Until every owner
//! has the dot durably it is written down as vouched for: should the vnode be damaged meanwhile,
//! nobody must look for it elsewhere (`Remains`).
//!
//! ```text
//!   meta "borrowed"   the events borrowed | the own dots vouched for, none if that is missing
//! ```

use super::Vnode;
use crate::protocol::keys::borrowed_key;
use crate::protocol::messages::Bundle;
use crate::protocol::stage::{Family, Source, SourceError, Stage};
use crdt::Clock;
use crdt::codec::{DecodeError, Decoder, Encoder};
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
        self.forget_vouched(stage);
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
        if is_lost {
            let mut own = DotSet::default();
            own.insert(self.next_dot());
            self.vouched.join(&own);
            self.enter_unlogged(&own, stage);
        }
        self.put_borrowed(stage);
        is_lost
    }

    /// What every owner has is vouched for no more.
    fn forget_vouched(&mut self, stage: &mut Stage<'_>) {
        if self.vouched.is_empty() {
            return;
        }
        let lacking = self.vouched.difference(&self.durable_everywhere());
        if lacking != self.vouched {
            self.vouched = lacking;
            self.put_borrowed(stage);
        }
    }

    fn put_borrowed(&self, stage: &mut Stage<'_>) {
        let key = borrowed_key(self.id);
        if self.borrowed.is_empty() && self.vouched.is_empty() {
            stage.delete(Family::Meta, key);
        } else {
            let mut encoder = Encoder::with_capacity(64);
            self.borrowed.encode(&mut encoder);
            if !self.vouched.is_empty() {
                self.vouched.encode(&mut encoder);
            }
            stage.put(Family::Meta, key, encoder.finish());
        }
    }
}

/// What a vnode had borrowed when it ended, and what it had vouched for.
pub(super) fn recover_borrowed(
    id: VnodeId,
    source: &dyn Source,
) -> Result<(DotSet, DotSet), SourceError> {
    let key = borrowed_key(id);
    let Some(stored) = source.get(Family::Meta, &key)? else {
        return Ok(Default::default());
    };
    decode(&stored).map_err(|error| SourceError::corrupt(&key, error))
}

fn decode(stored: &[u8]) -> Result<(DotSet, DotSet), DecodeError> {
    let mut decoder = Decoder::new(stored);
    let borrowed = DotSet::decode(&mut decoder)?;
    let vouched = if decoder.rest().is_empty() {
        DotSet::default()
    } else {
        DotSet::decode(&mut decoder)?
    };
    decoder.finish().map(|()| (borrowed, vouched))
}
