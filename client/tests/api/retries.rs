//! Automatic retries: whom they ask, under which name, and when they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::fake::{Action, Fake, failed, read, written};
use ring::NodeId;
use starling::wire::{FailureKind, Request, State};
use starling::{ErrorKind, Outcome, Profile};

/// Nodes of which the first `count` requests anywhere are treated by `trouble`.
pub(crate) fn troubled(count: usize, trouble: fn(NodeId) -> Action) -> Fake {
    let seen = Arc::new(AtomicUsize::new(0));
    Fake::start(3, move |node, request| {
        if seen.fetch_add(1, Ordering::Relaxed) < count {
            return trouble(node);
        }
        match request {
            Request::Read(_) => read(State::Value(Vec::new()), b""),
            _ => written(b""),
        }
    })
}

#[tokio::test]
async fn a_retry_keeps_the_operation_id() {
    let fake = troubled(2, |_| Action::Hangup);
    let client = fake.client().await;
    client
        .bucket("counters")
        .counter("home")
        .add(1)
        .await
        .unwrap();
    let writes = fake.writes();
    assert_eq!(writes.len(), 3);
    let first = writes[0].1.operation;
    assert!(writes.iter().all(|(_, write)| write.operation == first));
    client
        .bucket("counters")
        .counter("home")
        .add(1)
        .await
        .unwrap();
    let others = fake
        .writes()
        .into_iter()
        .filter(|(_, write)| write.operation != first);
    assert_eq!(others.count(), 1, "another operation has another name");
}

#[tokio::test]
async fn a_write_goes_to_the_same_coordinator_first_and_then_to_the_next() {
    let fake = troubled(2, |_| Action::Hangup);
    let client = fake.client().await;
    let owners = client.owners("counters", "home");
    let done = client
        .bucket("counters")
        .counter("home")
        .add(1)
        .await
        .unwrap();
    assert_eq!(done.node(), owners[1].node);
    assert_eq!(fake.node(owners[0].node).requests().len(), 2);
    assert_eq!(fake.node(owners[1].node).requests().len(), 1);
}

#[tokio::test]
async fn a_silent_node_costs_one_call_and_not_the_next() {
    let fake = troubled(0, |_| Action::Silence);
    let client = fake.client().await;
    let owners = client.owners("counters", "home");
    let silent = fake.node(owners[0].node);
    silent.respond(|_| Action::Silence);
    let counter = client.bucket("counters").counter("home");
    let add = || counter.add(1).timeout(Duration::from_millis(1_500));
    assert_eq!(add().await.unwrap().node(), owners[1].node);
    assert_eq!(silent.requests().len(), 2);
    // Not even a probe that the node answers makes it attractive before its time.
    assert_eq!(add().await.unwrap().node(), owners[1].node);
}

#[tokio::test]
async fn a_write_whose_node_falls_silent_is_sent_to_the_next_one_too() {
    let fake = troubled(0, |_| Action::Silence);
    let client = fake.client().await;
    let owners = client.owners("counters", "home");
    let silent = fake.node(owners[0].node);
    silent.respond(|_| Action::Silence);
    // A third of this long would pass before the first node were given up.
    let counter = client.bucket("counters").counter("home");
    let add = counter.add(1).timeout(Duration::from_secs(600));
    assert_eq!(add.await.unwrap().node(), owners[1].node);
    let writes = fake.writes();
    let nodes: Vec<NodeId> = writes.iter().map(|(node, _)| *node).collect();
    assert_eq!(nodes.len(), 2, "{nodes:?}");
    assert_eq!(writes[0].1.operation, writes[1].1.operation);
}

#[tokio::test]
async fn a_read_leaves_a_silent_node_though_no_hedge_is_left_and_the_next_one_dawdles() {
    let fake = Fake::start(2, |_, _| Action::Silence);
    let client = fake.client().await;
    let first = |key: &str| client.owners("values", key)[0].node;
    let keys: Vec<String> = (0..64).map(|n| format!("key-{n}")).collect();
    let ours = keys[0].clone();
    let of_other = keys.iter().find(|key| first(key) != first(&ours)).unwrap();
    let dawdling = fake.node(first(of_other));
    let wanted = ours.clone();
    dawdling.respond(move |request| match request {
        Request::Read(asked) if asked.key.partition == wanted.as_bytes() => {
            read(State::Value(Vec::new()), b"")
        }
        _ => Action::Silence,
    });
    // These spend all hedges, and leave both nodes with questions that they do not answer.
    let values = client.bucket("values");
    let get = |key: &String| values.get(key.clone()).timeout(Duration::from_secs(600));
    let others: Vec<_> = (0..15)
        .map(|_| tokio::spawn(get(of_other).into_future()))
        .collect();
    while dawdling.requests().len() < others.len() {
        tokio::task::yield_now().await;
    }
    // A third of its time would pass before the first node were given up.
    let found = get(&ours).await.unwrap();
    assert_eq!(found.node(), dawdling.id);
    others.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_read_goes_to_the_next_owner() {
    let fake = troubled(1, |_| Action::Hangup);
    let client = fake.client().await;
    let owners = client.owners("values", "ada");
    let found = client.bucket("values").get("ada").await.unwrap();
    assert_eq!(found.node(), owners[1].node);
}

#[tokio::test]
async fn the_name_of_an_idempotency_key_is_the_same_for_every_client() {
    let fake = troubled(0, |_| Action::Silence);
    for _ in 0..2 {
        let counter = fake.client().await.bucket("counters").counter("orders");
        counter.add(1).idempotency_key("order-42").await.unwrap();
    }
    let writes = fake.writes();
    assert_eq!(writes[0].1.operation, writes[1].1.operation);
}

#[tokio::test]
async fn overload_is_waited_out() {
    let fake = troubled(2, |_| failed(FailureKind::Overloaded, Outcome::NotApplied));
    fake.client()
        .await
        .bucket("values")
        .put("ada", "x")
        .await
        .unwrap();
    assert_eq!(fake.writes().len(), 3);
}

#[tokio::test]
async fn the_deadline_covers_all_attempts_and_a_sent_write_may_be_applied() {
    let fake = troubled(usize::MAX, |_| Action::Silence);
    let client = fake.client().await;
    let begun = Instant::now();
    let timeout = Duration::from_millis(400);
    let error = client
        .bucket("counters")
        .counter("home")
        .add(1)
        .timeout(timeout)
        .await
        .unwrap_err();
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Timeout, Outcome::MaybeApplied)
    );
    assert!(error.is_retryable());
    let operation = error.operation().expect("writes have names");
    assert!(
        fake.writes()
            .iter()
            .all(|(_, write)| write.operation == operation)
    );
    let allowed = fake
        .writes()
        .iter()
        .map(|(_, write)| write.timeout_ms)
        .max();
    assert!(
        allowed < Some(400),
        "the node gives up before the client does"
    );
}

#[tokio::test]
async fn a_read_that_timed_out_applied_nothing() {
    let fake = troubled(usize::MAX, |_| Action::Silence);
    let query = fake.client().await.bucket("values").get("ada");
    let error = query.timeout(Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Timeout, Outcome::NotApplied)
    );
}

#[tokio::test]
async fn a_write_below_its_quorum_says_how_far_it_came() {
    let below = |_| {
        let outcome = Outcome::AppliedBelowQuorum {
            acks: 1,
            required: 2,
        };
        failed(FailureKind::QuorumNotReached, outcome)
    };
    let fake = troubled(usize::MAX, below);
    let error = fake
        .client()
        .await
        .bucket("values")
        .put("ada", "x")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuorumNotReached);
    assert_eq!(
        error.outcome(),
        Outcome::AppliedBelowQuorum {
            acks: 1,
            required: 2
        }
    );
    assert_eq!(error.attempts(), 2, "once more, at the same coordinator");
    let nodes: Vec<NodeId> = fake.writes().into_iter().map(|(node, _)| node).collect();
    assert_eq!(nodes[0], nodes[1]);
}

#[tokio::test]
async fn what_cannot_get_better_is_not_retried() {
    let kinds = [
        FailureKind::WrongKind,
        FailureKind::BadContext,
        FailureKind::BadRequest,
        FailureKind::BadOperation,
        FailureKind::TooLarge,
    ];
    let fake = troubled(0, |_| Action::Silence);
    let client = fake.client().await;
    for kind in kinds {
        for node in &fake.nodes {
            node.respond(move |_| failed(kind, Outcome::NotApplied));
        }
        let error = client.bucket("values").put("ada", "x").await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (kind.into(), 1));
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn retries_can_be_turned_off() {
    let fake = troubled(1, |_| failed(FailureKind::Timeout, Outcome::MaybeApplied));
    let builder = fake
        .builder()
        .default_profile(Profile::new().max_retries(0));
    let client = builder.connect().await.unwrap();
    let error = client.bucket("values").put("ada", "x").await.unwrap_err();
    assert_eq!(
        (error.attempts(), error.outcome()),
        (1, Outcome::MaybeApplied)
    );
}

#[tokio::test]
async fn a_cluster_in_trouble_is_spared_when_the_budget_is_spent() {
    let fake = troubled(usize::MAX, |_| {
        failed(FailureKind::Timeout, Outcome::NotApplied)
    });
    let users = fake.client().await.bucket("values");
    for _ in 0..60 {
        let query = users.get("ada").timeout(Duration::from_millis(300));
        assert_eq!(query.await.unwrap_err().kind(), ErrorKind::Timeout);
    }
    let asked: usize = fake.nodes.iter().map(|node| node.requests().len()).sum();
    // 60 first tries, 10 from the reserve, 6 earned, and a few that come back with time.
    assert!((60..=60 + 10 + 6 + 10).contains(&asked), "{asked}");
}

#[tokio::test]
async fn a_fresh_client_does_not_wait_long_for_an_owner_that_is_down() {
    let fake = troubled(0, |_| Action::Silence);
    let client = fake.client().await;
    // The client is connected to the first node, its seed, and to no other yet.
    let down = fake.nodes[1].id;
    let key = (0..).map(|key| format!("key-{key}"));
    let mut key = key.filter(|key| client.owners("values", key)[0].node == down);
    let key = key.next().expect("every node owns something first");
    fake.nodes[1].stop().await;
    let begun = Instant::now();
    let written = client.bucket("values").put(&key, "x").await.unwrap();
    assert_ne!(written.node(), down);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn seeds_that_are_down_cost_a_quarter_of_a_second_each() {
    let fake = troubled(0, |_| Action::Silence);
    fake.nodes[0].stop().await;
    let begun = Instant::now();
    let client = fake.client().await;
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(client.topology().nodes().count(), 3);
}

#[tokio::test]
async fn an_error_keeps_what_a_node_said_and_lists_all_attempts() {
    let fake = troubled(0, |_| Action::Silence);
    let client = fake.client().await;
    let owners = client.owners("values", "ada");
    fake.node(owners[1].node).respond(|_| {
        let outcome = Outcome::AppliedBelowQuorum {
            acks: 1,
            required: 2,
        };
        failed(FailureKind::QuorumNotReached, outcome)
    });
    fake.node(owners[0].node).stop().await;
    fake.node(owners[2].node).stop().await;
    let put = client
        .bucket("values")
        .put("ada", "x")
        .timeout(Duration::from_secs(1));
    let error = put.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuorumNotReached, "{error}");
    assert_eq!(error.node(), Some(owners[1].node));
    let kinds: Vec<_> = error
        .tried()
        .iter()
        .map(|tried| (tried.node, tried.kind))
        .collect();
    assert!(
        kinds.contains(&(owners[0].node, ErrorKind::Unreachable)),
        "{kinds:?}"
    );
    assert!(
        kinds.contains(&(owners[1].node, ErrorKind::QuorumNotReached)),
        "{kinds:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains(&format!("node {} unreachable", owners[0].node)),
        "{text}"
    );
}
