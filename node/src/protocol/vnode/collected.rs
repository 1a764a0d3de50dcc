//! Removing the shares of counters that were reset, so that a deleted counter leaves nothing.
//!
//! A reset leaves the row of each actor that counted, which says how much of its total is gone.
//! *The actor removes its own row*, by an event like any removal of what was seen, when all that it
//! added is reset and every owner holds that durably: when an event of the row is trimmed.
//!
//! Why nothing is lost or counted twice:
//!
//! - *No increment is missed.* The actor alone makes the increments of its row, in order, and has
//!   all of them in its own store. So at the removal every one of them is reset, wherever it is. A
//!   row of an actor that is no more stays: an increment that nobody has seen may still lie with a
//!   stand-in or on a disk that is away, and its running total would bring the past back.
//! - *What is left elsewhere shows nothing.* The events of others in the row are resets, voids and
//!   nothing else. A reset shows 0 by itself, and so does a void, which holds no total. They may
//!   come from whoever has not seen the reset yet, or from a disk that was put back.
//! - *A new share is not mixed up with the old.* The actor's next increment says that all before it
//!   is reset, up to the counter just below its own ([`crdt::kinds::counter`]). The removal itself
//!   has a dot of the actor, so that counter is above every one of the old share, and no old half
//!   of a share wins a join with a new one, in whatever order they come.
//! - *What was retried stays known.* Records go by dots and not by rows. A copy of an increment
//!   that the clock has and the row does not was reset, and there is nothing to make void.
//!
//! The removal is trimmed as any event is, and leaves no row, no entry and no record.

use super::{Vnode, versions_of};
use crate::mutants::{self, Mutant};
use crate::protocol::event::{Effect, Event};
use crate::protocol::messages::Change;
use crate::protocol::stage::{SourceError, Stage};
use crdt::kinds::Leaf;
use crdt::kinds::counter::Share;
use crdt::{Hlc, Row};

/// What is to be done about the row of an event that is trimmed.
pub(super) enum Collecting {
    /// Nothing: it is no share of this vnode's, or it still counts.
    Nothing,
    /// To wait: not every owner holds durably what the row shows.
    Wait,
    /// To remove it: here it is.
    Remove(Row),
}

impl Vnode {
    /// Looks whether an event has left of this vnode's own share nothing that counts.
    pub(super) fn collecting(
        &self,
        event: &Event,
        stage: &Stage<'_>,
    ) -> Result<Collecting, SourceError> {
        let effect = event.operation.map(|operation| operation.effect);
        let may_end = !matches!(effect, Some(Effect::Increment(_)));
        let is_own = event.row.actor() == Some(self.actor);
        let is_early = mutants::is_active(Mutant::ShareCollectedEarly);
        if event.row.leaf() != Leaf::Share || !may_end || !(is_own || is_early) {
            return Ok(Collecting::Nothing);
        }
        let row = stage.row(&event.row)?;
        let share = super::write::share_of(&event.row, &row)?;
        Ok(if row.versions().is_empty() || !share.is_reset() {
            Collecting::Nothing
        } else if is_early || self.holds_durably(&row) {
            Collecting::Remove(row)
        } else {
            Collecting::Wait
        })
    }

    /// Removes a share that is reset: what it showed, and the removal's own dot, which an event of
    /// a share is otherwise taken to show.
    pub(super) fn collect(
        &mut self,
        hlc: Hlc,
        event: &Event,
        row: &Row,
        stage: &mut Stage<'_>,
    ) -> Result<Change, SourceError> {
        let mut gone = versions_of(row);
        gone.insert(self.next_dot());
        self.own_change(hlc, &event.row, Row::delete(gone), stage)
    }

    /// Was the increment under a dot of this row reset and then removed with the row? The clock has
    /// it, and the row does not.
    pub(super) fn is_collected(&self, dot: crdt::Dot, share: &Share) -> bool {
        share.added().upto < dot.counter && self.clock.contains(dot)
    }
}

/// Shares that one pass of trimming removes at the most; the rest follows in the next.
pub(super) const PER_PASS: usize = 512;
