//! Why a request failed, and what is true of it now.

use serde::{Deserialize, Serialize};

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// Whether the write was applied. Reads are always `NotApplied`.
    pub outcome: Outcome,
    /// What failed, what is still true and what to do, in a sentence or two.
    pub message: String,
    /// How long to wait before trying again, in milliseconds; 0 if that is not known.
    pub retry_after_ms: u32,
}

/// What a failed write may have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// No replica has it.
    NotApplied,
    /// Some replica may have it; if so it will reach all of them.
    MaybeApplied,
    /// Replicas have it, fewer than were asked for; it is not rolled back and will reach all.
    AppliedBelowQuorum {
        /// How many replicas had it when the answer was given.
        acks: u8,
        /// How many were asked for.
        required: u8,
    },
}

/// What went wrong, by what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The node has not joined a cluster (run `starling init`).
    NotInitialised,
    /// The node does not own the key: refresh the ring and ask an owner.
    NotOwner,
    /// Too few owners can be reached for the r or w asked for. Nothing was written.
    Unavailable,
    /// Too few replicas answered in time.
    QuorumNotReached,
    /// The deadline passed.
    Timeout,
    /// The node has too much to do, or is starting.
    Overloaded,
    /// No such bucket.
    UnknownBucket,
    /// The bucket is of another kind, or exists with other properties.
    WrongKind,
    /// A key, value, element or request is over its limit.
    TooLarge,
    /// The context token is damaged, of another key, or of another cluster.
    BadContext,
    /// An argument is out of range.
    BadRequest,
    /// The same operation id came with another amount, or comes too late to be recognised.
    BadOperation,
    /// A conditional write found something at its coordinator that its context does not cover.
    NotCurrent,
    /// The node holds too few rights of a bounded counter to spend so much now. With a time to wait
    /// for, other nodes hold enough.
    Insufficient,
    /// The node's disk is full: nothing is written, reads go on.
    DiskFull,
    /// The node's store failed.
    Storage,
    /// The node is shutting down.
    ShuttingDown,
    /// No owner that answered in time holds all that the session has seen.
    SessionBehind,
    /// What the session has seen is lost: all owners answered, and none holds it.
    SessionLost,
}
