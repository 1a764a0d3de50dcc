//! When to try again: the whole policy as one table, with a reason per row.

use crate::transport::TransportError;
use crate::wire::FailureKind;

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// There was no connection; nothing was sent.
    Unreachable,
    /// The node or the client does not accept the other.
    Denied,
    /// The connection ended after the request was sent.
    Lost,
    /// No answer came in time.
    Silent,
    /// A queue of this client is full; nothing was sent.
    Full,
    /// The request does not fit into a frame; nothing was sent.
    TooLarge,
    /// The answer is none that this client understands.
    Unreadable,
    /// The node answered with a failure.
    Failed(FailureKind),
}

/// What is being tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Changes nothing; may be asked anywhere and any number of times.
    Read,
    /// Changes something under an operation id, so it counts once however often it arrives.
    Write,
}

/// What to do about a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Where to go.
    pub(crate) next: Next,
    /// Whether to wait although another owner has not been asked yet.
    pub(crate) pause: bool,
    /// Whether the retry costs the cluster work, and so is paid from the budget.
    pub(crate) is_paid: bool,
    /// How many retries of this kind one call may have.
    pub(crate) at_most: u32,
    /// Whether other calls should avoid the node for a while.
    pub(crate) avoid: bool,
}

/// Where to go after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Give up: it cannot get better by itself.
    Stop,
    /// Once more to the same node, which may hold the operation's record; after that to the next.
    Same,
    /// To the next owner.
    Other,
    /// To the first owner on a fresh ring.
    Refreshed,
}

impl Cause {
    /// How much a failure says about what is wrong, to keep the best of several: what a node
    /// answered, then what happened on a connection, then that a node takes nothing, then that
    /// there was no connection.
    pub(crate) fn weight(self) -> u8 {
        match self {
            Self::Unreachable => 0,
            Self::Failed(
                FailureKind::NotInitialised | FailureKind::ShuttingDown | FailureKind::NotOwner,
            ) => 1,
            Self::Full | Self::Lost | Self::Silent => 2,
            Self::Denied | Self::TooLarge | Self::Unreadable => 3,
            Self::Failed(_) => 4,
        }
    }

    pub(crate) fn of(error: &TransportError) -> Self {
        match error {
            TransportError::AddressInUse { .. }
            | TransportError::Bind { .. }
            | TransportError::Unreachable { .. }
            | TransportError::ConnectTimeout { .. }
            | TransportError::Refused { .. }
            | TransportError::WrongNode { .. }
            | TransportError::Closed { .. } => Self::Unreachable,
            TransportError::Identity(_)
            | TransportError::Setup { .. }
            | TransportError::WrongCluster { .. }
            | TransportError::CertificateRequired
            | TransportError::NotANode { .. }
            | TransportError::Unidentified { .. }
            | TransportError::UntrustedAuthority { .. }
            | TransportError::CertificateRefused { .. }
            | TransportError::VersionMismatch { .. } => Self::Denied,
            TransportError::FrameTooLarge { .. } => Self::TooLarge,
            TransportError::BadFrame { .. }
            | TransportError::ConnectionLost { .. }
            | TransportError::NoReply { .. } => Self::Lost,
            TransportError::Deadline { .. } => Self::Silent,
            TransportError::Overloaded { .. } => Self::Full,
        }
    }
}

/// The table. The crate's documentation shows it to users; keep the two alike.
pub(crate) fn advice(cause: Cause, work: Work) -> Advice {
    match (cause, work) {
        // Nothing was sent, so asking elsewhere is the first real attempt.
        (Cause::Unreachable, Work::Read | Work::Write) => OTHER.free().avoiding(),
        // One node's certificate may be wrong and the others' right; a few of them are asked.
        (Cause::Denied, Work::Read | Work::Write) => OTHER.free().avoiding().twice(),
        // Any owner can answer a read.
        (Cause::Lost | Cause::Silent, Work::Read) => OTHER.avoiding(),
        // The write may be there under the operation's record: asked again, the same node makes no
        // second copy. If it is gone, the next owner does, and the two are joined later.
        (Cause::Lost | Cause::Silent, Work::Write) => SAME.avoiding(),
        // The queue drains while we wait, and only then is there room to try.
        (Cause::Full, Work::Read | Work::Write) => OTHER.pausing(),
        // It will not shrink.
        (Cause::TooLarge, Work::Read | Work::Write) => STOP,
        // Another node may speak our version in the middle of an upgrade.
        (Cause::Unreadable, Work::Read | Work::Write) => OTHER.once(),
        (Cause::Failed(kind), work) => failed(kind, work),
    }
}

fn failed(kind: FailureKind, work: Work) -> Advice {
    match (kind, work) {
        // Our ring is old, or theirs is. Nothing was done.
        (FailureKind::NotOwner, Work::Read | Work::Write) => REFRESHED,
        // Another coordinator may reach the owners that this one does not.
        (FailureKind::Unavailable, Work::Read | Work::Write) => OTHER.pausing().once(),
        // The read has begun to repair what was missing.
        (FailureKind::QuorumNotReached, Work::Read) => OTHER.once(),
        // The coordinator holds the record and goes on where it stopped.
        (FailureKind::QuorumNotReached, Work::Write) => SAME.once(),
        // The coordinator, or what it waited for, is slow today; another one may not be.
        (FailureKind::Timeout, Work::Read)
        // Another owner may reach one that holds it, and this one has waited long enough.
        | (FailureKind::SessionBehind, Work::Read | Work::Write) => OTHER,
        // It has asked the other owners for some of their rights, which arrive there: who went on
        // to the next owner would have them handed round. Without a time to wait for there is no
        // second try, see `Attempt::is_hopeless`.
        (FailureKind::Insufficient, Work::Read | Work::Write) => SAME.pausing(),
        // As when no answer came, and this coordinator is certainly there.
        (FailureKind::Timeout, Work::Write) => SAME,
        // Refused before anything was done; the node says how long to wait.
        (FailureKind::Overloaded, Work::Read | Work::Write) => OTHER.pausing(),
        // A bucket that was just made reaches the other nodes within seconds.
        (FailureKind::UnknownBucket, Work::Read | Work::Write) => REFRESHED.pausing(),
        // Another owner may have room, or a sound disk.
        (FailureKind::DiskFull | FailureKind::Storage, Work::Read | Work::Write) => {
            OTHER.once().avoiding()
        }
        // It is a stranger to the cluster, or takes nothing new; the others are none of that.
        (FailureKind::NotInitialised | FailureKind::ShuttingDown, Work::Read | Work::Write) => {
            OTHER.free().avoiding()
        }
        // These are wrong wherever they are asked.
        (
            FailureKind::WrongKind
            | FailureKind::TooLarge
            | FailureKind::BadContext
            | FailureKind::BadRequest
            | FailureKind::BadOperation
            | FailureKind::NotCurrent
            | FailureKind::SessionLost,
            Work::Read | Work::Write,
        ) => STOP,
    }
}

impl Advice {
    const fn to(next: Next) -> Self {
        Self {
            next,
            pause: false,
            is_paid: true,
            at_most: u32::MAX,
            avoid: false,
        }
    }

    const fn free(self) -> Self {
        Self {
            is_paid: false,
            ..self
        }
    }

    const fn pausing(self) -> Self {
        Self {
            pause: true,
            ..self
        }
    }

    const fn once(self) -> Self {
        Self { at_most: 1, ..self }
    }

    const fn twice(self) -> Self {
        Self { at_most: 2, ..self }
    }

    const fn avoiding(self) -> Self {
        Self {
            avoid: true,
            ..self
        }
    }
}

const STOP: Advice = Advice {
    at_most: 0,
    ..Advice::to(Next::Stop)
};
const SAME: Advice = Advice::to(Next::Same);
const OTHER: Advice = Advice::to(Next::Other);
const REFRESHED: Advice = Advice::to(Next::Refreshed).free();
