//! Reading ranges of rows by pages, and listing keys.

use bytes::Bytes;

use super::{Owner, batch, command, edit, key, key_of, put, range};
use crate::protocol::keys::{KeyPrefix, RowKey, data_range};
use crate::protocol::messages::{Range, Refusal, Selection};
use crate::protocol::samples;
use crate::protocol::stage::Family;
use crate::protocol::vnode::{Action, Command, Selected, read_rows};
use crdt::kinds::Leaf;
use crdt::kinds::map::Path;
use crdt::kinds::rules::Update;
use crdt::{Context, Hlc};
use ring::{BucketId, NodeId, QBits, Token};

/// An owner of a set of five elements.
fn five() -> Owner {
    let mut owner = Owner::new(NodeId(1));
    let elements = [b"a", b"b", b"c", b"d", b"e"].map(|e| Bytes::from(&e[..]));
    let add = Action::each(Leaf::Element, elements.to_vec(), &Update::Add);
    owner.write(1, &Context::default(), add).unwrap();
    owner
}

fn page(from: &[u8], to: &[u8], limit: u32, reverse: bool) -> Selection {
    let row = |part: &[u8]| key().row(Leaf::Element, part).as_bytes().to_vec();
    Selection::Range(Range {
        reverse,
        ..range(row(from), row(to), Some(limit))
    })
}

fn parts(selected: &Selected) -> Vec<&[u8]> {
    let rows = selected.rows.iter();
    rows.map(|keyed| keyed.key.part()).collect()
}

fn until(selected: &Selected) -> Option<Vec<u8>> {
    let until = selected.until.as_ref()?;
    Some(RowKey::decode(until).unwrap().part().to_vec())
}

#[test]
fn a_page_that_is_cut_short_says_how_far_it_is_complete() {
    let owner = five();
    let selected = owner.select(&page(b"a", b"z", 2, false));
    assert_eq!(parts(&selected), [b"a", b"b"]);
    assert_eq!(until(&selected), Some(b"b".to_vec()));
    let rest = owner.select(&page(b"b\0", b"z", 9, false));
    assert_eq!(parts(&rest), [b"c", b"d", b"e"]);
    assert_eq!(rest.until, None);
}

#[test]
fn a_page_backwards_is_cut_at_its_smallest_row_and_in_the_order_of_keys() {
    let owner = five();
    let selected = owner.select(&page(b"a", b"z", 2, true));
    assert_eq!(parts(&selected), [b"d", b"e"]);
    assert_eq!(until(&selected), Some(b"d".to_vec()));
    let rest = owner.select(&page(b"a", b"d", 9, true));
    assert_eq!(parts(&rest), [b"a", b"b", b"c"]);
    assert_eq!(rest.until, None);
}

#[test]
fn a_page_that_ends_with_its_range_is_not_cut() {
    let owner = five();
    for reverse in [false, true] {
        let all = owner.select(&page(b"a", b"z", 5, reverse));
        assert_eq!((all.rows.len(), all.until), (5, None));
        let none = owner.select(&page(b"x", b"z", 5, reverse));
        assert_eq!((none.rows.len(), none.until), (0, None));
        // Ends the wrong way round.
        let none = owner.select(&page(b"d", b"b", 5, reverse));
        assert_eq!((none.rows.len(), none.until), (0, None));
    }
}

#[test]
fn what_is_over_the_limit_of_a_message_is_cut_in_a_page_and_refused_as_a_whole() {
    let mut owner = five();
    owner.limits.message_bytes = 1;
    for reverse in [false, true] {
        let selected = owner.select(&page(b"a", b"z", 5, reverse));
        assert_eq!(selected.rows.len(), 1);
        assert!(selected.until.is_some());
    }
    let (from, to) = (key().as_bytes().to_vec(), key().end());
    for whole in [
        Selection::Range(range(from, to, None)),
        Selection::Key(key()),
    ] {
        let read = read_rows(&owner.disk, &whole, owner.vnode.clears(), &owner.limits).unwrap();
        assert_eq!(read.unwrap_err(), Refusal::TooLarge);
    }
}

#[test]
fn pages_put_together_are_the_whole() {
    let owner = five();
    for limit in 1..=6 {
        let mut found = Vec::new();
        let mut from = b"a".to_vec();
        loop {
            let selected = owner.select(&page(&from, b"z", limit, false));
            found.extend(parts(&selected).concat());
            let Some(until) = until(&selected) else {
                break;
            };
            from = [&until[..], &[0]].concat();
        }
        assert_eq!(found, b"abcde");
    }
}

fn other_bucket(sort: &[u8]) -> KeyPrefix {
    KeyPrefix::new(3, Token(7), BucketId(8), b"k", sort)
}

fn listing(limit: Option<u32>, from: Option<Vec<u8>>) -> Selection {
    let (start, end) = data_range(super::ID, QBits::new(0).unwrap());
    Selection::Keys {
        bucket: BucketId(9),
        range: range(from.unwrap_or(start), end, limit),
    }
}

fn keys(selected: &Selected) -> Vec<KeyPrefix> {
    let rows = selected.rows.iter();
    rows.map(|keyed| keyed.key.prefix()).collect()
}

/// A key of five elements, a value, a deleted value, and keys of another bucket.
fn several() -> Owner {
    let mut owner = five();
    let value = |prefix: KeyPrefix| (prefix, vec![edit(&[], put("v"))]);
    let changed = vec![
        value(key_of(b"1")),
        value(key_of(b"2")),
        value(other_bucket(b"1")),
        value(other_bucket(b"9")),
    ];
    owner.run(&batch(2, changed)).unwrap();
    let clear = vec![edit(&[], Action::Clear(Some(Leaf::Value)))];
    owner.run(&batch(3, vec![(key_of(b"1"), clear)])).unwrap();
    owner
}

#[test]
fn a_listing_has_each_key_of_its_bucket_once_and_no_bodies() {
    let owner = several();
    let selected = owner.select(&listing(None, None));
    assert_eq!(keys(&selected), [key(), key_of(b"2")]);
    assert_eq!(selected.until, None);
    for keyed in &selected.rows {
        let mut versions = keyed.row.versions().values();
        assert!(versions.all(|version| version.body.is_empty()));
    }
}

#[test]
fn a_deleted_counter_is_not_listed_until_somebody_counts_again() {
    let mut owner = Owner::new(NodeId(1));
    let none = Context::default();
    owner.write(1, &none, Action::Increment(5)).unwrap();
    // One that came back to zero was not deleted.
    owner.write(2, &none, Action::Increment(-5)).unwrap();
    assert_eq!(keys(&owner.select(&listing(None, None))), [key()]);
    owner.write(3, &none, Action::Clear(None)).unwrap();
    assert_eq!(keys(&owner.select(&listing(None, None))), []);
    owner.write(4, &none, Action::Increment(1)).unwrap();
    assert_eq!(keys(&owner.select(&listing(None, None))), [key()]);
}

#[test]
fn a_listing_looks_at_a_bounded_number_of_rows_and_goes_on() {
    let owner = several();
    for limit in 1..=9 {
        let (mut found, mut from) = (Vec::new(), None);
        for _ in 0..20 {
            let selected = owner.select(&listing(Some(limit), from.take()));
            found.extend(keys(&selected));
            let Some(until) = selected.until else {
                break;
            };
            from = Some([&until[..], &[0]].concat());
        }
        assert!(from.is_none());
        // A key whose rows lie in two steps is named by both.
        found.dedup();
        assert_eq!(found, [key(), key_of(b"2")]);
    }
}

#[test]
fn a_key_is_listed_by_what_lasts_longest_and_not_by_what_is_over() {
    let mut owner = Owner::new(NodeId(1));
    let add = |element: &'static str| {
        let action = Action::each(Leaf::Element, vec![Bytes::from(element)], &Update::Add);
        vec![edit(&[], action)]
    };
    let ending = Command {
        ttl_ms: Some(1),
        ..command(1, add("a"))
    };
    owner.run(&ending).unwrap();
    owner.run(&command(2, add("b"))).unwrap();
    let now_ms = Hlc::at(9_000).milliseconds();
    let selected = owner.select(&listing(None, None));
    let is_shown = selected.rows.iter().any(|keyed| {
        let mut versions = keyed.row.versions().values();
        versions.any(|version| !version.is_expired(now_ms))
    });
    assert!(is_shown);
}

fn names(range: std::ops::Range<u32>) -> Vec<Bytes> {
    range.map(|n| Bytes::from(format!("name-{n}"))).collect()
}

fn sample(owner: &Owner) -> Selected {
    let (from, to) = key().leaf_range(&Path::root(), Leaf::Element);
    owner.select(&Selection::Sample(range(from, to, Some(samples::COUNTED))))
}

/// An owner of a set of so many elements.
fn owner_of(count: u32) -> Owner {
    let mut owner = Owner::new(NodeId(1));
    for from in (0..count).step_by(1_000) {
        let elements = names(from..(from + 1_000).min(count));
        let add = Action::each(Leaf::Element, elements, &Update::Add);
        let op = from + 1;
        owner.write(op.into(), &Context::default(), add).unwrap();
    }
    owner
}

#[test]
fn a_small_set_is_counted_and_a_large_one_is_estimated_from_a_few_rows() {
    let small = sample(&owner_of(4_000));
    assert_eq!((small.rows.len(), small.sampled), (4_000, None));
    for count in [6_000, 30_000] {
        let large = sample(&owner_of(count));
        assert!(large.rows.len() <= samples::MARKS);
        let bound = large.sampled.unwrap();
        let all_are_below = large.rows.iter().all(|row| samples::hash(&row.key) < bound);
        assert!(all_are_below);
        let estimate = samples::estimate(large.rows.len() as u64, bound);
        // Three standard errors: the elements are always the same, and so is the estimate.
        let off = estimate.abs_diff(count.into()) * 100 / u64::from(count);
        assert!(off < 18, "{estimate} of {count}");
    }
}

#[test]
fn marks_go_with_their_rows() {
    let mut owner = owner_of(6_000);
    assert!(owner.stored(Family::Meta) > 300);
    for from in (0..6_000).step_by(1_000) {
        let remove = Action::each(Leaf::Element, names(from..from + 1_000), &Update::Remove);
        let op = u64::from(from) + 2;
        owner.write(op, &Context::default(), remove).unwrap();
    }
    assert_eq!(owner.stored(Family::Meta), 0);
    assert_eq!(sample(&owner).sampled, None);
}
