//! `map`: what concurrent writes and removals of fields give.

use bytes::Bytes;

use crate::common::{Delta, Replica};
use crate::{apply, observers};
use crdt::codec::Encoder;
use crdt::kinds::counter::{self, Share};
use crdt::kinds::map::{Path, decode_suffix, encode_suffix, erase, leaf_range, range};
use crdt::kinds::{Leaf, flag, register, set};
use crdt::{Actor, Row};

fn path(names: &[&'static str]) -> Path {
    let names = names.iter().map(|name| Bytes::from_static(name.as_bytes()));
    Path::new(names.collect()).expect("names are short")
}

fn assigns(replica: &mut Replica, names: &[&'static str], value: &'static str) -> Delta {
    let suffix = Bytes::from(encode_suffix(&path(names), Leaf::Register, b""));
    let edit = register::assign(&replica.row(&suffix), value.into());
    apply(replica, &suffix, edit, 1)
}

fn increments(replica: &mut Replica, names: &[&'static str], amount: i64) -> Delta {
    let dot = replica.clock.next(replica.actor);
    let suffix = Bytes::from(encode_suffix(&path(names), Leaf::Share, &part(dot.actor)));
    let row = replica.row(&suffix);
    let mut share = Share::of(&row).expect("every row here holds shares");
    share.add(dot.counter, amount);
    let edit = crdt::kinds::Edit::put(&row, share.encode());
    apply(replica, &suffix, edit, 1)
}

fn part(actor: Actor) -> Vec<u8> {
    let mut encoder = Encoder::default();
    actor.encode(&mut encoder);
    encoder.finish()
}

fn adds(replica: &mut Replica, names: &[&'static str], element: &str) -> Delta {
    let suffix = encode_suffix(&path(names), Leaf::Element, element.as_bytes());
    let suffix = Bytes::from(suffix);
    let edit = set::add(&replica.row(&suffix));
    apply(replica, &suffix, edit, 1)
}

/// Removes a field and all below it, row by row.
fn removes(replica: &mut Replica, names: &[&'static str]) -> Vec<Delta> {
    let (from, to) = range(&path(names));
    let rows = replica.rows.range(Bytes::from(from)..Bytes::from(to));
    let rows: Vec<(Bytes, Row)> = rows.map(|(key, row)| (key.clone(), row.clone())).collect();
    let edits = rows.into_iter().filter_map(|(suffix, row)| {
        let (_, leaf, _) = decode_suffix(&suffix).expect("every row here has a suffix");
        let edit = erase(leaf, &row).expect("every row here can be read");
        edit.map(|edit| (suffix, edit))
    });
    let edits: Vec<_> = edits.collect();
    let apply = |(suffix, edit)| apply(replica, &suffix, edit, 1);
    edits.into_iter().map(apply).collect()
}

fn rows<'a>(replica: &'a Replica, names: &[&'static str], leaf: Leaf) -> Vec<&'a Row> {
    let (from, to) = leaf_range(&path(names), leaf);
    let rows = replica.rows.range(Bytes::from(from)..Bytes::from(to));
    rows.map(|(_, row)| row).collect()
}

fn text(replica: &Replica, names: &[&'static str]) -> Option<Bytes> {
    let mut rows = rows(replica, names, Leaf::Register).into_iter();
    rows.find_map(|row| Some(register::latest(row)?.value))
}

fn count(replica: &Replica, names: &[&'static str]) -> i128 {
    let rows = rows(replica, names, Leaf::Share);
    counter::value(rows).expect("every row here holds shares")
}

fn size(replica: &Replica, names: &[&'static str]) -> usize {
    let rows = rows(replica, names, Leaf::Element).into_iter();
    rows.filter(|row| set::contains(row)).count()
}

fn both(old: &[Delta]) -> (Replica, Replica) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    for delta in old {
        a.receive(delta);
        b.receive(delta);
    }
    (a, b)
}

#[test]
fn concurrent_writes_of_two_fields_are_both_there() {
    let (mut a, mut b) = both(&[]);
    let deltas = [assigns(&mut a, &["x"], "1"), assigns(&mut b, &["y"], "2")];
    for observer in observers(&deltas) {
        let shown = [text(&observer, &["x"]), text(&observer, &["y"])];
        assert_eq!(shown, [Some("1".into()), Some("2".into())]);
    }
}

#[test]
fn one_name_as_two_kinds_is_two_fields() {
    let (mut a, mut b) = both(&[]);
    let deltas = [increments(&mut a, &["x"], 3), adds(&mut b, &["x"], "e")];
    for observer in observers(&deltas) {
        assert_eq!((count(&observer, &["x"]), size(&observer, &["x"])), (3, 1));
    }
}

#[test]
fn a_field_below_survives_a_concurrent_removal_of_the_field_above() {
    let mut first = Replica::new(9);
    let old = [
        assigns(&mut first, &["x", "old"], "0"),
        assigns(&mut first, &["x"], "0"),
    ];
    let (mut a, mut b) = both(&old);
    let new = assigns(&mut a, &["x", "new"], "1");
    let deltas = [&old[..], &[new], &removes(&mut b, &["x"])].concat();
    for observer in observers(&deltas) {
        assert_eq!(text(&observer, &["x"]), None);
        assert_eq!(text(&observer, &["x", "old"]), None);
        assert_eq!(text(&observer, &["x", "new"]), Some("1".into()));
    }
}

#[test]
fn a_write_survives_a_concurrent_removal_of_its_field() {
    let mut first = Replica::new(9);
    let old = [assigns(&mut first, &["x"], "old")];
    let (mut a, mut b) = both(&old);
    let new = assigns(&mut a, &["x"], "new");
    let deltas = [&old[..], &[new], &removes(&mut b, &["x"])].concat();
    for observer in observers(&deltas) {
        assert_eq!(text(&observer, &["x"]), Some("new".into()));
    }
}

#[test]
fn a_removal_leaves_of_a_counter_exactly_the_increments_beside_it() {
    let mut a = Replica::new(1);
    let old = [increments(&mut a, &["x"], 100)];
    let (_, mut b) = both(&old);
    let new = increments(&mut a, &["x"], 7);
    let deltas = [&old[..], &[new], &removes(&mut b, &["x"])].concat();
    for observer in observers(&deltas) {
        assert_eq!(count(&observer, &["x"]), 7);
    }
}

#[test]
fn a_removal_leaves_fields_beside_it_alone() {
    let mut first = Replica::new(9);
    let fields = [&["x"][..], &["w"], &["xx"], &["y"], &["x\0"]];
    let mut old: Vec<Delta> = fields
        .iter()
        .map(|names| assigns(&mut first, names, "1"))
        .collect();
    old.extend(removes(&mut first, &["x"]));
    let (a, _) = both(&old);
    let left = fields.map(|names| text(&a, names).is_some());
    assert_eq!(left, [false, true, true, true, true]);
}

#[test]
fn a_removal_of_what_is_not_there_writes_nothing() {
    let mut a = Replica::new(1);
    let delta = increments(&mut a, &["x"], 5);
    assert_eq!(removes(&mut a, &["y"]).len(), 0);
    assert_eq!(removes(&mut a, &["x"]).len(), 1);
    // A share stays as a row that is worth nothing, and is not reset again.
    assert_eq!(removes(&mut a, &["x"]).len(), 0);
    assert_eq!(count(&a, &["x"]), 0);
    assert_eq!(a.rows.keys().collect::<Vec<_>>(), [&delta.part]);
}

#[test]
fn a_flag_in_a_map_is_a_flag() {
    let (mut a, mut b) = both(&[]);
    let suffix = Bytes::from(encode_suffix(&path(&["on"]), Leaf::DisableFlag, b""));
    let wins = flag::Wins::Disable;
    let on = flag::enable(&a.row(&suffix), wins);
    let off = flag::disable(&b.row(&suffix), wins);
    let deltas = [
        apply(&mut a, &suffix, on, 1),
        apply(&mut b, &suffix, off, 1),
    ];
    for observer in observers(&deltas) {
        assert!(!flag::is_enabled(&observer.row(&suffix), wins));
    }
}

/// A map of a register and of a counter below it, at two replicas.
fn two_with_both() -> (Replica, Replica, [Delta; 2]) {
    let mut first = Replica::new(9);
    let old = [
        assigns(&mut first, &["x"], "old"),
        increments(&mut first, &["x", "below"], 5),
    ];
    let (a, b) = both(&old);
    (a, b, old)
}

#[test]
fn concurrent_removals_of_a_field_leave_nothing_of_it() {
    let (mut a, mut b, old) = two_with_both();
    let removed = [removes(&mut a, &["x"]), removes(&mut b, &["x"])].concat();
    for observer in observers(&[&old[..], &removed].concat()) {
        assert_eq!(text(&observer, &["x"]), None);
        assert_eq!(count(&observer, &["x", "below"]), 0);
    }
}

#[test]
fn a_write_survives_a_concurrent_clear_of_the_whole() {
    let (mut a, mut b, old) = two_with_both();
    let new = [
        adds(&mut a, &["x"], "e"),
        increments(&mut a, &["x", "below"], 2),
    ];
    let deltas = [&old[..], &new, &removes(&mut b, &[])].concat();
    for observer in observers(&deltas) {
        assert_eq!(text(&observer, &["x"]), None);
        assert_eq!(size(&observer, &["x"]), 1);
        assert_eq!(count(&observer, &["x", "below"]), 2);
    }
}
