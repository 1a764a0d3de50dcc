//! Keys are ordered as they should be, come back from their bytes, and cut the table.

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{KeyPrefix, RowKey, data_range};
use crdt::kinds::Leaf;
use ring::{BucketId, PartitionId, QBits, ReplicaCount, Token, VnodeId};

fn prefix(sort: &[u8]) -> KeyPrefix {
    KeyPrefix::new(3, Token(7), BucketId(9), b"p", sort)
}

proptest! {
    #[test]
    fn rows_are_ordered_by_sort_key(
        a in vec(0_u8..3, 0..6), b in vec(0_u8..3, 0..6), x in any::<Vec<u8>>()
    ) {
        let row_a = prefix(&a).row(Leaf::Element, &x);
        let row_b = prefix(&b).row(Leaf::Value, b"");
        if a != b {
            prop_assert_eq!(a.cmp(&b), row_a.as_bytes().cmp(row_b.as_bytes()));
        }
        let end = prefix(&a).end();
        prop_assert!(row_a.as_bytes() < &end[..]);
        prop_assert_eq!(row_b.as_bytes() < &end[..], b <= a);
    }

    #[test]
    fn a_row_key_comes_back(sort in any::<Vec<u8>>(), part in any::<Vec<u8>>()) {
        let row = prefix(&sort).row(Leaf::Element, &part);
        let back = RowKey::decode(row.as_bytes()).unwrap();
        prop_assert_eq!(&back, &row);
        prop_assert_eq!(back.part(), &part[..]);
        prop_assert_eq!(back.leaf(), Leaf::Element);
        prop_assert!(back.is_of(&prefix(&sort)));
        prop_assert_eq!(KeyPrefix::decode(back.prefix().as_bytes()).unwrap(), prefix(&sort));
    }

    #[test]
    fn any_bytes_give_a_key_or_an_error(bytes in any::<Vec<u8>>()) {
        if let Ok(key) = RowKey::decode(&bytes) {
            prop_assert_eq!(key.as_bytes(), &bytes[..]);
        }
    }
}

#[test]
fn vnodes_cut_the_table_without_gap_or_overlap() {
    let bits = QBits::new(2).unwrap();
    let n = ReplicaCount::new(3).unwrap();
    let ranges: Vec<_> = bits
        .partitions()
        .map(|partition| data_range(VnodeId { n, partition }, bits))
        .collect();
    for pair in ranges.windows(2) {
        assert_eq!(pair[0].1, pair[1].0);
    }
    assert_eq!(ranges[3].1, [4]);
    let key = KeyPrefix::new(3, Token(u64::MAX), BucketId(0), b"", b"").row(Leaf::Value, b"");
    assert!(key.as_bytes() < &ranges[3].1[..]);
    assert_eq!(key.vnode(bits), Some((3, PartitionId(3))));
}
