//! Sessions: what they have seen goes into orders and comes back sealed.

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use super::{Desk, Dot, cluster, desk, desk_of, dot, now, ordered, put, read, refused, row, write};
use crate::protocol::coordinator::{Order, Outcome, ReadDone, WriteDone};
use crate::protocol::keys::KeyPrefix;
use crate::protocol::time::Moment;
use crate::server::{Accepted, Shape};
use crdt::Context;
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use ring::{BucketId, Token};
use starling::wire::{
    FailureKind, Key, Kind, MAX_SEEN, Part, ReadResponse, Request, Response, SessionDone,
    SessionRequest, SessionWork, State,
};

fn in_session(seen: &[ByteBuf], work: SessionWork) -> Request {
    let seen = seen.to_vec();
    Request::InSession(Box::new(SessionRequest { seen, work }))
}

fn reading(seen: &[ByteBuf]) -> Request {
    in_session(seen, SessionWork::Read(read("values", Kind::Value)))
}

fn seen(order: &Order) -> Option<&DotSet> {
    match order {
        Order::Read(read) | Order::Inspect(read) => read.session.as_ref(),
        Order::Write(write) => write.session.as_ref(),
    }
}

fn dots(all: &[Dot]) -> DotSet {
    let mut dots = DotSet::default();
    all.iter().for_each(|&dot| dots.insert(dot));
    dots
}

/// What a read answers that shows a value which ends at a time, by the node's clock.
fn answer(desk: &Desk, shape: &Shape, seen: DotSet, ends_ms: Option<u64>) -> (ByteBuf, State) {
    let prefix = KeyPrefix::new(3, Token(1), BucketId(2), b"ada", b"");
    let mut shown = row(dot(1, 1), "v");
    if let Some(ends_ms) = ends_ms {
        let mut version = shown
            .versions()
            .values()
            .next()
            .expect("it is there")
            .clone();
        version.expires_ms = Some(ends_ms);
        shown = crdt::Row::write(dot(1, 1), version, Context::default());
    }
    let done = ReadDone {
        rows: BTreeMap::from([(prefix.row(Leaf::Value, b""), shown)]),
        until: None,
        sampled: None,
        bases: Context::default(),
        context: Context::default(),
        answered: 2,
        seen,
    };
    match desk.respond(shape, Outcome::Read(Ok(done))) {
        Response::InSession(session) => match session.done {
            SessionDone::Read(ReadResponse { state, .. }) => (session.seen, state),
            done => panic!("{done:?}"),
        },
        response => panic!("{response:?}"),
    }
}

#[test]
fn what_a_session_has_seen_is_sealed_in_its_answers_and_demanded_of_its_orders() {
    let desk = desk();
    let (order, shape) = ordered(&desk, &reading(&[]));
    assert_eq!(seen(&order), Some(&DotSet::default()));
    let (one, _) = answer(&desk, &shape, dots(&[dot(1, 1)]), None);
    let (two, _) = answer(&desk, &shape, dots(&[dot(2, 7)]), None);

    let (order, _) = ordered(&desk, &reading(&[one.clone(), two.clone()]));
    assert_eq!(seen(&order), Some(&dots(&[dot(1, 1), dot(2, 7)])));
    let work = SessionWork::Write(write("values", put()));
    let (order, shape) = ordered(&desk, &in_session(&[one], work));
    assert_eq!(seen(&order), Some(&dots(&[dot(1, 1)])));
    let done = WriteDone {
        contexts: vec![Context::default()],
        acks: 2,
        stand_ins: 0,
        owners: 3,
        rows: None,
        repeated: false,
        seen: dots(&[dot(1, 2)]),
    };
    let written = desk.respond(&shape, Outcome::Written(Ok(done)));
    assert!(matches!(written, Response::InSession(_)), "{written:?}");

    let (order, _) = ordered(&desk, &Request::Read(read("values", Kind::Value)));
    assert_eq!(seen(&order), None);
}

#[test]
fn what_has_expired_for_a_session_does_not_come_back_where_the_clock_is_behind() {
    let desk = desk();
    let later = Moment {
        wall_ms: now().wall_ms + 10,
        ..now()
    };
    let request = super::encoded(&reading(&[]));
    let Accepted::Order { shape, .. } = desk.accept(later, &request) else {
        panic!("it is an order")
    };
    let ends = Some(now().wall_ms + 5);
    let (token, state) = answer(&desk, &shape, DotSet::default(), ends);
    assert_eq!(state, State::Value(Vec::new()));

    let (_, shape) = ordered(&desk, &reading(&[token]));
    let (_, state) = answer(&desk, &shape, DotSet::default(), ends);
    assert_eq!(state, State::Value(Vec::new()), "in the session it is over");
    let (_, shape) = ordered(&desk, &reading(&[]));
    let (_, state) = answer(&desk, &shape, DotSet::default(), ends);
    assert_eq!(state, State::Value(vec![ByteBuf::from("v")]));
}

#[test]
fn a_token_of_another_partition_or_cluster_and_too_many_are_refused() {
    let ours = desk();
    let (_, shape) = ordered(&ours, &reading(&[]));
    let (token, _) = answer(&ours, &shape, dots(&[dot(1, 1)]), None);
    let elsewhere = (0..).map(|number| Key::from(format!("{number}")));
    let mut others = elsewhere.map(|key| {
        let mut other = read("values", Kind::Value);
        other.key = key;
        in_session(std::slice::from_ref(&token), SessionWork::Read(other))
    });
    // Another key of the same partition is fine.
    let is_refused = |request: &Request| {
        matches!(
            ours.accept(now(), &super::encoded(request)),
            Accepted::Reply(_)
        )
    };
    let other = others.find(is_refused).expect("there are other partitions");
    assert_eq!(refused(&ours, &other).kind, FailureKind::BadContext);

    let mut foreign = cluster(3);
    foreign.secret = crate::protocol::cluster::Secret::new([1; 16]);
    let failure = refused(&desk_of(&foreign), &reading(std::slice::from_ref(&token)));
    assert_eq!(failure.kind, FailureKind::BadContext);
    let many = vec![token; MAX_SEEN + 1];
    assert_eq!(refused(&ours, &reading(&many)).kind, FailureKind::TooLarge);
}

#[test]
fn a_page_is_read_in_a_session_too() {
    let mut page = read("sets", Kind::Set);
    page.part = Part::Page(starling::wire::Page {
        limit: 10,
        ..starling::wire::Page::default()
    });
    let (order, _) = ordered(&desk(), &in_session(&[], SessionWork::Read(page)));
    assert_eq!(seen(&order), Some(&DotSet::default()));
}
