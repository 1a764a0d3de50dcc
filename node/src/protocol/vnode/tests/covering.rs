//! An add and an assignment cover what their coordinator has. So a copy of a write may stand for
//! what others wrote, which must not go with another copy that was removed without it.

use bytes::Bytes;

use super::{NODES, Owner, changes, key, pull_all};
use crate::protocol::keys::RowKey;
use crate::protocol::vnode::{Action, Written};
use crdt::kinds::rules::Update;
use crdt::kinds::{Leaf, register, remove_wins};

/// An element of a set, and a register: what puts it there, what removes it, and its row.
fn cases() -> [(Action, Action, RowKey); 2] {
    let e = || vec![Bytes::from("e")];
    [
        (
            Action::each(Leaf::Element, e(), &Update::Add),
            Action::each(Leaf::Element, e(), &Update::Remove),
            key().row(Leaf::Element, b"e"),
        ),
        (
            assign("a"),
            Action::Clear(Some(Leaf::Register)),
            key().row(Leaf::Register, b""),
        ),
    ]
}

fn assign(value: &'static str) -> Action {
    Action::one(Leaf::Register, Update::Assign(value.into()))
}

/// Writes at an owner what it is told to, `age_ms` after the first try.
fn write(owner: &mut Owner, operation: u64, age_ms: u64, action: Action) -> Written {
    let mut command = super::command(operation, vec![super::edit(&[], action)]);
    command.age_ms = age_ms;
    owner.run(&command).unwrap()
}

fn count(owner: &Owner, row: &RowKey) -> usize {
    owner.row(row).versions().len()
}

/// Lets the owners pull until nothing is left, removals of aliases too: then each shows as many.
fn end_with(mut owners: [Owner; 3], row: &RowKey, versions: usize) {
    (0..2).for_each(|_| pull_all(&mut owners));
    for owner in &owners {
        assert_eq!(count(owner, row), versions, "{row}");
    }
}

/// Two writers put the same thing there, and the first one's retry comes to an owner that has heard
/// of the second alone: each copy covers the other operation, and nobody has removed anything.
#[test]
fn what_only_other_writes_have_covered_stays() {
    for age_ms in [0, 1_000] {
        for (put, _, row) in cases() {
            let mut owners = NODES.map(Owner::new);
            write(&mut owners[0], 1, 0, put.clone());
            let second = write(&mut owners[0], 2, 0, put.clone());
            owners[1].receive(changes(&second));
            write(&mut owners[1], 1, age_ms, put.clone());
            end_with(owners, &row, 1);
        }
    }
}

/// The first copy was written over what the third writer put there, and the second copy, which was
/// not, is removed.
#[test]
fn what_a_copy_alone_was_written_over_does_not_go_with_another_copy() {
    for (put, remove, row) in cases() {
        let mut owners = NODES.map(Owner::new);
        write(&mut owners[0], 3, 0, put.clone());
        write(&mut owners[0], 1, 0, put.clone());
        write(&mut owners[1], 1, 1_000, put);
        write(&mut owners[1], 2, 0, remove);
        assert_eq!(count(&owners[1], &row), 0, "{row}");
        end_with(owners, &row, 1);
    }
}

/// As before, but whoever removed the second copy has removed what the first one was written over.
#[test]
fn a_copy_goes_with_another_if_what_it_covers_is_gone_without_it() {
    for (put, remove, row) in cases() {
        let mut owners = NODES.map(Owner::new);
        let third = write(&mut owners[0], 3, 0, put.clone());
        owners[1].receive(changes(&third));
        write(&mut owners[0], 1, 0, put.clone());
        write(&mut owners[1], 1, 1_000, put);
        assert_eq!(count(&owners[1], &row), 2, "{row}");
        write(&mut owners[1], 2, 0, remove);
        end_with(owners, &row, 0);
    }
}

/// Both copies were written over the same: then either goes with the other, wherever it is.
#[test]
fn copies_that_were_written_over_the_same_go_together() {
    for (put, remove, row) in cases() {
        let mut owners = NODES.map(Owner::new);
        let third = write(&mut owners[0], 3, 0, put.clone());
        owners[1].receive(changes(&third));
        owners[2].receive(changes(&third));
        let first = write(&mut owners[0], 1, 0, put.clone());
        let again = write(&mut owners[1], 1, 0, put);
        let removed = write(&mut owners[1], 2, 0, remove);
        for written in [&first, &again, &removed] {
            owners[2].receive(changes(written));
        }
        assert_eq!(count(&owners[2], &row), 0, "{row}");
    }
}

/// A retry stands beside what was assigned since its first try, and goes when that one is heard of.
#[test]
fn a_retry_does_not_beat_what_was_assigned_over_its_first_try() {
    let mut owners = NODES.map(Owner::new);
    let row = key().row(Leaf::Register, b"");
    write(&mut owners[0], 1, 0, assign("first"));
    let second = write(&mut owners[0], 2, 0, assign("second"));
    owners[1].receive(changes(&second));
    write(&mut owners[1], 1, 1_000, assign("first"));
    assert_eq!(count(&owners[1], &row), 2);
    (0..2).for_each(|_| pull_all(&mut owners));
    for owner in &owners {
        assert_eq!(count(owner, &row), 1);
        assert_eq!(register::latest(&owner.row(&row)).unwrap().value, "second");
    }
}

/// What stands beside each other is covered by the next write.
#[test]
fn retries_leave_no_more_standing_than_a_bound() {
    let mut owner = Owner::new(NODES[0]);
    let row = key().row(Leaf::Register, b"");
    for operation in 1..100 {
        write(&mut owner, operation, 1_000, assign("again"));
        assert!(count(&owner, &row) <= 17);
    }
    write(&mut owner, 100, 0, assign("once"));
    assert_eq!(count(&owner, &row), 1);
}

/// Who goes on from the answer to a retry writes over what it left standing, as after a first try.
#[test]
fn a_removal_after_a_retry_takes_what_was_there_before_it() {
    for (put, remove, row) in cases() {
        let mut owner = Owner::new(NODES[0]);
        write(&mut owner, 1, 0, put.clone());
        let again = {
            let mut command = super::command(5_000, vec![super::edit(&[], put)]);
            command.age_ms = 100;
            owner.run(&command).unwrap()
        };
        assert_eq!(count(&owner, &row), 2, "{row}");
        owner.write(5_001, &again.contexts[0], remove).unwrap();
        assert_eq!(count(&owner, &row), 0, "{row}");
    }
}

/// A sketch holds what it covers: there is nothing to spare.
#[test]
fn a_retried_offer_leaves_one_version() {
    let mut owner = Owner::new(NODES[0]);
    let row = key().row(Leaf::Max, b"");
    for operation in 1..9 {
        let offer = Update::Offer(i64::try_from(operation).unwrap());
        write(&mut owner, operation, 1_000, Action::one(Leaf::Max, offer));
        assert_eq!(count(&owner, &row), 1);
    }
}

/// What a version with an end was written over does not come back then.
#[test]
fn a_retry_with_an_end_is_written_over_what_is_older() {
    let mut owner = Owner::new(NODES[0]);
    let row = key().row(Leaf::Register, b"");
    write(&mut owner, 1, 0, assign("older"));
    let mut command = super::command(5_000, vec![super::edit(&[], assign("newer"))]);
    (command.age_ms, command.ttl_ms) = (100, Some(60_000));
    owner.run(&command).unwrap();
    assert_eq!(count(&owner, &row), 1);
    assert_eq!(register::latest(&owner.row(&row)).unwrap().value, "newer");
}

/// In a remove-wins set an add has an effect only over the removals before it. One that is newer
/// than its first try, and was made over something that is not here, may have seen that.
#[test]
fn a_retried_add_takes_effect_over_a_removal_that_has_not_seen_it() {
    let mut owner = Owner::new(NODES[0]);
    let element = |update| Action::each(Leaf::RemoveWinsElement, vec![Bytes::from("e")], &update);
    let row = key().row(Leaf::RemoveWinsElement, b"e");
    write(&mut owner, 1, 0, element(Update::Remove));
    write(&mut owner, 2, 1_000, element(Update::Add));
    assert!(remove_wins::contains(&owner.row(&row)));
    let mut others = [NODES[1], NODES[2]].map(Owner::new);
    write(&mut others[0], 3, 0, element(Update::Add));
    let removed = write(&mut others[0], 4, 0, element(Update::Remove));
    others[1].receive(changes(&removed));
    write(&mut others[1], 3, 1_000, element(Update::Add));
    assert_eq!(count(&others[1], &row), 2);
    assert!(!remove_wins::contains(&others[1].row(&row)));
}
