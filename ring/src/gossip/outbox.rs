//! What is new and still to be handed on (SWIM, section 4.1).
//!
//! Every piece of news is handed on `4 * ceil(log10(n + 1))` times by every node that hears it, at
//! least eight times, and then never again. That is enough for it to reach everyone many times
//! over; in a small cluster the formula alone gives little more than one round to three members.
//! What was handed on least goes first, the newest before the older, so that under load the news
//! that everyone has heard waits for the one that nobody has.
//!
//! Only keys are kept here; what is sent is what is known at that moment. So there is at most one
//! entry for each member and each suspicion, however often they change.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::id::NodeId;

/// What a piece of news is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Member(NodeId),
    Suspicion { subject: NodeId, observer: NodeId },
}

/// How often it was sent, and how new it is.
type Rank = (u32, Reverse<u64>);

/// The queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    queue: BTreeMap<Rank, Topic>,
    ranks: BTreeMap<Topic, Rank>,
    count: u64,
}

impl Outbox {
    /// There is news about `topic`: it is handed on as if for the first time.
    pub(super) fn push(&mut self, topic: Topic) {
        self.remove(topic);
        self.count += 1;
        self.put(topic, (0, Reverse(self.count)));
    }

    /// There is nothing to say about `topic` any more.
    pub(super) fn remove(&mut self, topic: Topic) {
        if let Some(rank) = self.ranks.remove(&topic) {
            self.queue.remove(&rank);
        }
    }

    /// Whether there is no news.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What to send next, at most `most` topics.
    pub(super) fn first(&self, most: usize) -> Vec<Topic> {
        self.queue.values().take(most).copied().collect()
    }

    /// `topic` was sent once more; after `limit` times it leaves.
    pub(super) fn handle_sent(&mut self, topic: Topic, limit: u32) {
        let Some((sent, newness)) = self.ranks.get(&topic).copied() else {
            return;
        };
        self.remove(topic);
        if sent + 1 < limit {
            self.put(topic, (sent + 1, newness));
        }
    }

    fn put(&mut self, topic: Topic, rank: Rank) {
        self.queue.insert(rank, topic);
        self.ranks.insert(topic, rank);
    }
}

/// How often a piece of news is handed on in a cluster of `members`.
pub(super) fn retransmits(members: usize) -> u32 {
    // ceil(log10(n + 1)) is the number of decimal digits of n.
    let digits = members.max(10).ilog10() + 1;
    4 * digits
}

#[cfg(test)]
mod tests {
    use super::{Outbox, Topic, retransmits};
    use crate::id::NodeId;

    #[test]
    fn news_is_handed_on_more_often_in_larger_clusters() {
        let counts = [1, 9, 10, 99, 999, 1_000].map(retransmits);
        assert_eq!(counts, [8, 8, 8, 8, 12, 16]);
    }

    #[test]
    fn what_was_sent_least_goes_first_and_the_newest_before_the_older() {
        let [a, b, c] = [1, 2, 3].map(|id| Topic::Member(NodeId(id)));
        let mut outbox = Outbox::default();
        outbox.push(a);
        outbox.push(b);
        assert_eq!(outbox.first(9), [b, a]);
        outbox.handle_sent(b, 2);
        outbox.push(c);
        assert_eq!(outbox.first(9), [c, a, b]);
        outbox.handle_sent(b, 2);
        assert_eq!(outbox.first(9), [c, a]);
        outbox.remove(c);
        outbox.handle_sent(a, 1);
        assert!(outbox.is_empty());
        outbox.push(b);
        outbox.push(b);
        assert_eq!(outbox.first(9), [b]);
    }
}
