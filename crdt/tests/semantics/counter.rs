//! `counter`: what concurrent increments, resets, retries and voids give.

use bytes::Bytes;

use crate::common::{Delta, Replica};
use crate::{observers, permutations};
use crdt::codec::Encoder;
use crdt::kinds::counter::{Share, value, version};
use crdt::{Actor, Applications, Dot, Hlc, Row};

fn part(actor: Actor) -> Bytes {
    let mut encoder = Encoder::default();
    actor.encode(&mut encoder);
    encoder.finish().into()
}

fn share(row: &Row) -> Share {
    Share::of(row).expect("every row here holds shares")
}

fn change(replica: &mut Replica, part: Bytes, change: impl FnOnce(&mut Share)) -> Delta {
    let row = replica.row(&part);
    let mut share = share(&row);
    change(&mut share);
    replica.write(part, Some(version(&share, Hlc::at(1), None)), row.seen())
}

fn increment(replica: &mut Replica, amount: i64) -> Delta {
    let dot = replica.clock.next(replica.actor);
    change(replica, part(dot.actor), |share| {
        share.add(dot.counter, amount);
    })
}

fn reset(replica: &mut Replica) -> Vec<Delta> {
    let parts: Vec<Bytes> = replica.rows.keys().cloned().collect();
    let reset = |part| change(replica, part, Share::reset);
    parts.into_iter().map(reset).collect()
}

fn void(replica: &mut Replica, loser: Dot, amount: i64) -> Delta {
    change(replica, part(loser.actor), |share| {
        share.void(loser.counter, amount);
    })
}

fn total(replica: &Replica) -> i128 {
    value(replica.rows.values()).expect("every row here holds shares")
}

#[track_caller]
fn all_count(deltas: &[Delta], expected: i128) {
    for observer in observers(deltas) {
        assert_eq!(total(&observer), expected);
    }
}

/// Two replicas that both count 10, with the delta of it.
fn two_with_ten() -> (Replica, Replica, Delta) {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let ten = increment(&mut a, 10);
    b.receive(&ten);
    (a, b, ten)
}

#[test]
fn concurrent_increments_add_up() {
    let (mut a, mut b, ten) = two_with_ten();
    let deltas = [
        ten,
        increment(&mut a, 3),
        increment(&mut a, -1),
        increment(&mut b, 5),
    ];
    all_count(&deltas, 17);
}

#[test]
fn a_reset_takes_what_it_saw_and_leaves_a_concurrent_increment() {
    let (mut a, mut b, ten) = two_with_ten();
    let mut deltas = vec![ten, increment(&mut a, 3)];
    deltas.extend(reset(&mut b));
    all_count(&deltas, 3);
    deltas.push(increment(&mut b, 4));
    all_count(&deltas, 7);
}

#[test]
fn concurrent_resets_take_away_once() {
    let (mut a, mut b, ten) = two_with_ten();
    let mut deltas = vec![ten];
    deltas.extend(reset(&mut a));
    deltas.extend(reset(&mut b));
    all_count(&deltas, 0);
}

#[test]
fn an_increment_applied_at_two_coordinators_counts_once() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let (first, retry) = (increment(&mut a, 7), increment(&mut b, 7));
    let mut record = Applications::new(retry.dot, retry.dot.counter);
    record.insert(first.dot, first.dot.counter);
    assert_eq!(record.at(0).next(), Some(first.dot));
    a.receive(&retry);
    let voided = void(&mut a, retry.dot, 7);
    all_count(&[first, retry, voided], 7);
}

#[test]
fn a_void_recorded_twice_counts_once() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let (first, retry) = (increment(&mut a, 7), increment(&mut b, 7));
    a.receive(&retry);
    b.receive(&first);
    let voids = [void(&mut a, retry.dot, 7), void(&mut b, retry.dot, 7)];
    a.receive(&voids[1]);
    let third = void(&mut a, retry.dot, 7);
    let [one, two] = voids;
    all_count(&[first, retry, one, two, third], 7);
}

#[test]
fn a_void_and_a_concurrent_reset_that_covers_its_increment_make_nothing() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let (first, retry) = (increment(&mut a, 7), increment(&mut b, 7));
    a.receive(&retry);
    b.receive(&first);
    let mut deltas = vec![first, retry.clone(), void(&mut a, retry.dot, 7)];
    deltas.extend(reset(&mut b));
    all_count(&deltas, 0);
    deltas.push(increment(&mut a, 2));
    all_count(&deltas, 2);
}

#[test]
fn a_void_after_a_reset_of_its_increment_takes_nothing_more() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let retry = increment(&mut b, 7);
    let mut deltas = vec![retry.clone()];
    deltas.extend(reset(&mut b));
    // The winner was not in the reset: it counts.
    deltas.push(increment(&mut a, 7));
    deltas.iter().for_each(|delta| a.receive(delta));
    deltas.push(void(&mut a, retry.dot, 7));
    all_count(&deltas, 7);
}

#[test]
fn a_reset_after_a_void_takes_the_winner_alone() {
    let (mut a, mut b) = (Replica::new(1), Replica::new(2));
    let (first, retry) = (increment(&mut a, 7), increment(&mut b, 7));
    a.receive(&retry);
    let mut deltas = vec![first, retry.clone(), void(&mut a, retry.dot, 7)];
    deltas.extend(reset(&mut a));
    all_count(&deltas, 0);
}

/// One coordinator: a replica and the completion record of the one increment.
#[derive(Debug, Clone)]
struct Coordinator {
    replica: Replica,
    record: Applications,
}

/// They pull from each other, join their records, and each makes the losers void.
fn meet(a: &mut Coordinator, b: &mut Coordinator) {
    a.replica.pull(&b.replica, b"");
    b.replica.pull(&a.replica, b"");
    b.record.join(&a.record);
    a.record = b.record.clone();
    for coordinator in [a, b] {
        let losers: Vec<Dot> = coordinator.record.at(0).skip(1).collect();
        for loser in losers {
            let row = coordinator.replica.row(&part(loser.actor));
            if !share(&row).is_settled(loser.counter) {
                void(&mut coordinator.replica, loser, 7);
            }
        }
    }
}

#[test]
fn three_coordinators_that_meet_in_pairs_in_any_order_count_once() {
    let fresh = |node| {
        let mut replica = Replica::new(node);
        let dot = increment(&mut replica, 7).dot;
        let record = Applications::new(dot, dot.counter);
        Coordinator { replica, record }
    };
    for order in permutations(&[(0, 1), (0, 2), (1, 2)]) {
        let mut all = [fresh(1), fresh(2), fresh(3)];
        for &(i, j) in order.iter().chain(&order) {
            let (left, right) = all.split_at_mut(j);
            meet(&mut left[i], &mut right[0]);
            assert_eq!(total(&left[i].replica), 7, "{order:?}");
            assert_eq!(total(&right[0].replica), 7, "{order:?}");
        }
    }
}
