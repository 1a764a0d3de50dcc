//! `set`: what concurrent adds, removes and clears give.

use bytes::Bytes;

use crate::common::{Delta, Replica};
use crate::{apply, observers};
use crdt::kinds::set::{self as kind, contains};

const E: Bytes = Bytes::from_static(b"e");
const F: Bytes = Bytes::from_static(b"f");

fn add(replica: &mut Replica, element: &Bytes) -> Delta {
    let edit = kind::add(&replica.row(element));
    apply(replica, element, edit, 1)
}

fn remove(replica: &mut Replica, element: &Bytes) -> Delta {
    let edit = kind::remove(&replica.row(element));
    apply(replica, element, edit, 1)
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

#[track_caller]
fn all_are_empty(deltas: &[Delta]) {
    let mut all = observers(deltas).into_iter();
    assert!(all.all(|observer| observer.rows.is_empty()));
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
    all_are_empty(&deltas);
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
fn concurrent_adds_of_two_elements_are_both_in() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let deltas = [add(&mut a, &E), add(&mut b, &F)];
    all_hold(&deltas, &E, true);
    all_hold(&deltas, &F, true);
}

#[test]
fn a_remove_beside_a_clear_leaves_no_element_and_no_row() {
    let (mut a, mut b, old) = two_with_e();
    let removed = remove(&mut a, &E);
    all_are_empty(&[&[old, removed][..], &clear(&mut b)].concat());
}

#[test]
fn concurrent_clears_leave_no_element_and_no_row() {
    let (mut a, mut b, old) = two_with_e();
    all_are_empty(&[&[old][..], &clear(&mut a), &clear(&mut b)].concat());
}
