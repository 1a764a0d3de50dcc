//! What a node can say about the others: for status, metrics and routing.

use std::time::Duration;

use super::Gossip;
use crate::detector::{Edge, Health, Level, Suspicion};
use crate::id::NodeId;
use crate::membership::{Incarnation, Member, MemberMap, MemberState};

/// What this node holds a member for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Status {
    /// Alive, suspect, down or removed.
    pub state: MemberState,
    /// How suspicious its silence is: measured here if this node observes it, or else the greatest
    /// that its observers have reported. None if nobody has reported anything.
    pub phi: Option<f64>,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Since when it has been in this state, on the clock that this machine is handed.
    pub since: Duration,
    /// How many observers suspect it.
    pub suspecting: usize,
    /// It has gone down so often lately that it should not be preferred.
    pub is_quarantined: bool,
}

impl Gossip {
    /// What this node holds a member for; none if it has never heard of it.
    pub fn status(&self, now: Duration, id: NodeId) -> Option<Status> {
        let member = self.members.member(id)?;
        let state = match member.state {
            MemberState::Removed => MemberState::Removed,
            MemberState::Alive | MemberState::Suspect | MemberState::Down => {
                self.verdicts.state(id)
            }
        };
        let up_since = self.since.get(&id).copied().unwrap_or_default();
        let since = match state {
            MemberState::Suspect | MemberState::Down => {
                self.verdicts.case(id).map_or(up_since, |(_, since)| since)
            }
            MemberState::Alive | MemberState::Removed => up_since,
        };
        Some(Status {
            state,
            phi: self.phi(now, id),
            incarnation: member.incarnation,
            since,
            suspecting: self.verdicts.evidence(now, id).len(),
            is_quarantined: self.flaps.is_quarantined(now, id),
        })
    }

    /// The state of a member alone, for routing: cheaper than [`Gossip::status`].
    pub fn state(&self, id: NodeId) -> Option<MemberState> {
        let member = self.members.member(id)?;
        Some(match member.state {
            MemberState::Removed => MemberState::Removed,
            MemberState::Alive | MemberState::Suspect | MemberState::Down => {
                self.verdicts.state(id)
            }
        })
    }

    /// All members, this one and the removed ones included. Their records say alive or removed and
    /// nothing else: to be kept in the data directory, for the next life.
    pub fn members(&self) -> &MemberMap {
        &self.members
    }

    /// This node's own record, as it is spread.
    pub fn own(&self) -> &Member {
        &self.own
    }

    /// The nodes that this one observes, by ascending id, with the history of their heartbeats.
    pub fn edges(&self) -> impl Iterator<Item = (NodeId, &Edge)> {
        self.watches.iter().map(|(id, watch)| (*id, &watch.edge))
    }

    /// The observers of this node.
    pub fn observers(&self) -> &[NodeId] {
        &self.observers
    }

    /// The other members that are neither down nor removed, by ascending id.
    pub fn live(&self) -> &[NodeId] {
        &self.live
    }

    /// What this node thinks of itself.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Who suspects a member now, in which incarnation, how much and since when, by ascending
    /// observer.
    pub fn suspicions(&self, now: Duration, id: NodeId) -> Vec<Suspicion> {
        self.verdicts.evidence(now, id)
    }

    /// Whether this node was removed from the cluster.
    pub fn is_removed(&self) -> bool {
        let own = self.members.member(self.own.id);
        own.is_some_and(|own| own.state == MemberState::Removed)
    }

    /// Phi of a member: measured here, or reported by its observers.
    pub fn phi(&self, now: Duration, id: NodeId) -> Option<f64> {
        if let Some(watch) = self.watches.get(&id) {
            let (patience, config) = (self.health.patience(), &self.config.detector);
            return Some(watch.edge.phi(now, patience, config));
        }
        let level = self.level(now, id);
        (level > Level::NONE).then(|| level.phi())
    }

    /// The greatest phi that an observer has reported of a member.
    pub(super) fn level(&self, now: Duration, id: NodeId) -> Level {
        let evidence = self.verdicts.evidence(now, id);
        let levels = evidence.iter().map(|suspicion| suspicion.level);
        levels.max().unwrap_or(Level::NONE)
    }
}
