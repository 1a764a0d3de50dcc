//! Where requests go: the client's copy of ring, members and buckets. Pure; a new copy is made for
//! every change.

mod health;
mod paces;
mod stays;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::wire::{Bucket as BucketProperties, Key, MemberAddress, Topology, WriteRequest};
use ring::{
    BucketId, ClusterId, Layout, LayoutId, NodeId, PartitionId, PreferenceList, ReplicaCount, Ring,
};

pub(crate) use health::Health;
pub(crate) use paces::Paces;
pub(crate) use stays::stays;

/// A node as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its number.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// `host:port` of its QUIC endpoint, best first.
    pub addresses: Vec<String>,
}

/// The cluster as this client knows it: a snapshot, which the client replaces as it learns more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterMap {
    ring: Ring,
    nodes: BTreeMap<NodeId, NodeInfo>,
    buckets: BTreeMap<String, BucketProperties>,
}

impl ClusterMap {
    /// Reads what a node answered.
    pub(crate) fn from_topology(topology: Topology) -> Result<Self, BadTopology> {
        let Some(&cluster) = topology.cluster.as_array::<16>() else {
            return Err(BadTopology {
                reason: "the cluster id is not 16 bytes".to_owned(),
            });
        };
        let layout: Layout =
            rmp_serde::from_slice(&topology.layout).map_err(|error| BadTopology {
                reason: format!("the layout: {error}"),
            })?;
        let nodes = topology.members.into_iter().map(NodeInfo::from);
        let buckets = topology.buckets.into_iter();
        Ok(Self {
            ring: Ring::new(ClusterId(u128::from_be_bytes(cluster)), layout),
            nodes: nodes.map(|node| (node.node, node)).collect(),
            buckets: buckets
                .map(|bucket| (bucket.name.clone(), bucket))
                .collect(),
        })
    }

    /// This map after hearing of another: the newer ring, the other's members where it has them,
    /// all buckets. Buckets are never forgotten, because a node may know fewer of them than we do.
    pub(crate) fn joined(&self, other: Self) -> Self {
        let ring = if other.layout() >= self.layout() {
            other.ring
        } else {
            self.ring.clone()
        };
        let (mut nodes, mut buckets) = (self.nodes.clone(), self.buckets.clone());
        nodes.extend(other.nodes);
        nodes.retain(|node, _| ring.layout().roles().role(*node).is_some());
        buckets.extend(other.buckets);
        Self {
            ring,
            nodes,
            buckets,
        }
    }

    /// This map with one more bucket.
    pub(crate) fn with_bucket(&self, bucket: BucketProperties) -> Self {
        let mut map = self.clone();
        map.buckets.insert(bucket.name.clone(), bucket);
        map
    }

    /// The cluster.
    pub fn cluster(&self) -> ClusterId {
        self.ring.cluster()
    }

    /// The layout that the client routes by.
    pub fn layout(&self) -> LayoutId {
        self.ring.layout().id()
    }

    /// The ring that the client routes by.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The nodes, ordered by number.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeInfo> {
        self.nodes.values()
    }

    /// A node by its number.
    pub fn node(&self, node: NodeId) -> Option<&NodeInfo> {
        self.nodes.get(&node)
    }

    /// The buckets, ordered by name.
    pub fn buckets(&self) -> impl Iterator<Item = &BucketProperties> {
        self.buckets.values()
    }

    /// A bucket by its name; `None` also if it was made since the map was.
    pub fn bucket(&self, name: &str) -> Option<&BucketProperties> {
        self.buckets.get(name)
    }

    /// The owners of a key, the first of them first. For a bucket that is not known, those of a
    /// bucket with the default n.
    pub fn owners(&self, bucket: &str, key: &Key) -> PreferenceList {
        self.owners_of(bucket, &key.partition)
    }

    /// The owners of all keys with a partition key, as [`owners`](Self::owners).
    pub fn owners_of(&self, bucket: &str, partition_key: &[u8]) -> PreferenceList {
        let token = self.ring.token(BucketId::of_name(bucket), partition_key);
        self.ring.preference(self.n(bucket), token)
    }

    /// Who may stand in for the owners of all keys with a partition key, best first.
    pub(crate) fn stand_ins_of(&self, bucket: &str, partition_key: &[u8]) -> Vec<NodeId> {
        let token = self.ring.token(BucketId::of_name(bucket), partition_key);
        self.ring.stand_ins(self.n(bucket), token, MOST_STAND_INS)
    }

    /// May stand-ins take a write?
    pub(crate) fn is_sloppy(&self, write: &WriteRequest) -> bool {
        let bucket = || self.bucket(&write.bucket).is_some_and(|b| b.sloppy);
        write.sloppy.unwrap_or_else(bucket)
    }

    /// The owners of a bucket's keys in one partition of the ring; `None` if the ring has no such
    /// partition.
    pub(crate) fn owners_of_partition(
        &self,
        bucket: &str,
        partition: u32,
    ) -> Option<PreferenceList> {
        self.ring.owners(self.n(bucket), PartitionId(partition))
    }

    /// In which partition of the ring the keys with a partition key lie.
    pub(crate) fn ring_partition(&self, bucket: &str, partition_key: &[u8]) -> u32 {
        let token = self.ring.token(BucketId::of_name(bucket), partition_key);
        self.ring.layout().q_bits().partition(token).0
    }

    /// How many partitions the ring has.
    pub fn partitions(&self) -> u32 {
        self.ring.layout().q_bits().partition_count()
    }

    fn n(&self, bucket: &str) -> ReplicaCount {
        let bucket = self.buckets.get(bucket);
        let known = bucket.and_then(|bucket| ReplicaCount::new(bucket.n).ok());
        known.unwrap_or_else(|| self.ring.layout().n())
    }
}

/// A node's answer that cannot be routed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadTopology {
    pub(crate) reason: String,
}

/// Nodes besides the owners that a sloppy write may be sent to.
const MOST_STAND_INS: usize = 3;

impl From<MemberAddress> for NodeInfo {
    fn from(member: MemberAddress) -> Self {
        let MemberAddress {
            node,
            name,
            addresses,
        } = member;
        Self {
            node: NodeId(node),
            name,
            addresses,
        }
    }
}
