//! Retries are known again, and count once.

use bytes::Bytes;

use super::syncing::{lose_the_disk, sync};
use super::{NODES, Owner, changes, command, edit, exchange_clocks, pull_all, put, tell_clocks};
use crate::protocol::time::Time;
use crate::protocol::vnode::{Action, Command, Rejected, Sending};
use crdt::Context;
use crdt::kinds::rules::Update;
use crdt::kinds::{Leaf, hll};
use ring::NodeId;

#[test]
fn a_retried_put_is_one_version_and_its_owners_are_asked_again() {
    let mut owner = Owner::new(NodeId(1));
    let first = owner.write(1, &Context::default(), put("a")).unwrap();
    let again = owner.write(1, &Context::default(), put("a")).unwrap();
    assert!(again.repeated && !first.repeated);
    assert_eq!(again.contexts, first.contexts);
    let Sending::Again(dots) = again.sending else {
        panic!("nobody is asked again")
    };
    assert!(dots.len() == 1 && dots.contains(changes(&first)[0].event.dot));
    assert_eq!(owner.values(), ["a"]);
}

#[test]
fn what_a_peer_held_before_it_began_anew_does_not_count() {
    let mut owners = NODES.map(Owner::new);
    let none = Context::default();
    owners[0].write(1, &none, put("a")).unwrap();
    pull_all(&mut owners);
    exchange_clocks(&mut owners);
    assert!(owners[0].trim() > 0);
    let [one, two, _] = &mut owners;
    let holders = |one: &mut Owner| one.write(1, &none, put("a")).unwrap().sending;
    let meet = |one: &mut Owner, two: &mut Owner| {
        let fingerprint = two.vnode.fingerprint(NODES[0]).unwrap();
        one.vnode.meet(NODES[1], &fingerprint);
    };
    meet(one, two);
    assert_eq!(holders(one), Sending::Held(NODES[1..].to_vec()));
    two.write(2, &none, put("b")).unwrap();
    let asked = one.vnode.fingerprint(NODES[1]).unwrap();
    let late = two.vnode.difference(&asked).unwrap();
    lose_the_disk(two);
    meet(one, two);
    assert_eq!(holders(one), Sending::Held(vec![NODES[2]]));
    // What the lost one had answered comes only now.
    one.vnode.handle_difference(Time::default(), NODES[1], late);
    assert_eq!(holders(one), Sending::Held(vec![NODES[2]]));
    // What the new one tells counts.
    sync(two, one);
    exchange_clocks(&mut owners);
    assert_eq!(holders(&mut owners[0]), Sending::Held(NODES[1..].to_vec()));
}

#[test]
fn an_increment_applied_at_two_coordinators_counts_once() {
    let mut owners: Vec<Owner> = NODES.into_iter().map(Owner::new).collect();
    owners[0]
        .write(1, &Context::default(), Action::Increment(5))
        .unwrap();
    owners[1]
        .write(1, &Context::default(), Action::Increment(5))
        .unwrap();
    owners[0]
        .write(2, &Context::default(), Action::Increment(1))
        .unwrap();
    pull_all(&mut owners);
    // Nobody may take one away before all hold the other durably.
    assert!(owners.iter().all(|owner| owner.counter() == 11));
    exchange_clocks(&mut owners);
    owners
        .iter_mut()
        .for_each(|owner| assert!(!owner.void().is_empty()));
    pull_all(&mut owners);
    assert!(owners.iter().all(|owner| owner.counter() == 6));
}

#[test]
fn a_retried_increment_is_known_after_a_restart_and_at_another_coordinator() {
    let (mut a, mut b) = (Owner::new(NodeId(1)), Owner::new(NodeId(2)));
    let written = a
        .write(1, &Context::default(), Action::Increment(5))
        .unwrap();
    b.receive(changes(&written));
    a.restart(8);
    assert!(
        a.write(1, &Context::default(), Action::Increment(5))
            .unwrap()
            .repeated
    );
    assert!(
        b.write(1, &Context::default(), Action::Increment(5))
            .unwrap()
            .repeated
    );
    assert_eq!((a.counter(), b.counter()), (5, 5));
    let reused = b
        .write(1, &Context::default(), Action::Increment(6))
        .unwrap_err();
    assert_eq!(reused, Rejected::OperationReused);
}

#[test]
fn a_retried_delete_removes_no_more_than_the_first_saw() {
    let mut owner = Owner::new(NodeId(1));
    owner.write(1, &Context::default(), put("a")).unwrap();
    owner
        .write(2, &Context::default(), Action::Clear(Some(Leaf::Value)))
        .unwrap();
    owner.write(3, &Context::default(), put("b")).unwrap();
    assert!(
        owner
            .write(2, &Context::default(), Action::Clear(Some(Leaf::Value)))
            .unwrap()
            .repeated
    );
    assert_eq!(owner.values(), ["b"]);
}

#[test]
fn an_operation_past_its_window_is_refused() {
    let mut owner = Owner::new(NodeId(1));
    let command = Command {
        age_ms: 15 * 60 * 1_000 + 1,
        ..command(1, vec![edit(&[], Action::Increment(1))])
    };
    let refused = owner.run(&command);
    assert_eq!(refused, Err(Rejected::TooLate { window_ms: 900_000 }));
}

/// A change of every sort, with what it needs to change anything.
fn changes_of_all_sorts() -> Vec<(Option<Action>, Action)> {
    let e = || vec![Bytes::from("e"), Bytes::from("f")];
    let add = |leaf| Action::each(leaf, e(), &Update::Add);
    let insert = || Action::each(Leaf::Item, e(), &Update::Insert("x".into()));
    let remove = |leaf| Action::each(leaf, e(), &Update::Remove);
    let switch = |leaf, on| Action::one(leaf, Update::Switch(on));
    let mut all = vec![
        (None, put("a")),
        (None, assign("a")),
        (None, Action::Increment(5)),
        (None, Action::Bounded(5)),
        (None, Action::one(Leaf::Max, Update::Offer(5))),
        (None, Action::one(Leaf::Min, Update::Offer(5))),
        (None, Action::Update(Leaf::Sketch, hll::updates([5]))),
        (None, insert()),
        (Some(insert()), remove(Leaf::Item)),
        (Some(put("a")), Action::Clear(Some(Leaf::Value))),
        (Some(put("a")), Action::Clear(None)),
        (None, add(Leaf::GrowElement)),
    ];
    for leaf in [Leaf::Element, Leaf::RemoveWinsElement] {
        all.push((None, add(leaf)));
        all.push((Some(add(leaf)), remove(leaf)));
    }
    for leaf in [Leaf::Flag, Leaf::DisableFlag] {
        all.push((None, switch(leaf, true)));
        all.push((Some(switch(leaf, true)), switch(leaf, false)));
    }
    all
}

fn assign(value: &'static str) -> Action {
    Action::one(Leaf::Register, Update::Assign(value.into()))
}

/// Another change of the same sort.
fn other(action: &Action) -> Action {
    match action {
        Action::Put(_) => put("b"),
        Action::Increment(amount) => Action::Increment(amount + 1),
        Action::Bounded(amount) => Action::Bounded(amount + 1),
        Action::Update(leaf, updates) => match &updates[..] {
            [(_, Update::Assign(_))] => assign("b"),
            [(_, Update::Offer(_))] => Action::one(*leaf, Update::Offer(6)),
            [(_, Update::Switch(on))] => Action::one(*leaf, Update::Switch(!on)),
            [(_, Update::Observe(_))] => Action::Update(*leaf, hll::updates([u64::MAX])),
            all => Action::Update(*leaf, all[1..].to_vec()),
        },
        Action::Clear(Some(_)) => Action::Clear(None),
        Action::Clear(None) => Action::Clear(Some(Leaf::Value)),
    }
}

#[test]
fn a_name_that_is_used_again_for_another_change_is_found_out_at_any_coordinator() {
    for (before, first) in changes_of_all_sorts() {
        let mut owners = NODES.map(Owner::new);
        // Nothing is added to a bounded counter before all were heard.
        tell_clocks(&mut owners);
        let [mut a, mut b, mut c] = owners;
        let none = Context::default();
        if let Some(before) = before {
            let written = a.write(9, &none, before).unwrap();
            b.receive(changes(&written));
        }
        let written = a.write(1, &none, first.clone()).unwrap();
        b.receive(changes(&written));
        c.pull(&b);
        for owner in [&mut a, &mut b, &mut c] {
            for nonce in [8, 9] {
                let refused = owner.write(1, &none, other(&first));
                assert_eq!(refused, Err(Rejected::OperationReused), "{first:?}");
                owner.restart(nonce);
            }
            let again = owner.write(1, &none, first.clone()).unwrap();
            assert!(again.repeated, "{first:?}");
        }
        assert_eq!(a.vnode.clock(), c.vnode.clock(), "{first:?}");
    }
}

#[test]
fn a_write_that_changes_nothing_leaves_no_record() {
    let mut owner = Owner::new(NodeId(1));
    let none = Context::default();
    let clear = || Action::Clear(Some(Leaf::Element));
    let cleared = owner.write(1, &none, clear()).unwrap();
    assert_eq!(cleared.sending, Sending::Nothing);
    assert_eq!(owner.vnode.records(), 0);
    // So the name is as good as new, and the same is carried out when there is something to do.
    let add = Action::each(Leaf::Element, vec!["e".into()], &Update::Add);
    owner.write(2, &none, add.clone()).unwrap();
    let cleared = owner.write(1, &none, clear()).unwrap();
    assert!(!cleared.repeated && changes(&cleared).len() == 1);
    let reused = owner.write(1, &none, add);
    assert_eq!(reused, Err(Rejected::OperationReused));
}

#[test]
fn what_sums_up_increments_is_taken_when_those_are_here_whatever_else_is_missing() {
    let (mut one, mut two) = (Owner::new(NODES[0]), Owner::new(NODES[1]));
    let both = |op| {
        let edits = [["a"], ["b"]].map(|name| edit(&name, Action::Increment(1)));
        command(op, edits.to_vec())
    };
    // Two counters in one write, of which the second follows the first.
    let first = changes(&one.run(&both(1)).unwrap()).to_vec();
    assert_eq!(two.vnode.lacks_increments(&first), None);
    two.receive(&first);
    // A write of something else is lost on its way.
    one.write(2, &Context::default(), put("lost")).unwrap();
    let second = changes(&one.run(&both(3)).unwrap()).to_vec();
    let third = changes(&one.run(&both(4)).unwrap()).to_vec();
    assert_eq!(two.vnode.lacks_increments(&second), None);
    assert!(two.vnode.lacks_increments(&third).is_some());
    two.receive(&second);
    assert_eq!(two.vnode.lacks_increments(&third), None);
}
