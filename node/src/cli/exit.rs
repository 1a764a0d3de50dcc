//! Exit codes, so that scripts need not read messages.

use std::io;
use std::process::ExitCode;

use starling::{Error, ErrorKind};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Everything was done.
    Done,
    /// Something is wrong with the request, the input or the machine.
    Failed,
    /// The cluster works, with fewer nodes or replicas than it should have.
    Degraded,
    /// The cluster, or as much of it as was asked for, cannot be reached.
    Unavailable,
    /// The key has siblings.
    Conflict,
    /// The command line is wrong.
    Usage,
}

/// A wrong command line that only the command itself can notice.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

impl Exit {
    /// The code for an error, by the cause that knows best.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if let Some(error) = cause.downcast_ref::<Error>() {
                return Self::of_error(error);
            }
            if cause.is::<UsageError>() {
                return Self::Usage;
            }
        }
        Self::Failed
    }

    /// The code for an error of an operation.
    pub(crate) fn of_error(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Unreachable
            | ErrorKind::ConnectionLost
            | ErrorKind::Timeout
            | ErrorKind::Overloaded
            | ErrorKind::Unavailable
            | ErrorKind::QuorumNotReached
            | ErrorKind::ShuttingDown
            | ErrorKind::SessionBehind
            | ErrorKind::NotInitialised => Self::Unavailable,
            ErrorKind::Conflict => Self::Conflict,
            // Everything else needs somebody to change something.
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Degraded => 2,
            Exit::Unavailable => 3,
            Exit::Conflict => 4,
            Exit::Usage => 64,
        })
    }
}

/// Whether the reader of our output has gone, as `head` does: no error, just the end.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

#[cfg(test)]
mod tests {
    use super::{Exit, UsageError, io, is_broken_pipe};

    #[test]
    fn an_error_keeps_its_code_beneath_explanations() {
        let usage = anyhow::Error::new(UsageError("no".to_owned())).context("while parsing");
        assert_eq!(Exit::of(&usage), Exit::Usage);
        let broken = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(is_broken_pipe(&broken.context("while printing")));
    }
}
