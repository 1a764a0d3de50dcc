//! A read: the r best owners are asked, their rows joined; an owner that fails or dawdles is
//! replaced by the next. A little before that, if the budget allows, the read is hedged: one more
//! owner is asked, and whoever answers first counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::time::Duration;

use super::answer::answer;
use super::bodies;
use super::confirm::Unconfirmed;
use super::repairs::{Stale, repairs};
use super::session::Demand;
use super::{OrderFailed, ReadDone, ReadOrder};
use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{ReadRows, RowsRead};
use crate::protocol::time::Time;
use ring::pace::Pace;
use ring::{NodeId, VnodeId};

/// One read. Feed it with `handle_*`, then drain every `poll_*`.
#[derive(Debug)]
pub(super) struct Read {
    order: ReadOrder,
    asking: VecDeque<NodeId>,
    waiting: VecDeque<NodeId>,
    outstanding: BTreeSet<NodeId>,
    replies: BTreeMap<NodeId, RowsRead>,
    begun: Time,
    /// When to ask one more owner, if that is allowed.
    hedge_at: Option<Time>,
    ask_next_at: Time,
    ask_next_after: Duration,
    refused: Option<OrderFailed>,
    /// Who serves no read.
    refusing: BTreeSet<NodeId>,
    late: bool,
    /// All that are asked, best first.
    owners: Vec<NodeId>,
    demand: Option<Box<Demand>>,
    /// From whoever is not the first one to be asked: bodies of up to so many bytes.
    bodies_up_to: u32,
    /// Whoever is asked from now on sends all bodies, too.
    whole: bool,
    /// Who was asked once more for bodies that it had left out.
    asked_again: BTreeSet<NodeId>,
}

/// How long a read waits for the owners that it has asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// Before it asks one more, if that is allowed.
    pub(super) hedge_after: Duration,
    /// Before it asks one more in any case, and then another.
    pub(super) ask_next_after: Duration,
}

impl Read {
    /// A read of the owners that can be reached, best first.
    pub(super) fn new(
        now: Time,
        here: NodeId,
        order: ReadOrder,
        (mut owners, demand): (Vec<NodeId>, Option<Box<Demand>>),
        waits: Waits,
        bodies_up_to: u32,
    ) -> Self {
        owners.sort_by_key(|&node| node != here);
        if order.local {
            owners.truncate(1);
        }
        let mut waiting: VecDeque<NodeId> = owners.iter().copied().collect();
        let reachable = u8::try_from(waiting.len()).unwrap_or(u8::MAX);
        let required = order.r;
        let refused = (reachable < required).then_some(OrderFailed::Unavailable {
            reachable,
            required,
        });
        let asked = if refused.is_some() {
            0
        } else {
            usize::from(required)
        };
        let asking: VecDeque<NodeId> = waiting.drain(..asked).collect();
        let Waits {
            hedge_after,
            ask_next_after,
        } = waits;
        let hedge_at = (hedge_after < ask_next_after).then(|| now.after(hedge_after));
        Self {
            order,
            outstanding: asking.iter().copied().collect(),
            asking,
            waiting,
            replies: BTreeMap::new(),
            begun: now,
            hedge_at,
            ask_next_at: now.after(ask_next_after),
            ask_next_after,
            refused,
            refusing: BTreeSet::new(),
            late: false,
            owners,
            demand,
            bodies_up_to,
            whole: false,
            asked_again: BTreeSet::new(),
        }
    }

    pub(super) fn handle_rows(
        &mut self,
        now: Time,
        from: NodeId,
        rows: Result<RowsRead, OrderFailed>,
    ) {
        let is_of_before = |rows: &RowsRead| !rows.left_out.is_empty();
        if self.asked_again.contains(&from) && rows.as_ref().is_ok_and(is_of_before) {
            return;
        }
        if !self.outstanding.remove(&from) {
            return;
        }
        self.take_rows(from, rows);
        if self.counted() < self.order.r {
            return;
        }
        if self.is_met() {
            return self.ask_for_bodies();
        }
        // Enough have answered, and they lack what the session has seen: whoever is left is asked.
        if self.outstanding.is_empty() {
            self.ask_next();
        }
        let is_over = self.outstanding.is_empty();
        if let Some(demand) = &mut self.demand {
            if is_over {
                demand.handle_round_over(now);
            } else {
                demand.handle_waiting(now);
            }
        }
    }

    /// Has the answer's bodies sent that were left out and that nobody has sent.
    fn ask_for_bodies(&mut self) {
        let lacking = bodies::lacking(&self.replies);
        for node in bodies::left_out_by(&self.replies, &lacking) {
            self.whole = true;
            if self.asked_again.insert(node) {
                self.outstanding.insert(node);
                self.asking.push_back(node);
            }
        }
    }

    fn take_rows(&mut self, from: NodeId, rows: Result<RowsRead, OrderFailed>) {
        if let (Ok(rows), Some(demand)) = (&rows, &mut self.demand) {
            demand.handle_held(from, rows.clock.dots());
        }
        match rows {
            Ok(rows) => {
                // A replica that is catching up may lack what was acknowledged: it is joined, and
                // somebody else is asked in its place.
                let counts = !rows.catching_up || self.order.local;
                self.replies.insert(from, rows);
                if !counts {
                    self.ask_next();
                }
            }
            Err(failed) => {
                // It had answered, and was asked for bodies: without them it is as if it had not. A
                // session goes by what it has said that it holds.
                if self.demand.is_none() {
                    self.replies.remove(&from);
                }
                let is_refused = matches!(failed, OrderFailed::Refused(_));
                if is_refused {
                    self.refusing.insert(from);
                }
                if is_refused && self.waiting.is_empty() {
                    self.refused = Some(failed);
                } else {
                    self.ask_next();
                }
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        if now >= self.order.deadline {
            self.late = true;
        } else if self.demand.as_mut().is_some_and(|d| d.handle_timeout(now)) {
            self.asking = self.owners.iter().copied().collect();
            self.outstanding.extend(&self.owners);
        } else if now >= self.ask_next_at {
            self.ask_next();
            self.ask_next_at = now.after(self.ask_next_after);
        }
    }

    /// Whom to ask before its time, if that time has come.
    pub(super) fn poll_hedge(&self, now: Time) -> Option<NodeId> {
        let next = self.waiting.front().copied();
        next.filter(|_| self.hedge_at.is_some_and(|at| at <= now))
    }

    /// Who has not answered yet.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = NodeId> {
        self.outstanding.iter().copied()
    }

    /// That it may ask, or that it must wait until those whom it has asked dawdle.
    pub(super) fn handle_hedge(&mut self, now: Time, may: bool, pace: &Pace) {
        let next = if may {
            self.ask_next();
            now.after(pace.patience())
        } else {
            self.begun.after(pace.great_patience())
        };
        self.hedge_at = (next > now).then_some(next);
    }

    pub(super) fn deadline(&self) -> Time {
        self.order.deadline
    }

    /// What to ask an owner. The first one sends all bodies, and the others, whose versions are
    /// mostly the same, all but the large ones.
    pub(super) fn request(&self, to: NodeId) -> ReadRows {
        let is_whole = self.whole || self.owners.first() == Some(&to);
        let bodies_up_to = (!is_whole).then_some(self.bodies_up_to);
        self.order.request(bodies_up_to)
    }

    /// Is this owner asked for bodies that it has left out?
    pub(super) fn is_asked_again(&self, owner: NodeId) -> bool {
        self.asked_again.contains(&owner)
    }

    /// Whom to ask next.
    pub(super) fn poll_transmit(&mut self) -> Option<NodeId> {
        self.asking.pop_front()
    }

    /// Have enough owners replied, with all that the session has seen, and somebody with each body
    /// that the answer shows?
    pub(super) fn is_answered(&self) -> bool {
        self.counted() >= self.order.r && self.is_met() && bodies::lacking(&self.replies).is_empty()
    }

    fn is_met(&self) -> bool {
        self.demand.as_ref().is_none_or(|demand| demand.is_met())
    }

    /// The answer of a monotonic read that is answered, and what it is joined from.
    pub(super) fn poll_unconfirmed(&mut self) -> Option<Unconfirmed> {
        self.order.monotonic?;
        Some(Unconfirmed {
            replies: self.replies.clone(),
            refusing: self.refusing.clone(),
            owners: self.owners.clone(),
            done: self.joined(self.counted()),
            order: self.order.clone(),
        })
    }

    /// The answer, when enough owners have replied or can no longer. It takes the replies with it.
    pub(super) fn poll_event(&mut self) -> Option<Result<ReadDone, OrderFailed>> {
        let answered = self.counted();
        let required = self.order.r;
        if self.is_answered() {
            return Some(Ok(self.joined(answered)));
        }
        let is_enough = answered >= required;
        if let Some(demand) = self.demand.as_ref().filter(|d| is_enough && !d.is_met()) {
            return demand.failed(self.late).map(Err);
        }
        let hopeless = self.outstanding.is_empty() && self.asking.is_empty();
        if !self.late && !hopeless {
            return None;
        }
        let too_few = OrderFailed::TooFewAnswers {
            // Enough may have answered, and one of them not with the bodies that it was asked for.
            answered: answered.min(required.saturating_sub(1)),
            required,
            timed_out: self.late,
        };
        Some(Err(self.refused.unwrap_or(too_few)))
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let again_at = self
            .demand
            .as_ref()
            .and_then(|demand| demand.poll_timeout());
        let deadline = self
            .order
            .deadline
            .min(again_at.unwrap_or(self.order.deadline));
        if self.waiting.is_empty() {
            Some(deadline)
        } else {
            let next = self.hedge_at.unwrap_or(self.ask_next_at);
            Some(next.min(self.ask_next_at).min(deadline))
        }
    }

    /// Which owners lack something that others have shown, as far as it was written before
    /// `young_ms`.
    pub(super) fn poll_repairs(&self, here: NodeId, young_ms: u64) -> Vec<(NodeId, Stale)> {
        repairs(&self.replies, here, young_ms)
    }

    /// The vnode and the key to repair, if this read repairs.
    pub(super) fn key(&self) -> Option<(VnodeId, KeyPrefix)> {
        let prefix = self.order.repair.clone()?;
        Some((self.order.vnode, prefix))
    }

    fn ask_next(&mut self) {
        // The one that was to send all bodies has not: whoever is asked in its place does.
        self.whole |= self
            .replies
            .values()
            .all(|reply| !reply.left_out.is_empty());
        if let Some(next) = self.waiting.pop_front() {
            self.outstanding.insert(next);
            self.asking.push_back(next);
        }
    }

    fn counted(&self) -> u8 {
        let local = self.order.local;
        let counted = self
            .replies
            .values()
            .filter(|reply| !reply.catching_up || local);
        u8::try_from(counted.count()).unwrap_or(u8::MAX)
    }

    fn joined(&mut self, answered: u8) -> ReadDone {
        answer(&mut self.order, mem::take(&mut self.replies), answered)
    }
}
