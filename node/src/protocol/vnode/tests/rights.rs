//! Bounded counters: who may spend, when, and what becomes of copies.

use super::syncing::{lose_the_disk, sync};
use super::{NODES, Owner, changes, exchange_clocks, key, pull_all, tell_clocks};
use crate::protocol::messages::{Bundle, Change, KeyedRow};
use crate::protocol::vnode::{Action, Rejected};
use crdt::kinds::Leaf;
use crdt::kinds::bounded::{Rights, part};
use crdt::{Context, Hlc};
use ring::NodeId;

/// Three owners that have heard each other.
pub(super) fn met() -> [Owner; 3] {
    let mut owners = NODES.map(Owner::new);
    exchange_clocks(&mut owners);
    owners
}

/// Changes the counter: adds, or with a negative amount spends.
pub(super) fn change(owner: &mut Owner, op: u64, amount: i64) -> Result<Vec<Change>, Rejected> {
    let written = owner.write(op, &Context::default(), Action::Bounded(amount))?;
    assert!(!written.repeated);
    Ok(changes(&written).to_vec())
}

/// Everyone pulls, syncs, compares and trims, until nothing is left to do.
pub(super) fn settle(owners: &mut [Owner; 3]) {
    for _ in 0..3 {
        pull_all(owners);
        exchange_clocks(owners);
        owners.iter_mut().for_each(|owner| {
            owner.void();
            owner.trim();
        });
    }
    pull_all(owners);
    exchange_clocks(owners);
}

fn rights(owner: &Owner, node: NodeId) -> Rights {
    Rights::of(&owner.row(&key().row(Leaf::Rights, &part(node.0)))).unwrap()
}

/// Additions less spends.
pub(super) fn balance(owner: &Owner) -> i128 {
    let of = |node| {
        let rights = rights(owner, node);
        i128::from(rights.added) - i128::from(rights.used)
    };
    NODES.into_iter().map(of).sum()
}

/// What the owner may spend now, by the refusal of what is too much.
pub(super) fn available(owner: &mut Owner) -> u64 {
    match change(owner, 99, -1_000) {
        Err(Rejected::Insufficient { available, .. }) => available,
        other => panic!("a spend of too much gives {other:?}"),
    }
}

#[test]
fn nothing_is_spent_or_added_before_every_owner_was_heard() {
    let mut owners = NODES.map(Owner::new);
    let waits_for = NODES[1];
    for amount in [5, -5] {
        let refused = change(&mut owners[0], 1, amount).unwrap_err();
        assert_eq!(refused, Rejected::NotWhole { waits_for });
    }
    tell_clocks(&mut owners);
    assert!(change(&mut owners[0], 1, 5).is_ok());
}

#[test]
fn a_lost_disk_does_not_spend_again_what_others_know_to_be_spent() {
    let mut owners = met();
    change(&mut owners[0], 1, 9).unwrap();
    settle(&mut owners);
    let spent = change(&mut owners[0], 2, -9).unwrap();
    owners[2].receive(&spent);
    // The disk is lost, and only the third knows of the spend.
    owners[0] = Owner::new(NODES[0]);
    owners[0].restart(8);
    tell_clocks(&mut owners);
    let (first, others) = owners.split_at_mut(1);
    first[0].pull(&others[0]);
    assert_eq!(
        change(&mut first[0], 3, -9).unwrap_err(),
        Rejected::NotWhole {
            waits_for: NODES[1]
        }
    );
    settle(&mut owners);
    assert_eq!(balance(&owners[0]), 0);
}

#[test]
fn what_was_added_is_spent_when_every_owner_holds_it() {
    let mut owners = met();
    let added = change(&mut owners[0], 1, 9).unwrap();
    assert_eq!(available(&mut owners[0]), 0);
    owners[1].receive(&added);
    exchange_clocks(&mut owners);
    owners[0].trim();
    assert_eq!(available(&mut owners[0]), 0);
    owners[2].receive(&added);
    exchange_clocks(&mut owners);
    // A restart forgets nothing of it, and finds it free when its entry is trimmed.
    owners[0].restart(8);
    tell_clocks(&mut owners);
    assert_eq!(available(&mut owners[0]), 0);
    owners[0].trim();
    assert_eq!(available(&mut owners[0]), 9);
    change(&mut owners[0], 2, -9).unwrap();
    assert_eq!((available(&mut owners[0]), balance(&owners[0])), (0, 0));
}

#[test]
fn an_add_at_two_coordinators_makes_its_rights_once() {
    let mut owners = met();
    for owner in &mut owners[..2] {
        change(owner, 1, 9).unwrap();
    }
    pull_all(&mut owners);
    assert!(owners.iter().all(|owner| balance(owner) == 18));
    settle(&mut owners);
    assert!(owners.iter().all(|owner| balance(owner) == 9));
    assert_eq!([0, 1].map(|at: usize| available(&mut owners[at])), [9, 0]);
}

#[test]
fn a_spend_at_two_coordinators_is_taken_back_once_by_its_own_node() {
    let mut owners = met();
    for (op, owner) in owners[..2].iter_mut().enumerate() {
        change(owner, op as u64, 9).unwrap();
    }
    settle(&mut owners);
    for owner in &mut owners[..2] {
        change(owner, 5, -4).unwrap();
    }
    pull_all(&mut owners);
    assert!(owners.iter().all(|owner| balance(owner) == 10));
    exchange_clocks(&mut owners);
    assert!(owners[0].void().is_empty() && owners[2].void().is_empty());
    assert_eq!(owners[1].void().len(), 1);
    assert!(owners[1].void().is_empty());
    // Neither a restart nor a lost disk makes it do so again.
    pull_all(&mut owners);
    owners[1].restart(8);
    settle(&mut owners);
    lose_the_disk(&mut owners[1]);
    let (before, after) = owners.split_at_mut(2);
    sync(&mut before[1], &after[0]);
    settle(&mut owners);
    assert!(owners.iter().all(|owner| balance(owner) == 14));
    assert_eq!(available(&mut owners[1]), 9);
}

#[test]
fn an_old_spend_that_may_have_been_taken_back_before_stays() {
    let mut owners = met();
    for (op, owner) in owners[..2].iter_mut().enumerate() {
        change(owner, op as u64, 9).unwrap();
    }
    settle(&mut owners);
    for owner in &mut owners[..2] {
        change(owner, 5, -4).unwrap();
    }
    pull_all(&mut owners);
    owners[1].restart(8);
    exchange_clocks(&mut owners);
    let late = Hlc::at(20 * 60 * 1_000);
    let back = owners[1].commit(|vnode, stage, limits| {
        let back = vnode.void_doubles(late, limits, stage);
        back.unwrap()
    });
    assert!(back.is_empty());
    assert_eq!(balance(&owners[1]), 10);
}

#[test]
fn rights_are_granted_by_a_row_and_spent_where_it_has_arrived() {
    let mut owners = met();
    change(&mut owners[0], 1, 9).unwrap();
    settle(&mut owners);
    let refused = Rejected::Insufficient {
        asked: 3,
        available: 0,
        value: 9,
    };
    assert_eq!(change(&mut owners[1], 2, -3), Err(refused));
    let asked = (NODES[1], 3);
    let granted = owners[0].commit(|vnode, stage, _| {
        let granted = vnode.grant(Hlc::at(4_000), &key(), asked, stage);
        granted.unwrap().unwrap()
    });
    assert_eq!(available(&mut owners[1]), 0);
    owners[1].receive(&[granted]);
    // Half of what the other had, since that is more than was asked for.
    assert_eq!([0, 1].map(|at: usize| available(&mut owners[at])), [5, 4]);
    change(&mut owners[1], 2, -3).unwrap();
    assert_eq!(balance(&owners[1]), 6);
}

#[test]
fn a_running_total_is_not_entered_without_what_it_sums_up() {
    let mut owners = met();
    let first = change(&mut owners[0], 1, 5).unwrap();
    let second = change(&mut owners[0], 2, 4).unwrap();
    let lacks = |owner: &Owner, changes: &[Change]| owner.vnode.lacks_increments(changes);
    assert_eq!(lacks(&owners[1], &second), Some(key()));
    assert_eq!(lacks(&owners[1], &[&first[..], &second].concat()), None);
    owners[1].receive(&first);
    assert_eq!(lacks(&owners[1], &second), None);
}

#[test]
fn an_ended_life_of_a_peer_is_not_heard_after_its_successor() {
    let mut owners = met();
    let late = change(&mut owners[0], 1, 5).unwrap();
    let bundle = |owner: &Owner| Bundle {
        sender: owner.vnode.actor().nonce,
        rows: vec![KeyedRow {
            key: key().row(Leaf::Rights, &part(1)),
            row: owner.row(&key().row(Leaf::Rights, &part(1))),
        }],
        ..Bundle::default()
    };
    let late_bundle = bundle(&owners[0]);
    assert!(!owners[1].vnode.are_outlived(&late));
    let earlier = owners[0].vnode.fingerprint(NODES[1]).unwrap();
    owners[1].vnode.meet(NODES[0], &earlier);
    owners[0].restart(8);
    let fingerprint = owners[0].vnode.fingerprint(NODES[1]).unwrap();
    owners[1].vnode.meet(NODES[0], &fingerprint);
    assert!(owners[1].vnode.are_outlived(&late));
    assert!(owners[1].vnode.is_bundle_outlived(NODES[0], &late_bundle));
    // A comparison of the ended life that comes late does not bring it back.
    owners[1].vnode.meet(NODES[0], &earlier);
    assert!(owners[1].vnode.are_outlived(&late));
    // The successor may tell what its ended life did, and so may others.
    assert!(
        !owners[1]
            .vnode
            .is_bundle_outlived(NODES[0], &bundle(&owners[0]))
    );
    assert!(!owners[1].vnode.is_bundle_outlived(NODES[2], &late_bundle));
}
