//! The walk over what is stored finds damage in every table.

use std::ops::ControlFlow;

use crate::flock::{Flock, NODES, Stored};
use starling_node::store::{Direction, KeyRange, Table, View};

#[test]
fn the_walk_finds_a_damaged_event() {
    let mut flock = crate::filled();
    // What an owner has not seen stays logged.
    flock.away.insert(NODES[2]);
    assert_eq!(flock.put(NODES[0], "logged"), Ok(()));
    flock.pass(5);
    let (key, mut event) = first(&flock, Table::Dotlog);
    event[1] ^= 0x40;
    finds(&mut flock, Table::Dotlog, &key, &event);
}

#[test]
fn the_walk_finds_a_damaged_record_of_an_operation() {
    let mut flock = crate::filled();
    let (key, mut record) = first(&flock, Table::Records);
    record[0] ^= 0x40;
    finds(&mut flock, Table::Records, &key, &record);
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
        (flock.failures, flock.replica(NODES[0]).quarantines()),
        (1, 1)
    );
    flock.away.clear();
    flock.pass(20);
    for node in NODES {
        assert_eq!(flock.replica(node).quarantined().count(), 0);
        assert_eq!(flock.rows(node), flock.rows(NODES[2]));
    }
}
