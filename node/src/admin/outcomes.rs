//! What came of a request, as metrics call it.

use starling::wire::{FailureKind, Response};

/// `ok`, or the kind of failure.
pub(super) fn outcome(response: &Response) -> &'static str {
    let Response::Failed(failure) = response else {
        return "ok";
    };
    match failure.kind {
        FailureKind::NotInitialised => "not_initialised",
        FailureKind::NotOwner => "not_owner",
        FailureKind::Unavailable => "unavailable",
        FailureKind::QuorumNotReached => "quorum_not_reached",
        FailureKind::Timeout => "timeout",
        FailureKind::Overloaded => "overloaded",
        FailureKind::UnknownBucket => "unknown_bucket",
        FailureKind::WrongKind => "wrong_kind",
        FailureKind::TooLarge => "too_large",
        FailureKind::BadContext => "bad_context",
        FailureKind::BadRequest => "bad_request",
        FailureKind::BadOperation => "bad_operation",
        FailureKind::NotCurrent => "not_current",
        FailureKind::Insufficient => "insufficient",
        FailureKind::DiskFull => "disk_full",
        FailureKind::Storage => "storage",
        FailureKind::ShuttingDown => "shutting_down",
        FailureKind::SessionBehind => "session_behind",
        FailureKind::SessionLost => "session_lost",
    }
}
