//! What is taken, with which defaults, and what is refused.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, proptest};
use serde_bytes::ByteBuf;

use super::{
    accept, actions, cluster, context_of, desk, desk_of, dot, encoded, kind_of, now, ordered, put,
    read, refused, write,
};
use crate::protocol::cluster::{Alarm, BucketError, BucketProperties, BucketRecord, BucketStamp};
use crate::protocol::coordinator::Order;
use crate::protocol::messages::Selection;
use crate::protocol::vnode::Action;
use crate::server::{Accepted, Desk, Posture};
use crdt::kinds::Leaf;
use crdt::kinds::map::Path;
use ring::{NodeId, ReplicaCount};
use starling::wire::{
    CreateBucket, Durability, Failure, FailureKind, InspectRequest, Key, Kind, MAX_VALUE, Mutation,
    Outcome, Page, Part, ReadRequest, Request, Response, Siblings, WriteRequest,
};

#[test]
fn a_read_becomes_an_order_for_a_majority() {
    let (order, shape) = ordered(&desk(), &Request::Read(read("values", Kind::Value)));
    let Order::Read(order) = order else {
        panic!("{order:?}")
    };
    assert_eq!(
        (order.r, order.local, shape.operation()),
        (2, false, "read")
    );
    assert_eq!(order.deadline.since(now().time), Duration::from_secs(1));
    assert!(matches!(&order.selection, Selection::Row(row) if row.leaf() == Leaf::Value));

    let local = ReadRequest {
        local: true,
        ..read("counts", Kind::Counter)
    };
    let (order, _) = ordered(&desk(), &Request::Read(local));
    let Order::Read(order) = order else {
        panic!("{order:?}")
    };
    assert_eq!((order.r, order.local), (1, true));
    // All shares of the counter, and an answer that leaves some out is none.
    let Selection::Range(range) = &order.selection else {
        panic!("{order:?}")
    };
    assert!(!range.reverse && range.limit.is_none());
    let prefix = order.repair.unwrap();
    let share = prefix.share(&Path::root(), dot(1, 1).actor);
    let within = &range.from[..]..&range.to[..];
    assert!(within.contains(&share.as_bytes()));
    assert!(!within.contains(&prefix.row(Leaf::Value, b"").as_bytes()));
}

#[test]
fn a_monotonic_read_asks_more_than_half_for_what_survives_kill_nine() {
    for (r, asked) in [(None, 2), (Some(1), 2), (Some(3), 3)] {
        let monotonic = ReadRequest {
            r,
            monotonic: true,
            ..read("values", Kind::Value)
        };
        let (order, _) = ordered(&desk(), &Request::Read(monotonic));
        let Order::Read(order) = order else {
            panic!("{order:?}")
        };
        assert_eq!((order.r, order.monotonic), (asked, Some(Durability::Wal)));
    }
    let local = ReadRequest {
        local: true,
        ..read("sets", Kind::Set)
    };
    let paged = ReadRequest {
        part: Part::Page(Page {
            limit: 10,
            ..Page::default()
        }),
        ..read("sets", Kind::Set)
    };
    let estimated = ReadRequest {
        part: Part::Estimate,
        ..read("sets", Kind::Set)
    };
    for read in [local, paged, estimated] {
        let request = Request::Read(ReadRequest {
            monotonic: true,
            ..read
        });
        let failure = refused(&desk(), &request);
        assert_eq!(failure.kind, FailureKind::BadRequest);
        assert!(failure.message.contains("monotonic"), "{}", failure.message);
    }
}

#[test]
fn a_write_becomes_an_order_that_survives_kill_nine_at_a_majority() {
    let (order, shape) = ordered(&desk(), &Request::Write(write("values", put())));
    assert_eq!(actions(&order), [&Action::Put("v".into())]);
    assert!(context_of(&order).is_empty());
    let Order::Write(order) = order else {
        panic!("{order:?}")
    };
    assert_eq!(
        (order.w, order.durability, shape.operation()),
        (2, Durability::Wal, "write")
    );
    assert_eq!(order.command.operation.client, (1 << 64) | 2);
    assert!(order.read_back.is_none());
}

#[test]
fn delete_means_in_each_kind_what_it_must() {
    for (bucket, action) in [
        ("values", Action::Clear(Some(Leaf::Value))),
        ("counts", Action::Clear(Some(Leaf::Share))),
        ("sets", Action::Clear(Some(Leaf::Element))),
    ] {
        let (order, _) = ordered(&desk(), &Request::Write(write(bucket, Mutation::Delete)));
        assert_eq!(actions(&order), [&action]);
    }
}

#[test]
fn a_mutation_or_read_of_another_kind_is_refused() {
    let elements = || vec![ByteBuf::from(b"e")];
    let mutations: [(Mutation, &str); 4] = [
        (put(), "values"),
        (Mutation::Increment(1), "counts"),
        (Mutation::Add(elements()), "sets"),
        (Mutation::Remove(elements()), "sets"),
    ];
    for (mutation, home) in mutations {
        for bucket in ["values", "counts", "sets"] {
            let mut asked = write(bucket, mutation.clone());
            // The client takes the bucket for what its mutation needs.
            asked.items[0].edits[0].kind = kind_of(home);
            let request = Request::Write(asked);
            if bucket == home {
                ordered(&desk(), &request);
            } else {
                let failure = refused(&desk(), &request);
                assert_eq!(failure.kind, FailureKind::WrongKind, "{bucket}");
                assert_eq!(failure.outcome, Outcome::NotApplied);
            }
        }
    }
    let failure = refused(&desk(), &Request::Read(read("values", Kind::Set)));
    assert_eq!(failure.kind, FailureKind::WrongKind);
    assert!(
        failure.message.contains("holds kind value"),
        "{}",
        failure.message
    );
}

/// A change of a request, and what the refusal of it says.
type Case<T> = (fn(&mut T), &'static str);

/// Asserts that a request is refused, and that the message says how to ask.
fn assert_refused(request: &Request, expected: &str) {
    let Failure {
        outcome, message, ..
    } = refused(&desk(), request);
    assert_eq!(outcome, Outcome::NotApplied);
    assert!(message.contains(expected), "{expected}: {message}");
}

#[test]
fn a_read_out_of_range_is_refused_with_the_range() {
    let cases: [Case<ReadRequest>; 7] = [
        (|read| read.r = Some(0), "ask for 1 to 3"),
        (|read| read.r = Some(4), "ask for 1 to 3"),
        (|read| read.timeout_ms = 0, "allow 1 to 60000 ms"),
        (|read| read.timeout_ms = 60_001, "allow 1 to 60000 ms"),
        (
            |read| read.part = Part::Element(ByteBuf::from(b"e")),
            "only a set",
        ),
        (|read| (read.local, read.r) = (true, Some(2)), "exclude"),
        (|read| read.key = Key::from(""), "empty"),
    ];
    for (change, expected) in cases {
        let mut read = read("values", Kind::Value);
        change(&mut read);
        assert_refused(&Request::Read(read), expected);
    }
    let inspect = InspectRequest {
        bucket: "values".to_owned(),
        key: Key::from("ada"),
        timeout_ms: 0,
    };
    assert_refused(&Request::Inspect(inspect), "allow 1 to 60000 ms");
}

#[test]
fn a_write_out_of_range_is_refused_with_the_range() {
    let cases: [Case<WriteRequest>; 6] = [
        (|write| write.w = Some(9), "w = 9"),
        (|write| write.timeout_ms = 0, "allow 1 to 60000 ms"),
        (
            |write| write.partition = ByteBuf::from(vec![b'k'; 5_000]),
            "exceeds the limit",
        ),
        (
            |write| write.items[0].edits[0].mutation = huge(),
            "exceeds the limit",
        ),
        (|write| write.bucket = "b".to_owned(), "no bucket b"),
        (
            |write| write.bucket = "no name".to_owned(),
            "no bucket of that name",
        ),
    ];
    for (change, expected) in cases {
        let mut write = write("values", put());
        change(&mut write);
        assert_refused(&Request::Write(write), expected);
    }
}

fn huge() -> Mutation {
    Mutation::Put(ByteBuf::from(vec![0; MAX_VALUE + 1]))
}

#[test]
fn who_does_not_own_the_key_names_an_owner() {
    let desk = desk_of(&cluster(5));
    let asked = (0..100).map(|index| {
        let key = Key::from(format!("k{index}"));
        let request = Request::Read(ReadRequest {
            key,
            ..read("values", Kind::Value)
        });
        accept(&desk, &request)
    });
    let (mut owned, mut not_owned) = (0, 0);
    for accepted in asked {
        match accepted {
            Accepted::Order { .. } => owned += 1,
            Accepted::Reply(Response::Failed(failure)) => {
                assert_eq!(failure.kind, FailureKind::NotOwner);
                assert!(failure.message.contains("ask node-"), "{}", failure.message);
                not_owned += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(owned > 30 && not_owned > 15, "{owned} {not_owned}");
}

#[test]
fn a_node_that_cannot_serve_says_why() {
    let request = Request::Write(write("values", put()));
    let blank = Desk::new(NodeId(1));
    assert_eq!(refused(&blank, &request).kind, FailureKind::NotInitialised);
    assert_eq!(
        refused(&blank, &Request::Status).kind,
        FailureKind::NotInitialised
    );
    assert_eq!(
        refused(&blank, &Request::Topology).kind,
        FailureKind::NotInitialised
    );
    let mut desk = desk();
    let duplicate = Alarm::DuplicateNode { node: NodeId(1) };
    for (posture, kind) in [
        (Posture::Starting, FailureKind::Overloaded),
        (Posture::Draining, FailureKind::ShuttingDown),
        (Posture::Alarmed(duplicate), FailureKind::Unavailable),
    ] {
        desk.set_posture(posture);
        assert_eq!(refused(&desk, &request).kind, kind);
        // Clients still learn where the others are.
        let topology = accept(&desk, &Request::Topology);
        assert!(matches!(topology, Accepted::Reply(Response::Topology(_))));
        assert!(matches!(accept(&desk, &Request::Status), Accepted::Status));
    }
}

#[test]
fn the_topology_is_what_the_cluster_agreed_on() {
    let state = cluster(3);
    let Accepted::Reply(Response::Topology(topology)) =
        accept(&desk_of(&state), &Request::Topology)
    else {
        panic!("no topology");
    };
    let layout: ring::Layout = rmp_serde::from_slice(&topology.layout).unwrap();
    assert_eq!(Some(layout), state.layout);
    assert_eq!(topology.cluster[15], 7);
    assert_eq!(topology.members[2].addresses, ["127.0.0.1:7403"]);
    let mut buckets: Vec<_> = topology
        .buckets
        .iter()
        .map(|b| (&b.name[..], b.n, b.r))
        .collect();
    buckets.sort_unstable();
    assert_eq!(
        buckets,
        [
            ("counts", 3, 2),
            ("sets", 3, 2),
            ("tickets", 3, 2),
            ("values", 3, 2)
        ]
    );
}

#[test]
fn a_bucket_is_asked_for_with_a_valid_name_and_n() {
    let bucket = |name: &str, n| {
        Request::CreateBucket(CreateBucket {
            name: name.to_owned(),
            kind: Kind::Set,
            n,
            siblings: Siblings::default(),
            sloppy: false,
        })
    };
    let accepted = accept(&desk(), &bucket("tags", 2));
    assert!(matches!(accepted, Accepted::CreateBucket { name, .. } if name == "tags"));
    for wrong in [bucket("a b", 2), bucket("tags", 0), bucket("tags", 8)] {
        assert_eq!(refused(&desk(), &wrong).kind, FailureKind::BadRequest);
    }
    let state = cluster(3);
    let known: BucketRecord = state.buckets.of_name("sets").unwrap().clone();
    let made = desk().bucket_created(Ok(known.clone()));
    assert!(matches!(made, Response::Bucket(bucket) if bucket.name == "sets" && bucket.w == 2));
    let taken = desk().bucket_created(Err(BucketError::Conflict { known }));
    assert!(matches!(taken, Response::Failed(failure) if failure.kind == FailureKind::WrongKind));
}

#[test]
fn in_a_cluster_of_one_the_default_is_one_replica() {
    let mut state = cluster(1);
    let stamp = BucketStamp {
        wall_ms: 0,
        node: NodeId(1),
    };
    let n = ReplicaCount::new(5).unwrap();
    let wide = BucketProperties::new(Kind::Value, n);
    state.buckets.create("wide", wide, stamp).unwrap();
    let (order, _) = ordered(&desk_of(&state), &Request::Write(write("wide", put())));
    assert!(matches!(order, Order::Write(order) if order.w == 1));
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in vec(any::<u8>(), 0..200), versioned in any::<bool>()) {
        let bytes = if versioned { [&[1], &bytes[..]].concat() } else { bytes };
        let accepted = desk().accept(now(), &bytes);
        let is_failure = matches!(accepted, Accepted::Reply(Response::Failed(_)));
        // A unit variant of a request is a short text that a random byte string can hit.
        prop_assert!(is_failure || bytes.len() < 24);
    }

    #[test]
    fn a_damaged_request_is_taken_or_refused(at in 0_usize..200, byte in any::<u8>()) {
        let mut bytes = encoded(&Request::Write(write("values", put()))).to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let accepted = desk().accept(now(), &bytes);
        let is_expected =
            matches!(accepted, Accepted::Reply(Response::Failed(_)) | Accepted::Order { .. });
        prop_assert!(is_expected);
        prop_assert!(matches!(
            desk().accept(now(), &bytes[..at]),
            Accepted::Reply(Response::Failed(_))
        ));
    }
}
