//! Who is known to hold a new bucket: it is acknowledged when a majority does.
//!
//! A bucket is made by one node alone, and the state that it is part of spreads by itself. But a
//! client that was told of it may turn to any other node next, and the one that made it may be lost
//! in this moment. So the state is pushed to all members at once, and the answer waits for more
//! than half of them, the node itself included. A creation that is not acknowledged is not taken
//! back: it spreads, and repeating it does no harm.

use std::collections::BTreeSet;

use crate::protocol::time::Time;
use ring::NodeId;

/// The holders of one bucket's record, as far as they have said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holders {
    members: usize,
    holders: BTreeSet<NodeId>,
    asked: BTreeSet<NodeId>,
    deadline: Time,
}

impl Holders {
    /// Among so many `members`, of whom `asked` will answer, or their calls fail. Nobody is waited
    /// for after the deadline.
    #[must_use]
    pub fn new(members: usize, asked: impl IntoIterator<Item = NodeId>, deadline: Time) -> Self {
        Self {
            members,
            holders: BTreeSet::new(),
            asked: asked.into_iter().collect(),
            deadline,
        }
    }

    /// A member has the record in its state, or could not be told.
    pub fn handle_answer(&mut self, from: NodeId, holds: bool) {
        self.asked.remove(&from);
        if holds {
            self.holders.insert(from);
        }
    }

    /// How many hold it.
    #[must_use]
    pub fn count(&self) -> usize {
        self.holders.len()
    }

    /// How many must.
    #[must_use]
    pub fn required(&self) -> usize {
        self.members / 2 + 1
    }

    /// Do enough of them?
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.count() >= self.required()
    }

    /// Is there nothing to wait for any more?
    #[must_use]
    pub fn is_over(&self, now: Time) -> bool {
        let possible = self.count() + self.asked.len() >= self.required();
        self.is_reached() || !possible || now >= self.deadline
    }

    /// Until when somebody is waited for.
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.deadline
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Holders, NodeId, Time};

    fn at(seconds: u64) -> Time {
        Time::at(Duration::from_secs(seconds))
    }

    #[test]
    fn a_bucket_is_acknowledged_when_a_majority_holds_it() {
        let mut holders = Holders::new(3, [NodeId(2), NodeId(3)], at(9));
        holders.handle_answer(NodeId(1), true);
        assert!(!holders.is_reached() && !holders.is_over(at(0)));
        holders.handle_answer(NodeId(2), false);
        assert!(!holders.is_over(at(0)), "the third may still");
        holders.handle_answer(NodeId(3), true);
        holders.handle_answer(NodeId(3), true);
        assert!(holders.is_reached() && holders.is_over(at(0)));
        assert_eq!((holders.count(), holders.required()), (2, 2));
        assert_eq!(Holders::new(1, [], at(9)).required(), 1);
        assert_eq!(Holders::new(4, [], at(9)).required(), 3);
    }

    #[test]
    fn nobody_is_waited_for_in_vain() {
        let mut holders = Holders::new(5, [NodeId(2)], at(9));
        holders.handle_answer(NodeId(1), true);
        assert!(holders.is_over(at(0)), "two of five are no majority");
        let mut holders = Holders::new(3, [NodeId(2)], at(9));
        holders.handle_answer(NodeId(1), true);
        assert!(!holders.is_over(at(8)) && holders.is_over(at(9)));
        assert!(!holders.is_reached());
    }
}
