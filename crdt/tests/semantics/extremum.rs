//! `max` and `min`: what concurrent raises, lowerings and removals give.

use bytes::Bytes;

use crate::common::{Delta, Replica};
use crate::{apply, observers};
use crdt::kinds::extremum::{lower, max, min, raise, remove};

const PART: Bytes = Bytes::new();

fn raises(replica: &mut Replica, to: i64) -> Option<Delta> {
    let edit = raise(&replica.row(&PART), to).expect("every row here holds numbers");
    edit.map(|edit| apply(replica, &PART, edit, 1))
}

fn lowers(replica: &mut Replica, to: i64) -> Option<Delta> {
    let edit = lower(&replica.row(&PART), to).expect("every row here holds numbers");
    edit.map(|edit| apply(replica, &PART, edit, 1))
}

fn removes(replica: &mut Replica) -> Option<Delta> {
    let edit = remove(&replica.row(&PART));
    Some(apply(replica, &PART, edit, 1))
}

/// Two replicas that both hold 10, with the delta of it.
fn two_with_ten() -> (Replica, Replica, Option<Delta>) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let ten = raises(&mut a, 10);
    ten.iter().for_each(|delta| b.receive(delta));
    (a, b, ten)
}

#[track_caller]
fn all_show<const N: usize>(deltas: [Option<Delta>; N], expected: Option<i64>, by: &str) {
    let deltas: Vec<Delta> = deltas.into_iter().flatten().collect();
    for observer in observers(&deltas) {
        let row = observer.filled(&PART);
        let shown = if by == "max" { max(&row) } else { min(&row) };
        assert_eq!(shown, Ok(expected));
    }
}

#[test]
fn of_concurrent_raises_the_greater_counts() {
    let (mut a, mut b, ten) = two_with_ten();
    all_show(
        [ten, raises(&mut a, 30), raises(&mut b, 20)],
        Some(30),
        "max",
    );
}

#[test]
fn of_concurrent_lowerings_the_smaller_counts() {
    let (mut a, mut b, ten) = two_with_ten();
    all_show(
        [ten, lowers(&mut a, -3), lowers(&mut b, 2)],
        Some(-3),
        "min",
    );
}

#[test]
fn a_raise_survives_a_concurrent_removal() {
    let (mut a, mut b, ten) = two_with_ten();
    all_show([ten, raises(&mut a, 12), removes(&mut b)], Some(12), "max");
}

#[test]
fn a_removal_takes_the_maximum_that_it_saw() {
    let (_, mut b, ten) = two_with_ten();
    all_show([ten, removes(&mut b)], None, "max");
}

#[test]
fn a_raise_below_the_maximum_is_no_event_and_does_not_survive_a_removal() {
    let (mut a, mut b, ten) = two_with_ten();
    let raised = raises(&mut a, 9);
    assert!(raised.is_none());
    all_show([ten, raised, removes(&mut b)], None, "max");
}

#[test]
fn a_raise_folds_what_it_saw_into_one_version() {
    let (mut a, mut b, ten) = two_with_ten();
    let (x, y) = (raises(&mut a, 11), raises(&mut b, 12));
    y.iter().for_each(|delta| a.receive(delta));
    assert_eq!(a.row(&PART).versions().len(), 2);
    let folded = raises(&mut a, 13);
    assert_eq!(a.row(&PART).versions().len(), 1);
    all_show([ten, x, y, folded], Some(13), "max");
}

#[test]
fn a_lowering_survives_a_concurrent_removal() {
    let (mut a, mut b, ten) = two_with_ten();
    all_show([ten, lowers(&mut a, 8), removes(&mut b)], Some(8), "min");
}

#[test]
fn a_lowering_above_the_minimum_is_no_event_and_does_not_survive_a_removal() {
    let (mut a, mut b, ten) = two_with_ten();
    let lowered = lowers(&mut a, 11);
    assert!(lowered.is_none());
    all_show([ten, lowered, removes(&mut b)], None, "min");
}

#[test]
fn concurrent_removals_leave_no_number_and_no_row() {
    for by in ["max", "min"] {
        let (mut a, mut b, ten) = two_with_ten();
        let deltas = [ten, removes(&mut a), removes(&mut b)];
        let mut all = observers(&deltas.clone().map(Option::unwrap)).into_iter();
        assert!(all.all(|observer| observer.rows.is_empty()));
        all_show(deltas, None, by);
    }
}
