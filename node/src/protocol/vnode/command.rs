//! What a vnode is told to write, and what it answers.

use bytes::Bytes;

use crate::protocol::event::Effect;
use crate::protocol::keys::{KeyPrefix, RowKey, Tag};
use crate::protocol::messages::{Bundle, Change};
use crdt::{Context, OpId};
use ring::NodeId;

/// A client's write, checked and with its context opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The key.
    pub prefix: KeyPrefix,
    /// What to do.
    pub action: Action,
    /// What the client has seen; empty for none.
    pub context: Context,
    /// The operation's name.
    pub operation: OpId,
    /// Milliseconds since its first try.
    pub age_ms: u64,
}

/// What to do to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write a value over what the context covers.
    Put(Bytes),
    /// Remove the value that the context covers, or without one what is seen here.
    DeleteValue,
    /// Add to a counter.
    Increment(i64),
    /// Take away all that is seen here of a counter.
    ResetCounter,
    /// Put elements into a set.
    Add(Vec<Bytes>),
    /// Take elements out: what the context covers of them, or without one what is seen here.
    Remove(Vec<Bytes>),
    /// Take all elements out that are seen here.
    ClearSet,
}

/// A write that was entered here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What the other owners must store.
    pub sending: Sending,
    /// The context of the client, and the dots of the write exactly.
    pub context: Context,
    /// It had been entered before: this is a retry, which counts once.
    pub repeated: bool,
}

/// What goes to the other owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// New deltas.
    Changes(Vec<Change>),
    /// The containers of a repeated operation, with its dots.
    Again(Bundle),
    /// Nothing: the dotlog has forgotten a repeated operation, since every owner held it durably.
    /// These are known to hold it still; one that lost its disk has to catch up first.
    Held(Vec<NodeId>),
    /// Nothing: there was nothing to remove.
    Nothing,
}

/// A write that was refused; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// The row has as many siblings as it may: read and write over their context first.
    TooManySiblings {
        /// The limit.
        limit: usize,
    },
    /// The operation touches more rows than one batch may.
    TooManyRows {
        /// The limit.
        limit: usize,
    },
    /// The operation was first tried too long ago to know whether it was applied.
    TooLate {
        /// The window in milliseconds.
        window_ms: u64,
    },
    /// The operation's name was used for another change.
    OperationReused,
    /// The counter's share would leave the range of 64 bits.
    CounterOverflow,
    /// Too many operation records are kept here: try again when the oldest have expired.
    TooManyRecords {
        /// The limit.
        limit: u64,
    },
}

impl Action {
    pub(super) fn effect(&self) -> Effect {
        match self {
            Self::Put(_) | Self::Add(_) => Effect::Carried,
            Self::Increment(amount) => Effect::Increment(*amount),
            Self::DeleteValue | Self::ResetCounter | Self::Remove(_) | Self::ClearSet => {
                Effect::Removal
            }
        }
    }
}

impl Command {
    /// The rows whose versions carry the operation's name.
    pub(super) fn carrying_rows(&self) -> Vec<RowKey> {
        match &self.action {
            Action::Put(_) => vec![self.prefix.row(Tag::Value, &[])],
            Action::Add(elements) => elements
                .iter()
                .map(|element| self.prefix.row(Tag::Element, element))
                .collect(),
            Action::DeleteValue
            | Action::Increment(_)
            | Action::ResetCounter
            | Action::Remove(_)
            | Action::ClearSet => Vec::new(),
        }
    }

    /// What a removal covers: the client's context, or without one what is seen here.
    pub(super) fn covering(&self, seen: Context) -> Context {
        if self.context.is_empty() {
            seen
        } else {
            self.context.clone()
        }
    }
}
