//! Which change fits which kind, and what becomes of one that does not.

use serde_bytes::ByteBuf;

use super::{command_of, desk_of_all_kinds, field, ordered, refused, write, write_edits};
use crate::protocol::vnode::Action;
use starling::wire::{Edit, FailureKind, Kind, Mutation, Outcome, Request};

/// One mutation of each sort, and the kinds that take it. All but grow-only sets are deleted.
fn mutations() -> Vec<(Mutation, Vec<Kind>)> {
    let bytes = || vec![ByteBuf::from(b"e")];
    let but_grow_sets = Kind::ALL.map(|(kind, _)| kind).into_iter();
    let insert = Mutation::Insert {
        after: None,
        before: None,
        items: bytes(),
    };
    vec![
        (
            Mutation::Delete,
            but_grow_sets
                .filter(|&kind| kind != Kind::GrowSet && kind != Kind::BoundedCounter)
                .collect(),
        ),
        (
            Mutation::Put(ByteBuf::from(b"v")),
            vec![Kind::Value, Kind::Register],
        ),
        (
            Mutation::Increment(1),
            vec![Kind::Counter, Kind::BoundedCounter],
        ),
        (
            Mutation::Increment(-1),
            vec![Kind::Counter, Kind::BoundedCounter],
        ),
        (
            Mutation::Add(bytes()),
            vec![Kind::Set, Kind::GrowSet, Kind::RemoveSet, Kind::Sketch],
        ),
        (
            Mutation::Remove(bytes()),
            vec![Kind::Set, Kind::RemoveSet, Kind::List],
        ),
        (Mutation::Offer(4), vec![Kind::Max, Kind::Min]),
        (Mutation::Switch(true), vec![Kind::Flag, Kind::DisableFlag]),
        (insert, vec![Kind::List]),
    ]
}

#[test]
fn each_change_is_taken_by_its_kinds_and_refused_by_all_others() {
    let desk = desk_of_all_kinds();
    for (mutation, kinds) in mutations() {
        for (kind, bucket) in Kind::ALL {
            let request = Request::Write(write(bucket, mutation.clone()));
            if kinds.contains(&kind) {
                let command = command_of(ordered(&desk, &request).0);
                assert_eq!(command.targets[0].edits.len(), 1, "{kind}: {mutation:?}");
                continue;
            }
            let failure = refused(&desk, &request);
            let expected = [FailureKind::WrongKind, FailureKind::BadRequest];
            assert!(expected.contains(&failure.kind), "{kind}: {failure:?}");
            assert_eq!(failure.outcome, Outcome::NotApplied);
        }
    }
}

#[test]
fn a_bucket_is_not_used_as_another_kind() {
    let desk = desk_of_all_kinds();
    for (kind, bucket) in Kind::ALL {
        for (other, _) in Kind::ALL.into_iter().filter(|&(other, _)| other != kind) {
            let edits = vec![Edit::of_key(other, Mutation::Delete)];
            let failure = refused(&desk, &Request::Write(write_edits(bucket, edits)));
            assert_eq!(failure.kind, FailureKind::WrongKind, "{kind} as {other}");
            assert!(failure.message.contains(bucket), "{failure:?}");
        }
    }
}

#[test]
fn only_a_map_has_fields() {
    let desk = desk_of_all_kinds();
    let increment = || vec![field(&["a"], Kind::Counter, Mutation::Increment(1))];
    for (kind, bucket) in Kind::ALL {
        let request = Request::Write(write_edits(bucket, increment()));
        if kind == Kind::Map {
            ordered(&desk, &request);
        } else {
            let failure = refused(&desk, &request);
            assert_eq!(failure.kind, FailureKind::WrongKind, "{kind}");
        }
    }
}

#[test]
fn a_field_is_neither_too_deep_nor_nameless() {
    let desk = desk_of_all_kinds();
    let refusal = |names: &[&str]| {
        let edits = vec![field(names, Kind::Counter, Mutation::Increment(1))];
        refused(&desk, &Request::Write(write_edits("map", edits)))
    };
    let deep = ["a"; starling::wire::MAX_DEPTH + 1];
    assert_eq!(refusal(&deep).kind, FailureKind::TooLarge);
    assert_eq!(refusal(&[""]).kind, FailureKind::BadRequest);
}

#[test]
fn one_write_does_not_delete_a_field_and_change_it() {
    let desk = desk_of_all_kinds();
    let edits = vec![
        field(&["a", "b"], Kind::Counter, Mutation::Increment(1)),
        field(&["a"], Kind::Map, Mutation::Delete),
    ];
    let failure = refused(&desk, &Request::Write(write_edits("map", edits)));
    assert_eq!(failure.kind, FailureKind::BadRequest);
    assert!(failure.message.contains("one after"), "{failure:?}");
}

#[test]
fn a_time_to_live_is_for_kinds_that_have_one_and_has_bounds() {
    let desk = desk_of_all_kinds();
    let with = |bucket: &str, mutation, ttl_ms| {
        let mut request = write(bucket, mutation);
        request.ttl_ms = Some(ttl_ms);
        Request::Write(request)
    };
    let put = || Mutation::Put(ByteBuf::from(b"v"));
    let (order, _) = ordered(&desk, &with("value", put(), 1));
    assert_eq!(command_of(order).ttl_ms, Some(1));
    for request in [
        with("value", put(), 0),
        with("value", put(), u64::MAX),
        with("counter", Mutation::Increment(1), 1_000),
    ] {
        assert_eq!(refused(&desk, &request).kind, FailureKind::BadRequest);
    }
}

#[test]
fn the_items_of_one_insertion_have_the_same_positions_through_any_coordinator() {
    let items = || ["x", "y"].map(ByteBuf::from).to_vec();
    let insert = Mutation::Insert {
        after: None,
        before: None,
        items: items(),
    };
    let edits = vec![
        Edit::of_key(Kind::List, insert.clone()),
        Edit::of_key(Kind::List, insert),
    ];
    let request = Request::Write(write_edits("list", edits));
    let inserted = || {
        let command = command_of(ordered(&desk_of_all_kinds(), &request).0);
        command.targets[0]
            .edits
            .iter()
            .flat_map(|edit| match &edit.action {
                Action::Insert(items) => items.clone(),
                other => panic!("{other:?}"),
            })
            .map(|(position, _)| position)
            .collect::<Vec<_>>()
    };
    let positions = inserted();
    assert_eq!(positions, inserted());
    let distinct: std::collections::BTreeSet<_> = positions.iter().collect();
    assert_eq!(distinct.len(), 4);
}
