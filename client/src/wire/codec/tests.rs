//! Golden bytes, round trips, and bytes that are no message.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_bytes::ByteBuf;

use super::{WireError, decode, encode};
use crate::wire::limits::MAX_MESSAGE;
use crate::wire::{
    Durability, Failure, FailureKind, Key, Kind, Mutation, OperationId, Outcome, ReadRequest,
    ReadResponse, Request, Response, State, WriteRequest, WriteResponse,
};

fn encoded(message: &impl serde::Serialize) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    encode(message, &mut buffer).expect("test messages are small");
    buffer.to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_request() -> Request {
    Request::Read(ReadRequest {
        bucket: "users".to_owned(),
        kind: Kind::Value,
        key: Key {
            partition: ByteBuf::from(b"ada"),
            sort: ByteBuf::new(),
        },
        element: None,
        r: Some(2),
        local: false,
        timeout_ms: 500,
    })
}

fn write_request() -> Request {
    Request::Write(WriteRequest {
        bucket: "stats".to_owned(),
        key: Key {
            partition: ByteBuf::from(b"k"),
            sort: ByteBuf::from(b"s"),
        },
        mutation: Mutation::Increment(-3),
        context: ByteBuf::from(b"\x01\xff"),
        operation: OperationId {
            client: (1, 2),
            sequence: 3,
        },
        age_ms: 40,
        w: None,
        durability: Some(Durability::Synced),
        return_value: true,
        timeout_ms: 1000,
    })
}

fn write_response() -> Response {
    Response::Written(WriteResponse {
        context: ByteBuf::from(b"c"),
        acks: 2,
        state: Some(State::Counter(7)),
        repeated: true,
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
        (encoded(&Request::Topology), GOLDEN_TOPOLOGY),
        (encoded(&write_response()), GOLDEN_WRITTEN),
        (encoded(&failure()), GOLDEN_FAILED),
    ];
    for (bytes, golden) in vectors {
        assert_eq!(hex(&bytes), golden);
    }
    assert_eq!(decode(&encoded(&read_request())), Ok(read_request()));
    assert_eq!(decode(&encoded(&write_request())), Ok(write_request()));
    assert_eq!(decode(&encoded(&write_response())), Ok(write_response()));
    assert_eq!(decode(&encoded(&failure())), Ok(failure()));
}

#[test]
fn another_version_is_refused_before_anything_is_read() {
    let mut bytes = encoded(&Request::Topology);
    bytes[0] = 2;
    assert_eq!(
        decode::<Request>(&bytes),
        Err(WireError::UnknownVersion { found: 2 })
    );
    assert_eq!(decode::<Request>(&[]), Err(WireError::Empty));
}

#[test]
fn bytes_after_the_message_are_refused() {
    let mut bytes = encoded(&write_request());
    bytes.extend([0, 0]);
    assert_eq!(
        decode::<Request>(&bytes),
        Err(WireError::TrailingBytes { count: 2 })
    );
}

#[test]
fn a_message_over_the_limit_is_refused_on_both_sides() {
    let state = State::Value(vec![ByteBuf::from(vec![0; MAX_MESSAGE])]);
    let response = Response::Read(ReadResponse {
        state,
        context: ByteBuf::new(),
        answered: 1,
    });
    let mut buffer = BytesMut::from(&b"before"[..]);
    assert!(matches!(
        encode(&response, &mut buffer),
        Err(WireError::TooLarge { .. })
    ));
    assert_eq!(&buffer[..], b"before");
    let bytes = vec![1; MAX_MESSAGE + 1];
    assert!(matches!(
        decode::<Request>(&bytes),
        Err(WireError::TooLarge { .. })
    ));
}

#[test]
fn a_promised_length_allocates_nothing() {
    // {"Read": [ [4 billion elements ... : one for an array and one for bytes.
    for promise in [
        b"\x01\x81\xa5Value\xdd\xff\xff\xff\xff",
        b"\x01\x81\xa5Value\xc6\xff\xff\xff\xff",
    ] {
        assert!(matches!(
            decode::<State>(promise),
            Err(WireError::Malformed { .. })
        ));
    }
}

#[test]
fn deep_nesting_is_refused() {
    let mut bytes = vec![0x91; 100_000];
    bytes[0] = 1;
    assert!(matches!(
        decode::<Request>(&bytes),
        Err(WireError::Malformed { .. })
    ));
}

fn bytes() -> impl Strategy<Value = ByteBuf> {
    vec(any::<u8>(), 0..40).prop_map(ByteBuf::from)
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        bytes().prop_map(Mutation::Put),
        Just(Mutation::Delete),
        any::<i64>().prop_map(Mutation::Increment),
        vec(bytes(), 0..5).prop_map(Mutation::Add),
        vec(bytes(), 0..5).prop_map(Mutation::Remove),
    ]
}

fn durability() -> impl Strategy<Value = Option<Durability>> {
    option::of(prop_oneof![
        Just(Durability::Memory),
        Just(Durability::Wal),
        Just(Durability::Synced)
    ])
}

fn any_write() -> impl Strategy<Value = WriteRequest> {
    let operation = (any::<(u64, u64)>(), any::<u64>())
        .prop_map(|(client, sequence)| OperationId { client, sequence });
    let key = (bytes(), bytes()).prop_map(|(partition, sort)| Key { partition, sort });
    let options = (
        any::<u64>(),
        any::<Option<u8>>(),
        durability(),
        any::<bool>(),
        any::<u32>(),
    );
    (".{0,20}", key, mutation(), bytes(), operation, options).prop_map(
        |(bucket, key, mutation, context, operation, options)| {
            let (age_ms, w, durability, return_value, timeout_ms) = options;
            WriteRequest {
                bucket,
                key,
                mutation,
                context,
                operation,
                age_ms,
                w,
                durability,
                return_value,
                timeout_ms,
            }
        },
    )
}

fn any_state() -> impl Strategy<Value = State> {
    prop_oneof![
        vec(bytes(), 0..5).prop_map(State::Value),
        any::<i64>().prop_map(State::Counter),
        vec(bytes(), 0..5).prop_map(State::Set),
    ]
}

proptest! {
    #[test]
    fn a_write_survives_its_bytes(write in any_write()) {
        let request = Request::Write(write);
        prop_assert_eq!(decode(&encoded(&request)), Ok(request));
    }

    #[test]
    fn a_read_survives_its_bytes(
        state in any_state(),
        context in bytes(),
        answered in any::<u8>(),
    ) {
        let response = Response::Read(ReadResponse { state, context, answered });
        prop_assert_eq!(decode(&encoded(&response)), Ok(response));
    }

    #[test]
    fn a_part_of_a_message_is_no_message(write in any_write(), cut in any::<usize>()) {
        let bytes = encoded(&Request::Write(write));
        prop_assert!(decode::<Request>(&bytes[..cut % bytes.len()]).is_err());
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..200)) {
        drop(decode::<Request>(&bytes));
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        drop(decode::<Request>(&bytes));
        drop(decode::<Response>(&bytes));
    }

    #[test]
    fn a_damaged_message_never_panics(write in any_write(), at in any::<usize>(), bit in 0_u8..8) {
        let mut bytes = encoded(&Request::Write(write));
        let at = at % bytes.len();
        bytes[at] ^= 1_u8 << bit;
        drop(decode::<Request>(&bytes));
    }
}

const GOLDEN_READ: &str = "0181a45265616497a57573657273a556616c756592c403616461c400c002c2cd01f4";
const GOLDEN_WRITE: &str = concat!(
    "0181a557726974659aa5737461747392c4016bc4017381a9496e6372656d656e74fdc40201ff9292",
    "01020328c0a653796e636564c3cd03e8",
);
const GOLDEN_TOPOLOGY: &str = "01a8546f706f6c6f6779";
const GOLDEN_WRITTEN: &str = "0181a75772697474656e94c401630281a7436f756e74657207c3";
const GOLDEN_FAILED: &str = concat!(
    "0181a64661696c656494b051756f72756d4e6f745265616368656481b24170706c69656442656c6f",
    "7751756f72756d920102a26e6f00",
);
