//! `hll`: what concurrent observations and removals give.

use bytes::Bytes;

use crate::common::{Delta, Replica};
use crate::{apply, observers};
use crdt::kinds::hll::{Block, estimate, observe, place, remove};

/// The only block that the hashes here belong to.
const PART: Bytes = Bytes::from_static(&[0]);

/// Observes the `number`-th of different things.
fn sees(replica: &mut Replica, number: u64) -> Option<Delta> {
    let place = place(number << 50 | 1 << 49);
    assert_eq!(place.block, 0);
    let edit = observe(&replica.row(&PART), [(place.index, place.rank)]);
    let edit = edit.expect("every row here holds registers");
    edit.map(|edit| apply(replica, &PART, edit, 1))
}

fn removes(replica: &mut Replica) -> Option<Delta> {
    let edit = remove(&replica.row(&PART));
    Some(apply(replica, &PART, edit, 1))
}

/// Two replicas that both saw thing 1.
fn two_with_one() -> (Replica, Replica, Option<Delta>) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let one = sees(&mut a, 1);
    one.iter().for_each(|delta| b.receive(delta));
    (a, b, one)
}

#[track_caller]
fn all_count<const N: usize>(deltas: [Option<Delta>; N], expected: u64) {
    let deltas: Vec<Delta> = deltas.into_iter().flatten().collect();
    for observer in observers(&deltas) {
        let block = Block::of(&observer.filled(&PART));
        let block = block.expect("every row here holds registers");
        assert_eq!(estimate(&[block]), expected);
    }
}

#[test]
fn concurrent_observations_of_different_things_all_count() {
    let (mut a, mut b, one) = two_with_one();
    all_count([one, sees(&mut a, 2), sees(&mut b, 3)], 3);
}

#[test]
fn concurrent_observations_of_one_thing_count_once() {
    let (mut a, mut b, one) = two_with_one();
    all_count([one, sees(&mut a, 2), sees(&mut b, 2)], 2);
}

#[test]
fn an_observation_survives_a_concurrent_removal_with_what_it_knew() {
    let (mut a, mut b, one) = two_with_one();
    // The block travels whole, so what the observer knew comes with it.
    all_count([one, sees(&mut a, 2), removes(&mut b)], 2);
}

#[test]
fn a_removal_takes_what_it_saw() {
    let (_, mut b, one) = two_with_one();
    all_count([one, removes(&mut b)], 0);
}

#[test]
fn seeing_again_is_no_event_and_does_not_survive_a_removal() {
    let (mut a, mut b, one) = two_with_one();
    let again = sees(&mut a, 1);
    assert!(again.is_none());
    all_count([one, again, removes(&mut b)], 0);
}

#[test]
fn concurrent_removals_leave_nothing_seen() {
    let (mut a, mut b, one) = two_with_one();
    all_count([one, removes(&mut a), removes(&mut b)], 0);
}
