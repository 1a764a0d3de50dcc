//! Histories: what clients asked of a real cluster and what they were told, and the judge of both
//! (`docs/testing.md`, "Histories").
//!
//! A [`Recorder`] notes each operation of each session with its beginning and its end on one
//! monotonic clock. When the faults are over and the replicas are quiet, every key is read from
//! every node, and [`check`] compares: nothing acknowledged is lost, nothing appears that nobody
//! wrote, nothing comes back that was covered, every increment counts once, replicas are equal,
//! and reads showed what had been written before them.
//!
//! ```text
//!   sessions --begin/finish--> Recorder --> History --.
//!                                                     >--> check --> [Violation]
//!   local reads of every key at every node --> FinalState --'
//! ```
//!
//! What is written is called an *item*: a value, or an element of a set. The workload writes each
//! item once, so an item names the operation that wrote it.

mod checker;
mod recorder;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use checker::{Rules, Violation, check};
pub use recorder::Recorder;

/// Everything that clients did, in the order in which they began.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The events; an [`EventId`] is an index.
    pub events: Vec<Event>,
}

/// Which event of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId(pub usize);

/// A key of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

/// One operation of one session.
#[derive(Debug, Clone)]
pub struct Event {
    /// Who asked.
    pub session: usize,
    /// About what.
    pub subject: Subject,
    /// For what.
    pub action: Action,
    /// The context that was given: the event whose answer carried it.
    pub context: Option<EventId>,
    /// How often the operation may have been sent.
    pub tries: Tries,
    /// When it began.
    pub invoked: Duration,
    /// When its outcome was known; `None` if the session ended before.
    pub completed: Option<Duration>,
    /// What the session was told.
    pub outcome: Outcome,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Writes a value over what the context covers; without one over nothing.
    Put(String),
    /// Removes what the context covers; without one what the coordinator sees.
    Delete,
    /// Adds to a counter.
    Increment(i64),
    /// Puts elements into a set.
    Add(Vec<String>),
    /// Takes elements out, as far as the context covers them or else the coordinator sees them.
    Remove(Vec<String>),
    /// Reads from a quorum.
    Read,
}

/// How often one operation may have been sent, under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// Once: there is at most one version of what it wrote.
    Once,
    /// Again until the answer was definite. Two coordinators may each have made a version of an
    /// item, and a context then covers the one that was seen.
    Many,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is not known: there was no answer, or an error that leaves it open.
    Unknown,
    /// Refused for certain: it has no effect anywhere.
    Refused,
    /// It has its effect, and so many replicas said so. Below the quorum it is an error for the
    /// session and stays all the same.
    Applied {
        /// Replicas that had it when the answer was given.
        acks: u8,
    },
    /// A read that succeeded.
    Observed(Observed),
}

/// What a key holds, as somebody read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// The values or elements, sorted; an item that is there twice is listed twice.
    Items(Vec<String>),
    /// The value of a counter.
    Count(i64),
}

/// Every key at every node, once the cluster is quiet: for each key what each node answered, in
/// the same order of nodes.
#[derive(Debug, Clone, Default)]
pub struct FinalState {
    /// By key: `(node, what it holds)`.
    pub replicas: BTreeMap<Subject, Replicas>,
}

/// What each node holds of one key: its name, and what it answered.
pub type Replicas = Vec<(String, Observed)>;

impl Event {
    /// Whether the operation is certain to have its effect.
    pub(crate) fn is_applied(&self) -> bool {
        matches!(self.outcome, Outcome::Applied { acks: 1.. })
    }

    /// Whether the operation may have its effect.
    pub(crate) fn may_be_applied(&self) -> bool {
        match self.outcome {
            Outcome::Unknown | Outcome::Applied { .. } => true,
            Outcome::Refused | Outcome::Observed(_) => false,
        }
    }

    /// The items that the operation writes.
    pub(crate) fn items(&self) -> &[String] {
        match &self.action {
            Action::Put(value) => std::slice::from_ref(value),
            Action::Add(elements) => elements,
            Action::Delete | Action::Increment(_) | Action::Remove(_) | Action::Read => &[],
        }
    }
}

impl Observed {
    /// Items in any order.
    pub fn items<I: AsRef<[u8]>>(items: impl IntoIterator<Item = I>) -> Self {
        let text = |item: I| String::from_utf8_lossy(item.as_ref()).into_owned();
        let mut items: Vec<String> = items.into_iter().map(text).collect();
        items.sort();
        Self::Items(items)
    }

    pub(crate) fn has(&self, item: &str) -> bool {
        match self {
            Self::Items(items) => items.iter().any(|own| own == item),
            Self::Count(_) => false,
        }
    }
}

impl Subject {
    /// A key of a bucket.
    pub fn new(bucket: &str, key: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}", self.0)
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Items(items) => write!(f, "{items:?}"),
            Self::Count(value) => value.fmt(f),
        }
    }
}
