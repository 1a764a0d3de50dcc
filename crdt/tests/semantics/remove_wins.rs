//! `remove_wins`: what concurrent adds, removes and clears give.

use bytes::Bytes;

use crate::common::{Delta, Replica};
use crate::{apply, observers};
use crdt::Row;
use crdt::kinds::Edit;
use crdt::kinds::remove_wins::{add, contains, forget, remove};

const E: Bytes = Bytes::from_static(b"e");

fn acts(replica: &mut Replica, act: fn(&Row) -> Edit) -> Delta {
    let edit = act(&replica.row(&E));
    apply(replica, &E, edit, 1)
}

/// Two replicas that both hold the element, with the delta that added it.
fn two_with_e() -> (Replica, Replica, Delta) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let added = acts(&mut a, add);
    b.receive(&added);
    (a, b, added)
}

#[track_caller]
fn all_hold(deltas: &[Delta], expected: bool) {
    for observer in observers(deltas) {
        assert_eq!(contains(&observer.filled(&E)), expected);
    }
}

#[test]
fn a_remove_wins_over_a_concurrent_add() {
    let (mut a, mut b, old) = two_with_e();
    all_hold(&[old, acts(&mut a, add), acts(&mut b, remove)], false);
}

#[test]
fn a_remove_wins_where_the_element_never_was() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    all_hold(&[acts(&mut a, add), acts(&mut b, remove)], false);
}

#[test]
fn an_add_that_saw_the_removal_brings_the_element_back() {
    let (mut a, mut b, old) = two_with_e();
    let (added, removed) = (acts(&mut a, add), acts(&mut b, remove));
    b.receive(&added);
    all_hold(&[old, added, removed, acts(&mut b, add)], true);
}

#[test]
fn concurrent_adds_are_one_element() {
    let (mut a, mut b, old) = two_with_e();
    all_hold(&[old, acts(&mut a, add), acts(&mut b, add)], true);
}

#[test]
fn concurrent_removes_leave_the_element_out() {
    let (mut a, mut b, old) = two_with_e();
    all_hold(&[old, acts(&mut a, remove), acts(&mut b, remove)], false);
}

#[test]
fn an_add_survives_a_concurrent_clear() {
    let (mut a, mut b, old) = two_with_e();
    all_hold(&[old, acts(&mut a, add), acts(&mut b, forget)], true);
}

#[test]
fn a_removed_element_leaves_one_version_until_the_set_is_cleared() {
    let (mut a, _, old) = two_with_e();
    let mut deltas = vec![old, acts(&mut a, remove)];
    let mut all = observers(&deltas).into_iter();
    assert!(all.all(|observer| observer.row(&E).versions().len() == 1));
    deltas.push(acts(&mut a, forget));
    let mut all = observers(&deltas).into_iter();
    assert!(all.all(|observer| observer.rows.is_empty()));
}

#[test]
fn a_removal_beside_a_clear_keeps_the_element_out() {
    let (mut a, mut b, old) = two_with_e();
    let (removed, cleared) = (acts(&mut a, remove), acts(&mut b, forget));
    let deltas = [old, removed, cleared];
    all_hold(&deltas, false);
    // The clear has not seen the removal, which an add beside both must still meet.
    let mut c = Replica::new(3);
    let [old, removed, cleared] = deltas;
    all_hold(&[old, removed, cleared, acts(&mut c, add)], false);
}

#[test]
fn concurrent_clears_leave_no_element_and_no_row() {
    let (mut a, mut b, old) = two_with_e();
    let deltas = [old, acts(&mut a, forget), acts(&mut b, forget)];
    let mut all = observers(&deltas).into_iter();
    assert!(all.all(|observer| observer.rows.is_empty()));
}
