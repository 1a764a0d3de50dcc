//! What a node makes of damage to its disk: one vnode goes out of use and comes back whole, or
//! stays as it is where nobody else has what it held.

mod aside;
mod scrub;
mod shelves;
mod unread;
mod vouching;
mod walk;

use ring::NodeId;
use starling_node::protocol::keys::checkpoint_key;
use starling_node::protocol::messages::Refusal;
use starling_node::protocol::replica::{Quarantine, ReplicaConfig, WriteError};
use starling_node::store::Table;
use starling_tests::flock::Flock;

/// The owners of everything.
const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

#[test]
fn a_damaged_row_is_never_served_and_comes_back_from_the_other_owners() {
    let mut flock = filled();
    flock.damage(NODES[0], "k3");
    assert_eq!(flock.read(NODES[0], "k3"), Err(Refusal::Storage));
    // Nothing of the vnode is served or taken any more, and the others go on.
    assert_eq!(flock.read(NODES[0], "k4"), Err(Refusal::Quarantined));
    let refused = Err(WriteError::Refused(Refusal::Quarantined));
    assert_eq!(flock.put(NODES[0], "k10"), refused);
    assert_eq!(flock.put(NODES[1], "k10"), Ok(()));
    flock.pass(10);
    assert_eq!(quarantined(&flock), [None, None, None]);
    assert_eq!(flock.clock(NODES[0]), flock.clock(NODES[1]));
    assert_eq!(flock.rows(NODES[0]), flock.rows(NODES[1]));
    for key in 0..=10 {
        let read = flock.read(NODES[0], &format!("k{key}"));
        let shown = read.map(|read| read.rows.iter().map(|row| row.row.versions().len()).sum());
        assert_eq!(shown, Ok(1), "k{key}");
    }
}

#[test]
fn damage_is_found_without_a_read() {
    let mut flock = filled();
    flock.damage(NODES[1], "k0");
    flock.pass(10);
    assert_eq!(flock.replica(NODES[1]).quarantines(), 1);
    assert_eq!(quarantined(&flock), [None, None, None]);
    assert_eq!(flock.rows(NODES[1]), flock.rows(NODES[2]));
}

#[test]
fn a_damaged_vnode_is_not_pulled_from() {
    let mut flock = filled();
    flock.cut(NODES[0]);
    assert_eq!(flock.put(NODES[0], "mine"), Ok(()));
    flock.damage(NODES[0], "k3");
    assert_eq!(flock.read(NODES[0], "k3"), Err(Refusal::Storage));
    flock.heal();
    flock.pass(10);
    // Nobody but the damaged vnode had it, and that one speaks no more.
    let rows = flock.read(NODES[1], "mine").expect("the others serve");
    assert!(rows.rows.is_empty());
    assert_eq!(flock.clock(NODES[0]), flock.clock(NODES[1]));
}

#[test]
fn the_bytes_stay_while_no_other_owner_has_answered() {
    let mut flock = filled();
    flock.cut(NODES[0]);
    flock.damage(NODES[0], "k3");
    let damaged = flock.rows(NODES[0]);
    flock.pass(60);
    assert!(matches!(&quarantined(&flock)[0], Some(kept) if !kept.is_emptying()));
    assert_eq!(flock.rows(NODES[0]), damaged);
    flock.heal();
    flock.pass(10);
    assert_eq!(quarantined(&flock), [None, None, None]);
    assert_eq!(flock.rows(NODES[0]), flock.rows(NODES[1]));
}

#[test]
fn what_may_be_here_alone_stays_until_every_owner_has_answered() {
    let mut flock = filled();
    flock.cut(NODES[0]);
    assert_eq!(flock.put(NODES[0], "mine"), Ok(()));
    flock.damage(NODES[0], "k3");
    assert_eq!(flock.read(NODES[0], "k3"), Err(Refusal::Storage));
    // One owner answers, and has less; the other one, which is away, may have the rest.
    flock.heal();
    flock.cut(NODES[2]);
    flock.pass(20);
    assert!(matches!(&quarantined(&flock)[0], Some(kept) if !kept.is_emptying()));
    flock.heal();
    flock.pass(10);
    assert_eq!(quarantined(&flock), [None, None, None]);
}

#[test]
fn the_only_copy_stays_as_it_is() {
    let mut flock = Flock::new(1, 1, ReplicaConfig::default());
    let owner = flock.nodes::<1>()[0];
    assert_eq!(flock.put(owner, "k"), Ok(()));
    flock.damage(owner, "k");
    let damaged = flock.rows(owner);
    flock.pass(60);
    assert_eq!(flock.read(owner, "k"), Err(Refusal::Quarantined));
    flock.restart(owner);
    flock.pass(60);
    assert_eq!(flock.read(owner, "k"), Err(Refusal::Quarantined));
    assert_eq!(flock.rows(owner), damaged);
}

#[test]
fn a_restart_forgets_no_quarantine() {
    let mut flock = filled();
    flock.cut(NODES[0]);
    flock.damage(NODES[0], "k3");
    flock.pass(5);
    flock.restart(NODES[0]);
    assert_eq!(flock.read(NODES[0], "k4"), Err(Refusal::Quarantined));
    flock.heal();
    flock.pass(10);
    assert_eq!(quarantined(&flock), [None, None, None]);
    assert_eq!(flock.rows(NODES[0]), flock.rows(NODES[1]));
}

#[test]
fn a_damaged_checkpoint_costs_one_vnode_and_not_the_node() {
    let mut flock = filled();
    let key = checkpoint_key(flock.vnode());
    flock.store(NODES[0], Table::Meta, &key, Some(b"\xffdamaged"));
    flock.restart(NODES[0]);
    assert_eq!(flock.read(NODES[0], "k1"), Err(Refusal::Quarantined));
    flock.pass(10);
    assert_eq!(quarantined(&flock), [None, None, None]);
    assert_eq!(flock.rows(NODES[0]), flock.rows(NODES[1]));
}

/// Three owners of the same ten keys, with nothing left to trim.
fn filled() -> Flock {
    let mut flock = Flock::new(3, 3, ReplicaConfig::default());
    for key in 0..10 {
        assert_eq!(flock.put(NODES[key % 3], &format!("k{key}")), Ok(()));
    }
    flock.pass(10);
    flock
}

/// What each node has in quarantine.
fn quarantined(flock: &Flock) -> [Option<Quarantine>; 3] {
    NODES.map(|node| {
        let damaged = flock.replica(node).quarantined().next();
        damaged.map(|(_, damaged)| damaged.clone())
    })
}
