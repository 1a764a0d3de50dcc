//! Which names a map has, and how many.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Owner, command, key, range};
use crate::protocol::messages::Selection;
use crate::protocol::samples::{self, names};
use crate::protocol::stage::Family;
use crate::protocol::vnode::{Action, FieldEdit, Selected};
use crdt::kinds::Leaf;
use crdt::kinds::map::Path;
use crdt::kinds::rules::Update;
use ring::NodeId;

fn path(names: &[String]) -> Path {
    Path::new(names.iter().cloned().map(Bytes::from).collect()).unwrap()
}

fn name(at: u32) -> String {
    format!("name-{at}")
}

/// What an owner shows of the names in the map at a path.
fn shown(owner: &Owner, map: &[String]) -> Selected {
    let (from, to) = key().field_range(&path(map));
    owner.select(&Selection::Names {
        range: range(from, to, Some(samples::COUNTED)),
        depth: u8::try_from(map.len()).unwrap(),
    })
}

/// How many names those rows are of that show something.
fn count(selected: &Selected, depth: usize) -> u64 {
    let rows = selected.rows.iter();
    let names: BTreeSet<_> = rows
        .filter_map(|keyed| names::name_of(&keyed.key, depth))
        .collect();
    names.len() as u64
}

fn run(owner: &mut Owner, op: u32, edits: Vec<(Vec<String>, Action)>) {
    let edits = edits.into_iter().map(|(names, action)| FieldEdit {
        path: path(&names),
        action,
    });
    let command = command(op.into(), edits.collect());
    owner.run(&command).unwrap();
}

/// An owner of a map with so many registers.
fn owner_of(count: u32, below: &[String]) -> Owner {
    let mut owner = Owner::new(NodeId(1));
    for from in (0..count).step_by(1_000) {
        let assigned = |at| ([below, &[name(at)]].concat(), assign());
        let until = (from + 1_000).min(count);
        run(&mut owner, from + 1, (from..until).map(assigned).collect());
    }
    owner
}

fn assign() -> Action {
    Action::one(Leaf::Register, Update::Assign("v".into()))
}

fn elements(from: u32, to: u32) -> Action {
    let elements = (from..to).map(|n| Bytes::from(n.to_string()));
    Action::each(Leaf::Element, elements.collect(), &Update::Add)
}

#[test]
fn the_names_of_a_small_map_are_counted_and_those_of_a_large_one_estimated() {
    let small = shown(&owner_of(4_000, &[]), &[]);
    assert_eq!((count(&small, 0), small.sampled), (4_000, None));
    for (many, below) in [(6_000, vec![]), (30_000, vec![name(7)])] {
        let owner = owner_of(many, &below);
        let large = shown(&owner, &below);
        assert!(large.rows.len() <= samples::MARKS);
        let bound = large.sampled.unwrap();
        let hash = |row: &crate::protocol::messages::KeyedRow| {
            names::hash_of(&row.key, below.len()).unwrap()
        };
        assert!(large.rows.iter().all(|row| hash(row) < bound));
        let estimate = samples::estimate(count(&large, below.len()), bound);
        // Three standard errors: the names are always the same, and so is the estimate.
        let off = estimate.abs_diff(many.into()) * 100 / u64::from(many);
        assert!(off < 18, "{estimate} of {many}");
        if !below.is_empty() {
            assert_eq!(
                count(&shown(&owner, &[]), 0),
                1,
                "the map above has one name"
            );
        }
    }
}

#[test]
fn a_name_counts_once_and_shows_few_rows_however_much_it_holds() {
    let mut owner = owner_of(100, &[]);
    for at in 0..40 {
        let set = vec![name(at % 3)];
        let within = vec![name(4), name(at)];
        let more = vec![
            (set, elements(at * 500, at * 500 + 500)),
            (within, Action::Increment(1)),
        ];
        run(&mut owner, 10_000 + at, more);
    }
    let all = shown(&owner, &[]);
    assert_eq!((count(&all, 0), all.sampled), (100, None));
    assert_eq!(all.rows.len(), 100, "one row settles each");
}

#[test]
fn a_name_is_gone_with_the_last_row_that_shows_something() {
    let mut owner = owner_of(10, &[]);
    let fields = vec![
        (vec![name(100)], elements(0, 400)),
        (vec![name(101)], Action::Increment(3)),
        (vec![name(102), name(1)], Action::Increment(3)),
        (vec![name(102), name(2)], assign()),
    ];
    run(&mut owner, 1_000, fields);
    assert_eq!(count(&shown(&owner, &[]), 0), 13);
    assert_eq!(count(&shown(&owner, &[name(102)]), 1), 2);
    for (op, at, left) in [(1_001, 100, 12), (1_002, 101, 11), (1_003, 102, 10)] {
        run(&mut owner, op, vec![(vec![name(at)], Action::Clear(None))]);
        assert_eq!(count(&shown(&owner, &[]), 0), left);
    }
    owner.purge();
    assert_eq!(count(&shown(&owner, &[]), 0), 10);
}

#[test]
fn one_that_shows_something_behind_many_rows_that_are_cleared_is_found() {
    let mut owner = Owner::new(NodeId(1));
    owner.limits.rows_cleared_singly = 2;
    run(&mut owner, 1, vec![(vec![name(1)], elements(1_000, 1_200))]);
    run(&mut owner, 2, vec![(vec![name(1)], Action::Clear(None))]);
    assert_eq!(count(&shown(&owner, &[]), 0), 0);
    run(&mut owner, 3, vec![(vec![name(1)], elements(9_000, 9_001))]);
    assert_eq!(count(&shown(&owner, &[]), 0), 1);
}

#[test]
fn what_ends_hides_nothing_that_lasts_longer() {
    let mut owner = Owner::new(NodeId(1));
    let ending = |op, ttl_ms, part: u32| {
        let edits = vec![FieldEdit {
            path: path(&[name(1)]),
            action: elements(part, part + 1),
        }];
        super::Command {
            ttl_ms,
            ..command(op, edits)
        }
    };
    for (op, ttl_ms) in [
        (1, Some(5)),
        (2, Some(50)),
        (3, Some(20)),
        (4, None),
        (5, None),
    ] {
        let part = u32::try_from(op).unwrap();
        owner.run(&ending(op, ttl_ms, part)).unwrap();
    }
    let rows = shown(&owner, &[]).rows;
    let parts: Vec<_> = rows.iter().map(|keyed| keyed.key.part()).collect();
    assert_eq!(parts, [b"1", b"2", b"4"]);
}

#[test]
fn marks_of_names_go_with_their_rows() {
    let mut owner = owner_of(3_000, &[]);
    let marks = |owner: &Owner| {
        let is_mark = |key: &[u8]| key.starts_with(b"names");
        let keys = owner.disk.0.keys();
        keys.filter(|(family, key)| *family == Family::Meta && is_mark(key))
            .count()
    };
    let all = marks(&owner);
    assert!((100..300).contains(&all), "{all}");
    for from in (0..3_000).step_by(1_000) {
        let removed = (from..from + 1_000).map(|at| (vec![name(at)], Action::Clear(None)));
        run(&mut owner, 10_000 + from, removed.collect());
    }
    owner.purge();
    assert_eq!(marks(&owner), 0);
}
