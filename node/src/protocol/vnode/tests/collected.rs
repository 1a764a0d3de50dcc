//! A counter that was reset leaves nothing behind, and nothing that comes late brings it back.

use std::cell::Cell;

use super::syncing::{lose_the_disk, sync};
use super::{
    Disk, NODES, Owner, batch, changes, command, edit, exchange_clocks, key, key_of, path, pull_all,
};
use crate::protocol::keys::RowKey;
use crate::protocol::messages::Change;
use crate::protocol::stage::Family;
use crate::protocol::vnode::{Action, Rejected, Written};
use crdt::Context;
use crdt::kinds::Leaf;
use crdt::kinds::counter::Share;

type Done = Result<Written, Rejected>;

fn count(owner: &mut Owner, op: u64, amount: i64) -> Done {
    owner.write(op, &Context::default(), Action::Increment(amount))
}

fn reset(owner: &mut Owner, op: u64) -> Done {
    let clear = Action::Clear(Some(Leaf::Share));
    owner.write(op, &Context::default(), clear)
}

fn share_of(owner: &Owner) -> RowKey {
    key().share(&path(&[]), owner.vnode.actor())
}

/// All pull, tell what they hold, and trim, as often as it takes. Returns the shares removed.
fn rest(owners: &mut [Owner]) -> usize {
    let mut removed = 0;
    for _ in 0..3 {
        pull_all(owners);
        exchange_clocks(owners);
        removed += owners
            .iter_mut()
            .map(|o| o.tidy().answers.len())
            .sum::<usize>();
    }
    removed
}

/// The first has counted 31 and all have it, and the reset that the second made. Returns the
/// removal of the share, which only the first has.
fn removed(owners: &mut [Owner]) -> Vec<Change> {
    count(&mut owners[0], 1, 25).unwrap();
    count(&mut owners[0], 2, 6).unwrap();
    pull_all(owners);
    reset(&mut owners[1], 3).unwrap();
    pull_all(owners);
    exchange_clocks(owners);
    let removal = owners[0].tidy().answers;
    assert_eq!(removal.len(), 1);
    removal
}

fn values(owners: &[Owner]) -> Vec<i128> {
    owners.iter().map(Owner::counter).collect()
}

#[test]
fn a_reset_counter_leaves_no_row_and_no_entry() {
    let mut owners = NODES.map(Owner::new);
    for (owner, op) in owners.iter_mut().zip(1..) {
        count(owner, op, 5).unwrap();
    }
    pull_all(&mut owners);
    reset(&mut owners[2], 4).unwrap();
    assert_eq!(rest(&mut owners), 3);
    for owner in &owners {
        assert_eq!(
            (owner.stored(Family::Data), owner.stored(Family::Dotlog)),
            (0, 0)
        );
        assert_eq!(owner.counter(), 0);
    }
}

#[test]
fn counters_in_a_map_leave_neither_rows_nor_marks() {
    let mut owners = NODES.map(Owner::new);
    let counters = vec![
        edit(&["likes"], Action::Increment(5)),
        edit(&["of", "views"], Action::Increment(7)),
    ];
    for (owner, op) in owners.iter_mut().zip(1..) {
        owner.run(&command(op, counters.clone())).unwrap();
    }
    pull_all(&mut owners);
    owners[1]
        .run(&command(9, vec![edit(&[], Action::Clear(None))]))
        .unwrap();
    assert_eq!(rest(&mut owners), 6);
    for owner in &owners {
        assert_eq!(
            (owner.stored(Family::Data), owner.stored(Family::Dotlog)),
            (0, 0)
        );
        // The checkpoint alone.
        assert_eq!(owner.stored(Family::Meta), 1);
    }
}

#[test]
fn a_share_stays_until_every_owner_holds_its_reset_durably() {
    let mut owners = NODES.map(Owner::new);
    count(&mut owners[0], 1, 5).unwrap();
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    let made = reset(&mut owners[1], 2).unwrap();
    owners[0].receive(changes(&made));
    exchange_clocks(&mut owners);
    assert!(
        owners
            .iter_mut()
            .all(|owner| owner.tidy().answers.is_empty())
    );
    owners[2].receive(changes(&made));
    exchange_clocks(&mut owners);
    let made = owners.each_mut().map(|owner| owner.tidy().answers.len());
    assert_eq!(made, [1, 0, 0]);
}

#[test]
fn an_increment_that_the_reset_did_not_see_keeps_the_share() {
    let mut owners = NODES.map(Owner::new);
    count(&mut owners[0], 1, 5).unwrap();
    pull_all(&mut owners);
    reset(&mut owners[1], 2).unwrap();
    count(&mut owners[0], 3, 2).unwrap();
    assert_eq!(rest(&mut owners), 0);
    assert_eq!(values(&owners), [2, 2, 2]);
    reset(&mut owners[2], 4).unwrap();
    assert_eq!(rest(&mut owners), 1);
    assert!(owners.iter().all(|owner| owner.stored(Family::Data) == 0));
}

#[test]
fn an_increment_after_the_removal_counts_alone_in_whatever_order_they_arrive() {
    let mut owners = NODES.map(Owner::new);
    let removal = removed(&mut owners);
    let anew = count(&mut owners[0], 4, 5).unwrap();
    owners[1].receive(changes(&anew));
    assert_eq!(
        owners[1].counter(),
        5,
        "beside what is left of the old share"
    );
    owners[1].receive(&removal);
    owners[2].receive(&removal);
    owners[2].receive(changes(&anew));
    assert_eq!(values(&owners), [5, 5, 5]);
    let share = share_of(&owners[0]);
    let [one, two, three] = owners.each_ref().map(|owner| owner.row(&share));
    assert!(one.versions() == two.versions() && two.versions() == three.versions());
    // Without the removal, which is lost with the first disk.
    let mut owners = NODES.map(Owner::new);
    removed(&mut owners);
    let anew = count(&mut owners[0], 4, 5).unwrap();
    owners[1..]
        .iter_mut()
        .for_each(|owner| drop(owner.receive(changes(&anew))));
    assert_eq!(values(&owners), [5, 5, 5]);
}

#[test]
fn an_owner_that_was_away_through_all_of_it_agrees() {
    let mut owners = NODES.map(Owner::new);
    removed(&mut owners);
    count(&mut owners[0], 4, 5).unwrap();
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    owners.iter_mut().for_each(|owner| drop(owner.tidy()));
    lose_the_disk(&mut owners[2]);
    let [first, _, third] = &mut owners;
    third.pull(first);
    sync(third, first);
    assert_eq!(values(&owners), [5, 5, 5]);
}

/// The third disk is a copy from before the reset; on it, an increment is still to be made void.
#[test]
fn what_a_disk_that_was_put_back_makes_of_a_removed_share_shows_nothing() {
    let mut owners = NODES.map(Owner::new);
    count(&mut owners[1], 1, 6).unwrap();
    count(&mut owners[0], 9, 25).unwrap();
    count(&mut owners[0], 1, 6).unwrap();
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    let copy = owners[2].disk.0.clone();
    reset(&mut owners[1], 3).unwrap();
    assert_eq!(rest(&mut owners), 2);
    owners[2].disk = Disk(copy, Cell::new(0));
    owners[2].restart(50);
    for at in 0..2 {
        let peer = NODES[at];
        let fingerprint = owners[2].vnode.fingerprint(peer).unwrap();
        let difference = owners[at].vnode.difference(&fingerprint).unwrap();
        let now = crate::protocol::time::Time::default();
        owners[2].vnode.handle_difference(now, peer, difference);
    }
    let void = owners[2].void();
    let reset = reset(&mut owners[2], 4).unwrap();
    assert_eq!((void.len(), changes(&reset).len()), (1, 2));
    for owner in &mut owners[..2] {
        owner.receive(&void);
        assert_eq!(owner.counter(), 0);
        owner.receive(changes(&reset));
        assert_eq!(owner.counter(), 0);
    }
    // The first is still there, and counts on.
    let anew = count(&mut owners[0], 5, 5).unwrap();
    owners[1].receive(changes(&anew));
    assert_eq!(values(&owners[..2]), [5, 5]);
}

#[test]
fn a_retry_is_known_after_its_share_is_removed() {
    let mut owners = NODES.map(Owner::new);
    let removal = removed(&mut owners);
    owners[1..]
        .iter_mut()
        .for_each(|owner| drop(owner.receive(&removal)));
    for owner in &mut owners {
        assert!(count(owner, 1, 25).unwrap().repeated);
    }
    assert_eq!(values(&owners), [0, 0, 0]);
}

#[test]
fn a_copy_whose_share_is_removed_needs_no_void_and_holds_up_no_record() {
    let mut owners = NODES.map(Owner::new);
    count(&mut owners[0], 1, 5).unwrap();
    count(&mut owners[1], 1, 5).unwrap();
    pull_all(&mut owners);
    reset(&mut owners[2], 2).unwrap();
    assert_eq!(rest(&mut owners), 2);
    let late = 100 * 60 * 1_000;
    for owner in &mut owners {
        assert_eq!(owner.stored(Family::Data), 0);
        assert!(owner.void().is_empty());
        let sweep = owner.commit(|vnode, stage, limits| vnode.sweep_records(late, limits, stage));
        assert_eq!((sweep, owner.vnode.records()), (Ok(2), 0));
    }
}

#[test]
fn the_share_of_an_actor_that_is_no_more_stays() {
    let mut owners = NODES.map(Owner::new);
    count(&mut owners[0], 1, 5).unwrap();
    pull_all(&mut owners);
    let share = share_of(&owners[0]);
    owners[0].restart(8);
    reset(&mut owners[1], 2).unwrap();
    assert_eq!(rest(&mut owners), 0);
    for owner in &owners {
        assert!(Share::of(&owner.row(&share)).unwrap().is_reset());
        assert_eq!(
            (owner.stored(Family::Data), owner.stored(Family::Dotlog)),
            (1, 0)
        );
    }
}

#[test]
fn many_shares_go_in_several_passes() {
    let mut owners = NODES.map(Owner::new);
    let names: Vec<Vec<u8>> = (0..600_u16).map(|n| n.to_be_bytes().to_vec()).collect();
    let all = |action: &Action| {
        let keys = names.iter().map(|name| key_of(name));
        keys.map(|key| (key, vec![edit(&[], action.clone())]))
            .collect()
    };
    owners[0]
        .run(&batch(1, all(&Action::Increment(1))))
        .unwrap();
    owners[0].run(&batch(2, all(&Action::Clear(None)))).unwrap();
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    let first = owners[0].tidy();
    assert_eq!((first.answers.len(), first.has_more), (512, true));
    assert_eq!(owners[0].tidy().answers.len(), 88);
    assert_eq!(rest(&mut owners), 0);
    assert!(owners.iter().all(|owner| owner.stored(Family::Data) == 0));
}
