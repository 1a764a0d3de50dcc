//! Why a request failed, in the client's terms: every reason has its row here.
//!
//! A message says what failed, what is still true, and what to do next.

use std::fmt::Display;

use super::token::BadToken;
use crate::protocol::cluster::{Alarm, BucketError, kind_name};
use crate::protocol::coordinator::OrderFailed;
use crate::protocol::messages::Refusal;
use crate::protocol::vnode::Rejected;
use starling::wire::{Failure, FailureKind, Kind, LimitError, Outcome, WireError};

/// What an order that failed was for: only a write can have been applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Read,
    Write,
}

/// The table: what came of an order, by why the coordinator gave it up.
pub(super) fn of_order(failed: OrderFailed, work: Work) -> Failure {
    match failed {
        OrderFailed::NotOwner => of_refusal(Refusal::NotOwner, work),
        OrderFailed::Overloaded => of_refusal(Refusal::Overloaded, work),
        OrderFailed::Unavailable {
            reachable,
            required,
        } => refused(
            FailureKind::Unavailable,
            format!(
                "{reachable} owners of the key can be reached and {required} are needed; nothing \
                 was done: try again later, or ask for fewer replicas"
            ),
        ),
        OrderFailed::Rejected(rejected) => of_rejected(rejected),
        OrderFailed::Refused(refusal) => of_refusal(refusal, work),
        OrderFailed::TooFewAnswers {
            answered,
            required,
            timed_out: true,
        } => refused(
            FailureKind::Timeout,
            format!(
                "{answered} of {required} replicas answered in time; nothing was changed: try \
                 again, or allow more time"
            ),
        ),
        OrderFailed::TooFewAnswers {
            answered,
            required,
            timed_out: false,
        } => refused(
            FailureKind::QuorumNotReached,
            format!(
                "{answered} of {required} replicas answered and the others failed or are \
                 catching up; nothing was changed: try again, or ask for fewer replicas"
            ),
        ),
        OrderFailed::Unknown => Failure {
            kind: FailureKind::Timeout,
            outcome: Outcome::MaybeApplied,
            message: "the deadline passed before the write was known to be entered; it may be \
                      applied and then reaches all replicas: try again with the same operation id"
                .to_owned(),
            retry_after_ms: 0,
        },
        OrderFailed::BelowQuorum { acks, required } => Failure {
            kind: FailureKind::QuorumNotReached,
            outcome: Outcome::AppliedBelowQuorum { acks, required },
            message: format!(
                "{acks} replicas have the write and {required} were asked for; it stays and will \
                 reach all of them: try again with the same operation id to wait for more"
            ),
            retry_after_ms: 0,
        },
    }
}

fn of_rejected(rejected: Rejected) -> Failure {
    match rejected {
        Rejected::TooManySiblings { limit } => refused(
            FailureKind::TooLarge,
            format!(
                "the key has {limit} concurrent values and may not have more; nothing was \
                 written: read it, and write one value over the context of that read"
            ),
        ),
        Rejected::TooManyRows { limit } => refused(
            FailureKind::TooLarge,
            format!(
                "the operation touches more than {limit} rows; nothing was written: remove \
                 elements in parts"
            ),
        ),
        // What is late was tried before, and that try may have been applied.
        Rejected::TooLate { window_ms } => Failure {
            kind: FailureKind::BadOperation,
            outcome: Outcome::MaybeApplied,
            message: format!(
                "the operation was first tried over {window_ms} ms ago, too long to know whether \
                 it was applied; this try was not: read the key to find out"
            ),
            retry_after_ms: 0,
        },
        Rejected::OperationReused => refused(
            FailureKind::BadOperation,
            "the operation id was used for another change; this one was not applied: give every \
             operation an id of its own"
                .to_owned(),
        ),
        Rejected::CounterOverflow => refused(
            FailureKind::BadRequest,
            "the counter would leave the range of 64 bits; nothing was written: add less, or \
             reset the counter"
                .to_owned(),
        ),
        Rejected::TooManyRecords { limit } => Failure {
            retry_after_ms: RECORDS_EXPIRE_MS,
            ..refused(
                FailureKind::Overloaded,
                format!(
                    "{limit} operations are being remembered here so that retries count once, \
                     and no more can be; nothing was written: try again in a while"
                ),
            )
        },
    }
}

fn of_refusal(refusal: Refusal, work: Work) -> Failure {
    match refusal {
        Refusal::NotOwner => refused(
            FailureKind::NotOwner,
            "the node does not own the key; nothing was done: ask for the topology, and then an \
             owner"
                .to_owned(),
        ),
        Refusal::Starting => starting(),
        // A batch that the store reported as failed may still be found in its log.
        Refusal::DiskFull => Failure {
            kind: FailureKind::DiskFull,
            outcome: match work {
                Work::Read => Outcome::NotApplied,
                Work::Write => Outcome::MaybeApplied,
            },
            message: "the node's disk is full; reads go on, and a write may be found in its log \
                      later: add space, then restart the node"
                .to_owned(),
            retry_after_ms: 0,
        },
        Refusal::Storage => Failure {
            kind: FailureKind::Storage,
            outcome: match work {
                Work::Read => Outcome::NotApplied,
                Work::Write => Outcome::MaybeApplied,
            },
            message: "the node's store failed, other replicas are not affected: try again, and \
                      look into the node's log"
                .to_owned(),
            retry_after_ms: 0,
        },
        Refusal::Malformed => refused(
            FailureKind::BadRequest,
            "a replica could not make sense of the request; nothing was done: are all nodes of \
             one version?"
                .to_owned(),
        ),
        Refusal::Overloaded => Failure {
            retry_after_ms: OVERLOAD_PASSES_MS,
            ..refused(
                FailureKind::Overloaded,
                "the node has too much to do; nothing was done: try again in a while".to_owned(),
            )
        },
        Refusal::Behind => refused(
            FailureKind::QuorumNotReached,
            "a replica lacks earlier increments and pulls them; nothing was done there: try again"
                .to_owned(),
        ),
        Refusal::TooLarge => refused(
            FailureKind::TooLarge,
            "the key's rows do not fit into one answer; nothing was changed: read single elements"
                .to_owned(),
        ),
    }
}

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

/// Something is too large, or is no key or element at all.
pub(super) fn of_limit(error: &LimitError) -> Failure {
    let kind = match error {
        LimitError::TooLarge { .. } => FailureKind::TooLarge,
        LimitError::EmptyKey | LimitError::NoElements | LimitError::BucketName => {
            FailureKind::BadRequest
        }
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
    let (holds, asked) = (kind_name(holds), kind_name(asked));
    refused(
        FailureKind::WrongKind,
        format!(
            "bucket {bucket} holds kind {holds} and the request is for kind {asked}; nothing was \
             done: use another bucket"
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
