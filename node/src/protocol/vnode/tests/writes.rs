//! Writing, and how what was written comes to the other owners.

use std::num::NonZeroU8;

use bytes::Bytes;

use super::{ID, NODES, Owner, changes, command, edit, exchange_clocks, put};
use crate::protocol::messages::Pull;
use crate::protocol::stage::{Family, Stage};
use crate::protocol::vnode::{Action, Rejected};
use crdt::kinds::Leaf;
use crdt::kinds::rules::Update;
use crdt::{Context, Hlc};
use ring::NodeId;
use starling::wire::Siblings;

#[test]
fn a_write_over_its_context_replaces_and_one_without_is_a_sibling() {
    let mut owner = Owner::new(NodeId(1));
    let first = owner.write(1, &Context::default(), put("a")).unwrap();
    owner.write(2, &first.contexts[0], put("b")).unwrap();
    assert_eq!(owner.values(), ["b"]);
    owner.write(3, &Context::default(), put("c")).unwrap();
    assert_eq!(owner.values(), ["b", "c"]);
}

#[test]
fn who_has_seen_nothing_removes_nothing_and_who_does_not_say_removes_what_is_here() {
    for clear in [Action::Clear(None), Action::Clear(Some(Leaf::Value))] {
        let mut owner = Owner::new(NodeId(1));
        owner.write(1, &Context::default(), put("a")).unwrap();
        let mut delete = command(2, vec![edit(&[], clear.clone())]);
        delete.targets[0].has_context = true;
        owner.run(&delete).unwrap();
        assert_eq!(owner.values(), ["a"]);
        owner.write(3, &Context::default(), clear).unwrap();
        assert!(owner.values().is_empty());
    }
}

#[test]
fn two_interleaved_writers_never_see_more_than_two_siblings() {
    let mut owner = Owner::new(NodeId(1));
    let (mut left, mut right) = (Context::default(), Context::default());
    for round in 0..50 {
        left = owner.write(2 * round, &left, put("l")).unwrap().contexts[0].clone();
        right = owner
            .write(2 * round + 1, &right, put("r"))
            .unwrap()
            .contexts[0]
            .clone();
        assert!(owner.values().len() <= 2);
    }
}

#[test]
fn the_sibling_limit_refuses_and_drops_nothing() {
    let mut owner = Owner::new(NodeId(1));
    for op in 0..64 {
        owner.write(op, &Context::default(), put("x")).unwrap();
    }
    let refused = owner.write(64, &Context::default(), put("y")).unwrap_err();
    assert_eq!(refused, Rejected::TooManySiblings { limit: 64 });
    assert_eq!(owner.values().len(), 64);
}

#[test]
fn a_bucket_may_keep_fewer_siblings_and_one_of_the_latest_keeps_what_its_coordinator_lacks() {
    let mut owners = [1, 2].map(|id| Owner::new(NodeId(id)));
    let put = |op, value, siblings| {
        let mut command = command(op, vec![edit(&[], put(value))]);
        command.targets[0].siblings = siblings;
        command
    };
    let two = Siblings::Keep(NonZeroU8::new(2).unwrap());
    owners[0].run(&put(1, "a", two)).unwrap();
    owners[0].run(&put(2, "b", two)).unwrap();
    let refused = owners[0].run(&put(3, "c", two)).unwrap_err();
    assert_eq!(refused, Rejected::TooManySiblings { limit: 2 });
    assert_eq!(owners[0].values(), ["a", "b"]);

    let elsewhere = owners[1].run(&put(4, "d", Siblings::Latest)).unwrap();
    owners[0].run(&put(5, "e", Siblings::Latest)).unwrap();
    assert_eq!(owners[0].values(), ["e"]);
    owners[0].receive(changes(&elsewhere));
    assert_eq!(owners[0].values().len(), 2);
    owners[0].run(&put(6, "f", Siblings::Latest)).unwrap();
    assert_eq!(owners[0].values(), ["f"]);
}

#[test]
fn deletes_leave_nothing_once_all_hold_them_durably() {
    let mut owners: Vec<Owner> = NODES.into_iter().map(Owner::new).collect();
    let written = owners[0].write(1, &Context::default(), put("a")).unwrap();
    let deleted = owners[0]
        .write(2, &written.contexts[0], Action::Clear(Some(Leaf::Value)))
        .unwrap();
    for change in [changes(&deleted), changes(&written)] {
        owners[1].receive(change);
        owners[2].receive(change);
    }
    assert!(owners.iter().all(|owner| owner.values().is_empty()));
    exchange_clocks(&mut owners);
    for owner in &mut owners {
        assert_eq!(owner.trim(), 2);
        assert_eq!(
            (owner.stored(Family::Data), owner.stored(Family::Dotlog)),
            (0, 0)
        );
        let clock = owner.vnode.clock().clone();
        owner.restart(8);
        assert_eq!(owner.vnode.clock(), &clock);
    }
}

#[test]
fn a_restarted_vnode_counts_under_a_new_actor() {
    let mut owner = Owner::new(NodeId(1));
    let before = owner.write(1, &Context::default(), put("a")).unwrap();
    owner.restart(8);
    let after = owner.write(2, &before.contexts[0], put("b")).unwrap();
    assert_ne!(
        changes(&before)[0].event.dot.actor,
        changes(&after)[0].event.dot.actor
    );
    assert_eq!(owner.values(), ["b"]);
}

#[test]
fn a_span_of_elements_is_pulled_whole() {
    let (mut a, mut b) = (Owner::new(NodeId(1)), Owner::new(NodeId(2)));
    let elements = vec![Bytes::from("x"), Bytes::from("y"), Bytes::from("x")];
    let added = a
        .write(
            1,
            &Context::default(),
            Action::each(Leaf::Element, elements, &Update::Add),
        )
        .unwrap();
    assert_eq!(changes(&added).len(), 2);
    let mut want = crdt::dots::DotSet::default();
    want.insert(changes(&added)[0].event.dot);
    let pull = Pull {
        vnode: ID,
        incarnation: 7,
        want,
        have: b.vnode.clock().clone(),
    };
    let stage = Stage::new(&a.disk);
    let pulled = a.vnode.answer_pull(&pull, &a.limits, &stage).unwrap();
    assert_eq!(
        (pulled.bundle.events.len(), pulled.bundle.rows.len()),
        (2, 2)
    );
    b.commit(|vnode, stage, _| vnode.absorb(Hlc::at(0), &pulled.bundle, stage).unwrap());
    assert_eq!(b.vnode.clock(), a.vnode.clock());
}
