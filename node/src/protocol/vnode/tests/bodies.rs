//! Answers without the bodies of large versions.

use bytes::Bytes;

use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{KeyedRow, ReadRows, Selection};
use crate::protocol::vnode::Selected;
use crdt::kinds::Leaf;
use crdt::{Actor, Clock, Context, Dot, Hlc, Row, Version};
use ring::{BucketId, PartitionId, ReplicaCount, Token, VnodeId};

#[test]
fn bodies_that_are_longer_than_was_asked_are_left_out_and_their_versions_named() {
    let prefix = KeyPrefix::new(3, Token(1), BucketId(1), b"k", b"");
    let dot = |counter| Dot::new(Actor { node: 1, nonce: 1 }, counter);
    let version = |body: &'static str| Version::new(Hlc::at(1), None, Bytes::from(body));
    let mut row = Row::write(dot(1), version("four"), Context::default());
    row.join(&Row::write(dot(2), version("longer"), Context::default()));
    row.join(&Row::write(dot(3), version(""), Context::default()));
    let answer = |bodies_up_to| {
        let selected = Selected {
            rows: vec![KeyedRow {
                key: prefix.row(Leaf::Value, b""),
                row: row.clone(),
            }],
            ..Selected::default()
        };
        let read = ReadRows {
            vnode: VnodeId {
                n: ReplicaCount::DEFAULT,
                partition: PartitionId(0),
            },
            selection: Selection::Key(prefix.clone()),
            whole_clock: false,
            durable: None,
            bodies_up_to,
        };
        let answer = selected.answer(&read, Clock::default(), false);
        let versions = answer.rows[0].row.versions().values();
        let bodies: Vec<Bytes> = versions.map(|version| version.body.clone()).collect();
        (bodies, answer.left_out.iter().collect::<Vec<_>>())
    };
    let bodies = |all: [&'static str; 3]| Vec::from(all.map(Bytes::from));
    assert_eq!(answer(None), (bodies(["four", "longer", ""]), vec![]));
    assert_eq!(answer(Some(4)), (bodies(["four", "", ""]), vec![dot(2)]));
    assert_eq!(
        answer(Some(0)),
        (bodies(["", "", ""]), vec![dot(1), dot(2)])
    );
}
