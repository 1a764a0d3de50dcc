//! Scans over sort keys and listings of keys: what a page asks for, shows, and leaves to the next.

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use super::{desk_of_all_kinds, dot, ordered, row};
use crate::protocol::coordinator::{Order, Outcome, ReadDone};
use crate::protocol::keys::{KeyPrefix, RowKey};
use crate::protocol::messages::Selection;
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::{Context, Row};
use ring::{BucketId, Token};
use starling::wire::{
    Failure, FailureKind, KeysRequest, KeysResponse, Kind, Outcome as Applied, Page, Request,
    Response, ScanRequest, ScanResponse,
};

fn scan(bucket: &str, limit: u32) -> Request {
    Request::Scan(ScanRequest {
        bucket: bucket.to_owned(),
        kind: bucket.parse::<Kind>().unwrap(),
        partition: ByteBuf::from("ada"),
        page: Page {
            limit,
            ..Page::default()
        },
        r: None,
        timeout_ms: 1_000,
    })
}

fn listing(cursor: Option<ByteBuf>) -> Request {
    Request::Keys(KeysRequest {
        bucket: "value".to_owned(),
        ring_partition: 0,
        cursor,
        r: None,
        timeout_ms: 1_000,
    })
}

fn key(sort: &str) -> KeyPrefix {
    KeyPrefix::new(3, Token(1), BucketId(2), b"ada", sort.as_bytes())
}

fn element(sort: &str, name: &str) -> RowKey {
    key(sort).row(Leaf::Element, name.as_bytes())
}

/// The answer to a request, if the owners show these rows, up to `until`.
fn answer(request: &Request, rows: BTreeMap<RowKey, Row>, until: Option<RowKey>) -> Response {
    let desk = desk_of_all_kinds();
    let (_, shape) = ordered(&desk, request);
    let done = ReadDone {
        seen: DotSet::default(),
        rows,
        until: until.map(|key| ByteBuf::from(key.as_bytes())),
        sampled: None,
        bases: Context::default(),
        context: Context::default(),
        answered: 2,
    };
    desk.respond(&shape, Outcome::Read(Ok(done)))
}

fn scanned(response: Response) -> (Vec<ByteBuf>, Option<ByteBuf>) {
    match response {
        Response::Scanned(ScanResponse { keys, next, .. }) => {
            (keys.into_iter().map(|key| key.sort).collect(), next)
        }
        other => panic!("{other:?}"),
    }
}

/// Rows of sets under the sort keys `a` and `b`.
fn two_sets() -> BTreeMap<RowKey, Row> {
    let rows = [("a", "x"), ("a", "y"), ("b", "x")];
    let rows = rows.map(|(sort, name)| (element(sort, name), row(dot(1, 1), "")));
    rows.into()
}

#[test]
fn a_page_of_keys_of_many_rows_looks_at_so_many_rows_and_no_more() {
    for (bucket, rows) in [("value", 10), ("set", 4_096), ("map", 4_096)] {
        let (order, _) = ordered(&desk_of_all_kinds(), &scan(bucket, 10));
        let Order::Read(order) = order else {
            panic!("{order:?}")
        };
        let Selection::Range(range) = order.selection else {
            panic!("{:?}", order.selection)
        };
        assert_eq!(range.limit, Some(rows), "{bucket}");
    }
}

#[test]
fn a_key_that_a_page_cuts_is_left_to_the_next_one() {
    let whole = answer(&scan("set", 10), two_sets(), None);
    let both = ["a", "b"].map(ByteBuf::from);
    assert_eq!(scanned(whole), (both.to_vec(), None));
    let cut = answer(&scan("set", 10), two_sets(), Some(element("b", "x")));
    let first = ByteBuf::from("a");
    assert_eq!(scanned(cut), (vec![first.clone()], Some(first)));
}

#[test]
fn a_key_that_is_more_than_a_page_stops_the_scan_and_is_never_shown_in_part() {
    let mut rows = two_sets();
    rows.retain(|key, _| key.prefix() == self::key("a"));
    match answer(&scan("set", 10), rows, Some(element("a", "y"))) {
        Response::Failed(Failure {
            kind,
            outcome,
            message,
            ..
        }) => {
            assert_eq!(kind, FailureKind::TooLarge);
            assert_eq!(outcome, Applied::NotApplied);
            assert!(message.contains("read it by itself"), "{message}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_listing_names_each_key_once_leaves_out_what_is_over_and_says_where_to_go_on() {
    let value = |sort: &str| key(sort).row(Leaf::Value, b"");
    let mut ended = row(dot(1, 1), "x");
    let version = ended.versions().values().next().cloned().unwrap();
    ended = Row::write(
        dot(1, 1),
        crdt::Version {
            expires_ms: Some(1),
            ..version
        },
        Context::default(),
    );
    let mut rows = two_sets();
    rows.insert(value("a"), row(dot(1, 2), "x"));
    rows.insert(value("ended"), ended);
    rows.insert(value("gone"), Row::default());
    let until = element("b", "x");
    match answer(&listing(None), rows, Some(until.clone())) {
        Response::Keys(KeysResponse { keys, next }) => {
            let sorts: Vec<_> = keys.into_iter().map(|key| key.sort).collect();
            assert_eq!(sorts, ["a", "b"].map(ByteBuf::from));
            let next = next.expect("there is more");
            assert_eq!(next[..], [until.as_bytes(), &[0]].concat());
            // What it says can be gone on with.
            ordered(&desk_of_all_kinds(), &listing(Some(next)));
        }
        other => panic!("{other:?}"),
    }
}
