//! Which change fits which kind, and what becomes of one that does not.

use serde_bytes::ByteBuf;

use super::{command_of, desk_of_all_kinds, field, ordered, read, refused, write, write_edits};
use crate::protocol::vnode::Action;
use starling::wire::{Edit, FailureKind, Kind, Mutation, Outcome, Request, WriteRequest};

/// One mutation of each sort, and the kinds that take it. All but grow-only sets are deleted.
pub(super) fn mutations() -> Vec<(Mutation, Vec<Kind>)> {
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
            // A deletion is known to every kind, also to those that refuse it.
            let expected = match &mutation {
                Mutation::Delete => FailureKind::BadRequest,
                _ => FailureKind::WrongKind,
            };
            assert_eq!(failure.kind, expected, "{kind}: {failure:?}");
            assert_eq!(failure.outcome, Outcome::NotApplied);
        }
    }
}

#[test]
fn a_bounded_counter_is_not_changed_by_nothing() {
    let nothing = write("bounded-counter", Mutation::Increment(0));
    let failure = refused(&desk_of_all_kinds(), &Request::Write(nothing));
    let said = (failure.kind, failure.outcome);
    assert_eq!(said, (FailureKind::BadRequest, Outcome::NotApplied));
}

#[test]
fn a_bucket_is_not_read_as_another_kind() {
    let desk = desk_of_all_kinds();
    for (kind, bucket) in Kind::ALL {
        for (other, _) in Kind::ALL {
            let request = Request::Read(read(bucket, other));
            if kind == other {
                ordered(&desk, &request);
                continue;
            }
            let failure = refused(&desk, &request);
            assert_eq!(failure.kind, FailureKind::WrongKind, "{kind} as {other}");
            assert!(failure.message.contains(bucket), "{failure:?}");
        }
    }
}

#[test]
fn fields_are_read_of_a_map_alone_and_none_is_a_bounded_counter() {
    let desk = desk_of_all_kinds();
    for (kind, bucket) in Kind::ALL {
        for (of_field, _) in Kind::ALL {
            let mut asked = read(bucket, of_field);
            asked.path = vec![ByteBuf::from("a")];
            let request = Request::Read(asked);
            let expected = match (kind, of_field) {
                (_, Kind::BoundedCounter) => FailureKind::BadRequest,
                (Kind::Map, _) => {
                    ordered(&desk, &request);
                    continue;
                }
                _ => FailureKind::WrongKind,
            };
            let failure = refused(&desk, &request);
            assert_eq!(failure.kind, expected, "{of_field} in {kind}");
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
    for (names, expected) in [
        (&deep[..], FailureKind::TooLarge),
        (&[""], FailureKind::BadRequest),
    ] {
        let failure = refusal(names);
        assert_eq!(failure.kind, expected, "{failure:?}");
        assert_eq!(failure.outcome, Outcome::NotApplied);
    }
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
fn a_time_to_live_is_for_the_kinds_that_take_one_and_has_bounds() {
    let desk = desk_of_all_kinds();
    let lasting = |mut request: WriteRequest, ttl_ms| {
        request.ttl_ms = Some(ttl_ms);
        Request::Write(request)
    };
    let takes = [
        Kind::Value,
        Kind::Register,
        Kind::Set,
        Kind::GrowSet,
        Kind::List,
    ];
    for (mutation, kinds) in mutations() {
        for kind in kinds {
            let of_key = write(kind.name(), mutation.clone());
            let of_field = write_edits("map", vec![field(&["a"], kind, mutation.clone())]);
            // A bounded counter is no field at all.
            for request in [of_key, of_field] {
                let request = lasting(request, 1);
                if takes.contains(&kind) {
                    let command = command_of(ordered(&desk, &request).0);
                    assert_eq!(command.ttl_ms, Some(1), "{kind}");
                } else {
                    let failure = refused(&desk, &request);
                    assert_eq!(failure.kind, FailureKind::BadRequest, "{kind}");
                    assert_eq!(failure.outcome, Outcome::NotApplied, "{kind}");
                }
            }
        }
    }
    for ttl_ms in [0, u64::MAX] {
        let put = write("value", Mutation::Put(ByteBuf::from(b"v")));
        let failure = refused(&desk, &lasting(put, ttl_ms));
        assert_eq!(failure.kind, FailureKind::BadRequest);
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
                Action::Update(_, items) => items.clone(),
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
