//! An operation id names one change: what two nodes take for the same, and what they do not.

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use super::contexts::token_of;
use super::kinds::mutations;
use super::{
    command_of, desk_of_all_kinds, dot, field, ordered, over, put, read, write, write_edits,
};
use crdt::kinds::list::Position;
use starling::wire::{Durability, Edit, Kind, Mutation, OperationId, Request, WriteRequest};

fn digest(request: &WriteRequest) -> u32 {
    let (order, _) = ordered(&desk_of_all_kinds(), &Request::Write(request.clone()));
    command_of(order).digest
}

/// A change of every sort in every kind that takes it, of the same key.
fn changes_of_keys() -> Vec<WriteRequest> {
    let all = mutations().into_iter();
    let all = all.flat_map(|(mutation, kinds)| {
        let write = move |kind: Kind| write(kind.name(), mutation.clone());
        kinds.into_iter().map(write)
    });
    all.collect()
}

/// The same of a field of a map.
fn changes_of_fields() -> Vec<WriteRequest> {
    let all = mutations().into_iter();
    let all = all.flat_map(|(mutation, kinds)| {
        let fields = kinds
            .into_iter()
            .filter(|&kind| kind != Kind::BoundedCounter);
        fields.map(move |kind| write_edits("map", vec![field(&["a"], kind, mutation.clone())]))
    });
    all.collect()
}

/// Other payloads of the same sorts.
fn other_payloads() -> Vec<WriteRequest> {
    let bytes = |all: &[&'static str]| all.iter().map(|one| ByteBuf::from(*one)).collect();
    let insert = |items: &[&'static str]| Mutation::Insert {
        after: None,
        before: None,
        items: bytes(items),
    };
    vec![
        write("value", Mutation::Put(ByteBuf::from("w"))),
        write("value", Mutation::Put(ByteBuf::new())),
        write("register", Mutation::Put(ByteBuf::from("w"))),
        write("counter", Mutation::Increment(2)),
        write("bounded-counter", Mutation::Increment(-2)),
        write("set", Mutation::Add(bytes(&["f"]))),
        write("set", Mutation::Add(bytes(&["e", "f"]))),
        write("set", Mutation::Add(bytes(&["ef"]))),
        write("set", Mutation::Remove(bytes(&["f"]))),
        write("hll", Mutation::Add(bytes(&["f"]))),
        write("max", Mutation::Offer(5)),
        write("min", Mutation::Offer(-4)),
        write("flag", Mutation::Switch(false)),
        write("disable-flag", Mutation::Switch(false)),
        write("list", insert(&["x", "y"])),
        write("list", insert(&["y", "x"])),
    ]
}

/// The same put elsewhere: for another time, of another key, field or bucket, more than once, or
/// only if nothing is there.
fn other_places() -> Vec<WriteRequest> {
    let lasting = |ttl_ms| WriteRequest {
        ttl_ms: Some(ttl_ms),
        ..write("value", put())
    };
    let mut of_sort_key = write("value", put());
    of_sort_key.items[0].sort = ByteBuf::from("s");
    let mut both = write("value", put());
    both.items.extend(of_sort_key.items.clone());
    let of_another_key = WriteRequest {
        partition: ByteBuf::from("eve"),
        ..write("value", put())
    };
    let fields = [&["b"][..], &["a", "b"], &["ab"]];
    let fields = fields.map(|names| write_edits("map", vec![field(names, Kind::Value, put())]));
    let mut if_current = write("value", put());
    if_current.items[0].only_if_current = true;
    let twice = write_edits("value", vec![Edit::of_key(Kind::Value, put()); 2]);
    let mut all = vec![
        lasting(1),
        lasting(2),
        of_sort_key,
        both,
        if_current,
        of_another_key,
        write("values", put()),
        twice,
    ];
    all.extend(fields);
    all
}

#[test]
fn every_other_payload_has_another_digest() {
    let mut seen: BTreeMap<u32, WriteRequest> = BTreeMap::new();
    for asked in [
        changes_of_keys(),
        changes_of_fields(),
        other_payloads(),
        other_places(),
    ]
    .concat()
    {
        if let Some(same) = seen.insert(digest(&asked), asked.clone()) {
            panic!("one digest for {same:?} and {asked:?}");
        }
    }
}

#[test]
fn what_a_retry_may_say_otherwise_leaves_the_digest_as_it_is() {
    for asked in changes_of_keys() {
        let later = WriteRequest {
            age_ms: 1_000,
            w: Some(3),
            pw: Some(2),
            sloppy: Some(true),
            durability: Some(Durability::Synced),
            return_value: true,
            timeout_ms: 2_000,
            operation: OperationId {
                client: (3, 4),
                sequence: 5,
            },
            ..asked.clone()
        };
        assert_eq!(digest(&asked), digest(&later), "{asked:?}");
    }
    // Where an item goes follows from what is read before an attempt.
    let insert = |after: Option<&Position>| {
        let insert = Mutation::Insert {
            after: after.map(|position| ByteBuf::from(position.as_bytes().to_vec())),
            before: None,
            items: vec![ByteBuf::from("x")],
        };
        digest(&write("list", insert))
    };
    let others = Position::run(None, None, dot(1, 1), 1).unwrap();
    assert_eq!(insert(None), insert(others.first()));
    // A context grows with what is read between two attempts.
    let token = token_of(&desk_of_all_kinds(), read("values", Kind::Value));
    let asked = write("values", put());
    assert_eq!(digest(&asked), digest(&over(&token, asked.clone())));
}
