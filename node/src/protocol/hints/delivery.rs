//! Delivering hints: owners are asked how far they are, and get what they lack of a shelf under the
//! dots that it has; what every owner holds durably is taken down.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Hints;
use super::shelf::Shelf;
use crate::mutants::{self, Mutant};
use crate::protocol::messages::{Absorb, Differences, Fingerprint, Pull, PullKey, Pulled, Refusal};
use crate::protocol::stage::{SourceError, Stage};
use crate::protocol::time::Time;
use crate::protocol::unreadable::Unreadable;
use crate::protocol::vnode::{Limits, Vnode};
use crdt::dots::DotSet;
use crdt::{Actor, Clock, Dot, Row};
use ring::{NodeId, VnodeId};
use starling::wire::Durability;

/// One delivery: to whom, and what.
pub(crate) type Delivery = (NodeId, Absorb);

/// The answer to a pull of what is kept; `None` if nothing of the vnode is.
pub(crate) type FromShelf = Option<Result<Pulled, Refusal>>;

impl Hints {
    /// When owners are to be asked next; `None` while nothing is kept.
    pub fn poll_timeout(&self) -> Option<Time> {
        (!self.shelves.is_empty()).then_some(self.next_compare)
    }

    /// Whom to ask now how far they are, and with what. The next time is `every` later.
    pub fn compare(&mut self, now: Time, every: Duration) -> Vec<(NodeId, Vec<Fingerprint>)> {
        if self.shelves.is_empty() || now < self.next_compare {
            return Vec::new();
        }
        self.next_compare = now.after(every);
        let owners = self.shelves.values().flat_map(|shelf| shelf.vnode.peers());
        let owners: BTreeSet<NodeId> = owners.map(|(owner, _)| owner).collect();
        let mut questions = Vec::new();
        for owner in owners {
            if self.asked.contains_key(&owner) {
                continue;
            }
            let shelves = self.shelves.values_mut();
            let fingerprints: Vec<Fingerprint> = shelves
                .filter_map(|shelf| shelf.vnode.fingerprint(owner))
                .collect();
            let about = fingerprints.iter().map(|print| print.vnode).collect();
            self.asked.insert(owner, about);
            questions.push((owner, fingerprints));
        }
        questions
    }

    /// An owner has told how far it is.
    pub fn handle_differences(&mut self, now: Time, from: NodeId, differences: Differences) {
        let mut equal = self.asked.remove(&from).unwrap_or_default();
        equal.retain(|id| !differences.unknown.contains(id));
        for id in differences.unknown {
            if let Some(shelf) = self.shelves.get_mut(&id) {
                shelf.vnode.handle_unknown(from);
            }
        }
        for difference in differences.differing {
            equal.retain(|id| *id != difference.vnode);
            if let Some(shelf) = self.shelves.get_mut(&difference.vnode) {
                shelf.vnode.handle_difference(now, from, difference);
                shelf.acked.remove(&from);
                shelf.waiting.retain(|owner| *owner != from);
                shelf.waiting.push(from);
            }
        }
        for id in equal {
            if let Some(shelf) = self.shelves.get_mut(&id) {
                shelf.vnode.handle_equal(from);
            }
        }
    }

    /// An owner could not be asked.
    pub fn handle_no_differences(&mut self, from: NodeId) {
        self.asked.remove(&from);
    }

    /// The next delivery, if one may go out now.
    pub(crate) fn next_delivery(&mut self, limits: &Limits, stage: &Stage<'_>) -> Option<Delivery> {
        let under_way = self.shelves.values().map(|shelf| shelf.under_way.len());
        if under_way.sum::<usize>() >= self.config.deliveries {
            return None;
        }
        let limits = Limits {
            message_bytes: self.config.delivery_bytes.min(limits.message_bytes),
            ..limits.clone()
        };
        let ids: Vec<VnodeId> = self.shelves.keys().copied().collect();
        let mut ids = ids.into_iter();
        ids.find_map(|id| self.delivery_of(id, &limits, stage))
    }

    fn delivery_of(&mut self, id: VnodeId, limits: &Limits, stage: &Stage<'_>) -> Option<Delivery> {
        let shelf = self.shelves.get_mut(&id)?;
        while let Some(owner) = shelf.next_waiting() {
            let mut absorb = match shelf.delivery(owner, limits, stage) {
                Ok(Some(absorb)) => absorb,
                Ok(None) => continue,
                Err(error) => {
                    self.bear(id, &error);
                    return None;
                }
            };
            shelf.unread = Unreadable::default();
            if mutants::is_active(Mutant::HintDroppedEarly) {
                shelf.is_given_up = true;
            }
            if mutants::is_active(Mutant::HintUnderNewDot) {
                rename(&mut absorb);
            }
            return Some((shelf.addressee(owner), absorb));
        }
        None
    }

    /// The rows behind the wanted dots.
    pub(crate) fn answer_pull(
        &mut self,
        pull: &Pull,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> FromShelf {
        self.look(pull.vnode, stage, |vnode, stage| {
            vnode.answer_pull(pull, limits, stage)
        })
    }

    /// What the asker lacks of one key.
    pub(crate) fn answer_pull_key(
        &mut self,
        pull: &PullKey,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> FromShelf {
        self.look(pull.vnode, stage, |vnode, stage| {
            vnode.answer_pull_key(pull, limits, stage)
        })
    }

    fn look(
        &mut self,
        id: VnodeId,
        stage: &Stage<'_>,
        answer: impl FnOnce(&Vnode, &Stage<'_>) -> Result<Pulled, SourceError>,
    ) -> FromShelf {
        if self.aside.contains_key(&id) {
            return Some(Err(Refusal::Storage));
        }
        let shelf = self.shelves.get_mut(&id)?;
        Some(match shelf.look(stage, answer) {
            Ok(pulled) => {
                shelf.unread = Unreadable::default();
                Ok(pulled)
            }
            Err(error) => {
                self.bear(id, &error);
                Err(Refusal::Storage)
            }
        })
    }

    /// A delivery was acknowledged, or was not.
    pub fn handle_delivered(&mut self, from: NodeId, id: VnodeId, acked: bool) {
        let Some(shelf) = self.shelves.get_mut(&id) else {
            return;
        };
        let owner = if mutants::is_active(Mutant::HintToWrongNode) {
            // The bug: whoever takes it, the shelf counts as delivered.
            shelf.is_given_up |= acked;
            shelf.under_way.keys().next().copied().unwrap_or(from)
        } else {
            from
        };
        let Some(dots) = shelf.under_way.remove(&owner) else {
            return;
        };
        if acked {
            self.delivered += dots.len();
            shelf.acked.entry(owner).or_default().join(&dots);
            // There may be more: what one delivery holds is bounded.
            shelf.waiting.push(owner);
        }
    }

    /// Takes down what every owner holds durably.
    pub fn clear_up(&mut self, stage: &mut Stage<'_>) {
        let done = |shelf: &Shelf| shelf.is_given_up || shelf.is_delivered();
        let gone = self.shelves.iter().filter(|(_, shelf)| done(shelf));
        let gone: Vec<VnodeId> = gone.map(|(&id, _)| id).collect();
        for id in gone {
            match self.shelves.get(&id).map(|shelf| shelf.take_down(stage)) {
                Some(Err(error)) => self.bear(id, &error),
                Some(Ok(())) | None => drop(self.shelves.remove(&id)),
            }
        }
    }
}

impl Shelf {
    /// Does every owner hold all of it durably?
    fn is_delivered(&self) -> bool {
        let mut owners = self.vnode.lacking().peekable();
        owners.peek().is_some() && owners.all(|(_, lacking)| lacking == 0)
    }

    /// An owner that waits for a delivery and has none under way.
    fn next_waiting(&mut self) -> Option<NodeId> {
        let free = |owner: &NodeId| !self.under_way.contains_key(owner);
        let at = self.waiting.iter().position(free)?;
        Some(self.waiting.remove(at))
    }

    /// What an owner lacks of the shelf, as far as a message holds it.
    fn delivery(
        &mut self,
        owner: NodeId,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Option<Absorb>, SourceError> {
        let mut peers = self.vnode.peers();
        let Some((_, view)) = peers.find(|(peer, _)| *peer == owner) else {
            return Ok(None);
        };
        let mut have = view.clock().dots().clone();
        if let Some(acked) = self.acked.get(&owner) {
            have.join(acked);
        }
        let have = Clock::of(have);
        let pull = Pull {
            vnode: self.vnode.id(),
            incarnation: 0,
            want: self.vnode.clock().missing_from(&have),
            have,
        };
        if pull.want.is_empty() {
            return Ok(None);
        }
        let pulled = self.look(stage, |vnode, stage| {
            vnode.answer_pull(&pull, limits, stage)
        })?;
        let mut dots = DotSet::default();
        for event in &pulled.bundle.events {
            dots.insert(event.dot);
        }
        if dots.is_empty() {
            return Ok(None);
        }
        self.under_way.insert(owner, dots);
        Ok(Some(Absorb {
            vnode: self.vnode.id(),
            // The next comparison tells what has become durable.
            durability: Durability::Memory,
            bundle: pulled.bundle,
        }))
    }

    /// To whom the delivery for an owner goes: this is where the bug [`Mutant::HintToWrongNode`]
    /// takes another.
    fn addressee(&self, owner: NodeId) -> NodeId {
        let others = self.vnode.peers().map(|(peer, _)| peer);
        if mutants::is_active(Mutant::HintToWrongNode) {
            others
                .filter(|other| *other != owner)
                .last()
                .unwrap_or(owner)
        } else {
            owner
        }
    }
}

/// The bug [`Mutant::HintUnderNewDot`]: what is delivered is made anew.
fn rename(absorb: &mut Absorb) {
    let renamed = |dot: Dot| {
        let Actor { node, nonce } = dot.actor;
        Dot::new(
            Actor {
                node,
                nonce: !nonce,
            },
            dot.counter,
        )
    };
    for event in &mut absorb.bundle.events {
        event.dot = renamed(event.dot);
    }
    for keyed in &mut absorb.bundle.rows {
        let mut row = Row::delete(keyed.row.context().clone());
        for (&dot, version) in keyed.row.versions() {
            row.join(&Row::write(
                renamed(dot),
                version.clone(),
                keyed.row.context().clone(),
            ));
        }
        keyed.row = row;
    }
}
