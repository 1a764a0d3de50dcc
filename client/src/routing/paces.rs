//! How fast nodes answer this client, reads and writes apart.
//!
//! Health knows which nodes fail; a node that hangs fails only after a long wait. Here it is asked
//! last as soon as it leaves something unanswered for several times as long as is usual.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::retry::Work;
use ring::NodeId;
use ring::pace::{Pace, Question};

/// What is known of the pace of nodes.
#[derive(Debug)]
pub(crate) struct Paces {
    reads: Pace,
    writes: Pace,
    /// When each node answered something last.
    heard: BTreeMap<NodeId, Duration>,
    next: u64,
}

impl Paces {
    pub(crate) fn new() -> Self {
        Self {
            reads: Pace::new(LONGEST),
            writes: Pace::new(LONGEST),
            heard: BTreeMap::new(),
            next: 0,
        }
    }

    /// The pace of one kind of work.
    pub(crate) fn of(&mut self, work: Work) -> &mut Pace {
        match work {
            Work::Read => &mut self.reads,
            Work::Write => &mut self.writes,
        }
    }

    /// A node is asked.
    pub(crate) fn handle_asked(&mut self, now: Duration, node: NodeId, work: Work) -> Question {
        self.next += 1;
        let question = (now, self.next);
        self.of(work).handle_asked(node, question);
        question
    }

    /// A node has answered something, whatever it is.
    pub(crate) fn handle_heard(&mut self, now: Duration, node: NodeId) {
        self.heard.insert(node, now);
    }

    /// From when on a node is silent over a write that it was sent at `since`, unless something is
    /// heard of it until then.
    pub(crate) fn silent_at(&self, node: NodeId, since: Duration) -> Duration {
        let heard = self.heard.get(&node).copied().unwrap_or_default();
        let patience = self.writes.great_patience().max(SHORTEST_SILENCE);
        heard.max(since).saturating_add(patience)
    }

    /// Puts nodes in order for a read: who dawdles comes last, and the quicker ones first.
    pub(crate) fn order_for_read(&self, now: Duration, nodes: &mut [NodeId]) {
        nodes.sort_by_key(|&node| (self.dawdles(now, node), self.reads.rank(now, node)));
    }

    /// Puts nodes in order for a write: who dawdles comes last. Else it stays with the first owner,
    /// where concurrent writes meet; but if it may be `moved`, one that is slow comes behind the
    /// others.
    pub(crate) fn order_for_write(&self, now: Duration, moved: bool, nodes: &mut [NodeId]) {
        let all = nodes.to_vec();
        let is_slow = |node| {
            let others = all.iter().copied().filter(|&other| other != node);
            moved && self.writes.is_slow(now, node, others)
        };
        nodes.sort_by_key(|&node| (self.dawdles(now, node), is_slow(node)));
    }

    fn dawdles(&self, now: Duration, node: NodeId) -> bool {
        self.reads.is_dawdling(now, node) || self.writes.is_dawdling(now, node)
    }
}

/// The longest that a read waits for a node before it is hedged, and what is usual until that is
/// known.
const LONGEST: Duration = Duration::from_millis(250);

/// No shorter time is silence: a busy machine leaves a process alone for as long now and then.
const SHORTEST_SILENCE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::{Duration, NodeId, Paces, SHORTEST_SILENCE, Work};

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn ordered(paces: &Paces, ms: u64, work: Work) -> [u64; 3] {
        let mut nodes = [1, 2, 3].map(NodeId);
        match work {
            Work::Read => paces.order_for_read(at(ms), &mut nodes),
            Work::Write => paces.order_for_write(at(ms), true, &mut nodes),
        }
        nodes.map(|node| node.0)
    }

    /// Node 1 has answered once, in 40 ms, and the two others in 2.
    fn one_is_slow(work: Work) -> Paces {
        let mut paces = Paces::new();
        for (node, ms) in [(1, 40), (2, 2), (3, 2)] {
            let question = paces.handle_asked(at(0), NodeId(node), work);
            let pace = paces.of(work);
            pace.handle_answer(at(ms), NodeId(node), question);
        }
        paces
    }

    #[test]
    fn a_node_that_hangs_over_reads_is_asked_last_for_writes_too() {
        let mut paces = Paces::new();
        paces.handle_asked(at(0), NodeId(1), Work::Read);
        assert_eq!(ordered(&paces, 100, Work::Write), [1, 2, 3]);
        assert_eq!(ordered(&paces, 1_000, Work::Write), [2, 3, 1]);
        assert_eq!(ordered(&paces, 1_000, Work::Read), [2, 3, 1]);
    }

    #[test]
    fn a_node_is_silent_when_nothing_of_it_is_heard_for_several_times_as_long_as_is_usual() {
        let mut paces = Paces::new();
        let node = NodeId(1);
        assert_eq!(paces.silent_at(node, at(100)), at(100) + 3 * super::LONGEST);
        for _ in 0..100 {
            let question = paces.handle_asked(at(0), node, Work::Write);
            paces.of(Work::Write).handle_answer(at(30), node, question);
        }
        // Of a hundred answers all came within the 32 ms of their bucket.
        let patience = 3 * Duration::from_micros(32_768);
        assert_eq!(paces.silent_at(node, at(100)), at(100) + patience);
        // An answer to anything counts, whatever has become of the write.
        paces.handle_heard(at(170), node);
        assert_eq!(paces.silent_at(node, at(100)), at(170) + patience);
    }

    #[test]
    fn a_moment_is_no_silence_however_quick_writes_are() {
        let mut paces = Paces::new();
        for _ in 0..100 {
            let question = paces.handle_asked(at(0), NodeId(1), Work::Write);
            paces
                .of(Work::Write)
                .handle_answer(at(1), NodeId(1), question);
        }
        assert_eq!(paces.silent_at(NodeId(1), at(9)), at(9) + SHORTEST_SILENCE);
    }

    #[test]
    fn writes_leave_a_first_owner_that_is_slow_over_writes_if_they_may() {
        let paces = one_is_slow(Work::Write);
        assert_eq!(ordered(&paces, 100, Work::Write), [2, 3, 1]);
        let mut nodes = [1, 2, 3].map(NodeId);
        paces.order_for_write(at(100), false, &mut nodes);
        assert_eq!(nodes.map(|node| node.0), [1, 2, 3]);
        let later = ordered(&paces, 9_000, Work::Write);
        assert_eq!(later, [1, 2, 3], "it is tried again");
    }

    #[test]
    fn reads_prefer_a_quicker_node_and_writes_their_first_owner() {
        let paces = one_is_slow(Work::Read);
        assert_eq!(ordered(&paces, 100, Work::Read), [2, 3, 1]);
        assert_eq!(ordered(&paces, 100, Work::Write), [1, 2, 3]);
    }
}
