//! What a vnode owes to events that are lost everywhere: housekeeping vouches for it, and a vnode
//! that is damaged takes the note along.

use super::NODES;
use crdt::codec::Encoder;
use crdt::dots::DotSet;
use crdt::{Actor, Dot};
use starling_node::protocol::keys::borrowed_key;
use starling_node::protocol::messages::Refusal;
use starling_node::store::{Table, View};
use starling_tests::flock::Flock;

#[test]
fn housekeeping_vouches_for_what_no_owner_has_and_all_owners_take_it_over() {
    let mut flock = owing();
    let before = flock.clock(NODES[1]);
    flock.pass(30);
    assert_ne!(flock.clock(NODES[0]), before, "it has taken a dot");
    for node in NODES {
        assert_eq!(flock.clock(node), flock.clock(NODES[0]));
    }
    assert_eq!(noted(&flock), None, "nothing is owed, and all have the dot");
    assert_eq!(flock.failures(), 0);
}

#[test]
fn a_vnode_that_is_damaged_before_others_have_what_it_vouches_for_begins_anew() {
    let mut flock = owing();
    // The others answer, and do nothing by themselves.
    flock.pass_at(NODES[0], 3);
    assert_ne!(flock.clock(NODES[0]), flock.clock(NODES[1]));
    flock.damage(NODES[0], "k3");
    assert_eq!(flock.read(NODES[0], "k3"), Err(Refusal::Storage));
    flock.pass(30);
    assert_eq!(flock.replica(NODES[0]).quarantined().count(), 0);
    assert_eq!(flock.rows(NODES[0]), flock.rows(NODES[1]));
    assert_eq!(flock.clock(NODES[0]), flock.clock(NODES[1]));
}

#[test]
fn what_a_damaged_vnode_had_borrowed_goes_with_its_rows() {
    let mut flock = owing();
    let before = flock.clock(NODES[1]);
    flock.damage(NODES[0], "k3");
    assert_eq!(flock.read(NODES[0], "k3"), Err(Refusal::Storage));
    flock.pass(30);
    assert_eq!(flock.replica(NODES[0]).quarantined().count(), 0);
    for node in NODES {
        assert_eq!(
            flock.clock(node),
            before,
            "nobody has anything to vouch for"
        );
    }
    assert_eq!(noted(&flock), None);
}

/// Three owners of the same rows; those of the first owe something to an event that nobody has.
fn owing() -> Flock {
    let mut flock = super::filled();
    let mut lost = DotSet::default();
    lost.insert(Dot::new(Actor { node: 9, nonce: 9 }, 1));
    let mut encoder = Encoder::with_capacity(64);
    lost.encode(&mut encoder);
    let key = borrowed_key(flock.vnode());
    flock.store(NODES[0], Table::Meta, &key, Some(&encoder.finish()));
    flock.restart(NODES[0]);
    flock
}

/// What the store of the first node says of it.
fn noted(flock: &Flock) -> Option<Vec<u8>> {
    let noted = flock
        .engine(NODES[0])
        .get(Table::Meta, &borrowed_key(flock.vnode()));
    noted.expect("no fault is injected")
}
