//! Versions that end: their room is freed, and nothing that they killed comes back.

use bytes::Bytes;

use super::{NODES, Owner, changes, command, edit, key, path, pull_all, put};
use crate::protocol::messages::{KeyedRow, Pull};
use crate::protocol::stage::{Family, Stage};
use crate::protocol::vnode::{Action, Command};
use crdt::kinds::Leaf;
use crdt::kinds::rules::Update;
use crdt::{Context, Hlc, Row};
use ring::NodeId;

/// Operation 1 is stamped 1,001 ms, so what it writes for a second ends at 2,001 ms.
const END_MS: u64 = 2_001;
/// How long the vnode waits after that.
const GRACE_MS: u64 = 60_000;

fn lasting(op: u64, ttl_ms: u64, action: Action) -> Command {
    Command {
        ttl_ms: Some(ttl_ms),
        ..command(op, vec![edit(&[], action)])
    }
}

fn over(context: &Context, mut command: Command) -> Command {
    command.targets[0].context = context.clone();
    command
}

fn sweep(owner: &mut Owner, now_ms: u64) -> usize {
    owner.commit(|vnode, stage, _| vnode.sweep_expired(now_ms, stage).unwrap())
}

fn value_row(owner: &Owner) -> Row {
    owner.row(&key().row(Leaf::Value, b""))
}

#[test]
fn what_is_over_is_hidden_at_once_and_removed_after_the_grace() {
    let mut owner = Owner::new(NodeId(1));
    owner.run(&lasting(1, 1_000, put("a"))).unwrap();
    for (now_ms, is_hidden) in [(END_MS - 1, false), (END_MS, true)] {
        let mut row = value_row(&owner);
        row.hide_expired(now_ms);
        assert_eq!(row.versions().is_empty(), is_hidden);
    }
    assert_eq!(sweep(&mut owner, END_MS + GRACE_MS - 1), 0);
    assert_eq!(owner.stored(Family::Data), 1);
    assert_eq!(sweep(&mut owner, END_MS + GRACE_MS), 1);
    assert_eq!(owner.stored(Family::Data), 0);
    // The dot stays seen.
    assert!(!owner.vnode.clock().dots().is_empty());
}

#[test]
fn an_end_travels_with_the_version_and_is_the_same_everywhere() {
    let mut owners = NODES.map(Owner::new);
    let written = owners[0].run(&lasting(1, 1_000, put("a"))).unwrap();
    owners[1].receive(changes(&written));
    let (before, after) = owners.split_at_mut(2);
    after[0].pull(&before[1]);
    for owner in &mut owners {
        let row = value_row(owner);
        let ends: Vec<_> = row.versions().values().map(|v| v.expires_ms).collect();
        assert_eq!(ends, [Some(END_MS)]);
        assert_eq!(sweep(owner, END_MS + GRACE_MS), 1);
    }
}

#[test]
fn a_retry_through_another_coordinator_ends_when_the_first_try_does() {
    let mut owners = NODES.map(Owner::new);
    let first = owners[0].run(&lasting(1, 1_000, put("a"))).unwrap();
    // A quarter of a second later by the client's clock, and by that of the coordinator.
    let again = Command {
        age_ms: 250,
        ..lasting(1, 1_000, put("a"))
    };
    let later = Hlc::at(1_001 + 250);
    let retried = owners[1].commit(|vnode, stage, limits| {
        let written = vnode.write(later, &again, limits, stage);
        written.unwrap().unwrap()
    });
    assert!(!retried.repeated);
    for written in [&first, &retried] {
        owners[2].receive(changes(written));
    }
    let row = value_row(&owners[2]);
    let ends: Vec<_> = row.versions().values().map(|v| v.expires_ms).collect();
    assert_eq!(ends, [Some(END_MS); 2]);
}

#[test]
fn nothing_that_an_ended_version_killed_comes_back() {
    let (mut a, mut b) = (Owner::new(NodeId(1)), Owner::new(NodeId(2)));
    let old = a.write(2, &Context::default(), put("old")).unwrap();
    let new = over(&old.contexts[0], lasting(1, 1_000, put("new")));
    let new = a.run(&new).unwrap();
    // The newer one comes first, ends and is swept before the older one arrives.
    b.receive(changes(&new));
    assert_eq!(sweep(&mut b, END_MS + GRACE_MS), 1);
    let kept = value_row(&b);
    assert!(kept.versions().is_empty());
    assert_eq!(kept.context().dots().len(), 2);
    b.receive(changes(&old));
    assert!(b.values().is_empty());
}

#[test]
fn the_context_of_what_was_removed_stays_until_the_clock_explains_it() {
    let (mut a, mut b) = (Owner::new(NodeId(1)), Owner::new(NodeId(2)));
    let add = |e: &'static str| Action::each(Leaf::Element, vec![Bytes::from(e)], &Update::Add);
    let beside = a.write(2, &Context::default(), add("e")).unwrap();
    let ending = a.run(&lasting(1, 1_000, put("a"))).unwrap();
    let dot = changes(&ending)[0].event.dot;
    // The dot lies beyond a gap in the clock, which says nothing of the row.
    b.receive(changes(&ending));
    assert_eq!(sweep(&mut b, END_MS + GRACE_MS), 1);
    let row = value_row(&b);
    assert!(row.versions().is_empty() && row.context().contains(dot));
    // Who still has the version does not bring it back.
    let container = KeyedRow {
        key: key().row(Leaf::Value, b""),
        row: value_row(&a),
    };
    assert!(container.row.versions().contains_key(&dot));
    let pull = Pull {
        vnode: super::ID,
        incarnation: b.vnode.actor().nonce,
        want: a.vnode.clock().dots().clone(),
        have: b.vnode.clock().clone(),
    };
    let stage = Stage::new(&a.disk);
    let pulled = a.vnode.answer_pull(&pull, &a.limits, &stage).unwrap();
    assert!(pulled.bundle.rows.contains(&container));
    b.commit(|vnode, stage, _| vnode.absorb(Hlc::at(0), &pulled.bundle, stage).unwrap());
    assert!(b.values().is_empty());
    // The gap is closed now, and nothing is left of the row after the next walk.
    assert!(b.vnode.clock().covers(a.vnode.clock()));
    b.receive(changes(&beside));
    sweep(&mut b, END_MS + GRACE_MS);
    assert!(value_row(&b).is_empty());
}

#[test]
fn an_owner_that_has_not_swept_yet_brings_nothing_back() {
    let mut owners = NODES.map(Owner::new);
    owners[0].run(&lasting(1, 1_000, put("a"))).unwrap();
    pull_all(&mut owners);
    assert_eq!(sweep(&mut owners[1], END_MS + GRACE_MS), 1);
    pull_all(&mut owners);
    assert!(owners[1].values().is_empty());
    assert!(!owners[2].values().is_empty());
    // A write over what was removed is an ordinary one.
    let again = owners[1].write(2, &Context::default(), put("b")).unwrap();
    owners[2].receive(changes(&again));
    assert_eq!(sweep(&mut owners[2], END_MS + GRACE_MS), 1);
    assert_eq!(owners[2].values(), ["b"]);
}

#[test]
fn elements_end_one_by_one() {
    let mut owner = Owner::new(NodeId(1));
    let add = |e: &'static [&'static str]| {
        let elements = e.iter().map(|e| Bytes::from(*e)).collect();
        Action::each(Leaf::Element, elements, &Update::Add)
    };
    owner.run(&lasting(1, 1_000, add(&["x", "y"]))).unwrap();
    let stays = owner.write(2, &Context::default(), add(&["y", "z"]));
    stays.unwrap();
    owner.run(&lasting(3, 9_000, add(&["w"]))).unwrap();
    assert_eq!(sweep(&mut owner, END_MS + GRACE_MS), 1);
    let left = [b"w", b"x", b"y", b"z"].map(|e| {
        let row = owner.row(&key().row(Leaf::Element, e));
        !row.versions().is_empty()
    });
    assert_eq!(left, [true, false, true, true]);
}

#[test]
fn a_vnode_without_ends_is_left_alone_until_one_is_written() {
    let mut owner = Owner::new(NodeId(1));
    owner.write(1, &Context::default(), put("a")).unwrap();
    // At its beginning it does not know what it holds.
    assert!(owner.vnode.may_expire());
    assert_eq!(sweep(&mut owner, END_MS), 0);
    assert!(!owner.vnode.may_expire());
    owner.run(&lasting(2, 1_000, put("b"))).unwrap();
    assert!(owner.vnode.may_expire());
    owner.restart(8);
    assert_eq!(sweep(&mut owner, END_MS), 0);
    assert!(owner.vnode.may_expire());
}

#[test]
fn a_key_whose_value_is_over_counts_as_absent_for_a_condition() {
    let mut owner = Owner::new(NodeId(1));
    owner.run(&lasting(1, 1, put("a"))).unwrap();
    let mut create = command(2_000, vec![edit(&[], put("b"))]);
    create.targets[0].only_if_current = true;
    assert!(owner.run(&create).is_ok());
}

#[test]
fn every_kind_with_an_end_ends() {
    let e = || vec![Bytes::from("e")];
    for (action, leaf, part) in [
        (put("a"), Leaf::Value, ""),
        (
            Action::one(Leaf::Register, Update::Assign("a".into())),
            Leaf::Register,
            "",
        ),
        (
            Action::each(Leaf::Element, e(), &Update::Add),
            Leaf::Element,
            "e",
        ),
        (
            Action::each(Leaf::GrowElement, e(), &Update::Add),
            Leaf::GrowElement,
            "e",
        ),
        (
            Action::each(Leaf::Item, e(), &Update::Insert("x".into())),
            Leaf::Item,
            "e",
        ),
    ] {
        // The key itself, and a field of a map.
        for names in [&[][..], &["a", "b"]] {
            let (mut a, mut b) = (Owner::new(NodeId(1)), Owner::new(NodeId(2)));
            let lasting = Command {
                ttl_ms: Some(1_000),
                ..command(1, vec![edit(names, action.clone())])
            };
            b.receive(changes(&a.run(&lasting).unwrap()));
            let key = key().row_at(&path(names), leaf, part.as_bytes());
            for owner in [&mut a, &mut b] {
                let mut row = owner.row(&key);
                row.hide_expired(END_MS - 1);
                assert_eq!(row.versions().len(), 1, "{leaf:?}");
                row.hide_expired(END_MS);
                assert!(row.versions().is_empty(), "{leaf:?}");
                assert_eq!(sweep(owner, END_MS + GRACE_MS), 1, "{leaf:?}");
                assert_eq!(owner.stored(Family::Data), 0, "{leaf:?}");
            }
        }
    }
}

#[test]
fn of_siblings_the_one_that_ends_goes_and_the_other_stays() {
    let mut owners = NODES.map(Owner::new);
    owners[0].run(&lasting(1, 1_000, put("a"))).unwrap();
    owners[1].write(2, &Context::default(), put("b")).unwrap();
    pull_all(&mut owners);
    for owner in &mut owners {
        assert_eq!(owner.values(), ["a", "b"]);
        let mut row = value_row(owner);
        row.hide_expired(END_MS);
        assert_eq!(row.versions().len(), 1);
        assert_eq!(sweep(owner, END_MS + GRACE_MS), 1);
        assert_eq!(owner.values(), ["b"]);
    }
}

#[test]
fn an_element_that_is_added_beside_one_with_an_end_stays() {
    let mut owners = NODES.map(Owner::new);
    let add = || Action::each(Leaf::Element, vec![Bytes::from("e")], &Update::Add);
    owners[0].run(&lasting(1, 1_000, add())).unwrap();
    owners[1].write(2, &Context::default(), add()).unwrap();
    pull_all(&mut owners);
    for owner in &mut owners {
        sweep(owner, END_MS + GRACE_MS);
        let row = owner.row(&key().row(Leaf::Element, b"e"));
        assert_eq!(row.versions().len(), 1);
    }
}
