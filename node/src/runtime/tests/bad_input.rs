//! Bytes that are no messages: an error for whoever sent them, and nothing else is disturbed.

use bytes::Bytes;

use super::harness::{CLUSTER, World, http};
use crate::protocol::cluster::{ClusterReply, ClusterRequest, Hello};
use crate::protocol::messages::{Cursor, PeerReply, PeerRequest, Refusal, Sync};
use crate::runtime::envelope::{Answered, Asked};
use starling::transport::{Alpn, Role};
use starling::wire::{self, FailureKind, Kind, Response};

#[test]
fn a_client_that_sends_garbage_gets_an_error_and_may_go_on() {
    let world = World::new();
    let nodes = world.cluster(1);
    let client = world.client(&nodes[0].1);
    assert!(matches!(
        client.create_bucket("b", Kind::Value),
        Response::Bucket(_)
    ));
    for garbage in [
        &b""[..],
        b"\x01",
        b"\x09\x01\x02",
        b"\x01\xff\xff\xff",
        &[0xc1; 300],
    ] {
        let answer = client.raw(Bytes::copy_from_slice(garbage));
        let Ok(Response::Failed(failure)) = wire::decode(&answer) else {
            panic!("{garbage:?}")
        };
        assert_eq!(failure.kind, FailureKind::BadRequest);
    }
    assert!(matches!(client.put("k", b"v", 1), Response::Written(_)));
    let (_, metrics) = http(nodes[0].1.http_address(), "/metrics");
    assert!(
        metrics.contains("starling_malformed_frames_total 5"),
        "{metrics}"
    );
}

#[test]
fn a_peer_that_does_not_say_hello_is_sent_away() {
    let world = World::new();
    let nodes = world.cluster(1);
    world.certify("peer", Role::Node(ring::NodeId(9)));
    for first in [
        Asked::Report.encode().expect("bytes"),
        Bytes::from_static(b"\x07garbage"),
    ] {
        let peer = world.connect("peer", Alpn::Peer, nodes[0].1.quic_address());
        let call = peer
            .connection
            .call(first, std::time::Duration::from_secs(10));
        let error = world.runtime.block_on(call).expect_err("no answer");
        assert!(error.to_string().contains("hello"), "{error}");
    }
    assert!(matches!(
        world.client(&nodes[0].1).create_bucket("b", Kind::Set),
        Response::Bucket(_)
    ));
}

#[test]
fn a_peer_that_sends_garbage_after_its_hello_gets_an_error_and_may_go_on() {
    let world = World::new();
    let nodes = world.cluster(1);
    let node = ring::NodeId(9);
    world.certify("peer", Role::Node(node));
    let peer = world.connect("peer", Alpn::Peer, nodes[0].1.quic_address());
    let ask = |asked: &Asked| {
        Answered::decode(&peer.raw(asked.encode().expect("bytes"))).expect("an answer")
    };
    let hello = ClusterRequest::Hello(Hello {
        cluster: CLUSTER,
        node,
        instance: 1,
    });
    let welcome = ask(&Asked::Cluster(hello));
    assert!(
        matches!(welcome, Answered::Cluster(ClusterReply::Welcome { .. })),
        "{welcome:?}"
    );
    let refused = Answered::decode(&peer.raw(Bytes::from_static(b"\x01\x01\x93garbage")));
    assert!(
        matches!(refused, Ok(Answered::Cluster(ClusterReply::Refused(_)))),
        "{refused:?}"
    );
    let vnode = ring::VnodeId {
        n: ring::ReplicaCount::DEFAULT,
        partition: ring::PartitionId(77),
    };
    let sync = Sync {
        vnode,
        incarnation: 1,
        from: Cursor::Rows,
        have: crdt::Clock::default(),
    };
    let answer = ask(&Asked::Replica {
        left: std::time::Duration::from_secs(10),
        request: PeerRequest::Sync(sync),
    });
    let not_owner = PeerReply::Refused(Refusal::NotOwner);
    assert!(matches!(answer, Answered::Replica(reply) if reply == not_owner));
}
