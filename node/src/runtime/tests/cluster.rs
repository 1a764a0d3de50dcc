//! Three nodes: writes on one are read on the others, also while one is away.

use super::harness::{World, eventually, http, is_private, is_ready};
use crate::runtime::Node;
use starling::transport::Role;
use starling::wire::{FailureKind, Kind, Outcome, Request, Response, State, Status};

fn value(response: &Response) -> Option<&[u8]> {
    let Response::Read(read) = response else {
        return None;
    };
    match &read.state {
        State::Value(values) => match &values[..] {
            [value] => Some(value),
            _ => None,
        },
        _ => None,
    }
}

fn status(world: &World, node: &Node) -> Status {
    match world.client(node).ask(&Request::Status) {
        Response::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_one_node_takes_every_node_reads() {
    let world = World::new();
    let nodes = world.cluster(3);
    let [first, second, third] = [0, 1, 2].map(|at| world.client(&nodes[at].1));
    assert!(matches!(
        first.create_bucket("b", Kind::Value),
        Response::Bucket(_)
    ));
    assert!(matches!(first.put("k", b"v", 3), Response::Written(_)));
    for client in [&first, &second, &third] {
        // A majority has the bucket when its creation is answered; it is on its way to the rest.
        eventually("the value is read", || {
            value(&client.get("k", 2, false)) == Some(b"v")
        });
        assert_eq!(value(&client.get("k", 1, true)), Some(&b"v"[..]));
        assert_eq!(value(&client.get_monotonic("k")), Some(&b"v"[..]));
    }
    assert!(is_private(&nodes[0].0.node.data_dir.join("cluster.state")));
    eventually("all members report", || {
        let status = status(&world, &nodes[0].1);
        let members = status.members.iter();
        members
            .filter(|member| member.reachable && member.rows > 0)
            .count()
            == 3
    });
    let (_, metrics) = http(nodes[0].1.http_address(), "/metrics");
    assert!(metrics.contains("starling_operations_total{kind=\"write\",outcome=\"ok\"} 1"));
    assert!(metrics.contains("starling_peers_reachable 2"));
    assert!(http(nodes[0].1.http_address(), "/livez").0.contains("200"));
    for (_, node) in nodes {
        node.shutdown().expect("an orderly end");
    }
}

#[test]
fn a_quorum_serves_while_one_node_is_down_and_the_node_catches_up() {
    let world = World::new();
    let mut nodes = world.cluster(3);
    let client = world.client(&nodes[0].1);
    assert!(matches!(
        client.create_bucket("b", Kind::Value),
        Response::Bucket(_)
    ));
    let (config, node) = nodes.pop().expect("three nodes");
    node.shutdown().expect("an orderly end");
    eventually("the end is noticed", || {
        let status = status(&world, &nodes[0].1);
        status
            .members
            .iter()
            .filter(|member| member.reachable)
            .count()
            == 2
    });
    assert!(matches!(client.put("k", b"v", 2), Response::Written(_)));
    assert_eq!(value(&client.get("k", 2, false)), Some(&b"v"[..]));
    let Response::Failed(failure) = client.put("k", b"w", 3) else {
        panic!("one owner is away")
    };
    assert_eq!(failure.kind, FailureKind::Unavailable);

    let node = Node::start(config).expect("the node again");
    eventually("the node is ready again", || is_ready(&node));
    let client = world.client(&node);
    eventually("it has what it missed", || {
        value(&client.get("k", 1, true)) == Some(b"v")
    });
    assert!(matches!(client.put("k2", b"v", 3), Response::Written(_)));
}

#[test]
fn a_new_bucket_is_known_to_a_majority_or_the_answer_says_that_it_may_exist() {
    let world = World::new();
    let mut nodes = world.cluster(3);
    let client = world.client(&nodes[0].1);
    let created = client.create_bucket("b", Kind::Value);
    assert!(matches!(created, Response::Bucket(_)), "{created:?}");
    let mut others = nodes[1..].iter();
    assert!(others.any(|(_, node)| knows(&world, node, "b")));

    let (config, node) = nodes.pop().expect("three nodes");
    node.shutdown().expect("an orderly end");
    let (_, node) = nodes.pop().expect("two nodes");
    node.shutdown().expect("an orderly end");
    let Response::Failed(failure) = client.create_bucket("c", Kind::Value) else {
        panic!("one node is no majority of three")
    };
    assert_eq!(failure.kind, FailureKind::QuorumNotReached);
    assert_eq!(failure.outcome, Outcome::MaybeApplied);
    assert!(failure.message.contains("it may exist"), "{failure:?}");

    let node = Node::start(config).expect("the node again");
    eventually("the bucket is acknowledged", || {
        matches!(client.create_bucket("c", Kind::Value), Response::Bucket(_))
    });
    assert!(knows(&world, &node, "c"));
}

/// Whether a node knows a bucket at this moment.
fn knows(world: &World, node: &Node, bucket: &str) -> bool {
    match world.client(node).ask(&Request::Topology) {
        Response::Topology(topology) => topology.buckets.iter().any(|known| known.name == bucket),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_node_that_stops_refuses_new_requests_and_says_so() {
    let world = World::new();
    let mut config = world.config(1);
    config.limits.drain = crate::config::Span::seconds(0);
    let node = Node::start(config.clone()).expect("a node");
    let (line, body) = http(node.http_address(), "/readyz");
    assert!(
        line.contains("503") && body.contains("starling init"),
        "{line} {body}"
    );
    let client = world.client(&node);
    let Response::Failed(failure) = client.get("k", 1, false) else {
        panic!("no cluster")
    };
    assert_eq!(failure.kind, FailureKind::NotInitialised);
    let stopper = node.stopper();
    stopper.stop();
    stopper.stop();
    node.wait().expect("an orderly end");
    // Everything is free again.
    Node::start(config)
        .expect("the node again")
        .shutdown()
        .expect("an orderly end");
}

#[test]
fn nobody_without_a_certificate_of_the_cluster_is_a_node() {
    let world = World::new();
    world.certify("someone", Role::Client("someone".to_owned()));
    let mut config = world.config(1);
    config.tls.cert = world.directory.path().join("someone.pem");
    config.tls.key = world.directory.path().join("someone.key");
    let error = Node::start(config).expect_err("a client is no node");
    assert!(error.to_string().contains("client/someone"), "{error}");
}

/// A node on disk.
#[cfg(feature = "rocksdb")]
fn on_disk(mut config: crate::config::Config) -> crate::config::Config {
    config.storage.engine = crate::config::EngineKind::Rocksdb;
    config
}

#[cfg(feature = "rocksdb")]
#[test]
fn a_node_that_is_stopped_and_started_keeps_its_data() {
    let world = World::new();
    let nodes = world.cluster_of(1, on_disk);
    let (config, node) = nodes.into_iter().next().expect("a node");
    let client = world.client(&node);
    assert!(matches!(
        client.create_bucket("b", Kind::Value),
        Response::Bucket(_)
    ));
    assert!(matches!(client.put("k", b"v", 1), Response::Written(_)));
    node.shutdown().expect("an orderly end");
    let node = Node::start(config).expect("the node again");
    eventually("the node is ready again", || is_ready(&node));
    assert_eq!(
        value(&world.client(&node).get("k", 1, false)),
        Some(&b"v"[..])
    );
}
