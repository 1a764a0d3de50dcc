//! What this node believes: records and suspicions taken in, conclusions drawn, and its own word.

use std::time::Duration;

use super::outbox::Topic;
use super::wire::{Entry, Item};
use super::{AnnounceError, Event, Gossip, Timers};
use crate::detector::{Level, Suspicion};
use crate::id::NodeId;
use crate::membership::{Incarnation, Member, MemberMap, MemberState};
use crate::mutants::{self, Mutant};

impl Gossip {
    /// Takes up the members that a former life of this node has left.
    pub(super) fn take_up(
        &mut self,
        now: Duration,
        known: &MemberMap,
    ) -> Result<(), AnnounceError> {
        // Copies share their records. Only what was concluded in another life is left out of them.
        let is_plain =
            |member: &Member| matches!(member.state, MemberState::Alive | MemberState::Removed);
        if known.iter().all(is_plain) {
            self.members = known.clone();
        } else {
            for member in known.iter() {
                let inserted = self.members.insert(plain(member.clone()));
                inserted.map_err(AnnounceError::Members)?;
            }
        }
        let members = self.members.iter().map(|member| member.id);
        let entries: Vec<Entry> = members.filter_map(|id| self.entry(id)).collect();
        for entry in &entries {
            self.since.insert(entry.id, now);
            self.digest.replace(None, Some(entry));
        }
        let there = entries.iter().filter(|entry| !entry.is_removed);
        let there: Vec<NodeId> = there.map(|entry| entry.id).collect();
        self.overlay.extend(&there);
        Ok(())
    }

    /// Takes items in; `is_news` says that others may not have heard of them either.
    pub(super) fn take_in(&mut self, now: Duration, items: Vec<Item>, is_news: bool) {
        let mut suspected = Vec::new();
        for item in items {
            match item {
                Item::Member(member) => {
                    self.learn(now, *member, is_news);
                }
                Item::Suspicion(suspicion) => {
                    self.handle_suspicion(now, &suspicion, is_news);
                    suspected.push(suspicion.subject);
                }
            }
        }
        // Judged together: the evidence of a verdict comes in one piece.
        suspected.sort_unstable();
        suspected.dedup();
        for subject in suspected {
            self.judge(now, subject);
        }
    }

    /// Takes a record in; says whether it was new.
    pub(super) fn learn(&mut self, now: Duration, record: Member, is_news: bool) -> bool {
        if record.id == self.own.id && record.state != MemberState::Removed {
            self.hear_of_itself(now, &record);
            return false;
        }
        let id = record.id;
        let before = self.entry(id);
        let addresses = self.members.member(id).map(|known| known.addresses.clone());
        let has_moved = addresses.is_some_and(|addresses| addresses != record.addresses);
        match self.members.insert(plain(record)) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => {
                self.events.push_back(Event::Unusable(error));
                return false;
            }
        }
        self.handle_changed(now, id, before, has_moved);
        if is_news {
            self.outbox.push(Topic::Member(id));
        }
        true
    }

    /// The record of `id` is not what it was `before`.
    fn handle_changed(&mut self, now: Duration, id: NodeId, before: Option<Entry>, moved: bool) {
        let Some(member) = self.members.member(id) else {
            return;
        };
        let (state, incarnation) = (member.state, member.incarnation);
        self.since.entry(id).or_insert(now);
        if state == MemberState::Removed {
            self.overlay.remove(id);
            self.verdicts.remove(id);
            self.is_stale = true;
        } else if before.is_none() {
            self.overlay.insert(id);
            self.is_stale = true;
        }
        let is_new_life = before.is_some_and(|before| before.incarnation < incarnation);
        if is_new_life || moved {
            self.forget_silence(now, id);
        }
        // What was said of lower incarnations is void: the refutation.
        let held_for = self.verdicts.handle_alive(id, incarnation);
        if held_for.is_some() && state != MemberState::Removed {
            self.handle_up(now, id);
        }
        let after = self.entry(id);
        self.digest.replace(before.as_ref(), after.as_ref());
        self.events.push_back(Event::Changed(id));
        if id == self.own.id && state == MemberState::Removed {
            self.transmits.clear();
            self.events.push_back(Event::Removed);
        }
    }

    /// Takes a suspicion in, to be judged by the caller.
    fn handle_suspicion(&mut self, now: Duration, suspicion: &Suspicion, is_news: bool) {
        let subject = suspicion.subject;
        if subject == self.own.id {
            if suspicion.level > Level::NONE {
                self.refute(now, suspicion.incarnation);
            }
            return;
        }
        let known = self.members.member(subject);
        let is_of_now = known.is_some_and(|member| {
            member.state != MemberState::Removed && member.incarnation <= suspicion.incarnation
        });
        if !is_of_now || self.members.member(suspicion.observer).is_none() {
            return;
        }
        let before = (self.entry(subject), self.verdicts.state(subject));
        if !self.verdicts.handle_suspicion(now, suspicion) {
            return;
        }
        let is_fresh = suspicion.age < self.config.detector.suspicion_life;
        if is_news && is_fresh {
            let observer = suspicion.observer;
            self.outbox.push(Topic::Suspicion { subject, observer });
        }
        if before.1 == MemberState::Down && self.verdicts.state(subject) != MemberState::Down {
            // Suspected in a later incarnation than the one that was convicted.
            let after = self.entry(subject);
            self.digest.replace(before.0.as_ref(), after.as_ref());
            self.handle_up(now, subject);
        }
    }

    /// Draws the conclusion about a member.
    pub(super) fn judge(&mut self, now: Duration, subject: NodeId) {
        let before = self.entry(subject);
        let config = &self.config.detector;
        let observers = self.live.len().min(config.observers);
        let Some(state) = self.verdicts.judge(now, subject, observers, config) else {
            return;
        };
        match state {
            MemberState::Suspect => {
                let level = self.level(now, subject);
                self.events.push_back(Event::Suspected {
                    peer: subject,
                    level,
                });
            }
            MemberState::Down => {
                self.is_stale = true;
                self.flaps.handle_down(now, subject);
                self.events.push_back(Event::Down { peer: subject });
            }
            MemberState::Alive | MemberState::Removed => {
                self.since.insert(subject, now);
                self.events.push_back(Event::Up { peer: subject });
            }
        }
        let after = self.entry(subject);
        self.digest.replace(before.as_ref(), after.as_ref());
        // With one live node less, fewer observers are enough for the others.
        self.refresh(now);
    }

    /// A member that was suspect or down has a new incarnation.
    fn handle_up(&mut self, now: Duration, id: NodeId) {
        self.is_stale = true;
        self.since.insert(id, now);
        self.forget_silence(now, id);
        self.events.push_back(Event::Up { peer: id });
    }

    /// A record about this node, perhaps from a former life.
    fn hear_of_itself(&mut self, now: Duration, record: &Member) {
        let own = &self.own;
        let is_above = (record.incarnation, record.version) > (own.incarnation, own.version);
        if is_above {
            self.refute(now, record.incarnation);
        }
    }

    /// Answers what is said of this node in `suspected` with a higher incarnation, which everybody
    /// believes.
    fn refute(&mut self, now: Duration, suspected: Incarnation) {
        if suspected < self.own.incarnation || self.is_removed() {
            return;
        }
        if mutants::is_active(Mutant::RefutationIgnored) {
            return;
        }
        self.own.incarnation = self.own.incarnation.refute(suspected);
        self.health.worsen(now);
        let incarnation = self.own.incarnation;
        self.events.push_back(Event::Refuted { incarnation });
        self.speak_for_itself(now);
    }

    /// Puts this node's own record into the map and spreads it.
    pub(super) fn speak_for_itself(&mut self, now: Duration) {
        let id = self.own.id;
        let before = self.entry(id);
        let known = self.members.member(id);
        let is_other = |known: &&Member| known.state == MemberState::Alive && **known != self.own;
        if let Some(known) = known.filter(is_other) {
            // A record of a former life may count more, if the wall clock was set back.
            let is_above = known.incarnation > self.own.incarnation
                || (known.incarnation == self.own.incarnation && known.version >= self.own.version);
            if is_above {
                self.own.incarnation = self.own.incarnation.refute(known.incarnation);
                let incarnation = self.own.incarnation;
                self.events.push_back(Event::Refuted { incarnation });
            }
        }
        match self.members.insert(self.own.clone()) {
            Ok(true) => {
                self.handle_changed(now, id, before, false);
                self.outbox.push(Topic::Member(id));
            }
            Ok(false) => {}
            Err(error) => self.events.push_back(Event::Unusable(error)),
        }
    }

    /// Brings everything up to date that follows from who is live.
    pub(super) fn refresh(&mut self, now: Duration) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        let was_alone = self.live.is_empty() && self.down.is_empty() && self.joining.is_none();
        let own = self.own.id;
        let others = self
            .members
            .iter()
            .filter(|member| member.id != own && member.state != MemberState::Removed);
        let is_down = |id: NodeId| self.verdicts.state(id) == MemberState::Down;
        (self.down, self.live) = others.map(|member| member.id).partition(|id| is_down(*id));
        self.observers = self.overlay.observers(own, |id| !is_down(id));
        let subjects = self.overlay.subjects(own, |id| !is_down(id));
        self.watch(now, &subjects);
        if was_alone {
            self.timers = Timers::new(now, &self.config, &mut self.random);
        }
    }

    /// A member's state in short.
    pub(super) fn entry(&self, id: NodeId) -> Option<Entry> {
        let member = self.members.member(id)?;
        Some(Entry {
            id,
            incarnation: member.incarnation,
            version: member.version,
            is_removed: member.state == MemberState::Removed,
            is_down: self.verdicts.state(id) == MemberState::Down,
        })
    }
}

/// A record without what others have concluded of the member.
fn plain(record: Member) -> Member {
    let state = match record.state {
        MemberState::Removed => MemberState::Removed,
        MemberState::Alive | MemberState::Suspect | MemberState::Down => MemberState::Alive,
    };
    Member { state, ..record }
}
