//! Whom the client asks.

use std::collections::BTreeSet;

use crate::fake::{Action, Fake, failed, layout, read, roles, written};
use ring::NodeId;
use starling::wire::{FailureKind, Request, State};
use starling::{ErrorKind, Outcome, Profile};

fn cluster(nodes: u64) -> Fake {
    Fake::start(nodes, |_, request| match request {
        Request::Read(_) => read(State::Value(Vec::new()), b""),
        _ => written(b""),
    })
}

#[tokio::test]
async fn every_key_goes_to_its_first_owner() {
    let fake = cluster(5);
    let client = fake.client().await;
    let values = client.bucket("values");
    let mut asked = BTreeSet::new();
    for key in (0..60).map(|key| format!("key-{key}")) {
        let written = values.put(&key, "x").await.unwrap();
        assert_eq!(written.node(), client.owners("values", &key)[0].node);
        asked.insert(written.node());
    }
    assert_eq!(asked.len(), 5, "all nodes coordinate");
}

#[tokio::test]
async fn one_node_can_be_asked_alone() {
    let fake = cluster(3);
    let values = fake.client().await.bucket("values");
    for node in (1..=3).map(NodeId) {
        let found = values.get("ada").local().on_node(node).await.unwrap();
        assert_eq!(found.node(), node);
        let requests = fake.node(node).requests();
        assert!(matches!(&requests[..], [Request::Read(read)] if read.local));
    }
    let error = values.get("ada").on_node(NodeId(9)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest);
}

#[tokio::test]
async fn a_node_that_is_asked_alone_and_is_no_owner_says_so() {
    let fake = Fake::start(1, |_, _| failed(FailureKind::NotOwner, Outcome::NotApplied));
    let values = fake.client().await.bucket("values");
    let error = values
        .get("ada")
        .local()
        .on_node(NodeId(1))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::NotOwner, 1));
}

#[tokio::test]
async fn not_owner_makes_the_client_ask_for_the_ring_and_go_on() {
    let fake = cluster(4);
    fake.publish(&layout(3));
    let client = fake.client().await;
    let next = layout(3).next(&roles(4, 2)).unwrap();
    let joined = NodeId(4);
    let key = (0..)
        .map(|key| format!("key-{key}"))
        .find(|key| first_owner(&next, key) == joined)
        .expect("the new node owns something");
    let old = client.owners("values", &key)[0].node;
    fake.node(old)
        .respond(|_| failed(FailureKind::NotOwner, Outcome::NotApplied));
    fake.publish(&next);
    let written = client.bucket("values").put(&key, "x").await.unwrap();
    assert_eq!(written.node(), joined);
    assert_eq!(client.topology().layout(), next.id());
}

/// The first owner of a key in the bucket `values` under a layout.
fn first_owner(layout: &ring::Layout, key: &str) -> NodeId {
    let ring = ring::Ring::new(crate::fake::CLUSTER, layout.clone());
    let token = ring.token(ring::BucketId::of_name("values"), key.as_bytes());
    ring.preference(ring::ReplicaCount::DEFAULT, token).first()
}

#[tokio::test]
async fn a_node_that_is_gone_is_avoided() {
    let fake = cluster(3);
    let client = fake.client().await;
    let values = client.bucket("values");
    let owners = client.owners("values", "ada");
    values.put("ada", "x").await.unwrap();
    fake.node(owners[0].node).stop().await;
    for _ in 0..5 {
        let written = values.put("ada", "x").await.unwrap();
        assert_eq!(written.node(), owners[1].node);
    }
    assert_eq!(fake.node(owners[0].node).requests().len(), 1);
}

#[tokio::test]
async fn a_node_that_failed_is_asked_again_after_a_probe() {
    let fake = cluster(3);
    let client = fake.client().await;
    let values = client.bucket("values");
    let first = client.owners("values", "ada")[0].node;
    fake.node(first)
        .respond(|_| failed(FailureKind::ShuttingDown, Outcome::NotApplied));
    assert_ne!(values.put("ada", "x").await.unwrap().node(), first);
    fake.node(first).respond(|_| written(b""));
    let probed = fake.node(first).topologies_asked();
    while fake.node(first).topologies_asked() == probed {
        tokio::task::yield_now().await;
    }
    while values.put("ada", "x").await.unwrap().node() != first {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_bucket_that_was_just_made_is_waited_for() {
    let fake = cluster(3);
    let client = fake.client().await;
    for node in &fake.nodes {
        let mut refusals = 2;
        node.respond(move |request| match (request, refusals) {
            (Request::CreateBucket(bucket), _) => Action::Reply(starling::wire::Response::Bucket(
                starling::BucketProperties {
                    name: bucket.name.clone(),
                    kind: bucket.kind,
                    n: bucket.n,
                    siblings: bucket.siblings,
                    r: 2,
                    w: 2,
                    durability: starling::Durability::Wal,
                    sloppy: false,
                },
            )),
            (_, 1..) => {
                refusals -= 1;
                failed(FailureKind::UnknownBucket, Outcome::NotApplied)
            }
            (_, _) => written(b""),
        });
    }
    let bucket = client.create_bucket("fresh").await.unwrap();
    assert_eq!(bucket.n, 3);
    client.bucket("fresh").put("ada", "x").await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_nobody_knows_is_an_error_at_once() {
    let fake = Fake::start(3, |_, _| {
        failed(FailureKind::UnknownBucket, Outcome::NotApplied)
    });
    let client = fake.client().await;
    let error = client.bucket("invented").put("ada", "x").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::UnknownBucket, 1)
    );
}

#[tokio::test]
async fn a_node_that_refuses_all_is_sent_less_and_less() {
    let refuses = |_: NodeId, _: &Request| failed(FailureKind::Overloaded, Outcome::NotApplied);
    let fake = Fake::start(1, refuses);
    let builder = fake.builder();
    let builder = builder.default_profile(Profile::new().max_retries(0));
    let client = builder.connect().await.unwrap();
    let values = client.bucket("values");
    let mut held_back = 0;
    for _ in 0..300 {
        let error = values.put("ada", "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
        held_back += usize::from(error.to_string().contains("nothing was sent"));
    }
    let sent = fake.writes().len();
    assert_eq!(sent + held_back, 300);
    assert!((20..150).contains(&sent), "{sent} were sent");
}
