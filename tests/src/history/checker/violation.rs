//! What can be wrong with a history.

use std::fmt;

use crate::history::{EventId, Observed, Replicas, Subject};

/// A broken promise, with the events that prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// An acknowledged item is gone, and nobody can have removed it.
    Lost {
        /// The key.
        subject: Subject,
        /// The item.
        item: String,
        /// Who wrote it.
        written: EventId,
        /// Where it is missing.
        node: String,
    },
    /// An item that nobody wrote, or whose write was refused for certain.
    Phantom {
        /// The key.
        subject: Subject,
        /// The item.
        item: String,
        /// The node, or the reading event.
        seen: String,
    },
    /// An item is back although an acknowledged operation covered it.
    Returned {
        /// The key.
        subject: Subject,
        /// The item.
        item: String,
        /// Who covered it.
        covered: EventId,
        /// The node, or the reading event.
        seen: String,
    },
    /// An item that was written once is there twice.
    Doubled {
        /// The key.
        subject: Subject,
        /// The item.
        item: String,
        /// The node, or the reading event.
        seen: String,
    },
    /// A read from a quorum misses an item that was complete before the read began.
    Stale {
        /// The key.
        subject: Subject,
        /// The item.
        item: String,
        /// Who wrote it.
        written: EventId,
        /// Who missed it.
        reader: EventId,
    },
    /// A counter is not the sum of its increments.
    Miscounted {
        /// The key.
        subject: Subject,
        /// Where.
        node: String,
        /// Its value.
        found: Observed,
        /// The least that the history allows.
        low: i64,
        /// The most that the history allows.
        high: i64,
    },
    /// Two nodes hold different things.
    Diverged {
        /// The key.
        subject: Subject,
        /// What each of them holds.
        replicas: Replicas,
    },
    /// The final state leaves out a key of the history, so nothing is known of it.
    Unread {
        /// The key.
        subject: Subject,
    },
}

impl Violation {
    /// The key that it is about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        match self {
            Self::Lost { subject, .. }
            | Self::Phantom { subject, .. }
            | Self::Returned { subject, .. }
            | Self::Doubled { subject, .. }
            | Self::Stale { subject, .. }
            | Self::Miscounted { subject, .. }
            | Self::Diverged { subject, .. }
            | Self::Unread { subject } => subject,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost {
                subject,
                item,
                written,
                node,
            } => write!(f, "{subject}: {item:?} of {written} is lost at {node}"),
            Self::Phantom {
                subject,
                item,
                seen,
            } => write!(
                f,
                "{subject}: {seen} has {item:?}, which nobody wrote, or which was refused"
            ),
            Self::Returned {
                subject,
                item,
                covered,
                seen,
            } => write!(
                f,
                "{subject}: {seen} has {item:?}, which {covered} had covered"
            ),
            Self::Doubled {
                subject,
                item,
                seen,
            } => write!(
                f,
                "{subject}: {seen} has {item:?} twice, and it was written once"
            ),
            Self::Stale {
                subject,
                item,
                written,
                reader,
            } => write!(
                f,
                "{subject}: the read of {reader} misses {item:?} of {written}"
            ),
            Self::Miscounted {
                subject,
                node,
                found,
                low,
                high,
            } => write!(
                f,
                "{subject}: {node} counts {found}, and {low} to {high} is right"
            ),
            Self::Diverged { subject, replicas } => {
                write!(f, "{subject}: the replicas differ:")?;
                replicas
                    .iter()
                    .try_for_each(|(node, held)| write!(f, " {node} has {held};"))
            }
            Self::Unread { subject } => write!(f, "{subject}: not read at the end"),
        }
    }
}
