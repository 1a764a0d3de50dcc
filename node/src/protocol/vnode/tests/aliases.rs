//! A write that was retried elsewhere is one version under several names: who covers one of them
//! covers all, in whatever order they arrive.

use bytes::Bytes;

use super::{NODES, Owner, changes, key, pull_all, put};
use crate::protocol::keys::RowKey;
use crate::protocol::messages::Change;
use crate::protocol::vnode::Action;
use crdt::Context;
use crdt::kinds::rules::Update;
use crdt::kinds::{Leaf, register};

/// What is written twice, what removes it, what writes over it, and its row.
struct Case {
    write: Action,
    remove: Action,
    overwrite: Action,
    row: RowKey,
}

fn cases() -> [Case; 4] {
    let e = || vec![Bytes::from("e")];
    [
        Case {
            write: put("a"),
            remove: Action::Clear(Some(Leaf::Value)),
            overwrite: put("b"),
            row: key().row(Leaf::Value, b""),
        },
        Case {
            write: Action::each(Leaf::Element, e(), &Update::Add),
            remove: Action::each(Leaf::Element, e(), &Update::Remove),
            overwrite: Action::each(Leaf::Element, e(), &Update::Add),
            row: key().row(Leaf::Element, b"e"),
        },
        Case {
            write: Action::each(Leaf::Item, e(), &Update::Insert("a".into())),
            remove: Action::each(Leaf::Item, e(), &Update::Remove),
            overwrite: Action::each(Leaf::Item, e(), &Update::Insert("b".into())),
            row: key().row(Leaf::Item, b"e"),
        },
        Case {
            write: Action::one(Leaf::Register, Update::Assign("a".into())),
            remove: Action::Clear(Some(Leaf::Register)),
            overwrite: Action::one(Leaf::Register, Update::Assign("b".into())),
            row: key().row(Leaf::Register, b""),
        },
    ]
}

/// One write entered at the first and, as a retry, at the second owner, and what came after it at
/// the second, which had not heard of the first.
struct History {
    owners: [Owner; 3],
    first: Vec<Change>,
    retried: Vec<Change>,
    after: Vec<Change>,
}

fn history(write: &Action, after: &Action) -> History {
    let mut owners = NODES.map(Owner::new);
    let none = Context::default();
    let first = owners[0].write(1, &none, write.clone()).unwrap();
    let retried = owners[1].write(1, &none, write.clone()).unwrap();
    assert!(!retried.repeated);
    // A client that has seen the retry's dot and nothing else.
    let after = owners[1].write(2, &retried.contexts[0], after.clone());
    History {
        owners,
        first: changes(&first).to_vec(),
        retried: changes(&retried).to_vec(),
        after: changes(&after.unwrap()).to_vec(),
    }
}

#[test]
fn a_first_dot_that_arrives_after_the_retry_was_deleted_does_not_come_back() {
    for Case {
        write, remove, row, ..
    } in cases()
    {
        let mut history = history(&write, &remove);
        let third = &mut history.owners[2];
        third.receive(&history.retried);
        third.receive(&history.after);
        let removals = third.receive(&history.first);
        assert_eq!(removals.len(), 1);
        assert!(third.row(&row).versions().is_empty(), "{row}");
        assert_eq!(removals[0].event.operation, None);
    }
}

#[test]
fn a_first_dot_that_arrived_before_the_delete_of_the_retry_goes_with_it() {
    for Case {
        write, remove, row, ..
    } in cases()
    {
        let mut history = history(&write, &remove);
        let third = &mut history.owners[2];
        assert!(third.receive(&history.first).is_empty());
        assert!(third.receive(&history.retried).is_empty());
        assert_eq!(third.row(&row).versions().len(), 2);
        let removals = third.receive(&history.after);
        assert_eq!(removals.len(), 1);
        assert!(third.row(&row).versions().is_empty(), "{row}");
    }
}

#[test]
fn a_retry_that_arrives_after_its_first_dot_was_deleted_does_not_come_back() {
    for Case {
        write, remove, row, ..
    } in cases()
    {
        let mut owners = NODES.map(Owner::new);
        let none = Context::default();
        let first = owners[0].write(1, &none, write.clone()).unwrap();
        let removed = owners[0].write(2, &first.contexts[0], remove).unwrap();
        let retried = owners[1].write(1, &none, write).unwrap();
        let third = &mut owners[2];
        for written in [&first, &removed, &retried] {
            third.receive(changes(written));
        }
        assert!(third.row(&row).versions().is_empty(), "{row}");
    }
}

#[test]
fn the_owner_that_entered_the_first_dot_drops_it_when_it_pulls_the_delete() {
    for Case {
        write, remove, row, ..
    } in cases()
    {
        let mut history = history(&write, &remove);
        // The removals that the owners make in answer are events, which travel too.
        (0..2).for_each(|_| pull_all(&mut history.owners));
        for owner in &history.owners {
            assert!(owner.row(&row).versions().is_empty(), "{row}");
            assert_eq!(owner.vnode.clock(), history.owners[0].vnode.clock());
        }
    }
}

#[test]
fn what_was_written_over_the_retry_stays_and_is_alone() {
    for Case {
        write,
        overwrite,
        row,
        ..
    } in cases()
    {
        let mut history = history(&write, &overwrite);
        let kept = history.after[0].event.dot;
        (0..2).for_each(|_| pull_all(&mut history.owners));
        for owner in &history.owners {
            let shown: Vec<_> = owner.row(&row).versions().keys().copied().collect();
            assert_eq!(shown, [kept], "{row}");
        }
    }
}

#[test]
fn a_concurrent_write_of_another_operation_survives_the_delete() {
    for Case {
        write,
        remove,
        overwrite,
        row,
    } in cases()
    {
        let mut history = history(&write, &remove);
        let [_, _, third] = &mut history.owners;
        let other = third.write(3, &Context::default(), overwrite).unwrap();
        let kept = changes(&other)[0].event.dot;
        (0..2).for_each(|_| pull_all(&mut history.owners));
        for owner in &history.owners {
            let shown: Vec<_> = owner.row(&row).versions().keys().copied().collect();
            assert_eq!(shown, [kept], "{row}");
        }
    }
}

#[test]
fn two_names_of_one_write_are_shown_once_until_one_is_covered() {
    let mut owners = NODES.map(Owner::new);
    let none = Context::default();
    for owner in &mut owners[..2] {
        owner.write(1, &none, put("a")).unwrap();
        owner
            .write(
                2,
                &none,
                Action::one(Leaf::Register, Update::Assign("r".into())),
            )
            .unwrap();
    }
    pull_all(&mut owners);
    for owner in &owners {
        assert_eq!(owner.values(), ["a"]);
        let row = owner.row(&key().row(Leaf::Register, b""));
        assert_eq!(row.versions().len(), 2);
        assert_eq!(register::latest(&row).unwrap().value, "r");
    }
}

#[test]
fn aliases_are_known_after_a_restart() {
    for Case {
        write, remove, row, ..
    } in cases()
    {
        let mut history = history(&write, &remove);
        let third = &mut history.owners[2];
        third.receive(&history.first);
        third.receive(&history.retried);
        third.restart(8);
        third.receive(&history.after);
        assert!(third.row(&row).versions().is_empty(), "{row}");
    }
}
