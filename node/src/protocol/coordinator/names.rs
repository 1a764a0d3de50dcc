//! Joining what several replicas show of the names in a map.
//!
//! Of each name a replica shows a few rows, and not always the same as another. That it does not
//! show a row says nothing as long as it shows the name; that it does not show the name says that
//! no row of it is there.

use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::keys::RowKey;
use crate::protocol::messages::{KeyedRow, RowsRead};
use crate::protocol::samples::names::name_of;
use crdt::Row;
use ring::NodeId;

/// Lets each replica that shows a name in the map so many steps down show all rows that the others
/// show of it, so that these can be joined as if they were whole. Without a map it does nothing.
///
/// A name counts then if all that were asked show it, or one does that knows what the others do
/// not; and not if it is gone from one that has seen all that the others show of it. Where each
/// knows what the other does not, of the same name, it may count by a row that is gone.
pub(super) fn share_names(replies: &mut BTreeMap<NodeId, RowsRead>, map: Option<usize>) {
    let Some(depth) = map.filter(|_| replies.len() > 1) else {
        return;
    };
    let mut shown: BTreeMap<Vec<u8>, BTreeMap<RowKey, Row>> = BTreeMap::new();
    for KeyedRow { key, row } in replies.values().flat_map(|reply| &reply.rows) {
        // Clears are among the rows too, and show no name.
        if let Some(name) = name_of(key, depth) {
            let rows = shown.entry(name.to_vec()).or_default();
            rows.entry(key.clone()).or_insert_with(|| row.clone());
        }
    }
    for reply in replies.values_mut() {
        let names: BTreeSet<Vec<u8>> = reply
            .rows
            .iter()
            .filter_map(|keyed| name_of(&keyed.key, depth))
            .map(<[u8]>::to_vec)
            .collect();
        let own = std::mem::take(&mut reply.rows);
        let mut rows: BTreeMap<RowKey, Row> = own
            .into_iter()
            .map(|keyed| (keyed.key, keyed.row))
            .collect();
        for (key, row) in names.iter().filter_map(|name| shown.get(name)).flatten() {
            rows.entry(key.clone()).or_insert_with(|| row.clone());
        }
        let rows = rows.into_iter().map(|(key, row)| KeyedRow { key, row });
        reply.rows = rows.collect();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::share_names;
    use crate::protocol::coordinator::joined::Joined;
    use crate::protocol::keys::{KeyPrefix, RowKey};
    use crate::protocol::messages::{KeyedRow, RowsRead};
    use crdt::dots::DotSet;
    use crdt::kinds::Leaf;
    use crdt::kinds::map::Path;
    use crdt::{Actor, Clock, Context, Dot, Hlc, Row, Version};
    use ring::{BucketId, NodeId, Token};

    /// An element of the set in the field "tags".
    fn element(part: &[u8]) -> RowKey {
        let key = KeyPrefix::new(3, Token(1), BucketId(1), b"k", b"");
        let path = Path::new(vec![Bytes::from("tags")]).unwrap();
        key.row_at(&path, Leaf::Element, part)
    }

    /// An owner that has seen so many events of one actor, and of these shows elements by their
    /// dots.
    fn owner(seen: u64, shown: &[(&[u8], u64)]) -> RowsRead {
        let dot = |counter| Dot::new(Actor { node: 1, nonce: 1 }, counter);
        let row = |counter| {
            let version = Version::new(Hlc::at(1), None, Bytes::new());
            Row::write(dot(counter), version, Context::default())
        };
        let rows = shown.iter().map(|&(part, counter)| KeyedRow {
            key: element(part),
            row: row(counter),
        });
        let mut clock = DotSet::default();
        (1..=seen).for_each(|counter| clock.insert(dot(counter)));
        RowsRead {
            rows: rows.collect(),
            clock: Clock::of(clock),
            catching_up: false,
            until: None,
            sampled: None,
            left_out: DotSet::default(),
        }
    }

    /// Does the join of these owners show the field?
    fn shows(owners: &[RowsRead]) -> bool {
        let nodes = (1..).map(NodeId);
        let mut replies: BTreeMap<NodeId, RowsRead> = nodes.zip(owners.iter().cloned()).collect();
        share_names(&mut replies, Some(0));
        let mut joined = Joined::default();
        replies.into_values().for_each(|reply| joined.add(reply));
        !joined.finish().0.is_empty()
    }

    #[test]
    fn a_name_counts_while_any_row_of_it_is_there_whichever_row_each_owner_shows() {
        let all = [owner(2, &[(b"a", 1)]), owner(2, &[(b"b", 2)])];
        assert!(shows(&all));
        // One has not heard of the first element, and the other does not show the second.
        let ahead = [owner(2, &[(b"b", 2)]), owner(1, &[(b"a", 1)])];
        assert!(shows(&ahead));
        assert!(shows(&[
            owner(1, &[]),
            owner(2, &[(b"b", 2)]),
            owner(1, &[])
        ]));
    }

    #[test]
    fn a_name_is_gone_when_an_owner_that_has_seen_it_does_not_show_it() {
        let (stale, gone) = (owner(1, &[(b"a", 1)]), owner(2, &[]));
        for owners in [
            &[stale.clone(), gone.clone()][..],
            &[gone.clone(), stale.clone()],
            &[stale.clone(), gone, stale.clone()],
        ] {
            assert!(!shows(owners));
        }
        assert!(shows(&[stale]));
    }
}
