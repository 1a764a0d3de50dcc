//! Round trips, and bytes that are no message.

mod golden;

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use serde_bytes::ByteBuf;

use self::golden::write_request;
use super::{WireError, decode, encode};
use crate::wire::limits::MAX_MESSAGE;
use crate::wire::{
    Durability, Edit, Field, Kind, MAX_DEPTH, Mutation, OperationId, ReadResponse, Request,
    Response, ScanResponse, ScannedKey, State, WriteItem, WriteRequest,
};

fn encoded(message: &impl serde::Serialize) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    encode(message, &mut buffer).expect("test messages are small");
    buffer.to_vec()
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
        next: None,
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

/// Maps within maps, as deep as keys allow.
fn nested(depth: usize) -> State {
    (0..depth).fold(State::Value(vec![ByteBuf::from(b"x")]), |state, _| {
        State::Map(vec![Field {
            name: ByteBuf::from(b"f"),
            kind: Kind::Map,
            state,
        }])
    })
}

#[test]
fn a_map_as_deep_as_maps_can_be_is_read() {
    let response = Response::Scanned(ScanResponse {
        keys: vec![ScannedKey {
            sort: ByteBuf::new(),
            state: nested(MAX_DEPTH),
            context: ByteBuf::new(),
        }],
        next: None,
        answered: 1,
    });
    assert_eq!(decode(&encoded(&response)), Ok(response));
    assert!(decode::<State>(&encoded(&nested(100))).is_err());
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
        any::<i64>().prop_map(Mutation::Offer),
        any::<bool>().prop_map(Mutation::Switch),
        (option::of(bytes()), option::of(bytes()), vec(bytes(), 0..3)).prop_map(
            |(after, before, items)| Mutation::Insert {
                after,
                before,
                items,
            }
        ),
    ]
}

fn durability() -> impl Strategy<Value = Option<Durability>> {
    option::of(prop_oneof![
        Just(Durability::Memory),
        Just(Durability::Wal),
        Just(Durability::Synced)
    ])
}

fn edit() -> impl Strategy<Value = Edit> {
    let kind = select(Kind::ALL.map(|(kind, _)| kind).to_vec());
    (vec(bytes(), 0..3), kind, mutation()).prop_map(|(path, kind, mutation)| Edit {
        path,
        kind,
        mutation,
    })
}

fn item() -> impl Strategy<Value = WriteItem> {
    (bytes(), vec(edit(), 0..3), bytes(), any::<bool>()).prop_map(
        |(sort, edits, context, only_if_current)| WriteItem {
            sort,
            edits,
            context,
            only_if_current,
        },
    )
}

fn any_write() -> impl Strategy<Value = WriteRequest> {
    let operation = (any::<(u64, u64)>(), any::<u64>())
        .prop_map(|(client, sequence)| OperationId { client, sequence });
    let options = (
        (any::<u64>(), any::<Option<u64>>()),
        any::<(Option<u8>, Option<u8>, Option<bool>)>(),
        durability(),
        any::<bool>(),
        any::<u32>(),
    );
    (".{0,20}", bytes(), vec(item(), 0..3), operation, options).prop_map(
        |(bucket, partition, items, operation, options)| {
            let ((age_ms, ttl_ms), counts, durability, return_value, timeout_ms) = options;
            let (w, pw, sloppy) = counts;
            WriteRequest {
                bucket,
                partition,
                items,
                operation,
                age_ms,
                ttl_ms,
                w,
                durability,
                return_value,
                timeout_ms,
                sloppy,
                pw,
            }
        },
    )
}

fn any_state() -> impl Strategy<Value = State> {
    prop_oneof![
        vec(bytes(), 0..5).prop_map(State::Value),
        any::<i64>().prop_map(State::Counter),
        vec(bytes(), 0..5).prop_map(State::Set),
        option::of(bytes()).prop_map(State::Register),
        any::<Option<i64>>().prop_map(State::Number),
        any::<bool>().prop_map(State::Flag),
        any::<u64>().prop_map(State::Estimate),
        (0..=MAX_DEPTH).prop_map(nested),
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
        next in option::of(bytes()),
    ) {
        let response = Response::Read(ReadResponse { state, context, answered, next });
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
