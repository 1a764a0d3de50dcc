//! What cannot be read: for a moment, and for good.

use std::ops::ControlFlow;

use super::NODES;
use starling_node::protocol::messages::Refusal;
use starling_node::protocol::replica::ReplicaConfig;
use starling_node::protocol::vnode::Vnode;
use starling_node::store::{Direction, KeyRange, Table, View};
use starling_tests::flock::Flock;

#[test]
fn what_cannot_be_read_for_a_moment_costs_no_batch_and_no_vnode() {
    let mut flock = unreadable();
    flock.pass(5);
    assert_eq!(
        (flock.failures(), flock.replica(NODES[1]).quarantines()),
        (0, 0)
    );
    flock.engine(NODES[1]).heal();
    flock.pass(30);
    assert_eq!(
        (flock.failures(), flock.replica(NODES[1]).quarantines()),
        (0, 0)
    );
    let agreed = NODES.map(|node| flock.replica(node).agreed(flock.vnode()));
    assert!(agreed.iter().all(Option::is_some));
}

/// Other nodes compare their rows with the unreadable ones all the while.
#[test]
fn what_stays_unreadable_costs_one_batch_and_its_vnode() {
    let mut flock = unreadable();
    flock.pass(120);
    assert_eq!(
        (flock.failures(), flock.replica(NODES[1]).quarantines()),
        (1, 1)
    );
    let [others @ .., damaged] = [NODES[0], NODES[2], NODES[1]];
    for node in others {
        assert_eq!(flock.replica(node).quarantined().count(), 0);
    }
    let damaged = flock.replica(damaged).quarantined().next();
    let (_, damaged) = damaged.expect("it cannot be emptied either");
    assert!(
        damaged.stuck().is_some(),
        "a person has to act: {damaged:?}"
    );
    // On a disk that can be read again, it fills itself.
    flock.engine(NODES[1]).heal();
    flock.restart(NODES[1]);
    flock.pass(10);
    assert_eq!(flock.replica(NODES[1]).quarantined().count(), 0);
    assert_eq!(flock.rows(NODES[1]), flock.rows(NODES[0]));
    assert_eq!(flock.failures(), 1);
}

/// While there is more to trim, housekeeping comes round fifty times a second.
#[test]
fn what_cannot_be_read_for_a_moment_is_no_damage_however_often_it_is_met() {
    let mut flock = trimming();
    spoil(&flock);
    assert_eq!(flock.read(NODES[1], "k5"), Err(Refusal::Storage));
    let before = logged(&flock);
    flock.pass_in_steps(40, 20);
    assert_eq!(
        (flock.failures(), flock.replica(NODES[1]).quarantines()),
        (0, 0)
    );
    let trimmed = before - logged(&flock);
    assert!(trimmed >= 40, "it came round with each step: {trimmed}");
    flock.engine(NODES[1]).heal();
    flock.pass(30);
    assert!(flock.read(NODES[1], "k5").is_ok());
    assert_eq!(
        (flock.failures(), flock.replica(NODES[1]).quarantines()),
        (0, 0)
    );
}

#[test]
fn a_vnode_that_cannot_be_read_now_and_then_keeps_the_walk_from_no_other() {
    let config = ReplicaConfig {
        verify_rows: 1,
        // Nothing else looks at the rows.
        scrub_rows: 0,
        ..ReplicaConfig::default()
    };
    let mut flock = Flock::new(5, 3, config);
    let [owner, _, _, _, _] = flock.nodes();
    for key in 0..10 {
        assert_eq!(flock.put(owner, &format!("k{key}")), Ok(()));
    }
    flock.pass(10);
    flock.damage(owner, "k9");
    let other = {
        let mut vnodes = flock.replica(owner).vnodes().map(Vnode::id);
        let other = vnodes.find(|id| *id != flock.vnode());
        other.expect("it owns others")
    };
    for _ in 0..60 {
        flock.tell_unread(owner, other);
        flock.pass(1);
    }
    assert_eq!(
        (flock.failures(), flock.replica(owner).quarantines()),
        (1, 1)
    );
}

/// Three owners with much to trim, one event at a time.
fn trimming() -> Flock {
    let mut config = ReplicaConfig::default();
    config.limits.events_per_trim = 1;
    let mut flock = Flock::new(3, 3, config);
    assert_eq!(flock.put(NODES[1], "k5"), Ok(()));
    flock.pass(5);
    flock.cut(NODES[2]);
    for key in 0..200 {
        assert_eq!(flock.put(NODES[1], &format!("more-{key}")), Ok(()));
    }
    flock.heal();
    flock.pass(10);
    flock
}

/// How many events are left to trim.
fn logged(flock: &Flock) -> usize {
    let mut count = 0;
    let mut visit = |_: &[u8], _: &[u8]| {
        count += 1;
        ControlFlow::Continue(())
    };
    let engine = flock.engine(NODES[1]);
    engine
        .scan(
            Table::Dotlog,
            KeyRange::all(),
            Direction::Forward,
            &mut visit,
        )
        .expect("no fault is injected");
    count
}

/// Three owners of the same rows, of which one has a row that it cannot read.
fn unreadable() -> Flock {
    let flock = super::filled();
    spoil(&flock);
    flock
}

fn spoil(flock: &Flock) {
    let (key, _) = flock.row(NODES[1], "k5");
    let end = [&key[..], &[0]].concat();
    flock.engine(NODES[1]).spoil(Table::Data, &key, &end);
}
