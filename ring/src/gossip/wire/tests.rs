//! The bytes of gossip: committed vectors, and what happens to bytes that are no message.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{Bucket, Entry, Envelope, Item, Malformed, Message, MessageError};
use crate::detector::{Level, Suspicion};
use crate::id::{ClusterId, NodeId};
use crate::layout::LayoutId;
use crate::membership::{Address, Incarnation, Load, Member, MemberName, MemberState};
use crate::zone::Zone;

const CLUSTER: ClusterId = ClusterId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
const HEADER: &str = "010102030405060708090a0b0c0d0e0f10000000000000000903";

fn member() -> Member {
    Member {
        id: NodeId(0xa1),
        incarnation: Incarnation {
            boot: 9,
            refutations: 300,
        },
        state: MemberState::Alive,
        version: 2,
        name: MemberName::new("kv-1").unwrap(),
        addresses: vec![Address::new("a:1").unwrap(), Address::new("b:2").unwrap()],
        http: Some(Address::new("a:3").unwrap()),
        zone: Zone::new("z").unwrap(),
        weight: 100,
        layout: Some(LayoutId {
            epoch: 7,
            digest: 0xff,
        }),
        load: Load {
            vnodes: 64,
            rows: 1_000,
        },
        hlc_offset_ms: -3,
    }
}

fn suspicion() -> Suspicion {
    Suspicion {
        subject: NodeId(0xa1),
        incarnation: Incarnation::at(9),
        observer: NodeId(0xb2),
        sequence: 5,
        level: Level::of_phi(8.5),
        age: Duration::from_millis(250),
    }
}

fn entry() -> Entry {
    Entry {
        id: NodeId(0xa1),
        incarnation: Incarnation::at(9),
        version: 2,
        is_removed: false,
        is_down: true,
    }
}

/// One message of each kind, and what follows the header.
fn vectors() -> Vec<(Message, String)> {
    let subject = NodeId(0xa1);
    let nonce = 0xdead_beef;
    let is_alive = true;
    let short = [
        (Message::Heartbeat, "00"),
        (Message::Ping { nonce }, "02deadbeef"),
        (Message::Ack { nonce: 1 }, "0300000001"),
        (
            Message::Probe { nonce, subject },
            "04deadbeef00000000000000a1",
        ),
        (Message::Probed { nonce, is_alive }, "05deadbeef01"),
        (Message::Pull { root: 0xabcd }, "06000000000000abcd"),
        (
            Message::Summary(vec![Bucket {
                number: 0x7f,
                entries: vec![entry()],
            }]),
            "087f0100000000000000a10000000000000009000202",
        ),
        (
            Message::Want(vec![NodeId(1), NodeId(2)]),
            "0900000000000000010000000000000002",
        ),
    ];
    let short = short.map(|(message, body)| (message, body.to_owned()));
    short.into_iter().chain(long_vectors()).collect()
}

fn long_vectors() -> [(Message, String); 4] {
    let items = vec![
        Item::Member(Box::new(member())),
        Item::Suspicion(suspicion()),
    ];
    let record = "00000000000000a10000000000000009ac020002046b762d310203613a3103623a320103613a3\
                  3017a640107000000000000000000000000000000ff40e80705";
    let word = "00000000000000a100000000000000090000000000000000b20511fa01";
    let both = format!("00{:02x}{record}01{word}", record.len() / 2);
    let prints: String = (0..256).map(|print| format!("{print:08x}")).collect();
    let buckets = Message::Buckets {
        salt: 4,
        fingerprints: (0..256).collect(),
    };
    let page = Message::Page {
        is_last: true,
        items: items.clone(),
    };
    [
        (Message::Push(items.clone()), format!("01{both}")),
        (buckets, format!("0700000004{prints}")),
        (Message::Join(items), format!("0a{both}")),
        (page, format!("0b01{both}")),
    ]
}

fn envelope(message: Message) -> Envelope {
    Envelope {
        incarnation: Incarnation {
            boot: 9,
            refutations: 3,
        },
        message,
    }
}

#[test]
fn the_bytes_of_messages_do_not_change() {
    for (message, body) in vectors() {
        let bytes = envelope(message.clone()).encode(CLUSTER);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, format!("{HEADER}{body}"), "{message:?}");
        assert_eq!(Envelope::decode(&bytes, CLUSTER), Ok(envelope(message)));
    }
}

#[test]
fn no_message_can_be_cut_short_or_go_on() {
    for (message, _) in vectors() {
        let bytes = envelope(message).encode(CLUSTER);
        for end in 0..bytes.len() {
            // A list of items or ids may end after any of them; what is read then is shorter.
            if let Ok(read) = Envelope::decode(&bytes[..end], CLUSTER) {
                assert_eq!(read.encode(CLUSTER), &bytes[..end]);
            }
        }
        let longer = [&bytes[..], &[0xff]].concat();
        assert!(Envelope::decode(&longer, CLUSTER).is_err());
    }
}

#[test]
fn what_is_of_another_cluster_or_version_is_told_apart() {
    let mut bytes = envelope(Message::Heartbeat).encode(CLUSTER);
    let other = ClusterId(5);
    assert_eq!(
        Envelope::decode(&bytes, other),
        Err(MessageError::OtherCluster { found: CLUSTER })
    );
    bytes[0] = 2;
    assert_eq!(
        Envelope::decode(&bytes, CLUSTER),
        Err(MessageError::Version { found: 2 })
    );
    let long = vec![1; super::MAX_PAGE + 1];
    assert_eq!(
        Envelope::decode(&long, CLUSTER),
        Err(Malformed::Long.into())
    );
}

#[test]
fn verdicts_do_not_travel_in_records() {
    for state in [MemberState::Suspect, MemberState::Down] {
        let concluded = Member { state, ..member() };
        assert_eq!(
            super::encode_member(&concluded),
            super::encode_member(&member())
        );
    }
}

#[test]
fn a_record_beyond_its_bounds_is_refused() {
    let long = Address::new(format!("{}:1", "x".repeat(250))).unwrap();
    for count in [5, 65] {
        let large = Member {
            addresses: vec![
                if count == 5 {
                    long.clone()
                } else {
                    Address::new("a:1").unwrap()
                };
                count
            ],
            ..member()
        };
        let item = Item::Member(Box::new(large));
        let bytes = envelope(Message::Push(vec![item])).encode(CLUSTER);
        assert_eq!(
            Envelope::decode(&bytes, CLUSTER),
            Err(Malformed::Record.into()),
            "{count}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(body in vec(any::<u8>(), 0..300)) {
        let header = envelope(Message::Heartbeat).encode(CLUSTER);
        let bytes = [&header[..header.len() - 1], &body].concat();
        if let Ok(read) = Envelope::decode(&bytes, CLUSTER) {
            // There is one form of each message.
            prop_assert_eq!(read.encode(CLUSTER), bytes);
        }
    }

    #[test]
    fn a_damaged_message_is_another_one_or_none(
        kind in 0_usize..12,
        place in 0_usize..1_100,
        bits in 1_u8..=255,
    ) {
        let Some((message, _)) = vectors().into_iter().nth(kind) else { return Ok(()) };
        let mut bytes = envelope(message).encode(CLUSTER);
        let place = place % bytes.len();
        bytes[place] ^= bits;
        if let Ok(read) = Envelope::decode(&bytes, CLUSTER) {
            prop_assert_eq!(read.encode(CLUSTER), bytes);
        }
    }

    #[test]
    fn offsets_of_either_sign_read_back(hlc_offset_ms in any::<i64>(), rows in any::<u64>()) {
        let item = Item::Member(Box::new(Member {
            hlc_offset_ms,
            load: Load { vnodes: 0, rows },
            ..member()
        }));
        let push = envelope(Message::Push(vec![item]));
        prop_assert!(Envelope::decode(&push.encode(CLUSTER), CLUSTER) == Ok(push));
    }
}
