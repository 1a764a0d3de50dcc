//! Pages of maps: what they hold, and how one leads to the next.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::{desk_of_all_kinds, dot, ordered, read, refused, row};
use crate::protocol::coordinator::{Order, Outcome, ReadDone, ReadOrder};
use crate::protocol::keys::{KeyPrefix, RowKey};
use crate::protocol::messages::Selection;
use crate::protocol::samples;
use crate::server::Shape;
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::kinds::counter::Share;
use crdt::kinds::map::Path;
use crdt::{Context, Hlc, Row, Version};
use starling::wire::{
    Failure, FailureKind, Field, Kind, Page, Part, ReadRequest, ReadResponse, Request, Response,
    State,
};

type Rows = BTreeMap<RowKey, Row>;

fn order_of(part: Part) -> (ReadOrder, Shape) {
    let request = ReadRequest {
        part,
        ..read("map", Kind::Map)
    };
    match ordered(&desk_of_all_kinds(), &Request::Read(request)) {
        (Order::Read(order), shape) => (order, shape),
        other => panic!("{other:?}"),
    }
}

/// A map of seven names, one of them for two fields, and the rows of a field that was removed.
fn rows() -> Rows {
    let key: KeyPrefix = order_of(Part::Whole).0.repair.expect("of one key");
    let path = |names: &[&'static str]| {
        Path::new(names.iter().map(|name| Bytes::from(*name)).collect()).unwrap()
    };
    let mut rows = Rows::new();
    for (at, names) in [&["a"][..], &["d", "x"], &["d", "y", "z"], &["n\0x"], &["n"]]
        .into_iter()
        .enumerate()
    {
        let dot = dot(1, at as u64 + 1);
        rows.insert(key.row_at(&path(names), Leaf::Register, b""), row(dot, "v"));
    }
    for element in 0..5 {
        let of = |name| key.row_at(&path(&[name]), Leaf::Element, &[element]);
        rows.insert(of("b"), row(dot(2, u64::from(element) + 1), ""));
        if element < 3 {
            rows.insert(of("gone"), Row::default());
        }
    }
    rows.insert(
        key.row_at(&path(&["c"]), Leaf::Element, b"x"),
        row(dot(2, 9), ""),
    );
    for node in 5..8 {
        let mut share = Share::default();
        share.add(1, 10);
        let dot = dot(node, 1);
        rows.insert(
            key.share(&path(&["c"]), dot.actor),
            row(dot, share.encode()),
        );
    }
    // At the map's own path, where a displaced bucket left it.
    rows.insert(key.row(Leaf::Value, b""), row(dot(9, 1), "stray"));
    rows
}

/// The answer of owners that send so many rows at once.
fn answer(rows: &Rows, part: Part, at_once: usize) -> Response {
    let (order, shape) = order_of(part);
    let mut found: Vec<(RowKey, Row)> = match &order.selection {
        Selection::Range(range) => {
            let lies_in =
                |key: &RowKey| (&range.from..&range.to).contains(&&ByteBuf::from(key.as_bytes()));
            let found = rows.iter().filter(|(key, _)| lies_in(key));
            let found = found.map(|(key, row)| (key.clone(), row.clone()));
            if range.reverse {
                found.rev().collect()
            } else {
                found.collect()
            }
        }
        other => panic!("{other:?}"),
    };
    let is_cut = found.len() > at_once;
    found.truncate(at_once);
    let last = found.last().map(|(key, _)| ByteBuf::from(key.as_bytes()));
    let done = ReadDone {
        seen: DotSet::default(),
        until: last.filter(|_| is_cut),
        rows: found
            .into_iter()
            .filter(|(_, row)| !row.versions().is_empty())
            .collect(),
        sampled: None,
        bases: Context::default(),
        context: Context::default(),
        answered: 2,
    };
    desk_of_all_kinds().respond(&shape, Outcome::Read(Ok(done)))
}

/// What all pages hold, one behind the other.
fn walk(
    rows: &Rows,
    (page, at_once): (&Page, usize),
    part: fn(Page) -> Part,
) -> Result<Vec<State>, Failure> {
    let (mut states, mut page) = (Vec::new(), page.clone());
    loop {
        match answer(rows, part(page.clone()), at_once) {
            Response::Read(ReadResponse { state, next, .. }) => {
                states.push(state);
                let Some(next) = next else {
                    return Ok(states);
                };
                assert_ne!(
                    page.cursor.as_ref(),
                    Some(&next),
                    "no page is asked for twice"
                );
                page.cursor = Some(next);
            }
            Response::Failed(failure) => return Err(failure),
            other => panic!("{other:?}"),
        }
    }
}

fn page(limit: u32, reverse: bool) -> Page {
    Page {
        limit,
        reverse,
        ..Page::default()
    }
}

fn fields(state: State) -> Vec<Field> {
    match state {
        State::Map(fields) => fields,
        other => panic!("{other:?}"),
    }
}

fn whole(rows: &Rows) -> Vec<Field> {
    match answer(rows, Part::Whole, usize::MAX) {
        Response::Read(response) => fields(response.state),
        other => panic!("{other:?}"),
    }
}

fn sum(counts: Vec<State>) -> i64 {
    let count = |state| match state {
        State::Number(Some(count)) => count,
        other => panic!("{other:?}"),
    };
    counts.into_iter().map(count).sum()
}

#[test]
fn pages_of_a_map_hold_each_field_once_and_whole() {
    let rows = rows();
    let all = whole(&rows);
    assert_eq!(all.len(), 7);
    for (at_once, limit) in (6..24).flat_map(|at_once| [(at_once, 1), (at_once, 2), (at_once, 9)]) {
        for reverse in [false, true] {
            let page = page(limit, reverse);
            let states = walk(&rows, (&page, at_once), Part::Page).unwrap();
            let mut shown: Vec<Field> = states.into_iter().flat_map(fields).collect();
            if reverse {
                shown.reverse();
            }
            assert_eq!(shown, all, "{at_once} rows, {page:?}");
            let counts = walk(&rows, (&page, at_once), Part::Count).unwrap();
            assert_eq!(sum(counts), 6, "{at_once} rows, {page:?}");
        }
    }
}

#[test]
fn a_page_has_no_more_names_than_were_asked_for() {
    let rows = rows();
    for state in walk(&rows, (&page(2, false), 9), Part::Page).unwrap() {
        let mut names: Vec<_> = fields(state).into_iter().map(|field| field.name).collect();
        names.dedup();
        assert!(names.len() <= 2, "{names:?}");
    }
}

#[test]
fn a_field_that_no_page_can_hold_is_named_and_still_counted() {
    let rows = rows();
    for reverse in [false, true] {
        let page = page(9, reverse);
        match walk(&rows, (&page, 4), Part::Page) {
            Err(failure) => {
                assert_eq!(failure.kind, FailureKind::TooLarge);
                let name = if reverse { "field c " } else { "field b " };
                assert!(failure.message.contains(name), "{failure:?}");
            }
            Ok(shown) => panic!("{shown:?}"),
        }
        let counts = walk(&rows, (&page, 4), Part::Count).unwrap();
        assert_eq!(sum(counts), 6);
    }
}

#[test]
fn what_a_field_does_not_show_any_more_hides_nothing_behind_it() {
    let mut rows = rows();
    let key: KeyPrefix = order_of(Part::Whole).0.repair.expect("of one key");
    let path = Path::new(vec![Bytes::from("e")]).unwrap();
    for element in 0..40_u8 {
        let dot = dot(3, u64::from(element) + 1);
        let over = Version {
            expires_ms: Some(1),
            ..Version::new(Hlc::at(1), None, Bytes::new())
        };
        let row = match element {
            // Cleared, and not freed yet; over, and not swept yet; and some that are there.
            0..15 => Row::default(),
            15..30 => Row::write(dot, over, Context::default()),
            _ => row(dot, ""),
        };
        rows.insert(key.row_at(&path, Leaf::Element, &[element]), row);
    }
    // A counter that was removed, whose nodes have begun anew since they counted.
    for node in 20..40 {
        let mut share = Share::default();
        share.add(1, 10);
        share.reset();
        let dot = dot(node, 1);
        rows.insert(key.share(&path, dot.actor), row(dot, share.encode()));
    }
    let all = whole(&rows);
    assert_eq!(all.len(), 8);
    let page = page(9, false);
    let states = walk(&rows, (&page, 11), Part::Page).unwrap();
    let shown: Vec<Field> = states.into_iter().flat_map(fields).collect();
    assert_eq!(shown, all);
    let counts = walk(&rows, (&page, 11), Part::Count).unwrap();
    assert_eq!(sum(counts), 7);
    assert!(walk(&rows, (&page, 9), Part::Page).is_err());
}

#[test]
fn a_page_looks_at_one_row_more_than_a_field_may_have() {
    for (limit, rows) in [(1, 4_097), (4_096, 4_097), (10_000, 10_001)] {
        let (order, _) = order_of(Part::Page(page(limit, false)));
        let Selection::Range(range) = order.selection else {
            panic!("{:?}", order.selection)
        };
        assert_eq!(range.limit, Some(rows));
    }
}

#[test]
fn a_cursor_that_no_page_gave_is_refused() {
    for cursor in [&b""[..], b"\x02", b"name"] {
        let page = Page {
            cursor: Some(ByteBuf::from(cursor)),
            ..page(9, false)
        };
        let request = ReadRequest {
            part: Part::Page(page),
            ..read("map", Kind::Map)
        };
        let failure = refused(&desk_of_all_kinds(), &Request::Read(request));
        assert_eq!(failure.kind, FailureKind::BadRequest);
    }
}

#[test]
fn a_stretch_of_a_map_is_of_names() {
    let rows = rows();
    let names = |from: &'static str, to: &'static str| {
        let page = Page {
            from: Some(ByteBuf::from(from)),
            to: Some(ByteBuf::from(to)),
            ..page(9, false)
        };
        let states = walk(&rows, (&page, 9), Part::Page).unwrap();
        let fields = states.into_iter().flat_map(fields);
        let names = fields.map(|field| String::from_utf8(field.name.into_vec()).unwrap());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names("b", "d"), ["b", "c", "c"]);
    assert_eq!(names("b\0", "n\0"), ["c", "c", "d", "n"]);
    assert_eq!(names("n\0", "o"), ["n\0x"]);
    assert_eq!(names("", "a"), Vec::<String>::new());
    assert_eq!(names("z", "a"), Vec::<String>::new());
}

#[test]
fn an_estimate_counts_the_names_of_a_sample_whatever_they_stand_for() {
    let (order, shape) = order_of(Part::Estimate);
    assert_eq!(order.repair, None);
    let Selection::Names { range, depth } = &order.selection else {
        panic!("{:?}", order.selection)
    };
    assert_eq!((range.limit, *depth), (Some(samples::COUNTED), 0));
    // A quarter of all hashes: six names, one of them for two fields, stand for 24.
    for (sampled, expected) in [(None, 6), (Some(1 << 62), 24)] {
        let done = ReadDone {
            seen: DotSet::default(),
            until: None,
            rows: rows(),
            sampled,
            bases: Context::default(),
            context: Context::default(),
            answered: 2,
        };
        match desk_of_all_kinds().respond(&shape, Outcome::Read(Ok(done))) {
            Response::Read(response) => assert_eq!(response.state, State::Estimate(expected)),
            other => panic!("{other:?}"),
        }
    }
}
