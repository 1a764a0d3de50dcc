//! Context tokens from answers to requests.

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use super::{cluster, context_of, desk, desk_of, dot, ordered, over, put, read, refused, write};
use crate::protocol::cluster::{ClusterState, Secret};
use crate::protocol::coordinator::{Order, Outcome, ReadDone, WriteDone};
use crate::server::Desk;
use crdt::Context;
use crdt::dots::DotSet;
use starling::wire::{
    FailureKind, Kind, Mutation, Part, ReadRequest, Request, Response, WriteRequest,
};

fn seen() -> Context {
    let mut context = Context::default();
    context.insert(dot(1, 4));
    context
}

/// The token that a read is answered with.
pub(super) fn token_of(desk: &Desk, read: ReadRequest) -> ByteBuf {
    token_with(desk, read, seen())
}

fn token_with(desk: &Desk, read: ReadRequest, context: Context) -> ByteBuf {
    let (_, shape) = ordered(desk, &Request::Read(read));
    let done = ReadDone {
        seen: DotSet::default(),
        rows: BTreeMap::new(),
        until: None,
        sampled: None,
        bases: Context::default(),
        context,
        answered: 2,
    };
    match desk.respond(&shape, Outcome::Read(Ok(done))) {
        Response::Read(response) => response.context,
        other => panic!("{other:?}"),
    }
}

fn removal(elements: &[&[u8]], context: &ByteBuf) -> WriteRequest {
    let elements = elements
        .iter()
        .map(|&element| ByteBuf::from(element))
        .collect();
    over(context, write("sets", Mutation::Remove(elements)))
}

#[test]
fn to_have_seen_nothing_is_another_thing_than_not_to_say_what_was_seen() {
    let token = token_with(&desk(), read("values", Kind::Value), Context::default());
    for (token, has_context) in [(token, true), (ByteBuf::new(), false)] {
        let request = over(&token, write("values", Mutation::Delete));
        let (order, _) = ordered(&desk(), &Request::Write(request));
        let Order::Write(order) = order else {
            panic!("{order:?}")
        };
        let target = &order.command.targets[0];
        assert!(target.context.is_empty());
        assert_eq!(target.has_context, has_context);
    }
}

#[test]
fn a_write_builds_on_the_context_of_a_read() {
    let token = token_of(&desk(), read("values", Kind::Value));
    let request = over(&token, write("values", put()));
    let (order, shape) = ordered(&desk(), &Request::Write(request));
    assert_eq!(context_of(&order), &seen());

    let mut context = seen();
    context.insert(dot(1, 9));
    let done = WriteDone {
        seen: DotSet::default(),
        contexts: vec![context.clone()],
        acks: 2,
        stand_ins: 0,
        owners: 3,
        rows: None,
        repeated: false,
    };
    let Response::Written(written) = desk().respond(&shape, Outcome::Written(Ok(done))) else {
        panic!("not written");
    };
    // The next write over it needs no read.
    let request = over(&written.contexts[0], write("values", put()));
    let (order, _) = ordered(&desk(), &Request::Write(request));
    assert_eq!(context_of(&order), &context);
}

#[test]
fn a_context_of_another_key_bucket_or_cluster_is_refused() {
    let token = token_of(&desk(), read("values", Kind::Value));
    let request = |key: &str, token: &ByteBuf| {
        let mut request = over(token, write("values", put()));
        request.partition = ByteBuf::from(key);
        Request::Write(request)
    };
    let message = |desk: &Desk, request: &Request| {
        let failure = refused(desk, request);
        assert_eq!(failure.kind, FailureKind::BadContext);
        failure.message
    };
    assert!(message(&desk(), &request("bob", &token)).contains("another key"));
    let sets = token_of(&desk(), read("sets", Kind::Set));
    assert!(message(&desk(), &request("ada", &sets)).contains("another key"));
    let mut forged = token.clone();
    forged[12] ^= 1;
    assert!(message(&desk(), &request("ada", &forged)).contains("changed"));
    let elsewhere = ClusterState {
        secret: Secret::new([1; 16]),
        ..cluster(3)
    };
    let theirs = token_of(&desk_of(&elsewhere), read("values", Kind::Value));
    assert!(message(&desk(), &request("ada", &theirs)).contains("changed"));
    assert!(message(&desk(), &request("ada", &ByteBuf::from([1; 40]))).contains("garbage"));
}

#[test]
fn a_token_of_one_element_removes_no_other() {
    let part = Part::Element(ByteBuf::from(b"x"));
    let token = token_of(
        &desk(),
        ReadRequest {
            part,
            ..read("sets", Kind::Set)
        },
    );
    let (order, shape) = ordered(&desk(), &Request::Write(removal(&[b"x"], &token)));
    assert_eq!(context_of(&order), &seen());
    for other in [&[&b"y"[..]][..], &[b"x", b"y"]] {
        let failure = refused(&desk(), &Request::Write(removal(other, &token)));
        assert_eq!(failure.kind, FailureKind::BadContext);
    }
    let clear = over(&token, write("sets", Mutation::Delete));
    assert_eq!(
        refused(&desk(), &Request::Write(clear)).kind,
        FailureKind::BadContext
    );

    // What the removal answers speaks for the same element and no more.
    let done = WriteDone {
        seen: DotSet::default(),
        contexts: vec![seen()],
        acks: 2,
        stand_ins: 0,
        owners: 3,
        rows: None,
        repeated: false,
    };
    let Response::Written(written) = desk().respond(&shape, Outcome::Written(Ok(done))) else {
        panic!("not written");
    };
    let failure = refused(
        &desk(),
        &Request::Write(removal(&[b"y"], &written.contexts[0])),
    );
    assert_eq!(failure.kind, FailureKind::BadContext);
}

#[test]
fn a_token_of_the_whole_set_removes_any_element() {
    let token = token_of(&desk(), read("sets", Kind::Set));
    for elements in [&[&b"x"[..]][..], &[b"x", b"y"]] {
        let (order, _) = ordered(&desk(), &Request::Write(removal(elements, &token)));
        assert_eq!(context_of(&order), &seen());
    }
}

#[test]
fn a_counter_is_not_reset_over_a_context() {
    let token = token_of(&desk(), read("counts", Kind::Counter));
    let request = |mutation| over(&token, write("counts", mutation));
    let failure = refused(&desk(), &Request::Write(request(Mutation::Delete)));
    assert_eq!(failure.kind, FailureKind::BadRequest);
    ordered(&desk(), &Request::Write(request(Mutation::Increment(1))));
}
