//! Insertions into lists that were retried: between the same neighbours they are one item under two
//! names, between others two items, of which none takes the other one with it.

use bytes::Bytes;

use super::{
    NODES, Owner, changes, command, edit, exchange_clocks, key, op_id, path, pull_all, put, range,
};
use crate::protocol::messages::Selection;
use crate::protocol::stage::Family;
use crate::protocol::vnode::{Action, Command};
use crdt::kinds::Leaf;
use crdt::kinds::list::{self, Position};
use crdt::kinds::rules::Update;
use crdt::{Actor, Context, Dot};
use ring::NodeId;

/// Where operation `op` puts an item behind another, or into an empty list.
fn place(op: u64, after: Option<&Position>) -> Position {
    let actor = Actor { node: 1, nonce: op };
    Position::between(after, None, Dot::new(actor, 1)).unwrap()
}

fn insert(at: &Position, item: &'static str) -> Action {
    let insert = Update::Insert(Bytes::from(item));
    Action::each(Leaf::Item, vec![at.as_bytes().clone()], &insert)
}

fn remove(at: &Position) -> Action {
    Action::each(Leaf::Item, vec![at.as_bytes().clone()], &Update::Remove)
}

/// A push into the list of a key. Where it goes is not in the digest of what is asked.
fn push(op: u64, at: &Position, item: &'static str) -> Command {
    Command {
        digest: 7,
        ..command(op, vec![edit(&[], insert(at, item))])
    }
}

fn items_at(owner: &Owner, names: &[&'static str]) -> Vec<Bytes> {
    let (from, to) = key().leaf_range(&path(names), Leaf::Item);
    let rows = owner
        .select(&Selection::Range(range(from, to, None)))
        .rows
        .into_iter();
    let items = rows.filter_map(|keyed| list::item(&keyed.row));
    items.map(|item| item.value).collect()
}

fn items(owner: &Owner) -> Vec<Bytes> {
    items_at(owner, &[])
}

/// Everything is exchanged and tidied up, until nothing is left to do.
fn come_to_rest(owners: &mut [Owner; 3]) {
    for _ in 0..4 {
        pull_all(owners);
        exchange_clocks(owners);
        for owner in &mut *owners {
            owner.void();
            owner.trim();
        }
    }
    for owner in &*owners {
        assert_eq!(owner.stored(Family::Dotlog), 0);
        assert_eq!(owner.vnode.clock(), owners[0].vnode.clock());
    }
}

#[test]
fn a_push_that_was_retried_behind_another_item_is_lost_nowhere() {
    let mut owners = NODES.map(Owner::new);
    let [a, b, c] = &mut owners;
    let first = place(1, None);
    let zero = a.run(&push(1, &first, "zero")).unwrap();
    b.receive(changes(&zero));
    c.receive(changes(&zero));
    // The first try is at the first owner alone when that goes away.
    a.run(&push(2, &place(2, Some(&first)), "k")).unwrap();
    let second = place(3, Some(&first));
    let other = b.run(&push(3, &second, "one")).unwrap();
    c.receive(changes(&other));
    let retried = b.run(&push(2, &place(2, Some(&second)), "k")).unwrap();
    assert!(!retried.repeated);
    c.receive(changes(&retried));
    come_to_rest(&mut owners);
    for owner in &owners {
        let mut items = items(owner);
        items.sort();
        assert_eq!(items, ["k", "k", "one", "zero"]);
    }
}

#[test]
fn a_push_that_was_retried_into_the_same_place_is_one_item() {
    let mut owners = NODES.map(Owner::new);
    let at = place(1, None);
    for owner in &mut owners[..2] {
        owner.run(&push(1, &at, "k")).unwrap();
    }
    come_to_rest(&mut owners);
    assert!(owners.iter().all(|owner| items(owner) == ["k"]));
}

#[test]
fn a_removal_takes_the_item_of_its_place_alone() {
    let (at, elsewhere) = (place(1, None), place(1, Some(&place(2, None))));
    for removed in [&at, &elsewhere] {
        let mut owners = NODES.map(Owner::new);
        let first = owners[0].run(&push(1, &at, "k")).unwrap();
        let retried = owners[1].run(&push(1, &elsewhere, "k")).unwrap();
        let third = &mut owners[2];
        third.receive(changes(&first));
        assert!(third.receive(changes(&retried)).is_empty());
        third
            .write(3, &Context::default(), remove(removed))
            .unwrap();
        come_to_rest(&mut owners);
        for owner in &owners {
            assert_eq!(items(owner), ["k"]);
            let row = owner.row(&key().row(Leaf::Item, removed.as_bytes()));
            assert!(row.versions().is_empty());
        }
    }
}

#[test]
fn only_the_items_that_a_retry_put_elsewhere_are_others() {
    let (at, elsewhere) = (place(1, None), place(1, Some(&place(2, None))));
    // Two lists, a value and a counter in one write; of the second list alone, more is known later.
    let asked = |second: &Position| Command {
        digest: 7,
        ..command(
            1,
            vec![
                edit(&["first"], insert(&at, "x")),
                edit(&["second"], insert(second, "y")),
                edit(&["value"], put("a")),
                edit(&["count"], Action::Increment(5)),
            ],
        )
    };
    let mut owners = NODES.map(Owner::new);
    owners[0].run(&asked(&at)).unwrap();
    let retried = owners[1].run(&asked(&elsewhere)).unwrap();
    // A client that has seen the retry and nothing else.
    let mut removal = command(
        2,
        vec![
            edit(&["first"], Action::Clear(Some(Leaf::Item))),
            edit(&["second"], Action::Clear(Some(Leaf::Item))),
            edit(&["value"], Action::Clear(Some(Leaf::Value))),
        ],
    );
    removal.targets[0].context = retried.contexts[0].clone();
    owners[1].run(&removal).unwrap();
    come_to_rest(&mut owners);
    for owner in &owners {
        assert!(items_at(owner, &["first"]).is_empty());
        assert_eq!(items_at(owner, &["second"]), ["y"]);
        let value = key().row_at(&path(&["value"]), Leaf::Value, b"");
        assert!(owner.row(&value).versions().is_empty());
        assert_eq!(owner.counter_at(&key(), &["count"]), 5);
    }
}

#[test]
fn where_an_item_was_is_known_when_its_entry_is_gone() {
    let (at, elsewhere) = (place(1, None), place(1, Some(&place(2, None))));
    let mut owners = NODES.map(Owner::new);
    owners[0].run(&push(1, &at, "k")).unwrap();
    owners[0]
        .write(2, &Context::default(), remove(&at))
        .unwrap();
    come_to_rest(&mut owners);
    // Retries that stand-ins entered, and deliver late.
    let late = [(4, &at, 1), (5, &elsewhere, 0)].map(|(node, place, removals)| {
        let mut stand_in = Owner::new(NodeId(node));
        let written = stand_in.run(&push(1, place, "k")).unwrap();
        (changes(&written).to_vec(), removals)
    });
    let third = &mut owners[2];
    third.restart(8);
    for (changes, removals) in late {
        assert_eq!(changes[0].event.operation.map(|op| op.id), Some(op_id(1)));
        assert_eq!(third.receive(&changes).len(), removals);
    }
    assert_eq!(items(third), ["k"]);
    let row = third.row(&key().row(Leaf::Item, at.as_bytes()));
    assert!(row.versions().is_empty());
}
