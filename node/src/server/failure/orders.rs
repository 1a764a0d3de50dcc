//! What came of an order that failed.

use std::fmt;

use super::{
    OVERLOAD_PASSES_MS, OWNER_IS_HEARD_MS, RECORDS_EXPIRE_MS, RIGHTS_MOVE_MS, refused, starting,
};
use crate::protocol::coordinator::OrderFailed;
use crate::protocol::messages::Refusal;
use crate::protocol::vnode::Rejected;
use ring::NodeId;
use starling::wire::{Failure, FailureKind, Outcome};

/// What an order that failed was for: only a write can have been applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Read,
    Write,
}

/// The table: what came of an order, by why the coordinator gave it up.
pub(crate) fn of_order(failed: OrderFailed, work: Work) -> Failure {
    match failed {
        OrderFailed::NotOwner => of_refusal(Refusal::NotOwner, work),
        OrderFailed::Overloaded => of_refusal(Refusal::Overloaded, work),
        OrderFailed::Unavailable {
            reachable,
            required,
        } => out_of_reach(
            &format_args!("{reachable} of the key's owners"),
            required,
            match work {
                Work::Read => "or ask for fewer replicas",
                Work::Write => "ask for fewer replicas, or let others stand in with a sloppy write",
            },
        ),
        OrderFailed::TooFewStandIns {
            owners,
            stand_ins,
            required,
        } => out_of_reach(
            &format_args!("{owners} of the key's owners and {stand_ins} that stand in"),
            required,
            "or ask for fewer replicas",
        ),
        OrderFailed::Rejected(rejected) => of_rejected(rejected),
        OrderFailed::Refused(refusal) => of_refusal(refusal, work),
        OrderFailed::TooFewAnswers {
            answered,
            required,
            timed_out,
        } => too_few_answers(answered, required, timed_out),
        OrderFailed::Unconfirmed { holding, required } => unconfirmed(holding, required),
        OrderFailed::SessionBehind => refused(FailureKind::SessionBehind, BEHIND.to_owned()),
        OrderFailed::SessionLost => refused(FailureKind::SessionLost, LOST.to_owned()),
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

const BEHIND: &str = "no owner that answered in time holds all that the session has seen; nothing \
                      was done: try again, allow more time, or go on without the session";
const LOST: &str = "all owners answered, and none holds what the session has seen: it is lost with \
                    a disk or a machine; nothing was done: begin a new session";

const FOREIGN: &str = "the kind has no such change; nothing was written: use what it offers";

fn too_few_answers(answered: u8, required: u8, timed_out: bool) -> Failure {
    if timed_out {
        refused(
            FailureKind::Timeout,
            format!(
                "{answered} of {required} replicas answered in time; nothing was changed: try \
                 again, or allow more time"
            ),
        )
    } else {
        refused(
            FailureKind::QuorumNotReached,
            format!(
                "{answered} of {required} replicas answered and the others failed or are \
                 catching up; nothing was changed: try again, or ask for fewer replicas"
            ),
        )
    }
}

fn unconfirmed(holding: u8, required: u8) -> Failure {
    refused(
        FailureKind::QuorumNotReached,
        format!(
            "{holding} of {required} owners hold what a monotonic read would have shown, and the \
             others could not be brought to it in time; nothing is shown: try again, allow more \
             time, or read without `monotonic`"
        ),
    )
}

fn out_of_reach(reached: &dyn fmt::Display, required: u8, else_do: &str) -> Failure {
    refused(
        FailureKind::Unavailable,
        format!(
            "{reached} can be reached and {required} are needed; nothing was done: try again \
             later, {else_do}"
        ),
    )
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
        Rejected::TooLate { window_ms } => too_late(window_ms),
        Rejected::OperationReused => refused(
            FailureKind::BadOperation,
            "the operation id was used for another change; this one was not applied: give every \
             operation an id of its own"
                .to_owned(),
        ),
        Rejected::NotOfKind => refused(FailureKind::WrongKind, FOREIGN.to_owned()),
        Rejected::CounterOverflow => refused(
            FailureKind::BadRequest,
            "the counter would leave the range of 64 bits; nothing was written: add less, or \
             reset the counter"
                .to_owned(),
        ),
        Rejected::Insufficient {
            asked,
            available,
            value,
        } => insufficient(asked, available, value),
        Rejected::NotWhole { waits_for } => not_whole(waits_for),
        Rejected::NotCurrent => refused(
            FailureKind::NotCurrent,
            "the key shows something that the context does not cover; nothing was written: read \
             it, and decide again"
                .to_owned(),
        ),
        Rejected::DiskFull => refused(
            FailureKind::DiskFull,
            "the node's disk has no room; nothing was written, and reads and deletes go on: ask \
             another owner, delete something, or add space, and it takes writes again by itself"
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

/// What is late was tried before, and that try may have been applied.
fn too_late(window_ms: u64) -> Failure {
    Failure {
        kind: FailureKind::BadOperation,
        outcome: Outcome::MaybeApplied,
        message: format!(
            "the operation was first tried over {window_ms} ms ago, too long to know whether it \
             was applied; this try was not: read the key to find out"
        ),
        retry_after_ms: 0,
    }
}

/// Another owner may not have begun anew.
fn not_whole(waits_for: NodeId) -> Failure {
    Failure {
        retry_after_ms: OWNER_IS_HEARD_MS,
        ..refused(
            FailureKind::Unavailable,
            format!(
                "the node has begun anew and changes no bounded counter before it has taken over \
                 what node {waits_for} has seen; nothing was written: try again when that node \
                 can be reached, or ask another owner"
            ),
        )
    }
}

/// Rights are asked of another owner if the counter as a whole shows enough.
fn insufficient(asked: u64, available: u64, value: u64) -> Failure {
    let (next, retry_after_ms) = if value < asked {
        ("add to it first", 0)
    } else {
        (
            "more was asked of the other owners, and what was just added can soon be spent, so \
             try again in a moment",
            RIGHTS_MOVE_MS,
        )
    };
    Failure {
        retry_after_ms,
        ..refused(
            FailureKind::Insufficient,
            format!(
                "{asked} was to be spent, this node may spend {available} now and the counter \
                 shows {value}; nothing was spent: {next}"
            ),
        )
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
            message: "the node's disk became full while it wrote; reads go on, and the write may \
                      be found in its log later: try again with the same operation id, and add \
                      space, with which the node goes on by itself"
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
        Refusal::Quarantined => quarantined(),
        Refusal::HintsFull => hints_full(),
        Refusal::TooLarge => refused(
            FailureKind::TooLarge,
            "the key's rows do not fit into one answer; nothing was changed: read single elements"
                .to_owned(),
        ),
    }
}

fn quarantined() -> Failure {
    refused(
        FailureKind::Storage,
        "the node's copy of this part of the data is damaged and kept from use until it is filled \
         anew from the other owners; nothing was done: try again, they are asked then"
            .to_owned(),
    )
}

fn hints_full() -> Failure {
    Failure {
        retry_after_ms: OVERLOAD_PASSES_MS,
        ..refused(
            FailureKind::Overloaded,
            "no owner can be reached, and the node that would stand in keeps as many hints as it \
             may, or keeps some for too long; nothing was done: bring the owners back, and see \
             `starling hints list`"
                .to_owned(),
        )
    }
}
