//! The owners of one partition in their order, and who stands in when they are away.

use std::fmt;

use crate::count::ReplicaCount;
use crate::id::NodeId;
use crate::layout::Layout;
use crate::partition::PartitionId;
use crate::zone::Zone;

/// The ordered owners of a partition: one to seven distinct nodes, held without allocation.
#[derive(Clone, Copy)]
pub struct PreferenceList {
    owners: [NodeId; MAX_OWNERS],
    len: u8,
}

impl PreferenceList {
    /// Takes the first seven of `owners`, of which there is at least one.
    pub(crate) fn new(owners: impl IntoIterator<Item = NodeId>) -> Self {
        let mut list = Self {
            owners: [NodeId(0); MAX_OWNERS],
            len: 0,
        };
        for (slot, owner) in list.owners.iter_mut().zip(owners) {
            *slot = owner;
            list.len += 1;
        }
        list
    }

    /// The owner who runs the requests of this partition unless there is a reason against it.
    pub fn first(&self) -> NodeId {
        self.owners[0]
    }

    /// The owners in order.
    pub fn as_slice(&self) -> &[NodeId] {
        &self.owners[..usize::from(self.len)]
    }

    /// The owners in order.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> {
        self.as_slice().iter().copied()
    }

    /// How many owners there are: at least one, at most seven.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a preference list is never empty"
    )]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether `node` is an owner.
    pub fn contains(&self, node: NodeId) -> bool {
        self.as_slice().contains(&node)
    }

    /// The place of `node`, zero for the first owner; none if it is no owner.
    pub fn position(&self, node: NodeId) -> Option<usize> {
        self.as_slice().iter().position(|owner| *owner == node)
    }
}

impl PartialEq for PreferenceList {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for PreferenceList {}

impl fmt::Debug for PreferenceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|owner| format!("{owner}")))
            .finish()
    }
}

/// Up to `count` nodes that may keep hints for the owners of a partition: those in zones without
/// an owner first, and then in the order in which a walk along the ring meets them, so that
/// neighbouring partitions lean on different nodes and heavy nodes are met more often.
pub(crate) fn stand_ins(
    layout: &Layout,
    n: ReplicaCount,
    partition: PartitionId,
    count: usize,
) -> Vec<NodeId> {
    let Some(list) = layout.owners(n, partition) else {
        return Vec::new();
    };
    let zone = |node: NodeId| layout.role(node).map(|role| &role.zone);
    let zones: Vec<Option<&Zone>> = list.iter().map(zone).collect();
    let outside = |node: NodeId| !zones.contains(&zone(node));
    let mut expected = Vec::new();
    for (node, role) in layout.roles().iter() {
        if role.may_own() && !list.contains(node) {
            expected.push(outside(node));
        }
    }
    let far_expected = expected
        .iter()
        .filter(|outside| **outside)
        .count()
        .min(count);
    let near_expected = (expected.len() - far_expected).min(count - far_expected);
    let (mut far, mut near) = (Vec::new(), Vec::new());
    for node in walk(layout, n, partition).filter(|node| !list.contains(*node)) {
        let (group, enough) = if outside(node) {
            (&mut far, far_expected)
        } else {
            (&mut near, near_expected)
        };
        if group.len() < enough && !group.contains(&node) {
            group.push(node);
        }
        if far.len() == far_expected && near.len() == near_expected {
            break;
        }
    }
    far.append(&mut near);
    far
}

/// The owners of the following partitions, once round the ring.
fn walk(layout: &Layout, n: ReplicaCount, from: PartitionId) -> impl Iterator<Item = NodeId> {
    let partitions = layout.q_bits().partition_count();
    (1..partitions)
        .map(move |step| PartitionId((from.0 + step) % partitions))
        .filter_map(move |partition| layout.owners(n, partition))
        .flat_map(|list| (0..list.len()).map(move |place| list.owners[place]))
}

const MAX_OWNERS: usize = 7;
