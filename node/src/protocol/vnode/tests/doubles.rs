//! Operations of several rows that were entered at two coordinators count once, and nothing is made
//! void before every owner holds the copy that counts.

use super::{
    NODES, Owner, batch, changes, command, edit, exchange_clocks, key, key_of, pull_all,
    tell_clocks,
};
use crate::protocol::vnode::{Action, Command};
use crdt::Context;
use crdt::kinds::counter::Share;
use crdt::kinds::rules::Update;
use crdt::kinds::{Leaf, set};
use ring::NodeId;

/// Two counters and an element, in three fields of one map.
fn of_a_map(op: u64) -> Command {
    command(
        op,
        vec![
            edit(&["likes"], Action::Increment(5)),
            edit(
                &["tags"],
                Action::each(Leaf::Element, vec!["x".into()], &Update::Add),
            ),
            edit(&["views"], Action::Increment(7)),
        ],
    )
}

/// The values of the two counters.
fn counts(owner: &Owner) -> (i128, i128) {
    let of = |name| owner.counter_at(&key(), &[name]);
    (of("likes"), of("views"))
}

#[test]
fn a_retry_of_several_rows_makes_each_of_its_increments_void_once() {
    let mut owners = NODES.map(Owner::new);
    // The third has counted before, so places and not counters tell which dots belong together.
    owners[1].run(&of_a_map(9)).unwrap();
    for owner in &mut owners[..2] {
        assert_eq!(changes(&owner.run(&of_a_map(1)).unwrap()).len(), 3);
    }
    pull_all(&mut owners);
    assert!(owners.iter().all(|owner| counts(owner) == (15, 21)));
    exchange_clocks(&mut owners);
    for owner in &mut owners {
        // Two increments, and nothing for the element.
        assert_eq!(owner.void().len(), 2);
        assert!(owner.void().is_empty());
    }
    pull_all(&mut owners);
    for owner in &owners {
        assert_eq!(counts(owner), (10, 14));
        let element = key().row_at(&super::path(&["tags"]), Leaf::Element, b"x");
        assert!(set::contains(&owner.row(&element)));
    }
}

#[test]
fn a_batch_of_keys_that_was_entered_twice_counts_once_in_each() {
    let mut owners = NODES.map(Owner::new);
    let increments = |amount| vec![edit(&[], Action::Increment(amount))];
    let changed = vec![(key_of(b"1"), increments(3)), (key_of(b"2"), increments(4))];
    let command = batch(1, changed);
    owners[2].run(&command).unwrap();
    owners[0].run(&command).unwrap();
    let once = |owner: &Owner| [b"1", b"2"].map(|sort| owner.counter_at(&key_of(sort), &[]));
    pull_all(&mut owners);
    assert!(owners.iter().all(|owner| once(owner) == [6, 8]));
    exchange_clocks(&mut owners);
    assert_eq!(owners[1].void().len(), 2);
    (0..2).for_each(|_| pull_all(&mut owners));
    assert!(owners.iter().all(|owner| once(owner) == [3, 4]));
}

#[test]
fn nothing_is_made_void_before_every_owner_holds_the_winner_durably() {
    let mut owners = NODES.map(Owner::new);
    for owner in &mut owners[..2] {
        let increment = Action::Increment(5);
        owner.write(1, &Context::default(), increment).unwrap();
    }
    // Not before all have it.
    exchange_clocks(&mut owners);
    assert!(owners.iter_mut().all(|owner| owner.void().is_empty()));
    pull_all(&mut owners);
    assert!(owners.iter().all(|owner| owner.counter() == 10));
    // Not before all have it on their disks.
    owners[..2]
        .iter_mut()
        .for_each(|owner| owner.vnode.handle_synced());
    tell_clocks(&mut owners);
    assert!(owners.iter_mut().all(|owner| owner.void().is_empty()));
    // Not before the others have heard of it.
    owners[2].vnode.handle_synced();
    assert!(owners[..2].iter_mut().all(|owner| owner.void().is_empty()));
    tell_clocks(&mut owners);
    assert!(owners.iter_mut().all(|owner| owner.void().len() == 1));
    assert!(owners.iter().all(|owner| owner.counter() == 5));
}

#[test]
fn nothing_is_made_void_by_what_an_owner_held_on_a_disk_that_it_has_lost() {
    let mut owners = NODES.map(Owner::new);
    let increment = |owner: &mut Owner| {
        let written = owner.write(1, &Context::default(), Action::Increment(5));
        changes(&written.unwrap()).to_vec()
    };
    increment(&mut owners[0]);
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    // The third has lost the winner, enters the retry, and the others have not heard of it since.
    owners[2].disk = Default::default();
    owners[2].restart(8);
    let copy = increment(&mut owners[2]);
    for owner in &mut owners[..2] {
        owner.receive(&copy);
        owner.vnode.handle_synced();
        assert!(owner.void().is_empty());
    }
    tell_clocks(&mut owners);
    assert!(owners.iter_mut().all(|owner| owner.void().is_empty()));
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    assert!(owners.iter_mut().all(|owner| owner.void().len() == 1));
    assert!(owners.iter().all(|owner| owner.counter() == 5));
}

#[test]
fn what_counts_twice_is_made_void_after_a_restart_too() {
    let mut owners = NODES.map(Owner::new);
    for owner in &mut owners[..2] {
        let increment = Action::Increment(5);
        owner.write(1, &Context::default(), increment).unwrap();
    }
    pull_all(&mut owners);
    owners[1].restart(8);
    exchange_clocks(&mut owners);
    assert_eq!(owners[1].void().len(), 1);
    assert_eq!(owners[1].counter(), 5);
}

#[test]
fn a_reset_that_took_the_loser_away_leaves_nothing_to_make_void() {
    let mut owners = NODES.map(Owner::new);
    for owner in &mut owners[..2] {
        let increment = Action::Increment(5);
        owner.write(1, &Context::default(), increment).unwrap();
    }
    let reset = Action::Clear(Some(Leaf::Share));
    owners[1].write(2, &Context::default(), reset).unwrap();
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    assert!(owners.iter_mut().all(|owner| owner.void().is_empty()));
    let loser = key().share(&super::path(&[]), owners[1].vnode.actor());
    let share = Share::of(&owners[0].row(&loser)).unwrap();
    assert_eq!((share.value(), share.voids()), (0, 0));
}

#[test]
fn a_record_is_kept_while_its_increment_counts_twice() {
    let mut owners = NODES.map(Owner::new);
    for owner in &mut owners[..2] {
        let increment = Action::Increment(5);
        owner.write(1, &Context::default(), increment).unwrap();
    }
    pull_all(&mut owners);
    let late = 100 * 60 * 1_000;
    let sweep = |owner: &mut Owner| {
        owner.commit(|vnode, stage, limits| vnode.sweep_records(late, limits, stage).unwrap())
    };
    assert_eq!(sweep(&mut owners[0]), 0);
    exchange_clocks(&mut owners);
    assert_eq!(owners[0].void().len(), 1);
    assert_eq!(sweep(&mut owners[0]), 1);
    assert_eq!(owners[0].vnode.records(), 0);
    assert_eq!(owners[0].vnode.actor().node, NodeId(1).0);
}
