//! Rows that came before the events they owe something to, when those are lost.

use std::cell::Cell;

use super::syncing::{absorb, lose_the_disk, sync};
use super::{Disk, NODES, Owner, changes, exchange_clocks, pull_all, put};
use crate::protocol::stage::{Family, Stage};
use crate::protocol::vnode::Action;
use crdt::kinds::Leaf;
use crdt::{Context, Dot};
use ring::NodeId;

/// A value that was deleted. All owners had the removal and trimmed it; then the disks of the last
/// two were replaced by copies from before it. Returns the removal, too.
fn restored() -> ([Owner; 3], Dot) {
    let mut owners = NODES.map(Owner::new);
    let old = owners[0].write(1, &Context::default(), put("old")).unwrap();
    pull_all(&mut owners);
    let copies = owners.each_ref().map(|owner| owner.disk.0.clone());
    let clear = Action::Clear(Some(Leaf::Value));
    let removal = owners[0].write(2, &old.contexts[0], clear).unwrap();
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    for owner in &mut owners {
        assert!(owner.trim() > 0);
        assert_eq!(owner.stored(Family::Dotlog), 0);
    }
    for (owner, copy) in owners.iter_mut().zip(copies).skip(1) {
        owner.disk = Disk(copy, Cell::new(0));
        owner.restart(50);
        assert_eq!(owner.values(), ["old"]);
    }
    let removal = changes(&removal)[0].event.dot;
    assert!(!owners[1].vnode.clock().contains(removal));
    (owners, removal)
}

/// The first page of a full sync, and no other.
pub(super) fn begin_sync(owner: &mut Owner, from: &Owner) {
    owner.vnode.begin_sync(node_of(from));
    let (_, sync) = owner.vnode.next_page().unwrap();
    let stage = Stage::new(&from.disk);
    let page = from.vnode.answer_sync(&sync, &from.limits, &stage).unwrap();
    absorb(owner, &page);
    owner.vnode.abandon_sync();
}

/// Owners compare clocks, pull and sync, until all have all.
fn come_together(owners: &mut [Owner; 3]) -> usize {
    let mut vouched = 0;
    for _ in 0..4 {
        exchange_clocks(owners);
        for owner in &mut *owners {
            vouched += usize::from(owner.commit(|vnode, stage, _| vnode.pay_back(stage)));
        }
        pull_all(owners);
        for asking in 0..3 {
            let mut syncing = std::mem::replace(&mut owners[asking], Owner::new(NODES[asking]));
            for from in owners.iter() {
                if !syncing.vnode.clock().covers(from.vnode.clock()) {
                    sync(&mut syncing, from);
                }
            }
            owners[asking] = syncing;
        }
    }
    let [a, b, c] = owners.each_ref().map(|owner| owner.vnode.clock());
    assert!(a == b && b == c);
    vouched
}

fn node_of(owner: &Owner) -> NodeId {
    NodeId(owner.vnode.actor().node)
}

#[test]
fn a_removal_that_is_lost_in_the_middle_of_a_full_sync_is_known_to_all_owners_or_to_none() {
    let (mut owners, removal) = restored();
    let [source, owner, _] = &mut owners;
    begin_sync(owner, source);
    assert!(owner.values().is_empty());
    assert!(owner.vnode.borrowed().contains(removal));
    lose_the_disk(source);
    assert_eq!(come_together(&mut owners), 1);
    for owner in &owners {
        assert!(owner.values().is_empty());
        assert!(owner.vnode.borrowed().is_empty());
    }
}

#[test]
fn a_restart_remembers_what_was_borrowed() {
    let (mut owners, removal) = restored();
    let [source, owner, _] = &mut owners;
    begin_sync(owner, source);
    lose_the_disk(source);
    owner.restart(51);
    assert!(owner.vnode.borrowed().contains(removal));
    come_together(&mut owners);
    assert!(owners.iter().all(|owner| owner.values().is_empty()));
}

#[test]
fn who_takes_a_row_takes_over_what_it_owes() {
    let (mut owners, removal) = restored();
    let [source, owner, other] = &mut owners;
    begin_sync(owner, source);
    lose_the_disk(source);
    owner.write(3, &Context::default(), put("new")).unwrap();
    other.pull(owner);
    assert_eq!(other.values(), ["new"]);
    assert!(other.vnode.borrowed().contains(removal));
}

#[test]
fn a_pulled_row_borrows_what_is_trimmed_at_its_source() {
    let (mut owners, removal) = restored();
    let [source, owner, _] = &mut owners;
    source.write(3, &Context::default(), put("new")).unwrap();
    owner.pull(source);
    assert_eq!(owner.values(), ["new"]);
    assert!(owner.vnode.borrowed().contains(removal));
    lose_the_disk(source);
    come_together(&mut owners);
    assert!(owners.iter().all(|owner| owner.values() == ["new"]));
}

#[test]
fn what_the_search_for_events_did_not_reach_is_borrowed() {
    let mut owners = NODES.map(Owner::new);
    let old = owners[0].write(1, &Context::default(), put("old")).unwrap();
    pull_all(&mut owners);
    let clear = Action::Clear(Some(Leaf::Value));
    owners[0].write(2, &Context::default(), put("new")).unwrap();
    let removal = owners[0].write(3, &old.contexts[0], clear).unwrap();
    let removal = changes(&removal)[0].event.dot;
    let [source, owner, _] = &mut owners;
    source.limits.events_per_pull = 1;
    owner.pull(source);
    assert_eq!(owner.values(), ["new"]);
    assert!(!owner.vnode.clock().contains(removal));
    assert!(owner.vnode.borrowed().contains(removal));
    lose_the_disk(source);
    come_together(&mut owners);
    assert!(owners.iter().all(|owner| owner.values() == ["new"]));
}

#[test]
fn nobody_vouches_while_the_events_can_still_come() {
    let (mut owners, removal) = restored();
    let [source, owner, _] = &mut owners;
    begin_sync(owner, source);
    let clock = owner.vnode.clock().clone();
    exchange_clocks(&mut owners);
    for owner in &mut owners {
        assert!(!owner.commit(|vnode, stage, _| vnode.pay_back(stage)));
    }
    assert!(owners[1].vnode.borrowed().contains(removal));
    assert_eq!(owners[1].vnode.clock(), &clock);
    assert_eq!(come_together(&mut owners), 0);
    for owner in &owners {
        assert!(owner.values().is_empty());
        assert!(owner.vnode.borrowed().is_empty());
    }
}

#[test]
fn rows_that_owe_something_are_not_compared() {
    let (mut owners, _) = restored();
    let [source, owner, _] = &mut owners;
    begin_sync(owner, source);
    lose_the_disk(source);
    exchange_clocks(&mut owners);
    assert!(!owners[1].vnode.is_catching_up());
    assert!(!owners[1].vnode.may_be_compared());
    come_together(&mut owners);
    assert!(owners[1].vnode.may_be_compared());
}
