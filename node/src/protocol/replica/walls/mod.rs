//! Whether this node's wall clock says what those of most nodes say, and what time it goes by if
//! not (algorithms I).
//!
//! Stamps decide between concurrent assignments, say when a version ends and for how long a record
//! is kept. So a node whose clock is a day ahead would win for a day, and let others' versions end
//! a day early. With each comparison of clocks, once a second, its peers say what their wall clocks
//! say; where this one is further than drift allows from the median of all, it goes by that until
//! its own is right again. Who was not heard counts as agreeing. What most nodes say is the time:
//! two nodes alone cannot tell which of them is wrong, and each goes by its own.
//!
//! ```text
//!   asked at steady 10.000 s; they say W; answered at steady 10.020 s, own wall V
//!     ahead by   V - 10 ms - W,   to within 10 ms
//! ```
//!
//! A wall clock that is set while the node runs jumps against its steady clock. All that is known
//! of the peers shifts by as much, so the node need not hear them to go on by their time. (A
//! machine that was suspended looks the same, until it hears them.) In the first second of a
//! process, and for as long as less than half of the nodes are heard, its own clock is all there
//! is to go by.
//!
//! That will do to stamp a write, and not to remove something for good because its time is over.
//! Who removes goes by a time that has surely come: while most nodes do not agree on one, by the
//! slowest clock of those heard, if they are most, or by what had surely come at the end of the
//! life before this one and what has passed since the start.

use std::collections::BTreeMap;

use super::Replica;
use crate::protocol::time::{Moment, Time};
use crdt::Hlc;
use ring::NodeId;

/// What a life knows of time, for the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Past {
    /// The greatest stamp given or taken over.
    pub stamp: Hlc,
    /// A time that had surely come, in milliseconds since the epoch.
    pub surely_ms: u64,
}

/// How far this node's wall clock is from those of its peers.
#[derive(Debug)]
pub(super) struct Walls {
    drift_ms: i64,
    /// By how many milliseconds it is ahead of each peer's, and how many of these may be time that
    /// the answer took.
    ahead: BTreeMap<NodeId, (i64, i64)>,
    /// All nodes, this one and those that were never heard among them.
    nodes: usize,
    /// What had surely come before this life.
    past_ms: u64,
    /// When this life began.
    began: Option<Time>,
    /// What this node's clocks said last.
    last: Moment,
    correction: i64,
}

impl Walls {
    /// Clocks may differ by `drift_ms`; `past_ms` has surely come.
    pub(super) fn new(drift_ms: u64, past_ms: u64) -> Self {
        Self {
            drift_ms: signed(drift_ms),
            ahead: BTreeMap::new(),
            nodes: 1,
            past_ms,
            began: None,
            last: Moment::default(),
            correction: 0,
        }
    }

    /// What to go by at a moment that this node's clocks say.
    fn correct(&mut self, now: Moment) -> Moment {
        let passed = millis(now.time.since(self.last.time));
        let jump = signed(now.wall_ms) - signed(self.last.wall_ms) - passed;
        self.last = now;
        self.began.get_or_insert(now.time);
        if jump.abs() > LEAST_JUMP_MS {
            self.ahead.values_mut().for_each(|(by, _)| *by += jump);
            self.settle();
        }
        let wall_ms = now.wall_ms.saturating_add_signed(-self.correction);
        Moment { wall_ms, ..now }
    }

    /// A peer has said what its wall clock says, in the answer to what it was asked at `asked`.
    fn hear(&mut self, asked: Time, peer: NodeId, wall_ms: u64) {
        let half = millis(self.last.time.since(asked)) / 2;
        let by = signed(self.last.wall_ms) - half - signed(wall_ms);
        self.ahead.insert(peer, (by, half + 1));
        self.settle();
    }

    /// Have enough been heard to tell the time? A node that has heard nobody does not even know how
    /// many there are.
    fn are_most_heard(&self) -> bool {
        !self.ahead.is_empty() && 2 * (self.ahead.len() + 1) > self.nodes
    }

    /// Do more than half of all nodes have clocks that agree with what this one goes by?
    fn is_confirmed(&self) -> bool {
        let agrees = |&&(by, error): &&(i64, i64)| {
            let off = by.saturating_sub(self.correction).abs();
            off <= self.drift_ms.saturating_add(error)
        };
        let others = self.ahead.values().filter(agrees).count();
        2 * (others + usize::from(self.correction == 0)) > self.nodes
    }

    /// A time that has surely come, as a wall clock says it.
    fn surely_ms(&self) -> u64 {
        let own = self.last.wall_ms;
        if self.is_confirmed() {
            return own.saturating_add_signed(-self.correction);
        }
        let began = self.began.unwrap_or_default();
        let passed = millis(self.last.time.since(began)).unsigned_abs();
        let since_then = self.past_ms.saturating_add(passed);
        let ahead = self.ahead.values().map(|&(by, _)| by).max().unwrap_or(0);
        let slowest = own.saturating_add_signed(-ahead.max(0));
        let heard = if self.are_most_heard() { slowest } else { 0 };
        own.min(since_then.max(heard))
    }

    fn settle(&mut self) {
        let unheard = self.nodes.saturating_sub(self.ahead.len());
        let mut all = vec![(0, 0); unheard.max(1)];
        all.extend(self.ahead.values());
        all.sort_unstable();
        // Of two in the middle that which is nearer to this node.
        let (low, high) = (all[(all.len() - 1) / 2], all[all.len() / 2]);
        let (by, error) = if low.0.abs() < high.0.abs() {
            low
        } else {
            high
        };
        let is_wrong = by.abs() > self.drift_ms.saturating_add(error);
        self.correction = if is_wrong { by } else { 0 };
    }
}

impl Replica {
    /// How far this node's wall clock is ahead of what most nodes say, in milliseconds: by so much
    /// it is corrected. 0 if it agrees with them as far as drift allows, or nobody can tell.
    #[must_use]
    pub fn wall_ahead_ms(&self) -> i64 {
        self.walls.correction
    }

    /// What to go by at a moment that this node's clocks say. Stamps follow: those that a wrong
    /// clock had carried away come back, since nothing but wall time stands behind them.
    pub(super) fn correct(&mut self, now: Moment) -> Moment {
        let now = self.walls.correct(now);
        let farthest = now.wall_ms.saturating_add(self.config.max_drift_ms);
        if self.walls.are_most_heard() && self.hlc.last().milliseconds() > farthest {
            self.hlc.set_back(Hlc::at(now.wall_ms));
        }
        now
    }

    /// A peer has said what its wall clock says.
    pub(super) fn hear_wall(&mut self, peer: NodeId, wall_ms: u64) {
        let asked = self.peers.get(&peer).and_then(|state| state.compares_since);
        if let Some(asked) = asked {
            self.walls.hear(asked, peer, wall_ms);
        }
    }

    /// There are so many peers to hear.
    pub(super) fn expect_walls(&mut self) {
        self.walls.nodes = self.peers.len() + 1;
    }

    /// What this life knows of time, to be kept for the next one with every batch.
    #[must_use]
    pub fn past(&self) -> Past {
        Past {
            stamp: self.hlc.last(),
            surely_ms: self.surely_ms(),
        }
    }

    /// A time that has surely come, in milliseconds since the epoch: what was over by then may be
    /// removed for good.
    pub(super) fn surely_ms(&self) -> u64 {
        self.walls.surely_ms()
    }

    /// What this node's own wall clock says, right or wrong, for its peers to compare.
    pub(super) fn own_wall_ms(&self) -> u64 {
        self.walls.last.wall_ms
    }
}

/// A peer may say anything: what no stamp can hold is as good as the greatest that one can.
fn signed(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds.min(1 << 48)).unwrap_or(0)
}

fn millis(time: std::time::Duration) -> i64 {
    signed(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Two clocks that are read one after the other differ by less.
const LEAST_JUMP_MS: i64 = 50;

#[cfg(test)]
mod tests;
