//! `register`: what concurrent assignments and removals give.

use bytes::Bytes;

use crate::common::{Delta, Replica};
use crate::{apply, observers, op};
use crdt::kinds::register::{assign, latest, remove};
use crdt::{Hlc, Version};

const PART: Bytes = Bytes::new();

fn assigns(replica: &mut Replica, value: &'static str, stamp: u64) -> Delta {
    let edit = assign(&replica.row(&PART), value.into());
    apply(replica, &PART, edit, stamp)
}

fn removes(replica: &mut Replica) -> Delta {
    let edit = remove(&replica.row(&PART));
    apply(replica, &PART, edit, 0)
}

fn two_with(value: &'static str) -> (Replica, Replica, Delta) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let delta = assigns(&mut a, value, 1);
    b.receive(&delta);
    (a, b, delta)
}

#[track_caller]
fn all_show(deltas: &[Delta], expected: Option<&str>) {
    for observer in observers(deltas) {
        let shown = latest(&observer.filled(&PART)).map(|sibling| sibling.value);
        assert_eq!(shown.as_deref(), expected.map(str::as_bytes));
    }
}

#[test]
fn of_concurrent_assignments_the_later_stamp_wins() {
    let (mut a, mut b, old) = two_with("old");
    let deltas = [old, assigns(&mut a, "x", 9), assigns(&mut b, "y", 8)];
    all_show(&deltas, Some("x"));
}

#[test]
fn of_equal_stamps_the_greater_dot_wins() {
    let (mut a, mut b, old) = two_with("old");
    let deltas = [old, assigns(&mut a, "x", 9), assigns(&mut b, "y", 9)];
    all_show(&deltas, Some("y"));
}

#[test]
fn an_assignment_that_saw_another_wins_whatever_its_stamp() {
    let (_, mut b, old) = two_with("old");
    all_show(&[old, assigns(&mut b, "new", 0)], Some("new"));
}

#[test]
fn an_assignment_survives_a_concurrent_removal() {
    let (mut a, mut b, old) = two_with("old");
    let deltas = [old, assigns(&mut a, "x", 2), removes(&mut b)];
    all_show(&deltas, Some("x"));
}

#[test]
fn a_removal_takes_what_it_saw_and_leaves_no_row() {
    let (_, mut b, old) = two_with("old");
    let deltas = [old, removes(&mut b)];
    all_show(&deltas, None);
    let mut observers = observers(&deltas).into_iter();
    assert!(observers.all(|observer| observer.rows.is_empty()));
}

#[test]
fn a_late_retry_does_not_beat_what_was_assigned_in_between() {
    let (mut a, mut b, mut c) = (Replica::new(1), Replica::new(2), Replica::new(3));
    let once = |replica: &mut Replica, stamp| {
        let edit = assign(&replica.row(&PART), "x".into());
        let version = Version::new(Hlc::at(stamp), Some(op(1)), "x".into());
        replica.write(PART, Some(version), edit.context)
    };
    let deltas = [once(&mut a, 1), assigns(&mut b, "y", 2), once(&mut c, 3)];
    all_show(&deltas, Some("y"));
}

#[test]
fn what_a_later_assignment_hid_is_shown_when_that_one_has_ended() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let edit = assign(&a.row(&PART), "x".into());
    let ending = Version {
        expires_ms: Some(100),
        ..Version::new(Hlc::at(9), None, "x".into())
    };
    let deltas = [
        a.write(PART, Some(ending), edit.context),
        assigns(&mut b, "y", 8),
    ];
    all_show(&deltas, Some("x"));
    for observer in observers(&deltas) {
        let mut row = observer.filled(&PART);
        row.hide_expired(100);
        assert_eq!(latest(&row).map(|sibling| sibling.value), Some("y".into()));
    }
}

#[test]
fn concurrent_removals_leave_no_value_and_no_row() {
    let (mut a, mut b, old) = two_with("old");
    let deltas = [old, removes(&mut a), removes(&mut b)];
    all_show(&deltas, None);
    let mut observers = observers(&deltas).into_iter();
    assert!(observers.all(|observer| observer.rows.is_empty()));
}
