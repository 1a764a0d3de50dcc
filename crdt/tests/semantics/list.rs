//! `list`: what concurrent insertions, replacements and removals give.

use bytes::Bytes;

use crate::common::{Delta, Replica};
use crate::{apply, observers};
use crdt::kinds::list::{Position, item, put, remove};

fn at(row: &Bytes) -> Position {
    Position::decode(row).expect("every row here has a position")
}

/// Inserts an item before the `index`-th row.
fn inserts(replica: &mut Replica, index: usize, value: &'static str) -> Delta {
    let rows: Vec<Position> = replica.rows.keys().map(at).collect();
    let left = index.checked_sub(1).and_then(|before| rows.get(before));
    let maker = replica.clock.next(replica.actor);
    let position = Position::between(left, rows.get(index), maker).expect("there is room");
    let part = position.as_bytes().clone();
    let edit = put(&replica.row(&part), value.into());
    apply(replica, &part, edit, 1)
}

fn replaces(replica: &mut Replica, part: &Bytes, value: &'static str, stamp: u64) -> Delta {
    let edit = put(&replica.row(part), value.into());
    apply(replica, part, edit, stamp)
}

fn removes(replica: &mut Replica, part: &Bytes) -> Delta {
    let edit = remove(&replica.row(part));
    apply(replica, part, edit, 1)
}

/// Removes what the coordinator sees, item by item.
fn clears(replica: &mut Replica) -> Vec<Delta> {
    let parts: Vec<Bytes> = replica.rows.keys().cloned().collect();
    parts.iter().map(|part| removes(replica, part)).collect()
}

fn shown(replica: &Replica) -> String {
    let items = replica.rows.values().filter_map(item);
    items
        .map(|item| String::from_utf8_lossy(&item.value).into_owned())
        .collect()
}

#[track_caller]
fn all_show(deltas: &[Delta], expected: &str) {
    for observer in observers(deltas) {
        assert_eq!(shown(&observer), expected);
    }
}

/// Two replicas that both hold the list "mn", with its deltas.
fn two_with_mn() -> (Replica, Replica, [Delta; 2]) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let deltas = [inserts(&mut a, 0, "m"), inserts(&mut a, 1, "n")];
    deltas.iter().for_each(|delta| b.receive(delta));
    (a, b, deltas)
}

#[test]
fn concurrent_insertions_at_one_place_are_both_there_in_one_order() {
    let (mut a, mut b, [m, n]) = two_with_mn();
    let deltas = [m, n, inserts(&mut a, 1, "x"), inserts(&mut b, 1, "y")];
    let mut all: Vec<String> = observers(&deltas).iter().map(shown).collect();
    all.dedup();
    assert!(all == ["mxyn"] || all == ["myxn"]);
}

#[test]
fn concurrent_runs_at_one_place_are_never_mixed() {
    // Typed forward by one and backward by the other.
    let (mut a, mut b, [m, n]) = two_with_mn();
    let forward = [inserts(&mut a, 1, "x"), inserts(&mut a, 2, "X")];
    let backward = [inserts(&mut b, 1, "Y"), inserts(&mut b, 1, "y")];
    let deltas = [&[m, n][..], &forward, &backward].concat();
    let mut all: Vec<String> = observers(&deltas).iter().map(shown).collect();
    all.dedup();
    assert!(all == ["mxXyYn"] || all == ["myYxXn"], "{all:?}");
}

#[test]
fn an_item_inserted_beside_a_removed_one_stays_where_it_is() {
    let (mut a, mut b, [m, n]) = two_with_mn();
    let removed = removes(&mut b, &m.part.clone());
    all_show(&[m, n, inserts(&mut a, 1, "x"), removed], "xn");
}

#[test]
fn of_concurrent_replacements_the_later_stamp_wins() {
    let (mut a, mut b, [m, n]) = two_with_mn();
    let part = m.part.clone();
    let replaced = [
        replaces(&mut a, &part, "x", 9),
        replaces(&mut b, &part, "y", 8),
    ];
    all_show(&[&[m, n][..], &replaced].concat(), "xn");
}

#[test]
fn a_replacement_survives_a_concurrent_removal() {
    let (mut a, mut b, [m, n]) = two_with_mn();
    let part = m.part.clone();
    let changed = [replaces(&mut a, &part, "x", 2), removes(&mut b, &part)];
    all_show(&[&[m, n][..], &changed].concat(), "xn");
}

#[test]
fn concurrent_removals_leave_neither_item_nor_row() {
    let (mut a, mut b, [m, n]) = two_with_mn();
    let part = m.part.clone();
    let deltas = [m, n, removes(&mut a, &part), removes(&mut b, &part)];
    all_show(&deltas, "n");
    let mut all = observers(&deltas).into_iter();
    assert!(all.all(|observer| observer.rows.len() == 1));
}

#[test]
fn an_insertion_survives_a_concurrent_clear() {
    let (mut a, mut b, [m, n]) = two_with_mn();
    let inserted = inserts(&mut a, 1, "x");
    let mut deltas = vec![m, n, inserted];
    deltas.extend(clears(&mut b));
    all_show(&deltas, "x");
}

#[test]
fn concurrent_clears_leave_no_item() {
    let (mut a, mut b, [m, n]) = two_with_mn();
    let mut deltas = vec![m, n];
    deltas.extend(clears(&mut a));
    deltas.extend(clears(&mut b));
    all_show(&deltas, "");
}
