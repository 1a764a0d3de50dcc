//! Conditions, several changes of one row in one command, and the clearing of maps.

use bytes::Bytes;

use super::{NODES, Owner, changes, command, edit, key, path, pull_all, put};
use crate::protocol::event::Effect;
use crate::protocol::stage::Family;
use crate::protocol::vnode::{Action, Command, Rejected, Sending};
use crdt::Context;
use crdt::kinds::rules::Update;
use crdt::kinds::{Leaf, extremum, hll, set};
use ring::NodeId;

fn add(element: &'static str) -> Action {
    Action::each(Leaf::Element, vec![Bytes::from(element)], &Update::Add)
}

fn remove(element: &'static str) -> Action {
    Action::each(Leaf::Element, vec![Bytes::from(element)], &Update::Remove)
}

/// A put that wants the key to show nothing beyond `context`.
fn conditional(op: u64, context: &Context) -> Command {
    let mut command = command(op, vec![edit(&[], put("new"))]);
    command.targets[0].context = context.clone();
    command.targets[0].only_if_current = true;
    command
}

#[test]
fn a_conditional_write_is_refused_over_what_its_context_does_not_cover() {
    let mut owner = Owner::new(NodeId(1));
    let none = Context::default();
    let first = owner.run(&conditional(1, &none)).unwrap();
    let clock = owner.vnode.clock().clone();
    let refused = owner.run(&conditional(2, &none));
    assert_eq!(refused, Err(Rejected::NotCurrent));
    assert_eq!((owner.vnode.clock(), owner.vnode.records()), (&clock, 1));
    let second = owner.run(&conditional(2, &first.contexts[0])).unwrap();
    // A sibling that the context has not seen is a change too.
    owner.write(3, &none, put("sibling")).unwrap();
    let refused = owner.run(&conditional(4, &second.contexts[0]));
    assert_eq!(refused, Err(Rejected::NotCurrent));
    // What was deleted is shown no more.
    let clear = Action::Clear(Some(Leaf::Value));
    owner.write(5, &none, clear).unwrap();
    owner.run(&conditional(6, &none)).unwrap();
    assert_eq!(owner.values(), ["new"]);
}

#[test]
fn a_condition_is_about_every_row_of_the_key() {
    let mut owner = Owner::new(NodeId(1));
    let none = Context::default();
    let changed = command(1, vec![edit(&["a", "b"], Action::Increment(1))]);
    let seen = owner.run(&changed).unwrap().contexts.remove(0);
    assert_eq!(owner.run(&conditional(2, &none)), Err(Rejected::NotCurrent));
    owner.run(&conditional(3, &seen)).unwrap();
}

#[test]
fn a_retried_conditional_write_is_answered_as_the_first_was() {
    let mut owner = Owner::new(NodeId(1));
    let none = Context::default();
    let first = owner.run(&conditional(1, &none)).unwrap();
    let again = owner.run(&conditional(1, &none)).unwrap();
    assert!(again.repeated);
    assert_eq!(again.contexts, first.contexts);
}

#[test]
fn one_condition_that_fails_fails_the_whole_batch() {
    let mut owner = Owner::new(NodeId(1));
    let (one, two) = (super::key_of(b"1"), super::key_of(b"2"));
    let first = super::batch(1, vec![(two.clone(), vec![edit(&[], put("old"))])]);
    owner.run(&first).unwrap();
    let both = vec![
        (one.clone(), vec![edit(&[], put("new"))]),
        (two, vec![edit(&[], put("new"))]),
    ];
    let mut both = super::batch(2, both);
    for target in &mut both.targets {
        target.only_if_current = true;
    }
    assert_eq!(owner.run(&both), Err(Rejected::NotCurrent));
    assert!(owner.row(&one.row(Leaf::Value, b"")).is_empty());
}

#[test]
fn an_element_that_is_added_and_removed_in_one_command_is_one_event_and_out() {
    for is_there_before in [false, true] {
        let mut owner = Owner::new(NodeId(1));
        if is_there_before {
            owner.write(1, &Context::default(), add("e")).unwrap();
        }
        let both = command(2, vec![edit(&[], add("e")), edit(&[], remove("e"))]);
        let written = owner.run(&both).unwrap();
        assert_eq!(changes(&written).len(), 1);
        assert!(owner.row(&key().row(Leaf::Element, b"e")).is_empty());
    }
}

#[test]
fn an_element_that_is_removed_and_added_in_one_command_is_one_event_and_in() {
    let mut owner = Owner::new(NodeId(1));
    owner.write(1, &Context::default(), add("e")).unwrap();
    let both = command(2, vec![edit(&[], remove("e")), edit(&[], add("e"))]);
    let written = owner.run(&both).unwrap();
    assert_eq!(changes(&written).len(), 1);
    let row = owner.row(&key().row(Leaf::Element, b"e"));
    let shown: Vec<_> = row.versions().keys().copied().collect();
    assert_eq!(shown, [changes(&written)[0].event.dot]);
}

#[test]
fn of_several_raises_in_one_command_the_greatest_stays() {
    for before in [None, Some(5), Some(8), Some(20)] {
        for (one, other) in [(9, 7), (7, 9), (9, 9)] {
            let mut owner = Owner::new(NodeId(1));
            if let Some(before) = before {
                let raise = Action::one(Leaf::Max, Update::Offer(before));
                owner.write(1, &Context::default(), raise).unwrap();
            }
            let raises =
                [one, other].map(|to| edit(&[], Action::one(Leaf::Max, Update::Offer(to))));
            let written = owner.run(&command(2, raises.to_vec())).unwrap();
            let [change] = changes(&written) else {
                panic!("{written:?}")
            };
            // What the acknowledgement is about is in the event itself.
            assert_eq!(extremum::max(&change.delta), Ok(Some(9)));
            let row = owner.row(&key().row(Leaf::Max, b""));
            assert_eq!(extremum::max(&row), Ok(before.max(Some(9))));
        }
    }
}

#[test]
fn of_several_observations_in_one_command_all_are_counted() {
    let mut owner = Owner::new(NodeId(1));
    // Two hashes of one block: the registers differ, the row does not.
    let first = 0x0123_4567_89ab_cdef_u64;
    let block = hll::place(first).block;
    let mut others = (1..).map(|step: u64| first.wrapping_mul(step.wrapping_mul(2) | 1));
    let second = others
        .find(|&hash| {
            let (a, b) = (hll::place(hash), hll::place(first));
            a.block == block && a.index != b.index
        })
        .unwrap();
    let both = [first, second, first]
        .map(|hash| edit(&[], Action::Update(Leaf::Sketch, hll::updates([hash]))));
    let written = owner.run(&command(1, both.to_vec())).unwrap();
    assert_eq!(changes(&written).len(), 1);
    let sketch = owner.row(&key().row(Leaf::Sketch, &[block]));
    let held = hll::Block::of(&sketch).unwrap();
    assert_eq!(held.ranks().iter().filter(|&&rank| rank > 0).count(), 2);
}

#[test]
fn two_increments_of_one_counter_in_one_command_are_one_event_of_their_sum() {
    let mut owner = Owner::new(NodeId(1));
    let increments = [5, -2].map(|amount| edit(&[], Action::Increment(amount)));
    let written = owner.run(&command(1, increments.to_vec())).unwrap();
    let [change] = changes(&written) else {
        panic!("{written:?}")
    };
    let operation = change.event.operation.unwrap();
    assert_eq!(operation.effect, Effect::Increment(3));
    assert_eq!(owner.counter(), 3);
    let overflow = [i64::MAX, 1].map(|amount| edit(&[], Action::Increment(amount)));
    let refused = owner.run(&command(2, overflow.to_vec()));
    assert_eq!(refused, Err(Rejected::CounterOverflow));
    assert_eq!(owner.counter(), 3);
}

#[test]
fn two_puts_of_one_value_in_one_command_leave_the_later_one() {
    let mut owner = Owner::new(NodeId(1));
    let puts = ["a", "b"].map(|value| edit(&[], put(value)));
    let written = owner.run(&command(1, puts.to_vec())).unwrap();
    assert_eq!(changes(&written).len(), 1);
    assert_eq!(owner.values(), ["b"]);
}

#[test]
fn what_changes_nothing_and_is_durable_everywhere_is_not_written_again() {
    let mut owners = NODES.map(Owner::new);
    let offer = || Action::one(Leaf::Max, Update::Offer(9));
    let raise = |op| command(op, vec![edit(&[], offer())]);
    owners[0].run(&raise(1)).unwrap();
    // Not before every owner is known to hold it: the answer promises that they do.
    assert_eq!(changes(&owners[0].run(&raise(2)).unwrap()).len(), 1);
    pull_all(&mut owners);
    super::exchange_clocks(&mut owners);
    let written = owners[0].run(&raise(3)).unwrap();
    assert_eq!(written.sending, Sending::Nothing);
    assert!(!written.repeated);
}

#[test]
fn a_kind_takes_no_update_that_it_does_not_have() {
    let mut owner = Owner::new(NodeId(1));
    let none = Context::default();
    for action in [
        Action::one(Leaf::Max, Update::Switch(true)),
        Action::each(Leaf::GrowElement, vec!["e".into()], &Update::Remove),
    ] {
        let refused = owner.write(1, &none, action);
        assert_eq!(refused, Err(Rejected::NotOfKind));
    }
    let kept = (owner.vnode.records(), owner.stored(Family::Data));
    assert_eq!(kept, (0, 0));
}

#[test]
fn a_removal_covers_what_its_reader_saw_of_the_one_row_of_a_key_also_where_it_is_not_here_yet() {
    for (leaf, update) in [
        (Leaf::Register, Update::Assign("a".into())),
        (Leaf::Max, Update::Offer(1)),
        (Leaf::Flag, Update::Switch(true)),
        (Leaf::DisableFlag, Update::Switch(false)),
    ] {
        let (mut a, mut b) = (Owner::new(NodeId(1)), Owner::new(NodeId(2)));
        let none = Context::default();
        let written = a.write(1, &none, Action::one(leaf, update)).unwrap();
        let removal = Action::Clear(Some(leaf));
        b.write(2, &written.contexts[0], removal).unwrap();
        b.receive(changes(&written));
        let row = b.row(&key().row(leaf, b""));
        assert!(row.versions().is_empty(), "{leaf:?}");
    }
}

/// A counter, a set and a counter below, in one map.
fn map(op: u64) -> Command {
    command(
        op,
        vec![
            edit(&["likes"], Action::Increment(5)),
            edit(&["tags"], add("x")),
            edit(&["more", "views"], Action::Increment(7)),
        ],
    )
}

#[test]
fn clearing_a_map_resets_its_counters_and_leaves_concurrent_changes() {
    let mut owners = NODES.map(Owner::new);
    owners[0].run(&map(1)).unwrap();
    pull_all(&mut owners);
    // The first and the second count on, the second adds, while the third clears what it sees.
    let likes = command(2, vec![edit(&["likes"], Action::Increment(2))]);
    owners[0].run(&likes).unwrap();
    let views = edit(&["more", "views"], Action::Increment(3));
    let beside = command(3, vec![views, edit(&["tags"], add("y"))]);
    owners[1].run(&beside).unwrap();
    let clear = command(4, vec![edit(&[], Action::Clear(None))]);
    assert_eq!(changes(&owners[2].run(&clear).unwrap()).len(), 3);
    assert_eq!(owners[2].counter_at(&key(), &["likes"]), 0);
    pull_all(&mut owners);
    for owner in &owners {
        assert_eq!(owner.counter_at(&key(), &["likes"]), 2);
        assert_eq!(owner.counter_at(&key(), &["more", "views"]), 3);
        let element = |name: &[u8]| key().row_at(&path(&["tags"]), Leaf::Element, name);
        assert!(!set::contains(&owner.row(&element(b"x"))));
        assert!(set::contains(&owner.row(&element(b"y"))));
    }
}

#[test]
fn clearing_a_field_leaves_its_neighbours_and_what_lies_above() {
    let mut owner = Owner::new(NodeId(1));
    owner.run(&map(1)).unwrap();
    let clear = command(2, vec![edit(&["more"], Action::Clear(None))]);
    assert_eq!(changes(&owner.run(&clear).unwrap()).len(), 1);
    assert_eq!(owner.counter_at(&key(), &["more", "views"]), 0);
    assert_eq!(owner.counter_at(&key(), &["likes"]), 5);
    // What is empty already is not written again.
    let again = command(3, vec![edit(&["more"], Action::Clear(None))]);
    assert_eq!(owner.run(&again).unwrap().sending, Sending::Nothing);
}

#[test]
fn a_command_of_too_many_rows_is_refused_and_changes_nothing() {
    let mut owner = Owner::new(NodeId(1));
    owner.limits.rows_per_operation = 3;
    let elements = |count: u8| (0..count).map(|n| Bytes::from(vec![n])).collect();
    let add = |op, count| {
        let action = Action::each(Leaf::Element, elements(count), &Update::Add);
        command(op, vec![edit(&[], action)])
    };
    let refused = Err(Rejected::TooManyRows { limit: 3 });
    assert_eq!(owner.run(&add(1, 4)), refused);
    assert_eq!(owner.stored(Family::Data), 0);
    owner.run(&add(2, 3)).unwrap();
    owner.limits.rows_per_operation = 2;
    let clear = command(3, vec![edit(&[], Action::Clear(Some(Leaf::Element)))]);
    let refused = Err(Rejected::TooManyRows { limit: 2 });
    assert_eq!(owner.run(&clear), refused);
    assert_eq!(owner.stored(Family::Data), 3);
}
