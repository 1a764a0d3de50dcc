//! The map of the cluster.

use serde_bytes::ByteBuf;

use super::ClusterMap;
use crate::wire::{Bucket, Durability, Key, Kind, MemberAddress, Siblings, Topology};
use ring::{
    ClusterId, Layout, NodeId, NodeRole, NodeState, QBits, ReplicaCount, RoleStamp, Roles, Zone,
};

const CLUSTER: ClusterId = ClusterId(7);

fn roles(nodes: u64, counter: u64) -> Roles {
    let role = |id| {
        let stamp = RoleStamp {
            counter,
            author: NodeId(1),
        };
        let zone = Zone::new(format!("z{id}")).unwrap();
        (
            NodeId(id),
            NodeRole {
                stamp,
                state: NodeState::Normal,
                weight: 100,
                zone,
            },
        )
    };
    (1..=nodes).map(role).collect()
}

fn layout(nodes: u64) -> Layout {
    Layout::first(roles(nodes, 1), QBits::DEMO, ReplicaCount::DEFAULT).unwrap()
}

fn bucket(name: &str, n: u8) -> Bucket {
    let (name, durability) = (name.to_owned(), Durability::Wal);
    Bucket {
        name,
        kind: Kind::Value,
        n,
        siblings: Siblings::default(),
        r: 2,
        w: 2,
        durability,
        sloppy: false,
    }
}

fn topology(layout: &Layout, buckets: &[Bucket]) -> Topology {
    let member = |node: NodeId| MemberAddress {
        node: node.0,
        name: format!("kv-{}", node.0),
        addresses: vec![format!("127.0.0.1:{}", 7400 + node.0)],
    };
    Topology {
        cluster: ByteBuf::from(CLUSTER.0.to_be_bytes()),
        layout: ByteBuf::from(rmp_serde::to_vec(layout).unwrap()),
        members: layout
            .roles()
            .iter()
            .map(|(node, _)| member(node))
            .collect(),
        buckets: buckets.to_vec(),
    }
}

fn map(layout: &Layout, buckets: &[Bucket]) -> ClusterMap {
    ClusterMap::from_topology(topology(layout, buckets)).unwrap()
}

#[test]
fn the_owners_are_those_of_the_ring_for_the_buckets_n() {
    let layout = layout(5);
    let map = map(&layout, &[bucket("wide", 5), bucket("narrow", 1)]);
    let key = Key::new("ada", "sorted");
    assert_eq!(map.owners("wide", &key).len(), 5);
    assert_eq!(map.owners("narrow", &key).len(), 1);
    assert_eq!(map.owners("unknown", &key).len(), 3, "the default n");
    let other_sort_key = Key::new("ada", "differently");
    assert_eq!(
        map.owners("wide", &key),
        map.owners("wide", &other_sort_key)
    );
}

#[test]
fn the_newer_ring_counts_whichever_comes_first() {
    let old = layout(3);
    let new = old.next(&roles(4, 2)).unwrap();
    let (old, new) = (map(&old, &[]), map(&new, &[]));
    assert_eq!(old.joined(new.clone()).layout(), new.layout());
    assert_eq!(new.joined(old.clone()).layout(), new.layout());
    assert_eq!(old.joined(new).nodes().count(), 4);
}

#[test]
fn a_bucket_is_not_forgotten_when_a_node_does_not_know_it_yet() {
    let layout = layout(3);
    let (knows, does_not) = (map(&layout, &[bucket("b", 3)]), map(&layout, &[]));
    assert!(knows.joined(does_not.clone()).bucket("b").is_some());
    assert!(does_not.joined(knows.clone()).bucket("b").is_some());
    assert!(does_not.with_bucket(bucket("c", 1)).bucket("c").is_some());
}

#[test]
fn a_map_that_cannot_be_routed_by_is_refused() {
    let good = topology(&layout(3), &[]);
    let bad_cluster = Topology {
        cluster: ByteBuf::from(vec![0; 15]),
        ..good.clone()
    };
    let bad_layout = Topology {
        layout: ByteBuf::from(vec![0; 15]),
        ..good
    };
    for bad in [bad_cluster, bad_layout] {
        assert!(ClusterMap::from_topology(bad).is_err());
    }
}
