//! `flag`: what concurrent enablings, disablings and removals give, for each that may win.

use bytes::Bytes;

use crate::common::{Delta, Replica};
use crate::{apply, observers};
use crdt::kinds::Edit;
use crdt::kinds::flag::{Wins, disable, enable, is_enabled};

const PART: Bytes = Bytes::new();
const BOTH: [Wins; 2] = [Wins::Enable, Wins::Disable];

#[derive(Clone, Copy)]
enum Act {
    Enable,
    Disable,
    Remove,
}

fn acts(replica: &mut Replica, act: Act, wins: Wins) -> Delta {
    let row = replica.row(&PART);
    let edit = match act {
        Act::Enable => enable(&row, wins),
        Act::Disable => disable(&row, wins),
        Act::Remove => Edit::remove(&row),
    };
    apply(replica, &PART, edit, 1)
}

/// What everyone sees after `first`, and then both others beside each other.
#[track_caller]
fn concurrently(first: Act, others: [Act; 2], wins: Wins, expected: bool) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let old = acts(&mut a, first, wins);
    b.receive(&old);
    let [x, y] = others;
    for (x, y) in [(x, y), (y, x)] {
        let deltas = [
            old.clone(),
            acts(&mut a.clone(), x, wins),
            acts(&mut b.clone(), y, wins),
        ];
        for observer in observers(&deltas) {
            assert_eq!(is_enabled(&observer.filled(&PART), wins), expected);
        }
    }
}

#[test]
fn an_enabling_wins_over_a_concurrent_disabling_where_it_may() {
    for first in [Act::Enable, Act::Disable] {
        concurrently(first, [Act::Enable, Act::Disable], Wins::Enable, true);
    }
}

#[test]
fn a_disabling_wins_over_a_concurrent_enabling_where_it_may() {
    for first in [Act::Enable, Act::Disable] {
        concurrently(first, [Act::Enable, Act::Disable], Wins::Disable, false);
    }
}

#[test]
fn concurrent_enablings_leave_the_flag_on() {
    for wins in BOTH {
        concurrently(Act::Disable, [Act::Enable, Act::Enable], wins, true);
    }
}

#[test]
fn concurrent_disablings_leave_the_flag_off() {
    for wins in BOTH {
        concurrently(Act::Enable, [Act::Disable, Act::Disable], wins, false);
    }
}

#[test]
fn an_enabling_survives_a_concurrent_removal() {
    for (wins, first) in BOTH.into_iter().zip([Act::Enable, Act::Disable]) {
        concurrently(first, [Act::Enable, Act::Remove], wins, true);
    }
}

#[test]
fn a_disabling_beside_a_removal_leaves_the_flag_off() {
    for wins in BOTH {
        concurrently(Act::Enable, [Act::Disable, Act::Remove], wins, false);
    }
}

#[test]
fn an_enabling_that_saw_the_disabling_turns_the_flag_on() {
    for wins in BOTH {
        let mut a = Replica::new(1);
        let sequence = [Act::Enable, Act::Disable, Act::Enable];
        let deltas = sequence.map(|act| acts(&mut a, act, wins));
        for observer in observers(&deltas) {
            assert!(is_enabled(&observer.filled(&PART), wins));
        }
    }
}

#[test]
fn concurrent_removals_leave_the_flag_off() {
    for (wins, first) in BOTH.into_iter().zip([Act::Enable, Act::Enable]) {
        concurrently(first, [Act::Remove, Act::Remove], wins, false);
    }
}
