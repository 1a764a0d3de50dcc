//! The full sync, for a vnode that lost its disk: rows and records.

use bytes::Bytes;

use super::{
    NODES, Owner, batch, beginning, changes, edit, exchange_clocks, key_of, pull_all, put,
};
use crate::protocol::messages::{Cursor, Page};
use crate::protocol::stage::{Family, Stage};
use crate::protocol::vnode::{Action, Limits, Rejected, Sending, Vnode};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::kinds::rules::Update;
use crdt::{Context, Dot, Hlc};
use ring::NodeId;

/// An increment, a value that was overwritten and one that was deleted, trimmed at all owners.
fn trimmed() -> [Owner; 3] {
    let mut owners = NODES.map(Owner::new);
    let none = Context::default();
    owners[0].write(1, &none, Action::Increment(5)).unwrap();
    let old = owners[0].write(2, &none, put("old")).unwrap();
    owners[0].write(3, &old.contexts[0], put("new")).unwrap();
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    for owner in &mut owners {
        assert!(owner.trim() > 0);
        assert_eq!(owner.stored(Family::Dotlog), 0);
    }
    owners
}

/// Replaces an owner by one with an empty disk.
pub(super) fn lose_the_disk(owner: &mut Owner) {
    let node = NodeId(owner.vnode.actor().node);
    let limits = owner.limits.clone();
    *owner = Owner::new(node);
    owner.vnode = Vnode::recover(super::ID, beginning(node, 99), &owner.disk).unwrap();
    let others = NODES.into_iter().filter(|&other| other != node);
    owner.vnode.set_owners(others);
    owner.limits = limits;
}

/// Syncs from an owner to its end. Returns how many pages that took.
pub(super) fn sync(owner: &mut Owner, from: &Owner) -> usize {
    let node = NodeId(from.vnode.actor().node);
    owner.vnode.begin_sync(node);
    for pages in 1.. {
        let (source, sync) = owner.vnode.next_page().unwrap();
        assert_eq!(source, node);
        let stage = Stage::new(&from.disk);
        let page = from.vnode.answer_sync(&sync, &from.limits, &stage).unwrap();
        absorb(owner, &page);
        if owner.vnode.next_page().is_none() {
            return pages;
        }
    }
    0
}

pub(super) fn absorb(owner: &mut Owner, page: &Page) {
    owner.commit(|vnode, stage, _| vnode.absorb_page(Hlc::at(2_000), page, stage).unwrap());
}

#[test]
fn records_travel_with_a_full_sync_and_retries_are_known_after_it() {
    let mut owners = trimmed();
    lose_the_disk(&mut owners[1]);
    let (from, owner) = owners.split_at_mut(1);
    let (from, owner) = (&mut from[0], &mut owner[0]);
    sync(owner, from);
    assert_eq!((owner.counter(), owner.values()), (5, from.values()));
    assert_eq!(owner.vnode.records(), 3);
    let none = Context::default();
    let again = owner.write(1, &none, Action::Increment(5)).unwrap();
    assert!(again.repeated);
    // Its entry is trimmed; who is known to hold it counts, and nobody has told this owner yet.
    assert_eq!(again.sending, Sending::Held(Vec::new()));
    let reused = owner.write(1, &none, Action::Increment(6));
    assert_eq!(reused, Err(Rejected::OperationReused));
    assert_eq!(owner.counter(), 5);
    owner.restart(100);
    assert_eq!(owner.vnode.records(), 3);
}

#[test]
fn a_full_sync_by_pages_of_one_row_and_one_record_brings_the_same() {
    let mut owners = trimmed();
    lose_the_disk(&mut owners[1]);
    let (from, owner) = owners.split_at_mut(1);
    let (from, owner) = (&mut from[0], &mut owner[0]);
    from.limits.message_bytes = 1;
    // Two rows, and three records.
    assert!(sync(owner, from) >= 5);
    assert_eq!((owner.counter(), owner.values()), (5, from.values()));
    assert_eq!(owner.vnode.records(), 3);
    assert!(owner.vnode.clock().covers(from.vnode.clock()));
    let records = |owner: &Owner| {
        let all = owner
            .disk
            .0
            .iter()
            .filter(|((of, _), _)| *of == Family::Records);
        all.map(|(_, record)| record.clone()).collect::<Vec<_>>()
    };
    assert_eq!(records(owner), records(from));
}

#[test]
fn an_old_copy_with_very_many_rows_is_merged_in_steps() {
    let mut owners = NODES.map(Owner::new);
    let none = Context::default();
    for op in 1..=17 {
        let elements = (0..1_000).map(|element| Bytes::from(format!("{op}-{element}")));
        let add = Action::each(Leaf::Element, elements.collect(), &Update::Add);
        owners[0].write(op, &none, add).unwrap();
        pull_all(&mut owners);
    }
    owners[0].write(18, &none, Action::Clear(None)).unwrap();
    owners[0].purge();
    let (from, owner) = owners.split_at_mut(1);
    let (from, owner) = (&mut from[0], &mut owner[0]);
    assert_eq!(
        (from.stored(Family::Data), owner.stored(Family::Data)),
        (1, 17_000)
    );
    // One page holds all that is there, and is asked for once more. Then come the records.
    assert_eq!(sync(owner, from), 3);
    assert_eq!(owner.stored(Family::Data), from.stored(Family::Data));
}

#[test]
fn a_version_whose_event_is_trimmed_brings_its_record() {
    let mut owners = trimmed();
    lose_the_disk(&mut owners[1]);
    let (from, owner) = owners.split_at_mut(1);
    let (from, owner) = (&mut from[0], &mut owner[0]);
    // A sibling, whose row shows the trimmed version too.
    let none = Context::default();
    from.write(4, &none, put("sibling")).unwrap();
    owner.pull(from);
    assert_eq!(owner.values(), ["new", "sibling"]);
    let reused = owner.write(3, &none, put("another"));
    assert_eq!(reused, Err(Rejected::OperationReused));
    assert_eq!(owner.vnode.records(), 2);
}

#[test]
fn what_counts_twice_at_the_source_is_made_void_after_a_sync() {
    let mut owners = NODES.map(Owner::new);
    for owner in &mut owners[..2] {
        let increment = Action::Increment(5);
        owner.write(1, &Context::default(), increment).unwrap();
    }
    pull_all(&mut owners);
    lose_the_disk(&mut owners[2]);
    let (from, owner) = owners.split_at_mut(2);
    sync(&mut owner[0], &from[0]);
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    assert_eq!(owners[2].void().len(), 1);
    assert_eq!(owners[2].counter(), 5);
}

#[test]
fn a_record_that_came_before_its_effect_does_not_answer_for_it() {
    let mut owners = NODES.map(Owner::new);
    let none = Context::default();
    let first = owners[0].write(1, &none, Action::Increment(5)).unwrap();
    let [from, owner, _] = &mut owners;
    owner.vnode.begin_sync(NODES[0]);
    // The rows of the first page, and then a write at the source whose record is in the next.
    let (_, sync) = owner.vnode.next_page().unwrap();
    let stage = Stage::new(&from.disk);
    let rows = from.vnode.answer_sync(&sync, &from.limits, &stage).unwrap();
    assert_eq!(rows.next, Some(Cursor::Records));
    absorb(owner, &rows);
    assert_eq!(owner.counter(), 5);
    let second = from.write(2, &none, Action::Increment(7)).unwrap();
    let (_, sync) = owner.vnode.next_page().unwrap();
    let stage = Stage::new(&from.disk);
    let records = from.vnode.answer_sync(&sync, &from.limits, &stage).unwrap();
    absorb(owner, &records);
    assert_eq!(owner.vnode.records(), 2);
    let again = owner.write(1, &none, Action::Increment(5)).unwrap();
    assert!(again.repeated);
    let entered = owner.write(2, &none, Action::Increment(7)).unwrap();
    assert!(!entered.repeated);
    // Now both have entered it, and it counts once in the end.
    assert_eq!(changes(&first).len() + changes(&second).len(), 2);
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    owners[2].void();
    (0..2).for_each(|_| pull_all(&mut owners));
    assert!(owners.iter().all(|owner| owner.counter() == 12));
}

#[test]
fn a_page_of_another_life_of_the_source_ends_the_sync() {
    let mut owners = trimmed();
    lose_the_disk(&mut owners[1]);
    let (from, owner) = owners.split_at_mut(1);
    let (from, owner) = (&mut from[0], &mut owner[0]);
    owner.vnode.begin_sync(NODES[0]);
    let next = |owner: &Owner, from: &Owner| {
        let (_, sync) = owner.vnode.next_page().unwrap();
        let stage = Stage::new(&from.disk);
        from.vnode.answer_sync(&sync, &from.limits, &stage).unwrap()
    };
    let page = next(owner, from);
    absorb(owner, &page);
    from.restart(8);
    let page = next(owner, from);
    absorb(owner, &page);
    assert!(owner.vnode.next_page().is_none());
    assert!(owner.vnode.records() < 3);
    sync(owner, from);
    assert_eq!(owner.vnode.records(), 3);
}

#[test]
fn what_is_over_at_the_source_waits_for_the_end_of_the_full_sync_that_leaves_it_out() {
    let mut owners = trimmed();
    let deleted = Dot::new(owners[0].vnode.actor(), 2);
    lose_the_disk(&mut owners[1]);
    let (from, owner) = owners.split_at_mut(1);
    let (from, owner) = (&mut from[0], &mut owner[0]);
    from.limits.message_bytes = 1;
    assert!(!owner.vnode.awaits(deleted), "the pages to come settle it");
    owner.vnode.begin_sync(NODES[0]);
    let (_, sync_from) = owner.vnode.next_page().unwrap();
    let stage = Stage::new(&from.disk);
    let page = from.vnode.answer_sync(&sync_from, &from.limits, &stage);
    absorb(owner, &page.unwrap());
    assert!(owner.vnode.awaits(deleted), "its page may have passed");
    sync(owner, from);
    assert!(!owner.vnode.awaits(deleted) && owner.vnode.clock().contains(deleted));
}

#[test]
fn a_full_sync_enters_nothing_above_a_hole_that_is_still_to_be_pulled() {
    let mut owners = NODES.map(Owner::new);
    let none = Context::default();
    let clear = || Action::Clear(Some(Leaf::Value));
    let old = owners[0].write(1, &none, put("old")).unwrap();
    let put_aside = batch(2, vec![(key_of(b"aside"), vec![edit(&[], put("aside"))])]);
    let aside = owners[0].run(&put_aside).unwrap();
    let mut remove_it = batch(3, vec![(key_of(b"aside"), vec![edit(&[], clear())])]);
    remove_it.targets[0].context = aside.contexts[0].clone();
    owners[0].run(&remove_it).unwrap();
    let removal = owners[0].write(4, &old.contexts[0], clear()).unwrap();
    // What happened aside is at no other owner, so it alone stays logged.
    for owner in &mut owners[1..] {
        owner.receive(changes(&old));
        owner.receive(changes(&removal));
    }
    exchange_clocks(&mut owners);
    assert_eq!((owners[0].trim(), owners[0].stored(Family::Dotlog)), (2, 2));
    lose_the_disk(&mut owners[1]);
    exchange_clocks(&mut owners);
    let (from, owner) = owners.split_at_mut(1);
    let (from, owner) = (&mut from[0], &mut owner[0]);
    // The search for what comes with the rows ends before the removal of what is aside.
    from.limits.events_per_pull = 1;
    sync(owner, from);
    let dot = |counter| Dot::new(from.vnode.actor(), counter);
    let has =
        |owner: &Owner| [1, 2, 3, 4].map(|counter| owner.vnode.clock().contains(dot(counter)));
    assert_eq!(has(owner), [true, true, false, false]);
    let mut trimmed = DotSet::default();
    trimmed.insert(dot(4));
    assert!(
        !owner.vnode.needs_sync(NODES[0], &trimmed),
        "it was brought"
    );
    from.limits = Limits::default();
    owner.pull(from);
    assert_eq!(has(owner), [true; 4]);
    assert!(owner.values().is_empty());
}
