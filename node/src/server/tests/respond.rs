//! What clients are told, by kind and by failure.

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use super::{desk, dot, ordered, read, refused, row, write};
use crate::protocol::coordinator::{OrderFailed, Outcome, ReadDone};
use crate::protocol::keys::{KeyPrefix, RowKey};
use crate::protocol::messages::Refusal;
use crate::protocol::vnode::Rejected;
use crate::server::{HereStatus, PeerStatus, StatusInput, encode_response};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::kinds::bounded::{Rights, part};
use crdt::kinds::counter::Share;
use crdt::kinds::map::Path;
use crdt::{Context, Row};
use ring::{BucketId, NodeId, Token};
use starling::wire::{
    self, Failure, FailureKind, Kind, MAX_MESSAGE, Mutation, Outcome as Applied, Page, Part,
    ReadRequest, ReadResponse, Request, Response, State, WriteResponse,
};

fn key(leaf: Leaf, part: &[u8]) -> RowKey {
    KeyPrefix::new(3, Token(1), BucketId(2), b"ada", b"").row(leaf, part)
}

fn insufficient(asked: u64) -> Rejected {
    Rejected::Insufficient {
        asked,
        available: 0,
        value: 5,
    }
}

fn share(node: u64, amount: i64) -> (RowKey, Row) {
    let mut share = Share::default();
    share.add(1, amount);
    let dot = dot(node, 1);
    let prefix = KeyPrefix::new(3, Token(1), BucketId(2), b"ada", b"");
    (
        prefix.share(&Path::root(), dot.actor),
        row(dot, share.encode()),
    )
}

fn answer(bucket: &str, kind: Kind, rows: impl IntoIterator<Item = (RowKey, Row)>) -> Response {
    answer_to(read(bucket, kind), rows)
}

fn answer_to(read: ReadRequest, rows: impl IntoIterator<Item = (RowKey, Row)>) -> Response {
    let (_, shape) = ordered(&desk(), &Request::Read(read));
    let rows: BTreeMap<_, _> = rows.into_iter().collect();
    let done = ReadDone {
        seen: DotSet::default(),
        rows,
        until: None,
        sampled: None,
        bases: Context::default(),
        context: Context::default(),
        answered: 2,
    };
    desk().respond(&shape, Outcome::Read(Ok(done)))
}

#[test]
fn a_page_that_goes_backwards_shows_the_last_first() {
    let mut page = read("sets", Kind::Set);
    page.part = Part::Page(Page {
        reverse: true,
        limit: 10,
        ..Page::default()
    });
    let element = |name: &[u8]| (key(Leaf::Element, name), row(dot(1, 1), ""));
    let shown = answer_to(page, [element(b"a"), element(b"b")]);
    let names = ["b", "a"].map(ByteBuf::from).to_vec();
    assert_eq!(state(shown), State::Set(names));
}

fn state(response: Response) -> State {
    match response {
        Response::Read(ReadResponse {
            state, answered: 2, ..
        }) => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_kind_is_shown_as_what_it_is() {
    let mut siblings = row(dot(1, 1), "a");
    siblings.join(&row(dot(2, 1), "b"));
    let values = answer("values", Kind::Value, [(key(Leaf::Value, b""), siblings)]);
    assert_eq!(
        state(values),
        State::Value(vec![ByteBuf::from(b"a"), ByteBuf::from(b"b")])
    );

    let counter = answer("counts", Kind::Counter, [share(1, 40), share(2, 2)]);
    assert_eq!(state(counter), State::Counter(42));

    let rights = |node, added, used| {
        let rights = Rights {
            added,
            used,
            ..Rights::default()
        };
        let body = rights.encode();
        (key(Leaf::Rights, &part(node)), row(dot(node, 1), body))
    };
    let rows = [rights(1, 9, 2), rights(2, 0, 3)];
    let bounded = answer("tickets", Kind::BoundedCounter, rows);
    assert_eq!(state(bounded), State::Counter(4));

    let element = |name: &[u8]| (key(Leaf::Element, name), row(dot(1, 1), ""));
    let set = answer("sets", Kind::Set, [element(b"b"), element(b"a")]);
    assert_eq!(
        state(set),
        State::Set(vec![ByteBuf::from(b"a"), ByteBuf::from(b"b")])
    );
}

#[test]
fn a_count_is_of_what_a_page_would_show() {
    let element = |name: &[u8]| (key(Leaf::Element, name), row(dot(1, 1), ""));
    let gone = (key(Leaf::Element, b"gone"), Row::default());
    let stray = (key(Leaf::Value, b""), row(dot(3, 1), "stray"));
    let counting = |page| ReadRequest {
        part: Part::Count(page),
        ..read("sets", Kind::Set)
    };
    let page = Page {
        limit: 10,
        ..Page::default()
    };
    let rows = [element(b"a"), element(b"b"), gone, stray];
    assert_eq!(
        state(answer_to(counting(page), rows)),
        State::Number(Some(2))
    );
    let none = refused(&desk(), &Request::Read(counting(Page::default())));
    assert_eq!(none.kind, FailureKind::BadRequest);
}

#[test]
fn rows_that_a_displaced_bucket_left_are_not_shown() {
    let stray = (key(Leaf::Value, b""), row(dot(3, 1), "stray"));
    let counter = answer("counts", Kind::Counter, [share(1, 40), stray]);
    assert_eq!(state(counter), State::Counter(40));
}

#[test]
fn a_counter_beyond_64_bits_is_an_error_and_not_another_number() {
    let response = answer("counts", Kind::Counter, [share(1, i64::MAX), share(2, 1)]);
    let Response::Failed(failure) = response else {
        panic!("{response:?}")
    };
    assert_eq!(failure.kind, FailureKind::TooLarge);
    assert!(
        failure.message.contains("9223372036854775808"),
        "{}",
        failure.message
    );
}

/// The failure of a write that the coordinator gave up.
fn written(failed: OrderFailed) -> Failure {
    let request = Request::Write(write("counts", Mutation::Increment(1)));
    let (_, shape) = ordered(&desk(), &request);
    match desk().respond(&shape, Outcome::Written(Err(failed))) {
        Response::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

/// What a vnode refuses before anything is done.
fn rejected() -> Vec<(Rejected, FailureKind)> {
    vec![
        (
            Rejected::TooManySiblings { limit: 9 },
            FailureKind::TooLarge,
        ),
        (Rejected::TooManyRows { limit: 9 }, FailureKind::TooLarge),
        (Rejected::OperationReused, FailureKind::BadOperation),
        (Rejected::NotOfKind, FailureKind::WrongKind),
        (Rejected::CounterOverflow, FailureKind::BadRequest),
        (Rejected::NotCurrent, FailureKind::NotCurrent),
        (Rejected::DiskFull, FailureKind::DiskFull),
        (insufficient(9), FailureKind::Insufficient),
        (insufficient(1), FailureKind::Insufficient),
        (
            Rejected::NotWhole {
                waits_for: NodeId(3),
            },
            FailureKind::Unavailable,
        ),
        (
            Rejected::TooManyRecords { limit: 9 },
            FailureKind::Overloaded,
        ),
    ]
}

#[test]
fn only_a_write_that_may_be_there_says_so() {
    let (acks, required) = (1, 2);
    let below = written(OrderFailed::BelowQuorum { acks, required });
    assert_eq!(
        below.outcome,
        Applied::AppliedBelowQuorum { acks, required }
    );
    assert_eq!(below.kind, FailureKind::QuorumNotReached);
    for (failed, kind) in [
        (OrderFailed::Unknown, FailureKind::Timeout),
        (
            OrderFailed::Rejected(Rejected::TooLate { window_ms: 9 }),
            FailureKind::BadOperation,
        ),
        (OrderFailed::Refused(Refusal::Storage), FailureKind::Storage),
        (
            OrderFailed::Refused(Refusal::DiskFull),
            FailureKind::DiskFull,
        ),
    ] {
        let failure = written(failed);
        assert_eq!(
            (failure.kind, failure.outcome),
            (kind, Applied::MaybeApplied)
        );
    }
    let unavailable = OrderFailed::Unavailable {
        reachable: 1,
        required,
    };
    let refused = [
        (OrderFailed::NotOwner, FailureKind::NotOwner),
        (OrderFailed::Overloaded, FailureKind::Overloaded),
        (unavailable, FailureKind::Unavailable),
        (
            OrderFailed::Refused(Refusal::Starting),
            FailureKind::Overloaded,
        ),
    ];
    let rejected = rejected().into_iter();
    let rejected = rejected.map(|(rejected, kind)| (OrderFailed::Rejected(rejected), kind));
    for (failed, kind) in refused.into_iter().chain(rejected) {
        let failure = written(failed);
        assert_eq!((failure.kind, failure.outcome), (kind, Applied::NotApplied));
        // What failed; what is still true: what to do.
        assert!(failure.message.contains(';'), "{}", failure.message);
    }
}

#[test]
fn a_read_that_fails_has_changed_nothing() {
    let (_, shape) = ordered(&desk(), &Request::Read(read("values", Kind::Value)));
    for (timed_out, kind) in [
        (true, FailureKind::Timeout),
        (false, FailureKind::QuorumNotReached),
    ] {
        let failed = OrderFailed::TooFewAnswers {
            answered: 1,
            required: 2,
            timed_out,
        };
        let response = desk().respond(&shape, Outcome::Read(Err(failed)));
        assert!(matches!(response, Response::Failed(failure) if failure.kind == kind));
    }
    let (holding, required) = (1, 2);
    let unconfirmed = OrderFailed::Unconfirmed { holding, required };
    let response = desk().respond(&shape, Outcome::Read(Err(unconfirmed)));
    assert!(matches!(response, Response::Failed(f) if f.message.contains("monotonic")));
    let storage = OrderFailed::Refused(Refusal::Storage);
    let response = desk().respond(&shape, Outcome::Read(Err(storage)));
    assert!(matches!(response, Response::Failed(f) if f.outcome == Applied::NotApplied));
}

#[test]
fn an_answer_that_does_not_fit_becomes_one_that_does() {
    let elements = vec![ByteBuf::from(vec![0; MAX_MESSAGE / 2]); 3];
    let context = ByteBuf::from(b"token");
    let state = State::Set(elements);
    let huge = Response::Read(ReadResponse {
        state: state.clone(),
        context: context.clone(),
        answered: 2,
        next: None,
    });
    let decoded: Response = wire::decode(&encode_response(&huge)).unwrap();
    assert!(matches!(decoded, Response::Failed(f) if f.kind == FailureKind::TooLarge));
    // A write that was carried out stays one.
    let written = WriteResponse {
        contexts: vec![context],
        acks: 2,
        state: Some(state),
        repeated: false,
        stand_ins: 0,
        owners: 3,
    };
    let decoded: Response =
        wire::decode(&encode_response(&Response::Written(written.clone()))).unwrap();
    assert_eq!(
        decoded,
        Response::Written(WriteResponse {
            state: None,
            ..written
        })
    );
}

#[test]
fn status_names_this_node_first_and_believes_only_its_own_calls() {
    let mut input = StatusInput {
        here: HereStatus {
            rows: 5,
            ..HereStatus::default()
        },
        ..StatusInput::default()
    };
    let peer = PeerStatus {
        reachable: true,
        missing_here: 4,
        ..PeerStatus::default()
    };
    input.peers.insert(NodeId(3), peer);
    let Response::Status(status) = desk().status(&input) else {
        panic!("no status")
    };
    assert_eq!((status.node, status.partitions), (1, 16));
    let members: Vec<_> = status
        .members
        .iter()
        .map(|m| (&m.name[..], m.reachable, m.rows, m.missing_here, m.vnodes))
        .collect();
    assert_eq!(
        members,
        [
            ("node-1", true, 5, 0, 16),
            ("node-2", false, 0, 0, 16),
            ("node-3", true, 0, 4, 16)
        ]
    );
    assert!(!status.members[1].note.is_empty());
}
