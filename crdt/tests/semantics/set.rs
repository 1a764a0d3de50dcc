//! `set`: what concurrent adds, removes and clears give.

use bytes::Bytes;

use crate::common::{Delta, Replica};
use crate::{apply, observers, version};
use crdt::kinds::set::{self as kind, contains};

const E: Bytes = Bytes::from_static(b"e");
const F: Bytes = Bytes::from_static(b"f");

fn add(replica: &mut Replica, element: &Bytes) -> Delta {
    let seen = replica.filled(element).seen();
    replica.write(element.clone(), Some(version("", None)), seen)
}

fn remove(replica: &mut Replica, element: &Bytes) -> Delta {
    let seen = replica.filled(element).seen();
    replica.write(element.clone(), None, seen)
}

/// Removes what the coordinator sees, element by element.
fn clear(replica: &mut Replica) -> Vec<Delta> {
    let elements: Vec<Bytes> = replica.rows.keys().cloned().collect();
    elements
        .iter()
        .map(|element| remove(replica, element))
        .collect()
}

/// Two replicas that both hold element E, with the delta that added it.
fn two_with_e() -> (Replica, Replica, Delta) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let added = add(&mut a, &E);
    b.receive(&added);
    (a, b, added)
}

#[track_caller]
fn all_hold(deltas: &[Delta], element: &Bytes, expected: bool) {
    for observer in observers(deltas) {
        assert_eq!(contains(&observer.filled(element)), expected);
    }
}

#[test]
fn an_add_wins_over_a_concurrent_remove() {
    let (mut a, mut b, old) = two_with_e();
    all_hold(&[old, add(&mut a, &E), remove(&mut b, &E)], &E, true);
}

#[test]
fn a_remove_that_saw_the_add_wins() {
    let (_, mut b, old) = two_with_e();
    all_hold(&[old, remove(&mut b, &E)], &E, false);
}

#[test]
fn concurrent_adds_are_one_element_and_one_remove_takes_both() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let (x, y) = (add(&mut a, &E), add(&mut b, &E));
    all_hold(&[x.clone(), y.clone()], &E, true);
    a.receive(&y);
    all_hold(&[x, y, remove(&mut a, &E)], &E, false);
}

#[test]
fn concurrent_removes_leave_no_element_and_no_row() {
    let (mut a, mut b, old) = two_with_e();
    let deltas = [old, remove(&mut a, &E), remove(&mut b, &E)];
    all_hold(&deltas, &E, false);
    assert!(
        observers(&deltas)
            .iter()
            .all(|observer| observer.rows.is_empty())
    );
}

#[test]
fn an_add_survives_a_concurrent_clear() {
    let (mut a, mut b, old) = two_with_e();
    let mut deltas = vec![old, add(&mut a, &F)];
    deltas.extend(clear(&mut b));
    all_hold(&deltas, &E, false);
    all_hold(&deltas, &F, true);
    let again = add(&mut a, &E);
    deltas.push(again);
    all_hold(&deltas, &E, true);
}

#[test]
fn adding_again_keeps_one_version() {
    let (mut a, _, old) = two_with_e();
    let again = add(&mut a, &E);
    for observer in observers(&[old, again]) {
        assert_eq!(observer.row(&E).versions().len(), 1);
    }
}

#[test]
fn a_removed_element_can_come_back() {
    let (mut a, _, old) = two_with_e();
    let deltas = [old, remove(&mut a, &E), add(&mut a, &E)];
    all_hold(&deltas, &E, true);
}

#[test]
fn what_the_kind_writes_is_what_the_table_says() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let edit = kind::add(&a.row(&E));
    let old = apply(&mut a, &E, edit, 1);
    b.receive(&old);
    let (edit, removal) = (kind::add(&a.row(&E)), kind::remove(&b.row(&E)));
    let removed = apply(&mut b, &E, removal, 1);
    all_hold(&[old.clone(), removed.clone()], &E, false);
    all_hold(&[old, removed, apply(&mut a, &E, edit, 1)], &E, true);
}
