//! Why a request failed, in the client's terms: every reason has its row here.
//!
//! A message says what failed, what is still true, and what to do next.

mod orders;

use std::fmt::Display;

use super::token::BadToken;
use crate::protocol::cluster::{Alarm, BucketError};
pub(super) use orders::{Work, of_order};
use starling::wire::{
    Failure, FailureKind, Kind, LimitError, Mutation, Outcome, SessionDone, WireError,
};

/// Why there is no such bucket.
pub(super) fn of_bucket(error: &BucketError) -> Failure {
    let kind = match error {
        BucketError::NotInitialised => FailureKind::NotInitialised,
        BucketError::Conflict { .. } => FailureKind::WrongKind,
        BucketError::Full { .. } => FailureKind::TooLarge,
        BucketError::Name(_) | BucketError::SameHash { .. } | BucketError::Malformed => {
            FailureKind::BadRequest
        }
    };
    refused(kind, error.to_string())
}

/// Too few members are known to have a new bucket.
pub(super) fn bucket_below_majority(name: &str, holders: usize, required: usize) -> Failure {
    Failure {
        kind: FailureKind::QuorumNotReached,
        outcome: Outcome::MaybeApplied,
        message: format!(
            "{holders} nodes are known to have bucket {name} and {required} must be; it may exist, \
             and then it reaches all of them: create it again, which does no harm, when more nodes \
             can be reached"
        ),
        retry_after_ms: 0,
    }
}

/// Too many buckets are being made.
pub(super) fn too_many_creations() -> Failure {
    Failure {
        retry_after_ms: OVERLOAD_PASSES_MS,
        ..refused(
            FailureKind::Overloaded,
            "too many buckets are being made here; this one was not: try again in a while"
                .to_owned(),
        )
    }
}

/// Something is too large, or is no key or element at all.
pub(super) fn of_limit(error: &LimitError) -> Failure {
    let kind = match error {
        LimitError::TooLarge { .. } => FailureKind::TooLarge,
        LimitError::EmptyKey
        | LimitError::NoElements
        | LimitError::NoChange
        | LimitError::RepeatedKey
        | LimitError::EmptyName
        | LimitError::EmptyPage
        | LimitError::BucketName => FailureKind::BadRequest,
    };
    refused(kind, error.to_string())
}

/// The layout cannot be written as MessagePack.
pub(super) fn of_layout(error: &dyn Display) -> Failure {
    refused(
        FailureKind::Storage,
        format!("the ring cannot be sent ({error}): ask another node"),
    )
}

/// The bytes are no request.
pub(super) fn unreadable(error: &WireError) -> Failure {
    let kind = match error {
        WireError::TooLarge { .. } => FailureKind::TooLarge,
        WireError::Empty
        | WireError::UnknownVersion { .. }
        | WireError::Malformed { .. }
        | WireError::TrailingBytes { .. }
        | WireError::Unencodable { .. } => FailureKind::BadRequest,
    };
    refused(kind, error.to_string())
}

/// An argument is out of range.
pub(super) fn bad_request(message: &dyn Display) -> Failure {
    refused(FailureKind::BadRequest, message.to_string())
}

/// The context token is not of this key, or not genuine.
pub(super) fn bad_context(bad: &BadToken) -> Failure {
    refused(FailureKind::BadContext, bad.to_string())
}

/// The bucket holds something else than was asked for.
pub(super) fn wrong_kind(bucket: &str, holds: Kind, asked: Kind) -> Failure {
    refused(
        FailureKind::WrongKind,
        format!(
            "bucket {bucket} holds kind {holds} and the request is for kind {asked}; nothing was \
             done: use another bucket"
        ),
    )
}

/// A field or key of this kind has no such change.
pub(super) fn wrong_mutation(bucket: &str, kind: Kind, mutation: &Mutation) -> Failure {
    let what = match mutation {
        Mutation::Delete => "delete",
        Mutation::Put(_) => "put",
        Mutation::Increment(_) => "increment",
        Mutation::Add(_) => "add",
        Mutation::Remove(_) => "remove",
        Mutation::Offer(_) => "offer",
        Mutation::Switch(_) => "switch",
        Mutation::Insert { .. } => "insert",
    };
    refused(
        FailureKind::WrongKind,
        format!(
            "there is no {what} in a {kind} (bucket {bucket}); nothing was done: use what the \
             kind offers, or another bucket or field"
        ),
    )
}

/// A write without a change.
pub(super) fn no_change() -> Failure {
    of_limit(&LimitError::NoChange)
}

/// A key has more rows than one page of a scan may look at.
pub(super) fn key_too_large_to_scan() -> Failure {
    refused(
        FailureKind::TooLarge,
        "a key is too large to be shown in a scan; nothing was read: read it by itself, by pages"
            .to_owned(),
    )
}

/// A field of a map that does not fit into a page of fields.
pub(super) fn field_too_large_to_scan(name: &[u8]) -> Failure {
    let name = name.escape_ascii();
    refused(
        FailureKind::TooLarge,
        format!(
            "the field {name} is too large to be shown in a page of its map; nothing was read: \
             read it by itself, and scan the map up to it and from behind it"
        ),
    )
}

/// There is no such bucket here.
pub(super) fn unknown_bucket(bucket: &str) -> Failure {
    let known_for_sure = starling::wire::validate_bucket_name(bucket).is_ok();
    let bucket = if known_for_sure {
        bucket
    } else {
        "of that name"
    };
    refused(
        FailureKind::UnknownBucket,
        format!(
            "there is no bucket {bucket}; nothing was done: make it with `starling bucket \
             create`, a new one is known to all nodes within seconds"
        ),
    )
}

/// Another node owns the key.
pub(super) fn not_owner(first: &str) -> Failure {
    refused(
        FailureKind::NotOwner,
        format!("the node does not own the key; nothing was done: ask {first}, its first owner"),
    )
}

/// The node belongs to no cluster.
pub(super) fn not_initialised() -> Failure {
    refused(
        FailureKind::NotInitialised,
        "the node has not joined a cluster; nothing was done: run `starling init`, or ask another \
         node"
            .to_owned(),
    )
}

/// The node recovers.
pub(super) fn starting() -> Failure {
    Failure {
        retry_after_ms: START_TAKES_MS,
        ..refused(
            FailureKind::Overloaded,
            "the node is starting; nothing was done: try again in a moment, or ask another node"
                .to_owned(),
        )
    }
}

/// A session's token is none of this cluster, or of another partition.
pub(super) fn bad_session(bad: &BadToken) -> Failure {
    tracing::debug!(%bad, "a session token was refused");
    refused(
        FailureKind::BadContext,
        "the session is damaged, forged, or of another cluster; nothing was done: begin a new \
         session"
            .to_owned(),
    )
}

/// What a session has seen does not fit into a token.
pub(super) fn session_too_large(done: &SessionDone) -> Failure {
    let (outcome, what) = match done {
        SessionDone::Written(_) => (Outcome::MaybeApplied, "the write is done and kept"),
        SessionDone::Read(_) | SessionDone::Scanned(_) => {
            (Outcome::NotApplied, "nothing was changed")
        }
    };
    Failure {
        kind: FailureKind::TooLarge,
        outcome,
        message: format!(
            "what the session has seen is over its limit; {what}: begin a new session"
        ),
        retry_after_ms: 0,
    }
}

/// The node stops.
pub(super) fn shutting_down() -> Failure {
    refused(
        FailureKind::ShuttingDown,
        "the node is shutting down and takes nothing new; nothing was done: ask another node"
            .to_owned(),
    )
}

/// The node must not coordinate.
pub(super) fn alarmed(alarm: Alarm) -> Failure {
    refused(
        FailureKind::Unavailable,
        format!("{alarm}; nothing was done: ask another node"),
    )
}

/// What a replica holds cannot be shown.
pub(super) fn unshowable(reason: &str) -> Failure {
    refused(
        FailureKind::Storage,
        format!("{reason}; what is stored stays as it is"),
    )
}

/// A counter's value leaves the range of the wire.
pub(super) fn counter_too_large(value: i128) -> Failure {
    refused(
        FailureKind::TooLarge,
        format!(
            "the counter's value {value} does not fit into 64 bits; it stays as it is: subtract \
             from it, or reset it"
        ),
    )
}

/// A read's context outgrew a token.
pub(super) fn context_too_large() -> Failure {
    refused(
        FailureKind::TooLarge,
        "the key's context does not fit into a token; nothing was changed: too many vnodes have \
         written here"
            .to_owned(),
    )
}

/// A failure that did nothing.
fn refused(kind: FailureKind, message: String) -> Failure {
    Failure {
        kind,
        outcome: Outcome::NotApplied,
        message,
        retry_after_ms: 0,
    }
}

/// When to come back, in milliseconds.
const OVERLOAD_PASSES_MS: u32 = 100;
const START_TAKES_MS: u32 = 500;
const RECORDS_EXPIRE_MS: u32 = 1_000;
const OWNER_IS_HEARD_MS: u32 = 500;
const RIGHTS_MOVE_MS: u32 = 200;
