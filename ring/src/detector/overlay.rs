//! Who observes whom: K successors on K pseudo-random permutations.
//!
//! All nodes are put in K different orders, each by a hash with a seed of its own, and closed to
//! circles. In each circle the next live node observes the one before it:
//!
//! ```text
//!   circle 0      a -> f -> c -> b -> e -> d -> (a)        observers of c: b,
//!   circle 1      c -> a -> d -> f -> b -> e -> (c)                        a,
//!   circle 2      b -> d -> c -> e -> a -> f -> (b)                        e
//! ```
//!
//! The union of the circles is an expander with high probability, so that every set of nodes that
//! fails together has many observers outside of itself (Suresh et al., *Stable and Consistent
//! Membership at Scale with Rapid*, ATC 2018). Every node computes the same circles from the same
//! members and nobody has to agree on anything; while views differ, a node merely has an observer
//! too few or too many.
//!
//! A node that would observe the same one twice, or is down, is passed over for the next one on
//! that circle. So each node has K distinct live observers, or all others where there are fewer.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::id::{ClusterId, NodeId};

/// The circles over all members that are not removed.
///
/// At most 10,000 nodes by the bound of the member map: 16 bytes for each on each circle.
#[derive(Clone, Debug)]
pub struct Overlay {
    circles: Vec<Circle>,
}

/// One permutation. It is short of a gap, so it goes on with its first node after its last.
#[derive(Clone, Debug)]
struct Circle {
    seed: u64,
    nodes: Vec<(u64, NodeId)>,
}

impl Overlay {
    /// Circles without nodes, `observers` of them. Each cluster has circles of its own.
    pub fn new(cluster: ClusterId, observers: usize) -> Self {
        let circles = (0_u64..).take(observers).map(|number| Circle {
            seed: xxh3_64_with_seed(&number.to_be_bytes(), cluster.seed()),
            nodes: Vec::new(),
        });
        Self {
            circles: circles.collect(),
        }
    }

    /// Puts a node in, if it is not there.
    pub fn insert(&mut self, node: NodeId) {
        for circle in &mut self.circles {
            let place = circle.place(node);
            if let Err(index) = circle.nodes.binary_search(&place) {
                circle.nodes.insert(index, place);
            }
        }
    }

    /// Puts many nodes in, which takes less time than one by one.
    pub fn extend(&mut self, nodes: &[NodeId]) {
        for circle in &mut self.circles {
            let places: Vec<_> = nodes.iter().map(|node| circle.place(*node)).collect();
            circle.nodes.extend(places);
            circle.nodes.sort_unstable();
            circle.nodes.dedup();
        }
    }

    /// Takes a node out.
    pub fn remove(&mut self, node: NodeId) {
        for circle in &mut self.circles {
            let place = circle.place(node);
            if let Ok(index) = circle.nodes.binary_search(&place) {
                circle.nodes.remove(index);
            }
        }
    }

    /// The observers of `node`: distinct, live, and other than itself. Observers of a node that is
    /// down itself are its observers still.
    pub fn observers(&self, node: NodeId, is_live: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let mut observers = Vec::with_capacity(self.circles.len());
        for circle in &self.circles {
            let next = circle
                .after(node)
                .find(|other| !observers.contains(other) && is_live(*other));
            observers.extend(next);
        }
        observers
    }

    /// The nodes that `observer` is to listen to, by ascending id.
    ///
    /// On the circle number i, only i nodes can have been passed over because they are observers
    /// by an earlier circle. So going back from the observer, past i live nodes, meets everyone
    /// who can have chosen it; asking those for their observers leaves the ones who have.
    pub fn subjects(&self, observer: NodeId, is_live: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let mut subjects = Vec::new();
        for (passed_over, circle) in self.circles.iter().enumerate() {
            let mut passed = 0;
            for node in circle.before(observer) {
                subjects.push(node);
                passed += usize::from(is_live(node));
                if passed > passed_over {
                    break;
                }
            }
        }
        subjects.sort_unstable();
        subjects.dedup();
        subjects.retain(|subject| self.observers(*subject, &is_live).contains(&observer));
        subjects
    }
}

impl Circle {
    fn place(&self, node: NodeId) -> (u64, NodeId) {
        let hash = xxh3_64_with_seed(&node.0.to_be_bytes(), self.seed);
        (hash, node)
    }

    /// Everyone else, beginning with the successor of `node`.
    fn after(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let place = self.place(node);
        let index = self.nodes.partition_point(|other| *other <= place);
        let (start, end) = self.nodes.split_at(index);
        let circle = end.iter().chain(start).map(|(_, id)| *id);
        circle.filter(move |other| *other != node)
    }

    /// Everyone else, beginning with the predecessor of `node`.
    fn before(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let place = self.place(node);
        let index = self.nodes.partition_point(|other| *other < place);
        let (start, end) = self.nodes.split_at(index);
        let circle = start.iter().rev().chain(end.iter().rev());
        circle
            .map(|(_, id)| *id)
            .filter(move |other| *other != node)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::Overlay;
    use crate::id::{ClusterId, NodeId};

    fn overlay(nodes: u64) -> Overlay {
        let mut overlay = Overlay::new(ClusterId(7), 8);
        (0..nodes).for_each(|node| overlay.insert(NodeId(node)));
        overlay
    }

    proptest! {
        #[test]
        fn subjects_are_those_whose_observer_one_is(nodes in 1_u64..60, down in 0_u64..60) {
            let overlay = overlay(nodes);
            let is_live = |node: NodeId| node.0 == 0 || node.0 % 60 >= down;
            for observer in (0..nodes).map(NodeId).filter(|node| is_live(*node)) {
                let expected: Vec<NodeId> = (0..nodes)
                    .map(NodeId)
                    .filter(|node| overlay.observers(*node, is_live).contains(&observer))
                    .collect();
                prop_assert_eq!(overlay.subjects(observer, is_live), expected);
            }
        }

        #[test]
        fn observers_are_distinct_live_and_as_many_as_there_can_be(
            nodes in 1_u64..60,
            down in 0_u64..60,
        ) {
            let overlay = overlay(nodes);
            let is_live = |node: NodeId| node.0 >= down;
            for node in (0..nodes).map(NodeId) {
                let observers = overlay.observers(node, is_live);
                let distinct: BTreeSet<NodeId> = observers.iter().copied().collect();
                let live = (0..nodes).filter(|n| is_live(NodeId(*n)) && *n != node.0).count();
                prop_assert_eq!(distinct.len(), observers.len());
                prop_assert_eq!(observers.len(), live.min(8));
                prop_assert!(!distinct.contains(&node) && distinct.into_iter().all(is_live));
            }
        }
    }

    #[test]
    fn the_order_of_joining_does_not_matter_and_leaving_leaves_nothing() {
        let mut other = Overlay::new(ClusterId(7), 8);
        (10..21).rev().for_each(|node| other.insert(NodeId(node)));
        let more: Vec<NodeId> = (0..12).map(NodeId).collect();
        other.extend(&more);
        other.remove(NodeId(20));
        other.insert(NodeId(3));
        let overlay = overlay(20);
        for node in (0..20).map(NodeId) {
            let everyone = |_| true;
            assert_eq!(
                overlay.observers(node, everyone),
                other.observers(node, everyone)
            );
        }
    }

    #[test]
    fn observing_is_spread_evenly() {
        let overlay = overlay(1_000);
        let mut load: BTreeMap<NodeId, usize> = BTreeMap::new();
        for node in (0..1_000).map(NodeId) {
            for observer in overlay.observers(node, |_| true) {
                *load.entry(observer).or_default() += 1;
            }
        }
        assert_eq!(load.len(), 1_000);
        assert!(load.values().all(|subjects| (6..=10).contains(subjects)));
    }
}
