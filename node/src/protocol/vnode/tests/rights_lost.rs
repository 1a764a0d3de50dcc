//! Bounded counters whose owners lose disks between an increment and its copy.

use super::rights::{available, balance, change, met, settle};
use super::syncing::{lose_the_disk, sync};
use super::{ID, NODES, Owner, pull_all};
use crate::protocol::messages::{Change, Pull};
use crate::protocol::stage::{Family, Stage};
use crate::protocol::time::Time;
use crdt::Hlc;
use crdt::dots::DotSet;

/// One owner compares its clock with another's.
fn compare(owners: &mut [Owner; 3], (asking, answering): (usize, usize)) {
    let peer = NODES[answering];
    let fingerprint = owners[asking].vnode.fingerprint(peer).unwrap();
    owners[answering].vnode.meet(NODES[asking], &fingerprint);
    let difference = owners[answering].vnode.difference(&fingerprint);
    let vnode = &mut owners[asking].vnode;
    match difference {
        Some(difference) => vnode.handle_difference(Time::default(), peer, difference),
        None => vnode.handle_equal(peer),
    }
}

fn pull(owners: &mut [Owner; 3], (asking, from): (usize, usize)) {
    let mut pulling = std::mem::replace(&mut owners[asking], Owner::new(NODES[asking]));
    pulling.pull(&owners[from]);
    owners[asking] = pulling;
}

/// Pulls one event, and what has to come with it.
fn pull_one(owners: &mut [Owner; 3], (asking, from): (usize, usize), change: &Change) {
    let mut want = DotSet::default();
    want.insert(change.event.dot);
    let pull = Pull {
        vnode: ID,
        incarnation: owners[asking].vnode.actor().nonce,
        want,
        have: owners[asking].vnode.clock().clone(),
    };
    let source = &owners[from];
    let answered = source
        .vnode
        .answer_pull(&pull, &source.limits, &Stage::new(&source.disk));
    let bundle = answered.unwrap().bundle;
    owners[asking].commit(|vnode, stage, _| vnode.absorb(Hlc::at(2_000), &bundle, stage).unwrap());
}

/// Long after the retry window: what counts twice is seen to, and then all expired records go.
fn sweep(owner: &mut Owner) {
    owner.void();
    let late = 60 * 60 * 1_000;
    owner.commit(|vnode, stage, limits| vnode.sweep_records(late, limits, stage).unwrap());
}

fn all_available(owners: &mut [Owner; 3]) -> u64 {
    owners.iter_mut().map(available).sum()
}

/// The new disk of the first owner has the second's add, and not yet its own copy of it, which only
/// the third has: that one told its clock before.
#[test]
fn what_was_added_waits_for_owners_that_have_lost_a_copy_of_it() {
    let mut owners = met();
    let copy = change(&mut owners[0], 1, 9).unwrap();
    let added = change(&mut owners[1], 1, 9).unwrap();
    owners[2].receive(&added);
    owners.iter_mut().for_each(|o| o.vnode.handle_synced());
    compare(&mut owners, (1, 2));
    owners[2].receive(&copy);
    lose_the_disk(&mut owners[0]);
    compare(&mut owners, (0, 1));
    pull(&mut owners, (0, 1));
    owners[0].vnode.handle_synced();
    compare(&mut owners, (1, 0));
    owners[1].trim();
    assert_eq!(available(&mut owners[1]), 0);
    settle(&mut owners);
    assert_eq!(balance(&owners[0]), 9);
    assert_eq!(all_available(&mut owners), 9);
}

/// The second owner's copy is known to be one elsewhere, perhaps by one owner only, and its entry
/// is trimmed; its disk is lost when records of that age have expired.
#[test]
fn a_lost_disk_learns_what_was_a_copy_however_late() {
    for (has_heard, third_has_heard) in [(false, true), (true, true), (false, false)] {
        let mut owners = met();
        let copy = change(&mut owners[1], 1, 9).unwrap();
        let added = change(&mut owners[0], 1, 9).unwrap();
        for at in [0, 2] {
            owners[at].receive(&copy);
        }
        for (at, hears) in [(1, has_heard), (2, third_has_heard)] {
            owners[at].receive(if hears { &added } else { &[] });
        }
        owners.iter_mut().for_each(|o| o.vnode.handle_synced());
        for asking in [0, 2] {
            (0..3)
                .filter(|&other| other != asking)
                .for_each(|other| compare(&mut owners, (asking, other)));
            owners[asking].trim();
            sweep(&mut owners[asking]);
        }
        assert!(owners[2].stored(Family::Dotlog) <= 1);
        lose_the_disk(&mut owners[1]);
        let (before, after) = owners.split_at_mut(2);
        sync(&mut before[1], &after[0]);
        pull_all(&mut owners);
        settle(&mut owners);
        assert_eq!(
            all_available(&mut owners),
            9,
            "{has_heard} {third_has_heard}"
        );
        assert!(owners.iter().all(|owner| balance(owner) == 9));
    }
}

/// The third owner has one of two copies, and a record that tells of both. All others are lost.
#[test]
fn a_copy_that_is_lost_with_all_disks_binds_no_rights() {
    for kept in [0, 1] {
        let mut owners = met();
        let copies = [0, 1].map(|at: usize| change(&mut owners[at], 1, 9).unwrap());
        owners[0].receive(&copies[1]);
        owners[1].receive(&copies[0]);
        pull_one(&mut owners, (2, kept), &copies[kept][0]);
        let lost = copies[1 - kept][0].event.dot;
        assert!(!owners[2].vnode.clock().contains(lost));
        owners[..2].iter_mut().for_each(lose_the_disk);
        settle(&mut owners);
        let mut expected = [0, 0];
        expected[kept] = 9;
        assert_eq!([0, 1].map(|at: usize| available(&mut owners[at])), expected);
        for (at, op) in [(0, 2), (1, 3)] {
            change(&mut owners[at], op, 4).unwrap();
        }
        settle(&mut owners);
        owners.iter_mut().enumerate().for_each(|(at, owner)| {
            owner.restart(200 + at as u64);
        });
        settle(&mut owners);
        let expected = expected.map(|amount| amount + 4);
        assert_eq!([0, 1].map(|at: usize| available(&mut owners[at])), expected);
        assert!(owners.iter().all(|owner| balance(owner) == 17));
    }
}
