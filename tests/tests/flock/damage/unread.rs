//! What cannot be read: for a moment, and for good.

use super::NODES;
use starling_node::store::Table;
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

/// Three owners of the same rows, of which one has a row that it cannot read.
fn unreadable() -> Flock {
    let flock = super::filled();
    let (key, _) = flock.row(NODES[1], "k5");
    let end = [&key[..], &[0]].concat();
    flock.engine(NODES[1]).spoil(Table::Data, &key, &end);
    flock
}
