//! Clears of large collections.

use std::cell::Cell;

use bytes::Bytes;

use super::borrowed::begin_sync;
use super::syncing::sync;
use super::{Disk, NODES, Owner, changes, command, edit, exchange_clocks, key, pull_all};
use crate::protocol::messages::{Change, Selection};
use crate::protocol::stage::Family;
use crate::protocol::vnode::{Action, FieldEdit, Rejected};
use crdt::kinds::Leaf;
use crdt::kinds::map::Path;
use crdt::kinds::rules::Update;
use crdt::{Context, Dot};

/// Three owners of a set, for which more than two elements are many.
fn owners() -> [Owner; 3] {
    let mut owners = NODES.map(Owner::new);
    for owner in &mut owners {
        owner.limits.rows_cleared_singly = 2;
    }
    owners
}

fn add(elements: &[&'static str]) -> Action {
    let elements = elements.iter().map(|element| Bytes::from(*element));
    Action::each(Leaf::Element, elements.collect(), &Update::Add)
}

fn write(owner: &mut Owner, op: u64, action: Action) -> Vec<Change> {
    let written = owner.write(op, &Context::default(), action).unwrap();
    changes(&written).to_vec()
}

fn clear(owner: &mut Owner, op: u64) -> Vec<Change> {
    write(owner, op, Action::Clear(Some(Leaf::Element)))
}

/// The elements that an owner shows.
fn elements(owner: &Owner) -> Vec<String> {
    let rows = owner.select(&Selection::Key(key())).rows;
    let shown = rows
        .iter()
        .filter(|keyed| keyed.key.leaf() == Leaf::Element && !keyed.row.versions().is_empty());
    shown
        .map(|keyed| String::from_utf8(keyed.key.part().to_vec()).unwrap())
        .collect()
}

/// Everybody hears of everything, and does what housekeeping there is.
fn settle(owners: &mut [Owner; 3]) {
    for _ in 0..3 {
        pull_all(owners);
        exchange_clocks(owners);
        for owner in owners.iter_mut() {
            owner.purge();
            owner.trim();
            owner.commit(|vnode, stage, _| vnode.settle_some(stage).unwrap());
            let has_vouched = owner.commit(|vnode, stage, _| vnode.pay_back(stage));
            assert!(!has_vouched, "nothing was lost");
        }
    }
}

#[test]
fn many_rows_go_by_one_event_and_leave_nothing() {
    let mut owners = owners();
    write(&mut owners[0], 1, add(&["a", "b", "c", "d"]));
    let cleared = clear(&mut owners[0], 2);
    assert_eq!(cleared.len(), 1);
    assert_eq!(elements(&owners[0]), Vec::<String>::new());
    settle(&mut owners);
    for owner in &owners {
        assert_eq!(owner.stored(Family::Data), 0);
        assert_eq!(owner.stored(Family::Dotlog), 0);
        // The checkpoint is what stays.
        assert_eq!(owner.stored(Family::Meta), 1);
        assert!(owner.vnode.clears().is_empty());
    }
}

#[test]
fn few_rows_go_one_by_one() {
    let mut owners = owners();
    write(&mut owners[0], 1, add(&["a", "b"]));
    assert_eq!(clear(&mut owners[0], 2).len(), 2);
    assert!(owners[0].vnode.clears().is_empty());
}

#[test]
fn what_was_seen_dies_on_its_way_and_what_was_not_stays() {
    let [mut one, mut two, mut three] = owners();
    let seen = write(&mut one, 1, add(&["a", "b", "c"]));
    let unseen = write(&mut two, 2, add(&["a", "d"]));
    let cleared = clear(&mut one, 3);
    three.receive(&cleared);
    three.receive(&seen);
    assert_eq!(elements(&three), Vec::<String>::new());
    three.receive(&unseen);
    assert_eq!(elements(&three), ["a", "d"]);
    let mut owners = [one, two, three];
    settle(&mut owners);
    for owner in &owners {
        assert_eq!(elements(owner), ["a", "d"]);
        assert!(owner.vnode.clears().is_empty());
    }
}

#[test]
fn a_clear_holds_on_across_a_restart() {
    let [mut one, ..] = owners();
    write(&mut one, 1, add(&["a", "b", "c"]));
    clear(&mut one, 2);
    one.restart(99);
    assert_eq!(elements(&one), Vec::<String>::new());
    write(&mut one, 3, add(&["b"]));
    one.purge();
    assert_eq!(elements(&one), ["b"]);
    assert_eq!(one.stored(Family::Data), 2);
}

#[test]
fn an_owner_that_drops_the_clear_before_it_went_through_the_rows_still_heeds_it() {
    let [mut one, mut two, mut three] = owners();
    let added = write(&mut one, 1, add(&["a", "b", "c"]));
    let cleared = clear(&mut one, 2);
    for owner in [&mut two, &mut three] {
        owner.receive(&added);
        owner.receive(&cleared);
    }
    // The second is quick and done with it, while the third has not begun.
    let mut owners = [one, two, three];
    exchange_clocks(&mut owners);
    owners[1].trim();
    owners[1].purge();
    assert!(owners[1].vnode.clears().is_empty());
    let [_, two, mut three] = owners;
    three.pull(&two);
    assert_eq!(elements(&three), Vec::<String>::new());
    three.trim();
    three.purge();
    assert_eq!(three.stored(Family::Data), 0);
}

/// Three elements that were cleared. All owners have the clear on their disks and have gone through
/// the rows; then the disk of the second was replaced by a copy from before it. Returns the clear,
/// too.
fn restored() -> ([Owner; 3], Dot) {
    let mut owners = owners();
    write(&mut owners[0], 1, add(&["a", "b", "c"]));
    pull_all(&mut owners);
    let copy = owners[1].disk.0.clone();
    let clear = clear(&mut owners[0], 2)[0].event.dot;
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    for owner in &mut owners {
        owner.purge();
    }
    owners[1].disk = Disk(copy, Cell::new(0));
    owners[1].restart(50);
    assert_eq!(elements(&owners[1]), ["a", "b", "c"]);
    (owners, clear)
}

/// The clear has arrived with what it does, if it has.
fn heeds(owner: &Owner, clear: Dot) -> bool {
    let is_here = owner.vnode.clock().contains(clear);
    assert_eq!(is_here, elements(owner).is_empty());
    is_here
}

#[test]
fn a_clear_that_is_pulled_alone_clears() {
    let (owners, clear) = restored();
    let [one, mut two, _] = owners;
    two.pull(&one);
    assert!(heeds(&two, clear));
}

#[test]
fn a_clear_that_is_trimmed_and_forgotten_comes_with_a_full_sync() {
    let (mut owners, clear) = restored();
    let [one, two, _] = &mut owners;
    one.trim();
    one.purge();
    assert!(one.vnode.clears().is_empty());
    two.pull(one);
    assert!(!heeds(two, clear));
    sync(two, one);
    assert!(heeds(two, clear));
    settle(&mut owners);
    for owner in &owners {
        assert_eq!(owner.stored(Family::Data), 0);
    }
}

#[test]
fn who_is_done_with_a_clear_does_not_take_it_from_who_still_logs_it() {
    let (mut owners, clear) = restored();
    let [one, two, three] = &mut owners;
    one.trim();
    one.purge();
    sync(three, one);
    two.pull(three);
    assert!(heeds(two, clear));
    settle(&mut owners);
    for owner in &owners {
        assert_eq!(owner.stored(Family::Data), 0);
    }
}

#[test]
fn a_later_clear_does_not_stand_for_one_that_it_did_not_see() {
    let ([mut one, mut old, mut three], clear) = restored();
    one.trim();
    one.purge();
    let [_, mut empty, _] = owners();
    empty.restart(60);
    write(&mut empty, 3, add(&["x", "y", "z"]));
    one.receive(&self::clear(&mut empty, 4));
    sync(&mut three, &one);
    old.pull(&three);
    assert!(heeds(&old, clear));
}

#[test]
fn a_page_that_lacks_cleared_rows_brings_the_clear() {
    let (owners, clear) = restored();
    let [mut one, mut two, _] = owners;
    for (op, element) in [(3, "x"), (4, "y")] {
        write(&mut one, op, add(&[element]));
    }
    one.limits.message_bytes = 1;
    begin_sync(&mut two, &one);
    assert_eq!(elements(&two), ["x"]);
    assert!(two.vnode.clock().contains(clear));
}

#[test]
fn a_pulled_row_brings_the_clear_that_it_shows() {
    let [mut one, mut two, _] = owners();
    let added = write(&mut one, 1, add(&["a", "b", "c"]));
    two.receive(&added);
    clear(&mut one, 2);
    write(&mut one, 3, add(&["a"]));
    two.pull(&one);
    assert_eq!(elements(&two), ["a"]);
    two.purge();
    assert_eq!(elements(&two), ["a"]);
}

#[test]
fn counters_under_a_clear_are_reset_and_do_not_come_back() {
    let [mut one, ..] = owners();
    let fields = |action: fn() -> Action| {
        let names = [["a"], ["b"], ["c"]];
        names.map(|name| edit(&name, action())).to_vec()
    };
    one.run(&command(1, fields(|| Action::Increment(5))))
        .unwrap();
    one.run(&command(2, fields(|| add(&["x", "y", "z"]))))
        .unwrap();
    let clear = command(3, vec![edit(&[], Action::Clear(None))]);
    // Three resets and the clear.
    assert_eq!(changes(&one.run(&clear).unwrap()).len(), 4);
    assert_eq!(elements(&one), Vec::<String>::new());
    for name in ["a", "b", "c"] {
        assert_eq!(one.counter_at(&key(), &[name]), 0);
    }
    one.run(&command(4, fields(|| Action::Increment(1))))
        .unwrap();
    one.purge();
    assert_eq!(one.counter_at(&key(), &["b"]), 1);
}

/// Assigns as many registers in fields of a map, a thousand in a write.
fn fill(owner: &mut Owner, fields: usize) {
    for first in (0..fields).step_by(1_000) {
        let numbers = first..fields.min(first + 1_000);
        let edits = numbers.map(|number| FieldEdit {
            path: Path::new(vec![format!("f{number:06}").into()]).unwrap(),
            action: Action::one(Leaf::Register, Update::Assign("x".into())),
        });
        let op = 1_000 + first as u64;
        owner.run(&command(op, edits.collect())).unwrap();
    }
}

#[test]
fn a_map_of_more_fields_than_one_write_may_touch_is_cleared_by_one_event() {
    let mut owners = owners();
    let one = &mut owners[0];
    let fields = one.limits.rows_per_operation + 500;
    fill(one, fields);
    let counters: [&[&str]; 3] = [&["f000007"], &["g", "deep"], &["z"]];
    let add = counters.map(|names| edit(names, Action::Increment(5)));
    one.run(&command(1, add.to_vec())).unwrap();
    let clear = |op| command(op, vec![edit(&[], Action::Clear(None))]);
    // The clear, and a reset of each counter.
    assert_eq!(changes(&one.run(&clear(2)).unwrap()).len(), 4);
    let shown = one.select(&Selection::Key(key())).rows;
    let is_left = |leaf| leaf != Leaf::Share && leaf != Leaf::Cleared;
    assert!(!shown.iter().any(|keyed| is_left(keyed.key.leaf())));
    // Shares that hold nothing are not reset again: the clear is alone.
    assert_eq!(changes(&one.run(&clear(3)).unwrap()).len(), 1);
    // So many entries take several passes of trimming, and then the shares go.
    (0..2).for_each(|_| settle(&mut owners));
    for owner in &owners {
        for names in counters {
            assert_eq!(owner.counter_at(&key(), names), 0);
        }
        assert_eq!(owner.stored(Family::Data), 0);
        assert_eq!(owner.stored(Family::Meta), 1);
    }
}

#[test]
fn a_clear_below_a_field_resets_the_counters_there_and_no_others() {
    let [mut one, ..] = owners();
    let counters: [&[&str]; 3] = [&["a"], &["b", "c"], &["bb"]];
    let mut edits = counters
        .map(|names| edit(names, Action::Increment(5)))
        .to_vec();
    edits.push(edit(&["b", "set"], add(&["x", "y", "z"])));
    one.run(&command(1, edits)).unwrap();
    let clear = command(2, vec![edit(&["b"], Action::Clear(None))]);
    assert_eq!(changes(&one.run(&clear).unwrap()).len(), 2);
    let values = counters.map(|names| one.counter_at(&key(), names));
    assert_eq!(values, [5, 0, 5]);
}

#[test]
fn more_counters_than_one_write_may_touch_are_told_and_stay() {
    let [mut one, ..] = owners();
    let names = [["a"], ["b"], ["c"], ["d"]];
    let add = names.map(|name| edit(&name, Action::Increment(5)));
    one.run(&command(1, add.to_vec())).unwrap();
    one.limits.rows_per_operation = 3;
    let clear = |op| command(op, vec![edit(&[], Action::Clear(None))]);
    let refused = one.run(&clear(2));
    assert_eq!(refused, Err(Rejected::TooManyRows { limit: 3 }));
    assert_eq!(one.counter_at(&key(), &["a"]), 5);
    let resets = ["a", "b"].map(|name| edit(&[name], Action::Clear(Some(Leaf::Share))));
    one.run(&command(3, resets.to_vec())).unwrap();
    assert_eq!(changes(&one.run(&clear(4)).unwrap()).len(), 3);
    assert_eq!(one.counter_at(&key(), &["c"]), 0);
}

#[test]
fn a_clear_under_a_context_goes_row_by_row() {
    let [mut one, ..] = owners();
    let written = one.write(1, &Context::default(), add(&["a", "b", "c"]));
    let seen = written.unwrap().contexts.remove(0);
    write(&mut one, 2, add(&["c"]));
    let cleared = one.write(3, &seen, Action::Clear(Some(Leaf::Element)));
    assert_eq!(changes(&cleared.unwrap()).len(), 3);
    assert_eq!(elements(&one), ["c"]);
}

#[test]
fn with_too_many_clears_outstanding_rows_go_one_by_one_as_far_as_they_may() {
    let [mut one, ..] = owners();
    one.limits.clears = 0;
    write(&mut one, 1, add(&["a", "b", "c"]));
    assert_eq!(clear(&mut one, 2).len(), 3);
    write(&mut one, 3, add(&["a", "b", "c"]));
    one.limits.rows_per_operation = 2;
    let none = Context::default();
    let refused = one.write(4, &none, Action::Clear(Some(Leaf::Element)));
    assert_eq!(refused, Err(Rejected::TooManyRows { limit: 2 }));
}

#[test]
fn the_alias_of_an_element_that_was_cleared_goes_too() {
    let [mut one, mut two, _] = owners();
    let first = write(&mut one, 1, add(&["a", "b", "c"]));
    // The same operation, tried again where nobody had heard of it.
    let again = write(&mut two, 1, add(&["a", "b", "c"]));
    clear(&mut one, 2);
    two.receive(&first);
    assert_eq!(one.receive(&again).len(), 3);
    assert_eq!(elements(&one), Vec::<String>::new());
}
