//! Which writes stay with their first owner even when it is slow.
//!
//! A write is entered by its coordinator over what that has seen of the key. Where this decides
//! what the write does (a condition, a removal of "what is there"), writes of one key should meet
//! at one node, so that each is judged by those before it. Others say by themselves what they do,
//! and go to whoever is quick.

use crate::wire::{Kind, Mutation, WriteItem, WriteRequest};

/// Does what this write does depend on what its coordinator has seen?
pub(crate) fn stays(write: &WriteRequest) -> bool {
    write.items.iter().any(depends)
}

fn depends(item: &WriteItem) -> bool {
    let has_context = !item.context.is_empty();
    item.only_if_current
        || item
            .edits
            .iter()
            .any(|edit| match (edit.kind, &edit.mutation) {
                // Rights to spend lie with each node, and items go between those that are there.
                (Kind::BoundedCounter | Kind::List, _) => true,
                // Only over what is there does a write of these have an effect.
                (Kind::RemoveSet | Kind::DisableFlag, _)
                | (_, Mutation::Delete | Mutation::Remove(_) | Mutation::Switch(false)) => {
                    !has_context
                }
                (
                    Kind::Value
                    | Kind::Counter
                    | Kind::Set
                    | Kind::Register
                    | Kind::Max
                    | Kind::Min
                    | Kind::Flag
                    | Kind::GrowSet
                    | Kind::Sketch
                    | Kind::Map,
                    Mutation::Put(_)
                    | Mutation::Increment(_)
                    | Mutation::Add(_)
                    | Mutation::Offer(_)
                    | Mutation::Switch(true)
                    | Mutation::Insert { .. },
                ) => false,
            })
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::{Kind, Mutation, WriteItem, WriteRequest, stays};
    use crate::wire::{Edit, OperationId};

    fn write(context: &[u8], only_if_current: bool, edits: &[(Kind, Mutation)]) -> WriteRequest {
        let edit = |(kind, mutation): &(Kind, Mutation)| Edit::of_key(*kind, mutation.clone());
        WriteRequest {
            bucket: "b".to_owned(),
            partition: ByteBuf::from("k"),
            items: vec![WriteItem {
                sort: ByteBuf::new(),
                edits: edits.iter().map(edit).collect(),
                context: ByteBuf::from(context),
                only_if_current,
            }],
            operation: OperationId {
                client: (1, 2),
                sequence: 3,
            },
            age_ms: 0,
            ttl_ms: None,
            w: None,
            durability: None,
            return_value: false,
            timeout_ms: 1,
            sloppy: None,
            pw: None,
        }
    }

    #[test]
    fn what_is_judged_by_its_coordinator_stays_and_the_rest_may_go_elsewhere() {
        let bytes = || ByteBuf::from("x");
        let put = (Kind::Value, Mutation::Put(bytes()));
        let add = (Kind::Set, Mutation::Add(vec![bytes()]));
        let removes = [
            (Kind::Set, Mutation::Remove(vec![bytes()])),
            (Kind::Value, Mutation::Delete),
            (Kind::Flag, Mutation::Switch(false)),
            (Kind::RemoveSet, Mutation::Add(vec![bytes()])),
        ];
        let count = (Kind::Counter, Mutation::Increment(1));
        let spend = (Kind::BoundedCounter, Mutation::Increment(-1));
        assert!(!stays(&write(b"", false, &[put.clone(), add, count])));
        assert!(stays(&write(b"c", true, std::slice::from_ref(&put))));
        for remove in removes {
            assert!(!stays(&write(b"c", false, std::slice::from_ref(&remove))));
            assert!(stays(&write(b"", false, &[put.clone(), remove])));
        }
        assert!(stays(&write(b"c", false, &[spend])));
    }
}
