//! Errors that say what failed, whether it was applied, and what to do.

use std::fmt;
use std::time::Duration;

use crate::wire::{FailureKind, LimitError, OperationId, Outcome};
use ring::NodeId;

/// A failed operation. Three questions matter, and each has a method: what went wrong
/// ([`kind`](Error::kind)), was it applied ([`outcome`](Error::outcome)), and can the same thing
/// work later ([`is_retryable`](Error::is_retryable)).
///
/// A write that failed with another outcome than [`Outcome::NotApplied`] is retried safely by
/// sending it again under the same name: `.operation_id(error.operation().unwrap())`. It then
/// counts once, however often it arrives.
#[derive(Debug, Clone)]
pub struct Error {
    details: Box<Details>,
}

#[derive(Debug, Clone)]
pub(crate) struct Details {
    pub(crate) kind: ErrorKind,
    pub(crate) outcome: Outcome,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) operation: Option<OperationId>,
    pub(crate) node: Option<NodeId>,
    pub(crate) attempts: u32,
    pub(crate) tried: Vec<Tried>,
}

/// One attempt of an operation that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The node that was asked.
    pub node: NodeId,
    /// How it went wrong.
    pub kind: ErrorKind,
    /// What the node said, or the transport.
    pub message: String,
}

/// What went wrong, by what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No node could be reached. Nothing was sent.
    Unreachable,
    /// The connection was lost and retries did not help.
    ConnectionLost,
    /// The time is up.
    Timeout,
    /// Nodes, or this client's queues, have too much to do.
    Overloaded,
    /// Too few owners can be reached for the r or w asked for. Nothing was written.
    Unavailable,
    /// Too few replicas answered in time. A write is not rolled back.
    QuorumNotReached,
    /// No such bucket.
    UnknownBucket,
    /// The bucket is of another kind, or exists with other properties.
    WrongKind,
    /// A key, value, element or request is over its limit.
    TooLarge,
    /// The context is damaged, of another key, or of another cluster.
    BadContext,
    /// An argument is out of range.
    BadRequest,
    /// The operation id was used for something else, or comes too late to be recognised.
    BadOperation,
    /// There are siblings where one value was asked for.
    Conflict,
    /// A conditional write found something that its context does not cover. Nothing was written.
    NotCurrent,
    /// A bounded counter has too little, or too little of it where it was asked: then
    /// [`Error::retry_after`] says when to try again. Nothing was spent by this try.
    Insufficient,
    /// No owner that answered in time holds all that the session has seen. Nothing was done.
    SessionBehind,
    /// What the session has seen is lost: all owners answered, and none holds it. Nothing was done.
    SessionLost,
    /// The nodes' disks are full: nothing is written, reads go on.
    DiskFull,
    /// A node's store failed.
    Storage,
    /// The nodes that were asked are shutting down.
    ShuttingDown,
    /// The nodes have not joined a cluster (run `starling init`).
    NotInitialised,
    /// The ring changed more often than the client could follow.
    NotOwner,
    /// The cluster does not admit this client: certificate, authority or cluster do not fit.
    Denied,
    /// A node answered something that this client does not understand.
    Protocol,
    /// The client's own settings are unusable: a URL, a certificate, a file.
    Setup,
    /// A value cannot be encoded, or what was read is no value of the type asked for.
    Codec,
}

impl Error {
    pub(crate) fn new(details: Details) -> Self {
        Self {
            details: Box::new(details),
        }
    }

    /// An error found before anything was sent.
    pub(crate) fn local(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::new(Details {
            kind,
            outcome: Outcome::NotApplied,
            message: message.into(),
            retry_after: None,
            operation: None,
            node: None,
            attempts: 0,
            tried: Vec::new(),
        })
    }

    /// An answer to another question than was asked.
    pub(crate) fn unexpected(node: NodeId, outcome: Outcome) -> Self {
        Self::new(Details {
            kind: ErrorKind::Protocol,
            outcome,
            message: "the node answered another question than was asked: check that the versions \
                      of node and client fit"
                .to_owned(),
            retry_after: None,
            operation: None,
            node: Some(node),
            attempts: 1,
            tried: Vec::new(),
        })
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.details.kind
    }

    /// Whether a write was applied, over all attempts. Reads are always `NotApplied`.
    pub fn outcome(&self) -> Outcome {
        self.details.outcome
    }

    /// Whether the same operation may succeed later. A write whose outcome is not `NotApplied`
    /// must keep its [`operation`](Error::operation) id then.
    pub fn is_retryable(&self) -> bool {
        let is_spent = self.kind() == ErrorKind::Insufficient && self.retry_after().is_none();
        self.details.kind.is_retryable() && !is_spent
    }

    /// How long to wait before trying again, if a node said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.details.retry_after
    }

    /// The name of the write, to send it again as the same operation.
    pub fn operation(&self) -> Option<OperationId> {
        self.details.operation
    }

    /// The node whose failure this is; `None` if none was asked. Of several attempts the error
    /// keeps the one that says most: a node's answer before a lost connection, and that before one
    /// that was never made.
    pub fn node(&self) -> Option<NodeId> {
        self.details.node
    }

    /// The attempts in order, at most the last 16 of them.
    pub fn tried(&self) -> &[Tried] {
        &self.details.tried
    }

    /// How often the operation was tried.
    pub fn attempts(&self) -> u32 {
        self.details.attempts
    }
}

impl ErrorKind {
    fn is_retryable(self) -> bool {
        match self {
            // These pass by themselves.
            Self::Unreachable
            | Self::ConnectionLost
            | Self::Timeout
            | Self::Overloaded
            | Self::Unavailable
            | Self::QuorumNotReached
            | Self::ShuttingDown
            | Self::Insufficient
            | Self::SessionBehind
            | Self::NotOwner => true,
            // These need somebody to change something first.
            Self::UnknownBucket
            | Self::WrongKind
            | Self::TooLarge
            | Self::BadContext
            | Self::BadRequest
            | Self::BadOperation
            | Self::Conflict
            | Self::NotCurrent
            | Self::SessionLost
            | Self::DiskFull
            | Self::Storage
            | Self::NotInitialised
            | Self::Denied
            | Self::Protocol
            | Self::Setup
            | Self::Codec => false,
        }
    }
}

/// A few words, for lists; the error's own text says more.
impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "unreachable",
            Self::ConnectionLost => "connection lost",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "too few owners reachable",
            Self::QuorumNotReached => "quorum not reached",
            Self::UnknownBucket => "unknown bucket",
            Self::WrongKind => "wrong kind",
            Self::TooLarge => "too large",
            Self::BadContext => "bad context",
            Self::BadRequest => "bad request",
            Self::BadOperation => "bad operation",
            Self::Conflict => "conflict",
            Self::NotCurrent => "not current",
            Self::Insufficient => "insufficient",
            Self::SessionBehind => "session ahead of the owners",
            Self::SessionLost => "session lost",
            Self::DiskFull => "disk full",
            Self::Storage => "storage failed",
            Self::ShuttingDown => "shutting down",
            Self::NotInitialised => "not initialised",
            Self::NotOwner => "not an owner",
            Self::Denied => "denied",
            Self::Protocol => "answer not understood",
            Self::Setup => "unusable settings",
            Self::Codec => "codec",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details {
            message,
            outcome,
            operation,
            node,
            attempts,
            tried,
            ..
        } = &*self.details;
        f.write_str(message)?;
        match (outcome, operation) {
            (Outcome::NotApplied, _) => {}
            (Outcome::MaybeApplied, None) => write!(f, " [it may have been applied]")?,
            (Outcome::MaybeApplied, Some(id)) => {
                write!(
                    f,
                    " [it may have been applied; sent again as operation {id} it counts once]"
                )?;
            }
            (Outcome::AppliedBelowQuorum { acks, required }, _) => write!(
                f,
                " [applied at {acks} of {required} replicas; it is not rolled back and will reach \
                 the others]"
            )?,
        }
        match (node, attempts) {
            (None, 0) => Ok(()),
            (None, attempts) => write!(f, " ({attempts} attempts)"),
            (Some(node), 1) => write!(f, " (asked node {node})"),
            (Some(node), attempts) => {
                write!(f, " (asked node {node}; {attempts} attempts")?;
                for (place, (one, times)) in counted(tried).into_iter().enumerate() {
                    let mark = if place == 0 { ": " } else { ", " };
                    write!(f, "{mark}node {} {}", one.node, one.kind)?;
                    if times > 1 {
                        write!(f, " {times} times")?;
                    }
                }
                f.write_str(")")
            }
        }
    }
}

/// What happened at each node, in the order in which it first did, and how often.
fn counted(tried: &[Tried]) -> Vec<(&Tried, u32)> {
    let mut counted: Vec<(&Tried, u32)> = Vec::new();
    for one in tried {
        let known = counted
            .iter_mut()
            .find(|(known, _)| (known.node, known.kind) == (one.node, one.kind));
        match known {
            Some((_, times)) => *times += 1,
            None => counted.push((one, 1)),
        }
    }
    counted
}

impl std::error::Error for Error {}

impl From<FailureKind> for ErrorKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::NotInitialised => Self::NotInitialised,
            FailureKind::NotOwner => Self::NotOwner,
            FailureKind::Unavailable => Self::Unavailable,
            FailureKind::QuorumNotReached => Self::QuorumNotReached,
            FailureKind::Timeout => Self::Timeout,
            FailureKind::Overloaded => Self::Overloaded,
            FailureKind::UnknownBucket => Self::UnknownBucket,
            FailureKind::WrongKind => Self::WrongKind,
            FailureKind::TooLarge => Self::TooLarge,
            FailureKind::BadContext => Self::BadContext,
            FailureKind::BadRequest => Self::BadRequest,
            FailureKind::BadOperation => Self::BadOperation,
            FailureKind::NotCurrent => Self::NotCurrent,
            FailureKind::Insufficient => Self::Insufficient,
            FailureKind::DiskFull => Self::DiskFull,
            FailureKind::Storage => Self::Storage,
            FailureKind::ShuttingDown => Self::ShuttingDown,
            FailureKind::SessionBehind => Self::SessionBehind,
            FailureKind::SessionLost => Self::SessionLost,
        }
    }
}

impl From<LimitError> for Error {
    fn from(error: LimitError) -> Self {
        let kind = match error {
            LimitError::TooLarge { .. } => ErrorKind::TooLarge,
            LimitError::EmptyKey
            | LimitError::NoElements
            | LimitError::NoChange
            | LimitError::RepeatedKey
            | LimitError::EmptyName
            | LimitError::EmptyPage
            | LimitError::BucketName => ErrorKind::BadRequest,
        };
        Self::local(kind, error.to_string())
    }
}
