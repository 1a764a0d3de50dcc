//! Which writes stay with their first owner even when it is slow.
//!
//! A write is entered by its coordinator over what that has seen of the key. Most writes may be
//! entered anywhere, but one after the other at the same node: a removal without a context takes
//! what its coordinator has, and should find what the same client wrote before. So either all
//! writes of a kind leave a slow node or none. None do where the node matters beyond that: each
//! spends from rights of its own, items are put between those that are there, and in sets and
//! flags where the removal wins a write has an effect only over what is there. Conditions stay too:
//! writers should meet where they are judged, and each says by its context what it has seen.

use crate::wire::{Kind, WriteItem};

/// Does a write of these items stay with the first owner while that answers at all?
pub(crate) fn stays(items: &[WriteItem]) -> bool {
    items.iter().any(|item| {
        let mut kinds = item.edits.iter().map(|edit| edit.kind);
        item.only_if_current || kinds.any(is_of_its_node)
    })
}

fn is_of_its_node(kind: Kind) -> bool {
    match kind {
        Kind::BoundedCounter | Kind::List | Kind::RemoveSet | Kind::DisableFlag => true,
        Kind::Value
        | Kind::Counter
        | Kind::Set
        | Kind::Register
        | Kind::Max
        | Kind::Min
        | Kind::Flag
        | Kind::GrowSet
        | Kind::Sketch
        | Kind::Map => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::{Kind, WriteItem, stays};
    use crate::wire::{Edit, Mutation};

    fn item(only_if_current: bool, edits: &[(Kind, Mutation)]) -> WriteItem {
        let edit = |(kind, mutation): &(Kind, Mutation)| Edit::of_key(*kind, mutation.clone());
        WriteItem {
            sort: ByteBuf::new(),
            edits: edits.iter().map(edit).collect(),
            context: ByteBuf::new(),
            only_if_current,
        }
    }

    #[test]
    fn all_writes_of_a_kind_stay_or_none_and_conditions_do() {
        let bytes = || ByteBuf::from("x");
        let put = (Kind::Value, Mutation::Put(bytes()));
        let add = (Kind::Set, Mutation::Add(vec![bytes()]));
        let remove = (Kind::Set, Mutation::Remove(vec![bytes()]));
        let plain = item(false, &[put.clone(), add, remove]);
        let conditional = item(true, std::slice::from_ref(&put));
        let spend = (Kind::BoundedCounter, Mutation::Increment(-1));
        let spending = item(false, &[put, spend]);
        assert!(!stays(std::slice::from_ref(&plain)));
        assert!(stays(&[plain.clone(), conditional]));
        assert!(stays(&[plain, spending]));
    }
}
