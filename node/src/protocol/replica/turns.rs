//! Whose turn it is that its content is compared, and how soon.
//!
//! Vnodes take turns in the order of their ids, all the time, at a pace that nobody notices: a
//! stretch of rows every second, and a pause after each vnode. Who does not want to wait for that
//! has every vnode compared at once, each stretch as soon as the one before it is done with.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use super::Replica;
use crate::protocol::scrub::Turn;
use crate::protocol::time::Time;
use crate::protocol::vnode::Vnode;
use ring::VnodeId;

/// What is being compared, and what came of it so far.
#[derive(Debug, Default)]
pub(super) struct Scrubbing {
    pub(super) turn: Option<(VnodeId, Turn)>,
    /// The vnode whose turn was last.
    last: Option<VnodeId>,
    /// Vnodes that somebody wants to have compared without pauses, and since when.
    hurried: BTreeMap<VnodeId, Time>,
    pub(super) next: Time,
    pub(super) counts: ScrubCounts,
    /// When the last walk over each vnode began that found it equal to all other owners, from its
    /// first row to its last.
    agreed: BTreeMap<VnodeId, Time>,
}

/// How often what came of comparisons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrubCounts {
    /// Vnodes that were walked over from their first row to their last.
    pub walked: u64,
    /// Versions that this node alone lacked, and has again.
    pub restored: u64,
    /// Versions that one other owner lacked: it restores them itself.
    pub lacking_there: u64,
    /// Ranges that could not be compared: clocks kept differing, or an owner did not answer.
    pub given_up: u64,
    /// Versions on which owners differ and nobody can say who is right. Nothing was changed.
    pub alarms: u64,
}

impl Replica {
    /// What came of comparing contents.
    #[must_use]
    pub fn scrub_counts(&self) -> ScrubCounts {
        self.scrubbing.counts
    }

    /// When the last walk over a vnode began that found it equal to all other owners; `None` if
    /// none did in this life.
    #[must_use]
    pub fn agreed(&self, id: VnodeId) -> Option<Time> {
        self.scrubbing.agreed.get(&id).copied()
    }

    /// Has every vnode compared from its first row on, as soon as can be. A turn whose questions
    /// are on their way goes on, so that no answer to them is taken for one to others; what it
    /// compares is compared once more.
    pub(super) fn hurry_scrub(&mut self, now: Time) {
        self.scrubbing.hurried = self.vnodes.keys().map(|&id| (id, now)).collect();
        let turn = self.scrubbing.turn.take();
        self.scrubbing.turn = turn.filter(|(_, turn)| turn.asked.is_some());
        self.scrubbing.next = self.scrubbing.next.min(now);
    }

    pub(super) fn next_scrub(&self) -> Option<Time> {
        let is_idle = |(_, turn): &(VnodeId, Turn)| turn.asked.is_none();
        let may_go_on = self.scrubbing.turn.as_ref().is_none_or(is_idle);
        (may_go_on && self.config.scrub_rows > 0 && !self.peers.is_empty())
            .then_some(self.scrubbing.next)
    }

    /// How soon after this step another one may be made. What came to nothing is left in peace for
    /// a while in any case: clocks that differ do not become equal by haste.
    pub(super) fn scrub_pace(&self, turn: Option<&(VnodeId, Turn)>) -> Duration {
        let may_hurry = |(id, turn): &(VnodeId, Turn)| {
            turn.tries == 0 && self.scrubbing.hurried.contains_key(id)
        };
        if turn.is_some_and(may_hurry) {
            self.config.scrub_hurry
        } else {
            self.config.scrub_every
        }
    }

    /// The vnode after the one whose turn was last, and before all others one that is hurried; of
    /// those that can be compared.
    pub(super) fn next_turn(&mut self, now: Time) -> Option<(VnodeId, Turn)> {
        let last = self.scrubbing.last;
        let last = last.map_or(Bound::Unbounded, Bound::Excluded);
        let after = self.vnodes.range((last, Bound::Unbounded));
        let in_turn = after.chain(&self.vnodes).take(self.vnodes.len());
        let in_turn = in_turn.map(|(&id, _)| id);
        let is_hurried = |id: &VnodeId| self.scrubbing.hurried.contains_key(id);
        let mut ids = in_turn.clone().filter(is_hurried).chain(in_turn);
        let id = ids.find(|&id| self.can_be_compared(id))?;
        let nonce = self.vnodes.get(&id)?.actor().nonce;
        self.scrubbing.last = Some(id);
        Some((id, Turn::new(nonce, now)))
    }

    fn can_be_compared(&self, id: VnodeId) -> bool {
        let others = self.other_owners(id);
        let all_there = others.iter().all(|&peer| self.is_reachable(peer));
        let is_whole = self.vnodes.get(&id).is_some_and(Vnode::may_be_compared);
        is_whole && !others.is_empty() && all_there
    }

    /// A vnode cannot be read now, so its turn ends without a word on it. Whether that stays so is
    /// for the walk over what is stored to find out.
    pub(super) fn give_up_turn(&mut self, id: VnodeId) {
        self.scrubbing.counts.given_up += 1;
        self.scrubbing.hurried.remove(&id);
        self.suspect(id);
    }

    /// A vnode was walked over from its first row to its last.
    pub(super) fn end_turn(&mut self, id: VnodeId, turn: &Turn, now: Time) {
        self.scrubbing.counts.walked += 1;
        if turn.agrees {
            self.scrubbing.agreed.insert(id, turn.began);
        }
        let hurried = self.scrubbing.hurried.get(&id);
        if hurried.is_some_and(|&since| since <= turn.began) {
            self.scrubbing.hurried.remove(&id);
        } else if hurried.is_none() {
            let rested = now.after(self.config.scrub_pause);
            self.scrubbing.next = self.scrubbing.next.max(rested);
        }
    }
}
