//! Bytes that stay as they are: what one version writes, every later one of this format reads.

use serde_bytes::ByteBuf;

use super::encoded;
use crate::wire::decode;
use crate::wire::{
    Durability, Edit, Failure, FailureKind, Field, Item, Key, KeysRequest, KeysResponse, Kind,
    Mutation, OperationId, Outcome, Page, Part, ReadRequest, Request, Response, ScanRequest,
    ScanResponse, ScannedKey, State, WriteItem, WriteRequest, WriteResponse,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_request() -> Request {
    Request::Read(ReadRequest {
        bucket: "users".to_owned(),
        key: Key {
            partition: ByteBuf::from(b"ada"),
            sort: ByteBuf::new(),
        },
        path: vec![ByteBuf::from(b"address")],
        kind: Kind::Register,
        part: Part::Element(ByteBuf::from(b"e")),
        r: Some(2),
        local: false,
        timeout_ms: 500,
        pr: Some(1),
        monotonic: true,
    })
}

pub(super) fn write_request() -> Request {
    Request::Write(WriteRequest {
        bucket: "stats".to_owned(),
        partition: ByteBuf::from(b"k"),
        items: vec![WriteItem {
            sort: ByteBuf::from(b"s"),
            edits: vec![
                Edit::of_key(Kind::Counter, Mutation::Increment(-3)),
                Edit {
                    path: vec![ByteBuf::from(b"tags")],
                    kind: Kind::List,
                    mutation: Mutation::Insert {
                        after: Some(ByteBuf::from(b"p")),
                        before: None,
                        items: vec![ByteBuf::from(b"i")],
                    },
                },
            ],
            context: ByteBuf::from(b"\x01\xff"),
            only_if_current: true,
        }],
        operation: OperationId {
            client: (1, 2),
            sequence: 3,
        },
        age_ms: 40,
        ttl_ms: Some(60_000),
        w: None,
        durability: Some(Durability::Synced),
        return_value: true,
        timeout_ms: 1000,
        sloppy: Some(true),
        pw: Some(1),
    })
}

fn write_response() -> Response {
    Response::Written(WriteResponse {
        contexts: vec![ByteBuf::from(b"c")],
        acks: 2,
        state: Some(State::Counter(7)),
        repeated: true,
        stand_ins: 1,
        owners: 3,
    })
}

fn page() -> Page {
    Page {
        from: Some(ByteBuf::from(b"a")),
        to: None,
        reverse: true,
        cursor: Some(ByteBuf::from(b"c")),
        limit: 100,
    }
}

fn scan_request() -> Request {
    Request::Scan(ScanRequest {
        bucket: "orders".to_owned(),
        kind: Kind::Map,
        partition: ByteBuf::from(b"k"),
        page: page(),
        r: None,
        timeout_ms: 500,
    })
}

fn keys_request() -> Request {
    Request::Keys(KeysRequest {
        bucket: "orders".to_owned(),
        ring_partition: 300,
        cursor: None,
        r: Some(1),
        timeout_ms: 500,
    })
}

fn scan_response() -> Response {
    let field = |name: &[u8], kind, state| Field {
        name: ByteBuf::from(name),
        kind,
        state,
    };
    let item = Item {
        position: ByteBuf::from(b"p"),
        item: ByteBuf::from(b"i"),
    };
    let state = State::Map(vec![
        field(b"a", Kind::Max, State::Number(Some(-1))),
        field(b"b", Kind::Flag, State::Flag(true)),
        field(b"c", Kind::Sketch, State::Estimate(9)),
        field(b"d", Kind::List, State::List(vec![item])),
        field(b"e", Kind::Register, State::Register(None)),
    ]);
    Response::Scanned(ScanResponse {
        keys: vec![ScannedKey {
            sort: ByteBuf::from(b"s"),
            state,
            context: ByteBuf::from(b"c"),
        }],
        next: Some(ByteBuf::from(b"n")),
        answered: 2,
    })
}

fn keys_response() -> Response {
    Response::Keys(KeysResponse {
        keys: vec![Key {
            partition: ByteBuf::from(b"k"),
            sort: ByteBuf::from(b"s"),
        }],
        next: None,
    })
}

fn failure() -> Response {
    Response::Failed(Failure {
        kind: FailureKind::QuorumNotReached,
        outcome: Outcome::AppliedBelowQuorum {
            acks: 1,
            required: 2,
        },
        message: "no".to_owned(),
        retry_after_ms: 0,
    })
}

#[test]
fn the_bytes_do_not_change() {
    let vectors = [
        (encoded(&read_request()), GOLDEN_READ),
        (encoded(&write_request()), GOLDEN_WRITE),
        (encoded(&scan_request()), GOLDEN_SCAN),
        (encoded(&keys_request()), GOLDEN_KEYS),
        (encoded(&scan_response()), GOLDEN_SCANNED),
        (encoded(&keys_response()), GOLDEN_LISTED),
        (encoded(&Request::Topology), GOLDEN_TOPOLOGY),
        (encoded(&write_response()), GOLDEN_WRITTEN),
        (encoded(&failure()), GOLDEN_FAILED),
    ];
    for (bytes, golden) in vectors {
        assert_eq!(hex(&bytes), golden);
    }
    assert_eq!(decode(&encoded(&read_request())), Ok(read_request()));
    assert_eq!(decode(&encoded(&write_request())), Ok(write_request()));
    assert_eq!(decode(&encoded(&scan_request())), Ok(scan_request()));
    assert_eq!(decode(&encoded(&keys_request())), Ok(keys_request()));
    assert_eq!(decode(&encoded(&write_response())), Ok(write_response()));
    assert_eq!(decode(&encoded(&scan_response())), Ok(scan_response()));
    assert_eq!(decode(&encoded(&keys_response())), Ok(keys_response()));
    assert_eq!(decode(&encoded(&failure())), Ok(failure()));
}

const GOLDEN_READ: &str = concat!(
    "0181a4526561649aa5757365727392c403616461c40091c40761646472657373a852656769737465",
    "7281a7456c656d656e74c4016502c2cd01f401c3",
);
const GOLDEN_WRITE: &str = concat!(
    "0181a557726974659ca57374617473c4016b9194c40173929390a7436f756e74657281a9496e6372",
    "656d656e74fd9391c40474616773a44c69737481a6496e7365727493c40170c091c40169c40201ff",
    "c3929201020328cdea60c0a653796e636564c3cd03e8c301",
);
const GOLDEN_SCAN: &str =
    "0181a45363616e96a66f7264657273a34d6170c4016b95c40161c0c3c4016364c0cd01f4";
const GOLDEN_KEYS: &str = "0181a44b65797395a66f7264657273cd012cc001cd01f4";
const GOLDEN_SCANNED: &str = concat!(
    "0181a75363616e6e6564939193c4017381a34d61709593c40161a34d617881a64e756d626572ff93",
    "c40162a4466c616781a4466c6167c393c40163a6536b6574636881a8457374696d6174650993c401",
    "64a44c69737481a44c6973749192c40170c4016993c40165a8526567697374657281a85265676973",
    "746572c0c40163c4016e02",
);
const GOLDEN_LISTED: &str = "0181a44b657973929192c4016bc40173c0";
const GOLDEN_TOPOLOGY: &str = "01a8546f706f6c6f6779";
const GOLDEN_WRITTEN: &str = "0181a75772697474656e9691c401630281a7436f756e74657207c30103";
const GOLDEN_FAILED: &str = concat!(
    "0181a64661696c656494b051756f72756d4e6f745265616368656481b24170706c69656442656c6f",
    "7751756f72756d920102a26e6f00",
);
