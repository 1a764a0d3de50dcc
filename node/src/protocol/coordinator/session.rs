//! Sessions: what is answered holds at least what the session has seen of the vnode.
//!
//! A session names events. A read asks further owners until the clocks of those that answered hold
//! all of them together: the join of their rows then does, too. A write is entered by a vnode that
//! holds them; what it lacks it pulls first. Who lacks something is asked again until the deadline,
//! because mostly it is on its way.
//!
//! An event that no owner holds, although all of them were asked again and again and one of them
//! made it, is lost with a disk or a machine. Those that a stand-in made may still arrive.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::OrderFailed;
use crate::mutants::{self, Mutant};
use crate::protocol::replica::Held;
use crate::protocol::time::Time;
use crdt::dots::DotSet;
use ring::{NodeId, PreferenceList};

/// What a session has seen, and what of it is not here yet.
#[derive(Debug)]
pub(super) struct Demand {
    lacking: DotSet,
    owners: PreferenceList,
    begun: Time,
    /// Owners that have said in this round what they hold.
    answered: BTreeSet<NodeId>,
    rounds: u32,
    /// When the next round begins, once this one is over.
    again_at: Option<Time>,
    is_lost: bool,
}

impl Demand {
    /// What is demanded by a session that has seen this; `None` if that is nothing.
    pub(super) fn new(now: Time, seen: Option<&DotSet>, owners: &PreferenceList) -> Option<Self> {
        if mutants::is_active(Mutant::SessionUnchecked) {
            return None;
        }
        let lacking = seen.filter(|seen| !seen.is_empty())?.clone();
        Some(Self {
            lacking,
            owners: *owners,
            begun: now,
            answered: BTreeSet::new(),
            rounds: 0,
            again_at: None,
            is_lost: false,
        })
    }

    pub(super) fn is_met(&self) -> bool {
        self.lacking.is_empty()
    }

    /// What is not known to be held yet.
    pub(super) fn lacking(&self) -> &DotSet {
        &self.lacking
    }

    /// An owner holds these.
    pub(super) fn handle_held(&mut self, owner: NodeId, held: &DotSet) {
        self.answered.insert(owner);
        self.lacking = self.lacking.difference(held);
    }

    /// Nobody is left to ask in this round.
    pub(super) fn handle_round_over(&mut self, now: Time) {
        let is_everybody = self.owners.iter().all(|node| self.answered.contains(&node));
        let mut makers = self.lacking.actors();
        let made_by_owners = makers.all(|actor| self.owners.contains(NodeId(actor.node)));
        self.is_lost |=
            is_everybody && made_by_owners && now.since(self.begun) >= LOST_AFTER && !self.is_met();
        let pause = FIRST_PAUSE.saturating_mul(1 << self.rounds.min(10));
        self.rounds = self.rounds.saturating_add(1);
        self.again_at = Some(now.after(pause.min(LONGEST_PAUSE)));
    }

    /// When to ask all of them again, if this round is over.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.again_at
    }

    /// Somebody has not answered yet: that is not waited for very long.
    pub(super) fn handle_waiting(&mut self, now: Time) {
        self.again_at.get_or_insert_with(|| now.after(PULLS_FOR));
    }

    /// Has the time for another round come? Then it begins.
    pub(super) fn handle_timeout(&mut self, now: Time) -> bool {
        let begins = self.again_at.is_some_and(|at| at <= now);
        if begins {
            self.again_at = None;
            self.answered.clear();
        }
        begins
    }

    /// Why there will be no answer, if so.
    pub(super) fn failed(&self, late: bool) -> Option<OrderFailed> {
        if self.is_met() {
            None
        } else if self.is_lost {
            Some(OrderFailed::SessionLost)
        } else {
            late.then_some(OrderFailed::SessionBehind)
        }
    }
}

/// A write that waits until this node's vnode holds what its session has seen.
#[derive(Debug)]
pub(super) struct Cover {
    demand: Demand,
    peers: Vec<NodeId>,
    waiting: VecDeque<NodeId>,
    /// Whom the vnode pulls from now, and how long the next one waits for it.
    asked: Option<(Option<NodeId>, Time)>,
}

impl Cover {
    pub(super) fn new(demand: Demand, here: NodeId, reachable: &[NodeId]) -> Self {
        let peers: Vec<NodeId> = reachable.iter().copied().filter(|n| *n != here).collect();
        Self {
            demand,
            waiting: peers.iter().copied().collect(),
            peers,
            asked: None,
        }
    }

    /// What the vnode must hold.
    pub(super) fn dots(&self) -> &DotSet {
        self.demand.lacking()
    }

    /// From whom to pull what is lacking, for a while.
    pub(super) fn ask(&mut self, now: Time) -> Option<NodeId> {
        let next = self.waiting.pop_front();
        self.asked = Some((next, now.after(PULLS_FOR)));
        next
    }

    /// This node holds all of it, or not although a peer has answered or failed. Says whether to
    /// ask the next one.
    pub(super) fn handle_held(&mut self, now: Time, here: NodeId, held: Held) -> bool {
        if held.is_held {
            self.demand.lacking = DotSet::default();
            return false;
        }
        self.demand.answered.insert(here);
        if let Some(peer) = held.from
            && held.has_answered
        {
            self.demand.answered.insert(peer);
        }
        if self.asked.is_none_or(|(from, _)| from != held.from) {
            return false;
        }
        self.goes_on(now)
    }

    pub(super) fn handle_timeout(&mut self, now: Time) -> bool {
        if self.demand.handle_timeout(now) {
            self.waiting = self.peers.iter().copied().collect();
            return true;
        }
        self.asked.is_some_and(|(_, until)| until <= now) && self.goes_on(now)
    }

    fn goes_on(&mut self, now: Time) -> bool {
        self.asked = None;
        if self.waiting.is_empty() {
            self.demand.handle_round_over(now);
        }
        !self.waiting.is_empty()
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let until = self.asked.map(|(_, until)| until);
        until.or_else(|| self.demand.poll_timeout())
    }

    pub(super) fn is_met(&self) -> bool {
        self.demand.is_met()
    }

    pub(super) fn failed(&self, late: bool) -> Option<OrderFailed> {
        self.demand.failed(late)
    }
}

/// Between two rounds over the owners; each next one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// How long one peer is waited for before the next is asked too.
const PULLS_FOR: Duration = Duration::from_millis(50);
/// Events may be on their way between owners for as long as this.
const LOST_AFTER: Duration = Duration::from_secs(1);
