//! From a key to its owners.

use crate::count::ReplicaCount;
use crate::id::{BucketId, ClusterId, NodeId};
use crate::layout::Layout;
use crate::partition::{PartitionId, VnodeId};
use crate::preference::{PreferenceList, stand_ins};
use crate::token::Token;

/// The ring of one cluster under one layout: what nodes and clients route by.
///
/// ```
/// use ring::{
///     BucketId, ClusterId, Layout, NodeId, NodeRole, NodeState, QBits, ReplicaCount, Ring,
///     RoleStamp, Roles, Zone,
/// };
///
/// let node = |id| {
///     let stamp = RoleStamp { counter: 1, author: NodeId(1) };
///     let zone = Zone::new(format!("rack-{id}"))?;
///     Ok((NodeId(id), NodeRole { stamp, state: NodeState::Normal, weight: 100, zone }))
/// };
/// let roles = (1..=4).map(node).collect::<Result<Roles, ring::InvalidZone>>()?;
/// let layout = Layout::first(roles, QBits::DEFAULT, ReplicaCount::DEFAULT)?;
/// let ring = Ring::new(ClusterId(0x5eed), layout);
///
/// let token = ring.token(BucketId::of_name("users"), b"ada");
/// let owners = ring.preference(ReplicaCount::DEFAULT, token);
/// assert_eq!(owners.len(), 3);
/// assert_eq!(ring.stand_ins(ReplicaCount::DEFAULT, token, 9).len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    cluster: ClusterId,
    layout: Layout,
}

impl Ring {
    /// The ring of `cluster` under `layout`.
    pub fn new(cluster: ClusterId, layout: Layout) -> Self {
        Self { cluster, layout }
    }

    /// The cluster whose ring this is.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The layout that says who owns what.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where the keys with this partition key lie.
    pub fn token(&self, bucket: BucketId, partition_key: &[u8]) -> Token {
        Token::of(self.cluster, bucket, partition_key)
    }

    /// The partition that holds `token`.
    pub fn partition(&self, token: Token) -> PartitionId {
        self.layout.q_bits().partition(token)
    }

    /// The owners of a key in a bucket of this n.
    pub fn preference(&self, n: ReplicaCount, token: Token) -> PreferenceList {
        self.layout.preference(n, token)
    }

    /// The owners of a partition; none when the ring has no such partition.
    pub fn owners(&self, n: ReplicaCount, partition: PartitionId) -> Option<PreferenceList> {
        self.layout.owners(n, partition)
    }

    /// The vnodes of one node for buckets of each n in `counts`, in the order of `counts`.
    pub fn vnodes_of(
        &self,
        node: NodeId,
        counts: &[ReplicaCount],
    ) -> impl Iterator<Item = VnodeId> {
        self.layout.vnodes_of(node, counts)
    }

    /// Up to `count` nodes outside of the preference list that may keep hints for its owners, in
    /// order: nodes in zones without an owner first. Walks the ring; not for every request.
    pub fn stand_ins(&self, n: ReplicaCount, token: Token, count: usize) -> Vec<NodeId> {
        stand_ins(&self.layout, n, self.partition(token), count)
    }
}
