//! Messages come back as they were sent, and bytes that are no message are an error.

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{MessageError, decode, encode};
use crate::protocol::event::{Effect, Event, Operation};
use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{
    Absorb, Again, Bundle, Change, Cursor, Difference, Differences, Examine, Examined, Fingerprint,
    Grant, KeyedRecord, KeyedRow, Page, PeerReply, PeerRequest, Pull, PullKey, Pulled, Range,
    ReadRows, Refusal, Replicate, RowsRead, Selection, Sync,
};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::{Actor, Clock, Context, Dot, Hlc, OpId, Row, Version};
use ring::{BucketId, PartitionId, ReplicaCount, Token, VnodeId};
use starling::wire::Durability;

const VNODE: VnodeId = VnodeId {
    n: ReplicaCount::DEFAULT,
    partition: PartitionId(5),
};

fn prefix() -> KeyPrefix {
    KeyPrefix::new(3, Token(7), BucketId(9), b"key", b"\0")
}

fn dot(counter: u64) -> Dot {
    Dot::new(Actor { node: 1, nonce: 2 }, counter)
}

fn clock() -> Clock {
    let mut clock = Clock::default();
    [1, 2, 5]
        .into_iter()
        .for_each(|counter| clock.insert(dot(counter)));
    clock
}

fn dots() -> DotSet {
    clock().dots().clone()
}

fn change() -> Change {
    let id = OpId {
        client: 3,
        sequence: 4,
    };
    let operation = Some(Operation {
        id,
        digest: 7,
        effect: Effect::Carried,
    });
    let row = prefix().row(Leaf::Value, b"");
    let event = Event {
        dot: dot(6),
        row,
        first: 6,
        last: 6,
        hlc: Hlc::at(1),
        operation,
        covers: dots(),
    };
    let version = Version {
        hlc: Hlc::at(1),
        op: Some(id),
        expires_ms: None,
        body: "body".into(),
    };
    Change {
        event,
        delta: Row::write(dot(6), version, Context::of(dots())),
    }
}

fn bundle() -> Bundle {
    let Change { event, delta } = change();
    let rows = vec![KeyedRow {
        key: event.row.clone(),
        row: delta,
    }];
    Bundle {
        events: vec![event],
        rows,
        bases: clock(),
        trimmed: dots(),
        lent: dots(),
        sender: 7,
        records: vec![record()],
    }
}

fn record() -> KeyedRecord {
    KeyedRecord {
        key: vec![1].into(),
        value: vec![2, 3].into(),
    }
}

fn range() -> Range {
    Range {
        from: vec![1].into(),
        to: vec![2].into(),
        reverse: true,
        limit: Some(3),
    }
}

fn examine() -> Examine {
    let bounds = vec![vec![1].into(), vec![2].into()];
    Examine {
        vnode: VNODE,
        bounds,
    }
}

fn requests() -> Vec<PeerRequest> {
    let (vnode, durability, incarnation) = (VNODE, Durability::Synced, 8);
    let pull_key = PullKey {
        vnode,
        incarnation,
        prefix: prefix(),
        have: clock(),
    };
    vec![
        PeerRequest::Replicate(Replicate {
            vnode,
            durability,
            changes: vec![change(), change()],
        }),
        PeerRequest::Again(Again {
            vnode,
            durability,
            dots: dots(),
        }),
        PeerRequest::Absorb(Absorb {
            vnode,
            durability,
            bundle: bundle(),
        }),
        PeerRequest::Repair {
            vnode,
            prefix: prefix(),
        },
        PeerRequest::Grant(Grant {
            vnode,
            prefix: prefix(),
            lacking: 3,
        }),
        PeerRequest::Compare(vec![Fingerprint {
            vnode,
            incarnation: 5,
            clock: 1,
            known_durable: 2,
        }]),
        PeerRequest::Pull(Pull {
            vnode,
            incarnation,
            want: dots(),
            have: clock(),
        }),
        PeerRequest::PullKey(pull_key),
        PeerRequest::Sync(Sync {
            vnode,
            incarnation,
            from: Cursor::RowsAfter(vec![1, 2].into()),
            have: clock(),
        }),
        PeerRequest::Examine(examine()),
    ]
}

/// A read of every sort.
fn reads() -> Vec<PeerRequest> {
    let selections = [
        Selection::Row(prefix().row(Leaf::Element, b"e")),
        Selection::Key(prefix()),
        Selection::Range(range()),
        Selection::Keys {
            bucket: BucketId(9),
            range: range(),
        },
        Selection::Sample(range()),
        Selection::Names {
            range: range(),
            depth: 2,
        },
    ];
    let read = |selection| {
        PeerRequest::Read(ReadRows {
            vnode: VNODE,
            selection,
            whole_clock: true,
            durable: Some(Durability::Wal),
            bodies_up_to: Some(4_096),
        })
    };
    selections.map(read).to_vec()
}

fn replies() -> Vec<PeerReply> {
    let (vnode, incarnation) = (VNODE, 8);
    let difference = Difference {
        vnode,
        incarnation,
        clock: clock(),
        durable: clock(),
        whole: true,
    };
    let differences = Differences {
        differing: vec![difference],
        unknown: vec![vnode],
        wall_ms: 1_700_000_000_000,
    };
    let rows = RowsRead {
        rows: bundle().rows,
        clock: clock(),
        catching_up: true,
        until: Some(vec![1, 2].into()),
        sampled: Some(9),
        left_out: dots(),
    };
    let trimmed = dots();
    let pulled = Pulled {
        vnode,
        incarnation,
        bundle: bundle(),
        trimmed,
        more: true,
    };
    let page = Page {
        vnode,
        incarnation,
        sender: 9,
        bundle: bundle(),
        records: vec![record(), record()],
        from: Cursor::Records,
        next: Some(Cursor::RecordsAfter(vec![9].into())),
        unlogged: clock(),
    };
    vec![
        PeerReply::Acked,
        PeerReply::Rows(rows),
        PeerReply::Differences(differences),
        PeerReply::Pulled(pulled),
        PeerReply::Page(Box::new(page)),
        PeerReply::Examined(Examined {
            clock: 7,
            digests: vec![Some(u64::MAX), None],
        }),
        PeerReply::Refused(Refusal::TooLarge),
    ]
}

#[test]
fn every_message_comes_back() {
    for request in [requests(), reads()].concat() {
        assert_eq!(
            decode::<PeerRequest>(&encode(&request).unwrap()),
            Ok(request)
        );
    }
    for reply in replies() {
        assert_eq!(decode::<PeerReply>(&encode(&reply).unwrap()), Ok(reply));
    }
}

#[test]
fn the_bytes_of_version_1_stay() {
    let pull = Pull {
        vnode: VNODE,
        incarnation: 8,
        want: dots(),
        have: Clock::default(),
    };
    let mut expected = vec![1, 0x81, 0xa4];
    expected.extend_from_slice(b"Pull");
    expected.extend_from_slice(&[0x94, 0x92, 3, 5, 8, 0xc4, 22, 1]);
    expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    expected.extend_from_slice(&[2, 1, 1, 3, 0]);
    expected.extend_from_slice(&[0xc4, 2, 1, 0]);
    assert_eq!(encode(&PeerRequest::Pull(pull)).unwrap(), expected);
}

#[test]
fn what_is_not_a_message_says_so() {
    assert_eq!(decode::<PeerReply>(&[]), Err(MessageError::Empty));
    assert_eq!(
        decode::<PeerReply>(&[2]),
        Err(MessageError::UnknownVersion { found: 2 })
    );
    let mut trailing = encode(&PeerReply::Acked).unwrap();
    trailing.push(0);
    assert!(matches!(
        decode::<PeerReply>(&trailing),
        Err(MessageError::Malformed { .. })
    ));
}

proptest! {
    #[test]
    fn any_bytes_give_a_message_or_an_error(mut bytes in vec(any::<u8>(), 0..200)) {
        bytes.insert(0, 1);
        drop(decode::<PeerRequest>(&bytes));
        drop(decode::<PeerReply>(&bytes));
    }

    #[test]
    fn a_cut_message_is_an_error(which in 0_usize..16, cut in any::<proptest::sample::Index>()) {
        let bytes = encode(&[requests(), reads()].concat()[which]).unwrap();
        let cut = cut.index(bytes.len());
        prop_assert!(decode::<PeerRequest>(&bytes[..cut]).is_err());
        prop_assert_eq!(decode::<PeerRequest>(&bytes).is_ok(), true);
    }
}
