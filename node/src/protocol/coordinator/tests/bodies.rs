//! Reads of values that are too large to be sent by every owner.

use std::time::Duration;

use bytes::Bytes;

use super::{moment, vnode};
use crate::protocol::coordinator::read::{Read, Waits};
use crate::protocol::coordinator::{OrderFailed, ReadOrder};
use crate::protocol::keys::{KeyPrefix, RowKey};
use crate::protocol::messages::{KeyedRow, RowsRead, Selection};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::{Actor, Clock, Context, Dot, Hlc, Row, Version};
use ring::{BucketId, NodeId, Token};

const FIRST: NodeId = NodeId(1);
const SECOND: NodeId = NodeId(2);
const THIRD: NodeId = NodeId(3);
/// Bodies of up to so many bytes come from everybody.
const SMALL: u32 = 4;
const OLD: &str = "an old one";
const NEW: &str = "a new one";

fn key() -> RowKey {
    KeyPrefix::new(3, Token(1), BucketId(1), b"k", b"").row(Leaf::Value, b"")
}

/// A read of two of three owners, which has asked the first two.
fn begun() -> Read {
    let order = ReadOrder {
        vnode: vnode(),
        selection: Selection::Row(key()),
        r: 2,
        local: false,
        repair: None,
        session: None,
        monotonic: None,
        deadline: moment(1_000).time,
    };
    let waits = Waits {
        hedge_after: Duration::from_millis(50),
        ask_next_after: Duration::from_millis(50),
    };
    let owners = vec![FIRST, SECOND, THIRD];
    let mut read = Read::new(moment(0).time, FIRST, order, (owners, None), waits, SMALL);
    assert_eq!(asked(&mut read), [(FIRST, None), (SECOND, Some(SMALL))]);
    read
}

/// Whom it asks now, and for bodies of which length.
fn asked(read: &mut Read) -> Vec<(NodeId, Option<u32>)> {
    let mut asked = Vec::new();
    while let Some(node) = read.poll_transmit() {
        asked.push((node, read.request(node).bodies_up_to));
    }
    asked
}

/// An owner that has the old value, or the new one which has overwritten it.
fn whole(body: &'static str) -> RowsRead {
    let dot = |counter| Dot::new(Actor { node: 1, nonce: 1 }, counter);
    let (counter, mut seen) = (if body == OLD { 1 } else { 2 }, Context::default());
    if body != OLD {
        seen.insert(dot(1));
    }
    let version = Version::new(Hlc::at(1), None, Bytes::from_static(body.as_bytes()));
    let row = Row::write(dot(counter), version, seen);
    RowsRead {
        rows: vec![KeyedRow { key: key(), row }],
        clock: Clock::default(),
        catching_up: false,
        until: None,
        sampled: None,
        left_out: DotSet::default(),
    }
}

/// The same from one that was not asked for its body.
fn left_out(body: &'static str) -> RowsRead {
    let mut reply = whole(body);
    let row = &mut reply.rows[0].row;
    row.versions()
        .keys()
        .for_each(|&dot| reply.left_out.insert(dot));
    *row = row.map_bodies(|_| Bytes::new());
    reply
}

fn hear(read: &mut Read, from: NodeId, reply: RowsRead) {
    read.handle_rows(moment(1).time, from, Ok(reply));
}

fn fail(read: &mut Read, from: NodeId) {
    let failed = OrderFailed::Unavailable {
        reachable: 0,
        required: 1,
    };
    read.handle_rows(moment(1).time, from, Err(failed));
}

/// The bodies in its answer; `None` while there is no answer.
fn answer(read: &mut Read) -> Option<Vec<Bytes>> {
    let done = read.poll_event()?.expect("enough have answered");
    let rows = done.rows.into_values();
    let bodies = rows.flat_map(|row| {
        row.versions()
            .values()
            .map(|v| v.body.clone())
            .collect::<Vec<_>>()
    });
    Some(bodies.collect())
}

#[test]
fn one_owner_sends_a_large_value_and_another_says_that_it_is_the_same() {
    for first_last in [false, true] {
        let mut read = begun();
        if first_last {
            hear(&mut read, SECOND, left_out(NEW));
            hear(&mut read, FIRST, whole(NEW));
        } else {
            hear(&mut read, FIRST, whole(NEW));
            hear(&mut read, SECOND, left_out(NEW));
        }
        assert_eq!(answer(&mut read), Some(vec![Bytes::from(NEW)]));
        assert_eq!(asked(&mut read), []);
    }
}

#[test]
fn what_only_one_owner_has_is_fetched_from_it_before_the_answer() {
    let mut read = begun();
    hear(&mut read, FIRST, whole(OLD));
    hear(&mut read, SECOND, left_out(NEW));
    assert_eq!(answer(&mut read), None);
    assert_eq!(asked(&mut read), [(SECOND, None)]);
    hear(&mut read, SECOND, left_out(NEW));
    assert_eq!(
        answer(&mut read),
        None,
        "an answer to what it was asked before"
    );
    hear(&mut read, SECOND, whole(NEW));
    assert_eq!(answer(&mut read), Some(vec![Bytes::from(NEW)]));
}

#[test]
fn what_is_overwritten_is_not_fetched() {
    let mut read = begun();
    hear(&mut read, SECOND, left_out(OLD));
    hear(&mut read, FIRST, whole(NEW));
    assert_eq!(answer(&mut read), Some(vec![Bytes::from(NEW)]));
}

#[test]
fn an_owner_that_cannot_send_what_it_left_out_is_as_one_that_never_answered() {
    let mut read = begun();
    hear(&mut read, FIRST, whole(OLD));
    hear(&mut read, SECOND, left_out(NEW));
    assert_eq!(asked(&mut read), [(SECOND, None)]);
    fail(&mut read, SECOND);
    assert_eq!(asked(&mut read), [(THIRD, None)]);
    assert_eq!(answer(&mut read), None);
    hear(&mut read, THIRD, whole(OLD));
    assert_eq!(answer(&mut read), Some(vec![Bytes::from(OLD)]));
}

#[test]
fn where_the_first_owner_fails_or_dawdles_the_next_one_sends_all_bodies() {
    for fails in [true, false] {
        let mut read = begun();
        if fails {
            fail(&mut read, FIRST);
        } else {
            read.handle_timeout(moment(50).time);
        }
        assert_eq!(asked(&mut read), [(THIRD, None)]);
        hear(&mut read, SECOND, left_out(NEW));
        hear(&mut read, THIRD, whole(NEW));
        assert_eq!(answer(&mut read), Some(vec![Bytes::from(NEW)]));
    }
}

#[test]
fn without_its_bodies_no_answer_leaves() {
    let mut read = begun();
    fail(&mut read, FIRST);
    hear(&mut read, SECOND, left_out(NEW));
    assert_eq!(asked(&mut read), [(THIRD, None)]);
    hear(&mut read, THIRD, whole(OLD));
    assert_eq!(asked(&mut read), [(SECOND, None)]);
    fail(&mut read, SECOND);
    let too_few = OrderFailed::TooFewAnswers {
        answered: 1,
        required: 2,
        timed_out: false,
    };
    assert_eq!(read.poll_event(), Some(Err(too_few)));
}
