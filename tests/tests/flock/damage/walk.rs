//! The walk over what is stored finds damage in every table, and two damaged owners say that each
//! waits for the other.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::NODES;
use starling_node::store::{Direction, KeyRange, Table, View};
use starling_tests::flock::{Flock, Stored};

#[test]
fn the_walk_finds_a_damaged_event() {
    let mut flock = super::filled();
    // What an owner has not seen stays logged.
    flock.cut(NODES[2]);
    assert_eq!(flock.put(NODES[0], "logged"), Ok(()));
    flock.pass(5);
    let (key, mut event) = first(&flock, Table::Dotlog);
    event[1] ^= 0x40;
    finds(&mut flock, Table::Dotlog, &key, &event);
}

#[test]
fn the_walk_finds_a_damaged_record_of_an_operation() {
    let mut flock = super::filled();
    let (key, mut record) = first(&flock, Table::Records);
    record[0] ^= 0x40;
    finds(&mut flock, Table::Records, &key, &record);
}

#[test]
fn two_damaged_owners_wait_for_each_other_until_one_is_given_up() {
    let mut flock = super::filled();
    flock.cut(NODES[2]);
    assert_eq!(flock.put(NODES[0], "late"), Ok(()));
    flock.pass(5);
    flock.damage(NODES[0], "k3");
    flock.damage(NODES[1], "k4");
    let damaged = [flock.rows(NODES[0]), flock.rows(NODES[1])];
    flock.pass(5);
    flock.heal();
    flock.pass(60);
    // The third does not have all that they had, and they do not speak.
    for (node, other) in [(NODES[0], NODES[1]), (NODES[1], NODES[0])] {
        let (_, kept) = flock.replica(node).quarantined().next().expect("it waits");
        assert!(!kept.is_emptying());
        assert_eq!(kept.unused_at(), &BTreeSet::from([other]));
    }
    assert_eq!([flock.rows(NODES[0]), flock.rows(NODES[1])], damaged);
    flock.replace_disk(NODES[0]);
    flock.pass(20);
    for node in NODES {
        assert_eq!(flock.replica(node).quarantined().count(), 0);
        assert_eq!(flock.rows(node), flock.rows(NODES[2]));
    }
}

/// What lies first in a table of the first node.
fn first(flock: &Flock, table: Table) -> Stored {
    let mut found = None;
    let mut visit = |key: &[u8], value: &[u8]| {
        found = Some((key.to_vec(), value.to_vec()));
        ControlFlow::Break(())
    };
    let engine = flock.engine(NODES[0]);
    engine
        .scan(table, KeyRange::all(), Direction::Forward, &mut visit)
        .expect("no fault is injected");
    found.expect("there is something")
}

/// Nobody reads this, and the first node finds it all the same, at the cost of one batch.
fn finds(flock: &mut Flock, table: Table, key: &[u8], damaged: &[u8]) {
    flock.store(NODES[0], table, key, Some(damaged));
    flock.pass(5);
    assert_eq!(
        (flock.failures(), flock.replica(NODES[0]).quarantines()),
        (1, 1)
    );
    flock.heal();
    flock.pass(20);
    for node in NODES {
        assert_eq!(flock.replica(node).quarantined().count(), 0);
        assert_eq!(flock.rows(node), flock.rows(NODES[2]));
    }
}
