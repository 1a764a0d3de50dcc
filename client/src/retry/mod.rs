//! One call and its retries, as a pure machine: time, jitter and answers are arguments.
//!
//! ```text
//!          choose(owners)                handle_failure
//!   new ------------------> an attempt ------------------> Again { at } --> choose ...
//!                               |                    `---> Stop(why)
//!                               `--> an answer: done
//! ```
//!
//! The deadline covers all attempts. A single attempt gets a third of the time that is left, so
//! that a silent node leaves time for another one, but not less than [`SHORTEST_ATTEMPT`]. Between
//! attempts the machine waits when every owner was asked, or the table says so: exponential backoff
//! with full jitter (Brooker, "Exponential Backoff And Jitter", 2015).

mod budget;
mod table;
#[cfg(test)]
mod tests;
mod throttle;

use std::time::Duration;

use crate::wire::{FailureKind, Outcome};
use ring::NodeId;

pub(crate) use budget::Budget;
pub(crate) use table::{Advice, Cause, Next, Work, advice};
pub(crate) use throttle::Throttle;

/// A call in progress.
#[derive(Debug)]
pub(crate) struct Retry {
    work: Work,
    started: Duration,
    deadline: Duration,
    max_retries: u32,
    attempts: u32,
    /// Paid retries so far.
    retries: u32,
    /// Retries so far of a kind that is limited per call.
    limited: u32,
    backoffs: u32,
    /// Owners asked in this round.
    asked: Vec<NodeId>,
    /// The node to ask again before others, and whether that has happened for it.
    again: Option<NodeId>,
    has_repeated: bool,
    outcome: Outcome,
}

/// The times of one attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// How long to wait for a connection.
    pub(crate) connect: Duration,
    /// When the call began.
    pub(crate) started: Duration,
    /// Another attempt of the call may have been applied, or may be yet.
    pub(crate) may_be_applied: bool,
}

/// A failed attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// The node that was asked.
    pub(crate) node: NodeId,
    /// How it failed.
    pub(crate) cause: Cause,
    /// What a write may have done in this attempt.
    pub(crate) outcome: Outcome,
    /// How long the node asks us to wait.
    pub(crate) retry_after: Duration,
}

impl Attempt {
    /// Has a bounded counter as a whole too little? Then the node names no time to wait for.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.cause == Cause::Failed(FailureKind::Insufficient) && self.retry_after.is_zero()
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Try again at this instant.
    Again {
        /// When.
        at: Duration,
        /// Ask for the ring first.
        refresh: bool,
    },
    /// Report the failure.
    Stop(Why),
}

/// Why a call is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Trying again cannot help.
    Final,
    /// The deadline comes before the next attempt.
    Deadline,
    /// The client has retried too much lately.
    Budget,
    /// The call has retried as often as it may.
    Attempts,
}

impl Retry {
    pub(crate) fn new(now: Duration, timeout: Duration, work: Work, max_retries: u32) -> Self {
        Self {
            work,
            started: now,
            deadline: now.saturating_add(timeout),
            max_retries,
            attempts: 0,
            retries: 0,
            limited: 0,
            backoffs: 0,
            asked: Vec::new(),
            again: None,
            has_repeated: false,
            outcome: Outcome::NotApplied,
        }
    }

    /// The node to ask now: the one to repeat, else the first of `owners` that was not asked in
    /// this round. `None` if there are no owners.
    pub(crate) fn choose(&mut self, owners: &[NodeId]) -> Option<NodeId> {
        let again = self.again.take().filter(|node| owners.contains(node));
        let fresh = || {
            owners
                .iter()
                .copied()
                .find(|node| !self.asked.contains(node))
        };
        let node = again.or_else(fresh).or_else(|| owners.first().copied())?;
        if !self.asked.contains(&node) {
            self.asked.push(node);
        }
        self.attempts = self.attempts.saturating_add(1);
        Some(node)
    }

    /// Is there a node that was not asked in this round, and may a call go on to it by itself?
    pub(crate) fn has_other(&self, owners: &[NodeId]) -> bool {
        self.max_retries > 0 && owners.iter().any(|node| !self.asked.contains(node))
    }

    /// Another node to ask while the first has not answered, if `may` allows it.
    pub(crate) fn choose_other(
        &mut self,
        owners: &[NodeId],
        may: impl FnOnce(NodeId) -> bool,
    ) -> Option<NodeId> {
        let mut fresh = owners.iter().filter(|node| !self.asked.contains(node));
        let next = fresh.next().copied().filter(|node| may(*node))?;
        self.asked.push(next);
        self.attempts = self.attempts.saturating_add(1);
        Some(next)
    }

    /// Learns that one of two attempts under way has failed, while the other one decides what is to
    /// be done next. What it may have applied may be there whatever becomes of that.
    pub(crate) fn handle_outcome(&mut self, attempt: &Attempt) {
        let outcome = match self.work {
            Work::Read => Outcome::NotApplied,
            Work::Write => attempt.outcome,
        };
        self.outcome = worse(self.outcome, outcome);
    }

    /// Learns how an attempt failed; `owners` is how many nodes could be asked, `fraction` a random
    /// number in `0.0..1.0`.
    pub(crate) fn handle_failure(
        &mut self,
        now: Duration,
        attempt: &Attempt,
        owners: usize,
        budget: &mut Budget,
        fraction: f64,
    ) -> Verdict {
        self.handle_outcome(attempt);
        let advice = advice(attempt.cause, self.work);
        if attempt.is_hopeless() {
            return Verdict::Stop(Why::Final);
        }
        if let Some(why) = self.forbids(&advice) {
            return Verdict::Stop(why);
        }
        let repeats = advice.next == Next::Same && !self.has_repeated;
        if repeats {
            self.again = Some(attempt.node);
        }
        self.has_repeated = repeats;
        let refresh = advice.next == Next::Refreshed;
        let round_is_over = self.asked.len() >= owners && !repeats;
        if round_is_over || refresh {
            self.asked.clear();
        }
        let pause = if advice.pause || (round_is_over && !refresh) || self.attempts > HASTY {
            self.backoff(fraction).max(attempt.retry_after)
        } else {
            Duration::ZERO
        };
        let at = now.saturating_add(pause);
        if at.saturating_add(SHORTEST_USE) > self.deadline {
            return Verdict::Stop(Why::Deadline);
        }
        if advice.is_paid && !budget.take(now) {
            return Verdict::Stop(Why::Budget);
        }
        Verdict::Again { at, refresh }
    }

    /// How long an attempt may take that begins now; `owners` is how many nodes could be asked.
    pub(crate) fn times(&self, now: Duration, owners: usize) -> Times {
        Times {
            timeout: self.attempt_timeout(now),
            connect: self.connect_timeout(now, owners),
            started: self.started,
            may_be_applied: self.outcome != Outcome::NotApplied,
        }
    }

    /// How long the next attempt may take.
    pub(crate) fn attempt_timeout(&self, now: Duration) -> Duration {
        let left = self.deadline.saturating_sub(now);
        if self.max_retries == 0 {
            left
        } else {
            (left / 3).max(SHORTEST_ATTEMPT).min(left)
        }
    }

    /// How long to wait for a connection; `owners` is how many nodes could be asked. While another
    /// one was not asked in this round, a node gets a head start and no more: dialling it goes on,
    /// and the next round finds it done.
    pub(crate) fn connect_timeout(&self, now: Duration, owners: usize) -> Duration {
        let timeout = self.attempt_timeout(now);
        if self.max_retries > 0 && self.asked.len() < owners {
            timeout.min(HEAD_START)
        } else {
            timeout
        }
    }

    /// What the write may have done, over all attempts.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// How many nodes were asked, counting repetitions.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    fn forbids(&mut self, advice: &Advice) -> Option<Why> {
        if advice.next == Next::Stop {
            return Some(Why::Final);
        }
        if self.attempts >= MOST_ATTEMPTS {
            return Some(Why::Attempts);
        }
        if advice.at_most != u32::MAX {
            self.limited = self.limited.saturating_add(1);
            if self.limited > advice.at_most {
                return Some(Why::Attempts);
            }
        }
        if advice.is_paid || self.max_retries == 0 {
            self.retries = self.retries.saturating_add(1);
            if self.retries > self.max_retries {
                return Some(Why::Attempts);
            }
        }
        None
    }

    fn backoff(&mut self, fraction: f64) -> Duration {
        let ceiling = FIRST_BACKOFF
            .saturating_mul(1 << self.backoffs.min(10))
            .min(LONGEST_BACKOFF);
        self.backoffs = self.backoffs.saturating_add(1);
        ceiling.mul_f64(fraction.clamp(0.0, 1.0))
    }
}

/// Of two attempts' outcomes the one that a caller must reckon with.
fn worse(one: Outcome, other: Outcome) -> Outcome {
    match (one, other) {
        (Outcome::NotApplied, outcome)
        | (outcome, Outcome::NotApplied)
        | (Outcome::MaybeApplied, outcome) => outcome,
        // A known lower bound stays known.
        (Outcome::AppliedBelowQuorum { .. }, Outcome::MaybeApplied) => one,
        // The later count is of the same operation, and the newer.
        (Outcome::AppliedBelowQuorum { .. }, Outcome::AppliedBelowQuorum { .. }) => other,
    }
}

/// An attempt gets this long if the call's deadline allows.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(250);
/// How long one node's connection is waited for while there are others.
pub(crate) const HEAD_START: Duration = Duration::from_millis(250);
/// Less time than this is too little for an attempt.
const SHORTEST_USE: Duration = Duration::from_millis(1);
/// The ceiling of the first backoff; each next one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(20);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// From this many attempts on there is a pause before each.
const HASTY: u32 = 4;
/// Bounds the retries that are not paid for.
const MOST_ATTEMPTS: u32 = 100;
