//! Rings of equal nodes, each in one zone with all others.

use ring::{
    ClusterId, Layout, NodeId, NodeRole, NodeState, QBits, ReplicaCount, Ring, RoleStamp, Roles,
    Zone,
};

/// The ring of nodes 1 to `nodes`, cut by `bits`, with `n` owners of a key.
///
/// # Panics
/// When there are fewer nodes than owners.
#[must_use]
pub fn of_equal_nodes(cluster: ClusterId, nodes: u64, bits: QBits, n: ReplicaCount) -> Ring {
    let mut roles = Roles::new();
    for node in 1..=nodes {
        let stamp = RoleStamp {
            counter: 1,
            author: NodeId(1),
        };
        let role = NodeRole {
            stamp,
            state: NodeState::Normal,
            weight: 100,
            zone: Zone::new("z").expect("a letter is a zone"),
        };
        roles.insert(NodeId(node), &role);
    }
    let layout = Layout::first(roles, bits, n);
    Ring::new(cluster, layout.expect("there are as many nodes as owners"))
}
