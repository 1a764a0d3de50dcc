//! Rows that a disk forgot without a word: found by their content, and given back.

use std::time::Duration;

use super::NODES;
use starling_node::protocol::replica::{ReplicaConfig, ScrubCounts};
use starling_node::store::Table;
use starling_tests::flock::Flock;

#[test]
fn a_row_that_one_owner_lost_is_given_back_to_it() {
    let mut flock = super::filled();
    let whole = flock.rows(NODES[0]);
    flock.store(NODES[0], Table::Data, &whole[4].0, None);
    flock.pass(10);
    assert_eq!(flock.rows(NODES[0]), whole);
    assert_eq!(restored(&flock), [1, 0, 0]);
    assert_eq!(alarms(&flock), [0, 0, 0]);
    flock.pass(10);
    let agreed = NODES.map(|node| flock.replica(node).agreed(flock.vnode()));
    assert!(agreed.iter().all(Option::is_some));
}

/// The answer with the rows was cut, and thrown away.
#[test]
fn a_lost_row_comes_back_although_no_two_rows_fit_into_a_message() {
    let mut config = ReplicaConfig::default();
    config.limits.message_bytes = 1;
    let mut flock = Flock::with_rows(3, 3, config, 100);
    flock.pass(2);
    let whole = flock.rows(NODES[0]);
    flock.store(NODES[0], Table::Data, &whole[50].0, None);
    flock.pass(20);
    assert_eq!(flock.rows(NODES[0]), whole);
    assert_eq!(restored(&flock), [1, 0, 0]);
    assert_eq!(alarms(&flock), [0, 0, 0]);
}

#[test]
fn what_two_owners_lost_is_an_alarm_and_stays_as_it_is() {
    let mut flock = super::filled();
    let whole = flock.rows(NODES[0]);
    for node in [NODES[0], NODES[1]] {
        flock.store(node, Table::Data, &whole[4].0, None);
    }
    let agreed = flock.replica(NODES[0]).agreed(flock.vnode());
    flock.pass(20);
    assert_eq!(restored(&flock), [0, 0, 0]);
    assert!(alarms(&flock).iter().all(|&alarms| alarms > 0));
    assert_eq!(flock.rows(NODES[0]).len() + 1, whole.len());
    assert_eq!(flock.rows(NODES[2]), whole);
    assert_eq!(flock.replica(NODES[0]).agreed(flock.vnode()), agreed);
}

#[test]
fn two_owners_alone_change_nothing() {
    let mut flock = Flock::new(2, 2, ReplicaConfig::default());
    let owners: [_; 2] = flock.nodes();
    for key in 0..10 {
        assert_eq!(flock.put(owners[0], &format!("k{key}")), Ok(()));
    }
    flock.pass(10);
    let whole = flock.rows(owners[0]);
    assert_eq!(whole.len(), 10);
    flock.store(owners[0], Table::Data, &whole[4].0, None);
    flock.pass(20);
    assert_eq!(flock.rows(owners[0]).len(), 9);
    assert_eq!(flock.rows(owners[1]), whole);
    assert!(flock.replica(owners[0]).scrub_counts().alarms > 0);
}

#[test]
fn one_row_of_a_hundred_thousand_costs_a_few_kilobytes() {
    let config = ReplicaConfig {
        scrub_rows: 32_768,
        ..ReplicaConfig::default()
    };
    let mut flock = Flock::with_rows(3, 3, config, crate::rows());
    flock.pass(2);
    let whole = flock.rows(NODES[0]);
    flock.store(NODES[0], Table::Data, &whole[54_321].0, None);
    flock.take_bytes();
    let walked = flock.replica(NODES[0]).scrub_counts().walked;
    while restored(&flock) != [1, 0, 0] {
        flock.pass_at(NODES[0], 1);
        assert!(flock.replica(NODES[0]).scrub_counts().walked < walked + 3);
    }
    assert_eq!(flock.rows(NODES[0]), whole);
    let bytes = flock.take_bytes();
    println!("one row that was lost in silence: {bytes} bytes");
    assert!(bytes < 16 << 10, "{bytes} bytes");
}

#[test]
fn a_scrub_that_is_asked_for_does_not_wait_for_its_turn() {
    let day = Duration::from_secs(86_400);
    let config = ReplicaConfig {
        scrub_every: day,
        scrub_rows: 4,
        ..ReplicaConfig::default()
    };
    let mut flock = Flock::with_rows(3, 3, config, 100);
    flock.pass(2);
    let whole = flock.rows(NODES[0]);
    flock.store(NODES[0], Table::Data, &whole[50].0, None);
    flock.pass(100);
    assert_eq!(restored(&flock), [0, 0, 0]);
    // Twenty-five stretches, with a tick every half a second.
    flock.scrub(NODES[0]);
    flock.pass(15);
    assert_eq!(flock.rows(NODES[0]), whole);
    assert_eq!(restored(&flock), [1, 0, 0]);
    assert_eq!(counts(&flock).map(|counts| counts.walked), [1, 0, 0]);
    // What was found to differ is no agreement; the next walk is one, and the last.
    let agreed = |flock: &Flock| flock.replica(NODES[0]).agreed(flock.vnode());
    assert_eq!(agreed(&flock), None);
    flock.scrub(NODES[0]);
    flock.pass(100);
    assert!(agreed(&flock).is_some());
    assert_eq!(counts(&flock).map(|counts| counts.walked), [2, 0, 0]);
}

fn restored(flock: &Flock) -> [u64; 3] {
    counts(flock).map(|counts| counts.restored)
}

fn alarms(flock: &Flock) -> [u64; 3] {
    counts(flock).map(|counts| counts.alarms)
}

fn counts(flock: &Flock) -> [ScrubCounts; 3] {
    NODES.map(|node| flock.replica(node).scrub_counts())
}
