//! What part a node is to play: the operator's word, not the node's.
//!
//! Roles are staged, planned and applied by whoever runs the cluster, on any node, and two
//! operators may do so at once. So a role is a lattice: of two versions the one with the greater
//! stamp counts, except that `Removed` always wins. A removed id never comes back.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::canonical::Canonical;
use crate::id::NodeId;
use crate::zone::Zone;

/// A node's part in the ring.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeRole {
    /// When, in the order of role changes, this was said and by whom.
    pub stamp: RoleStamp,
    /// Whether it may own partitions.
    pub state: NodeState,
    /// Its share of the data relative to the other nodes, for instance its disk in GiB. A node of
    /// weight 0 owns nothing: it is a gateway.
    pub weight: u32,
    /// The failure domain it stands in.
    pub zone: Zone,
}

impl NodeRole {
    /// Whether a layout may give partitions to this node.
    pub fn may_own(&self) -> bool {
        let chosen = match self.state {
            NodeState::Joining | NodeState::Normal => true,
            NodeState::Draining | NodeState::Removed => false,
        };
        chosen && self.weight > 0
    }

    /// Takes over `other` where it counts more; says whether anything changed.
    ///
    /// Two different roles with one stamp are a mistake of whoever stamped them. They are ordered
    /// by their content, so that all nodes at least make the same choice.
    pub fn join(&mut self, other: &Self) -> bool {
        let newer = self
            .rank()
            .cmp(&other.rank())
            .then_with(|| (*self).cmp(other));
        if newer == Ordering::Less {
            self.clone_from(other);
            return true;
        }
        false
    }

    fn rank(&self) -> (bool, RoleStamp) {
        (self.state == NodeState::Removed, self.stamp)
    }

    pub(crate) fn encode(&self, bytes: &mut Canonical) {
        bytes.u64(self.stamp.counter);
        bytes.u64(self.stamp.author.0);
        bytes.u8(match self.state {
            NodeState::Joining => 0,
            NodeState::Normal => 1,
            NodeState::Draining => 2,
            NodeState::Removed => 3,
        });
        bytes.u32(self.weight);
        bytes.text(self.zone.as_str());
    }
}

/// Whether a node may own partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// It is new and takes its first partitions over.
    Joining,
    /// It owns its share.
    Normal,
    /// It gives its partitions away and gets no new ones.
    Draining,
    /// It is gone for good. Every other node refuses it.
    Removed,
}

/// A place in the order of role changes. Not a time: clocks differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoleStamp {
    /// One more than the greatest counter the author had seen for this node.
    pub counter: u64,
    /// The node through which the change was made.
    pub author: NodeId,
}

/// The roles of all nodes, the removed ones included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(BTreeMap<NodeId, NodeRole>);

impl Roles {
    /// No nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins one role in; says whether anything changed.
    pub fn insert(&mut self, node: NodeId, role: &NodeRole) -> bool {
        if let Some(known) = self.0.get_mut(&node) {
            return known.join(role);
        }
        self.0.insert(node, role.clone());
        true
    }

    /// Joins all of `other` in; says whether anything changed.
    pub fn join(&mut self, other: &Self) -> bool {
        other.iter().fold(false, |changed, (node, role)| {
            self.insert(node, role) || changed
        })
    }

    /// The role of one node.
    pub fn role(&self, node: NodeId) -> Option<&NodeRole> {
        self.0.get(&node)
    }

    /// All roles by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &NodeRole)> {
        self.0.iter().map(|(node, role)| (*node, role))
    }

    /// How many nodes have a role.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no node has a role.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(NodeId, NodeRole)> for Roles {
    fn from_iter<I: IntoIterator<Item = (NodeId, NodeRole)>>(roles: I) -> Self {
        let mut all = Self::new();
        for (node, role) in roles {
            all.insert(node, &role);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::Just;

    use super::{NodeRole, NodeState, RoleStamp};
    use crate::id::NodeId;
    use crate::zone::Zone;

    fn any_role() -> impl Strategy<Value = NodeRole> {
        let state = prop_oneof![
            Just(NodeState::Joining),
            Just(NodeState::Normal),
            Just(NodeState::Draining),
            Just(NodeState::Removed),
        ];
        (0_u64..3, 0_u64..3, 0_u32..3, 0_u8..3, state).prop_map(
            |(counter, author, weight, zone, state)| NodeRole {
                stamp: RoleStamp {
                    counter,
                    author: NodeId(author),
                },
                state,
                weight,
                zone: Zone::new(format!("z{zone}")).unwrap(),
            },
        )
    }

    fn joined(mut a: NodeRole, b: &NodeRole) -> NodeRole {
        a.join(b);
        a
    }

    proptest! {
        #[test]
        fn roles_join_in_any_order(a in any_role(), b in any_role(), c in any_role()) {
            prop_assert_eq!(joined(a.clone(), &b), joined(b.clone(), &a));
            let left = joined(joined(a.clone(), &b), &c);
            prop_assert_eq!(left, joined(a.clone(), &joined(b, &c)));
            prop_assert_eq!(joined(a.clone(), &a), a);
        }

        #[test]
        fn a_removed_node_stays_removed(a in any_role(), b in any_role()) {
            let removed = NodeRole { state: NodeState::Removed, ..a };
            let later = joined(removed, &b);
            prop_assert_eq!(later.state, NodeState::Removed);
            prop_assert!(!later.may_own());
        }
    }
}
