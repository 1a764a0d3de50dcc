//! Whom to ask, and in which order: what this node's own calls meet, and what the members have
//! found out together.
//!
//! Both count. A peer whose calls fail here is avoided at once, whatever others say; one that is
//! held for down is avoided although a connection to it may still seem to stand, for up to five
//! seconds. One that is under suspicion, or went down too often lately, is asked last, and so is at
//! once who leaves this node's reads unanswered. Of the others the quicker ones come first, and of
//! equally quick ones those that are not far behind with what is asked for.

use std::collections::{BTreeMap, BTreeSet};

use ring::pace::Rank;
use ring::{NodeId, PreferenceList, Ring, VnodeId};

/// What the members hold a peer for, as far as routing goes; the better one is the smaller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing is said against it.
    #[default]
    Good,
    /// It is suspect, or has gone down too often lately: asked last.
    Doubtful,
    /// It is down, or was removed: it does not count as reachable.
    Down,
}

/// What is known of all peers.
#[derive(Debug, Default)]
pub(super) struct Reach {
    connected: BTreeSet<NodeId>,
    /// Of those that are not in good standing.
    standings: BTreeMap<NodeId, Standing>,
    /// Of which vnodes peers are far behind.
    behind: BTreeMap<NodeId, BTreeSet<VnodeId>>,
}

impl Reach {
    pub(super) fn set_connected(&mut self, peer: NodeId, connected: bool) {
        if connected {
            self.connected.insert(peer);
        } else {
            self.connected.remove(&peer);
        }
    }

    pub(super) fn set_standing(&mut self, peer: NodeId, standing: Standing) {
        match standing {
            Standing::Good => self.standings.remove(&peer),
            Standing::Doubtful | Standing::Down => self.standings.insert(peer, standing),
        };
    }

    /// A peer is far behind this node with these vnodes, and with no others.
    pub(super) fn set_behind(&mut self, peer: NodeId, vnodes: BTreeSet<VnodeId>) {
        if vnodes.is_empty() {
            self.behind.remove(&peer);
        } else {
            self.behind.insert(peer, vnodes);
        }
    }

    pub(super) fn is_reachable(&self, peer: NodeId) -> bool {
        self.connected.contains(&peer) && self.standing(peer) != Standing::Down
    }

    /// The owners of a vnode that count as reachable, best first: this node, then those in good
    /// standing by their rank, of equals first those that are not far behind and then in the order
    /// of the list, then the others. Who dawdles comes last.
    pub(super) fn order(
        &self,
        (here, vnode): (NodeId, VnodeId),
        owners: impl Iterator<Item = NodeId>,
        rank: impl Fn(NodeId) -> Rank,
    ) -> Vec<NodeId> {
        let is_there = |node: &NodeId| *node == here || self.is_reachable(*node);
        let mut reachable: Vec<NodeId> = owners.filter(is_there).collect();
        let is_behind = |node| self.behind.get(&node).is_some_and(|of| of.contains(&vnode));
        let place = |node| {
            let (rank, standing) = (rank(node), self.standing(node));
            let dawdles = rank.is_dawdling();
            (node != here, dawdles, standing, rank, is_behind(node))
        };
        reachable.sort_by_cached_key(|&node| place(node));
        reachable
    }

    pub(super) fn reaches_any(&self, owners: &PreferenceList) -> bool {
        let mut owners = owners.iter();
        owners.any(|owner| self.is_reachable(owner))
    }

    /// Who can be reached to stand in for owners of a vnode, best first.
    pub(super) fn stand_ins(&self, ring: &Ring, vnode: VnodeId) -> Vec<NodeId> {
        let (token, _) = vnode.partition.range(ring.layout().q_bits());
        let mut nodes = ring.stand_ins(vnode.n, token, MOST_STAND_INS);
        nodes.retain(|&node| self.is_reachable(node));
        nodes.sort_by_key(|&node| self.standing(node));
        nodes
    }

    fn standing(&self, peer: NodeId) -> Standing {
        self.standings.get(&peer).copied().unwrap_or_default()
    }
}

/// Nodes that may be asked to stand in for the owners of one key.
const MOST_STAND_INS: usize = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BTreeSet, NodeId, Reach, Standing, VnodeId};
    use ring::pace::Pace;
    use ring::{PartitionId, ReplicaCount};

    fn vnode(partition: u32) -> VnodeId {
        VnodeId {
            n: ReplicaCount::DEFAULT,
            partition: PartitionId(partition),
        }
    }

    /// The order in which node 2 asks the owners 1, 2, 3 and 4.
    fn order(reach: &Reach) -> Vec<u64> {
        order_at(reach, &Pace::new(Duration::from_millis(50)))
    }

    /// That order a second after the start.
    fn order_at(reach: &Reach, pace: &Pace) -> Vec<u64> {
        let owners = [1, 2, 3, 4].map(NodeId).into_iter();
        let rank = |node| pace.rank(Duration::from_secs(1), node);
        let order = reach.order((NodeId(2), vnode(0)), owners, rank).into_iter();
        order.map(|node| node.0).collect()
    }

    #[test]
    fn who_dawdles_is_asked_last_and_the_quicker_one_first() {
        let mut reach = Reach::default();
        for peer in [1, 3, 4].map(NodeId) {
            reach.set_connected(peer, true);
        }
        let mut pace = Pace::new(Duration::from_millis(50));
        let now = Duration::from_secs(1);
        pace.handle_asked(NodeId(1), (now - Duration::from_millis(9), 1));
        pace.handle_answer(now, NodeId(1), (now - Duration::from_millis(9), 1));
        assert_eq!(order_at(&reach, &pace), [2, 3, 4, 1]);
        pace.handle_asked(NodeId(3), (Duration::ZERO, 2));
        assert_eq!(order_at(&reach, &pace), [2, 4, 1, 3]);
        reach.set_standing(NodeId(4), Standing::Doubtful);
        assert_eq!(order_at(&reach, &pace), [2, 1, 4, 3]);
    }

    #[test]
    fn who_is_far_behind_is_asked_after_equally_quick_ones() {
        let mut reach = Reach::default();
        for peer in [1, 3, 4].map(NodeId) {
            reach.set_connected(peer, true);
        }
        reach.set_behind(NodeId(1), BTreeSet::from([vnode(0)]));
        reach.set_behind(NodeId(3), BTreeSet::from([vnode(1)]));
        assert_eq!(order(&reach), [2, 3, 4, 1], "with what is asked for");
        let mut pace = Pace::new(Duration::from_millis(50));
        let now = Duration::from_secs(1);
        for slow in [3, 4].map(NodeId) {
            pace.handle_asked(slow, (now - Duration::from_millis(9), 1));
            pace.handle_answer(now, slow, (now - Duration::from_millis(9), 1));
        }
        assert_eq!(order_at(&reach, &pace), [2, 1, 3, 4], "it is quicker");
        reach.set_behind(NodeId(1), BTreeSet::new());
        assert_eq!(order(&reach), [2, 1, 3, 4]);
    }

    #[test]
    fn who_is_down_does_not_count_and_who_is_doubtful_is_asked_last() {
        let mut reach = Reach::default();
        for peer in [1, 3, 4].map(NodeId) {
            reach.set_connected(peer, true);
        }
        assert_eq!(order(&reach), [2, 1, 3, 4]);
        reach.set_standing(NodeId(1), Standing::Doubtful);
        assert_eq!(order(&reach), [2, 3, 4, 1]);
        reach.set_standing(NodeId(3), Standing::Down);
        assert_eq!(order(&reach), [2, 4, 1]);
        assert!(!reach.is_reachable(NodeId(3)) && reach.is_reachable(NodeId(1)));
        reach.set_connected(NodeId(4), false);
        assert_eq!(order(&reach), [2, 1]);
        reach.set_standing(NodeId(3), Standing::Good);
        reach.set_standing(NodeId(1), Standing::Good);
        assert_eq!(order(&reach), [2, 1, 3]);
    }

    #[test]
    fn nobody_who_cannot_be_called_is_reachable_whatever_is_said_of_it() {
        let mut reach = Reach::default();
        reach.set_standing(NodeId(3), Standing::Good);
        assert!(!reach.is_reachable(NodeId(3)));
        assert_eq!(order(&reach), [2]);
    }
}
