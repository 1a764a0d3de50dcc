//! What a vnode is told to write, and what it answers.

use bytes::Bytes;

use crate::protocol::keys::{KeyPrefix, RowKey};
use crate::protocol::messages::Change;
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::kinds::map::Path;
use crdt::kinds::rules::{Twice, Update};
use crdt::{Context, OpId};
use ring::NodeId;
use starling::wire::Siblings;

/// A client's write, checked and with its contexts opened. All of it is one atomic batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The keys to change, all of this vnode, each once.
    pub targets: Vec<Target>,
    /// The operation's name.
    pub operation: OpId,
    /// A hash of all that was asked.
    pub digest: u32,
    /// Milliseconds since its first try.
    pub age_ms: u64,
    /// How long what it writes lasts, in milliseconds; `None` for ever.
    pub ttl_ms: Option<u64>,
}

impl Command {
    /// How long what it writes lasts from now on, in milliseconds: a retry no longer than its first
    /// try.
    #[must_use]
    pub fn lasting_ms(&self) -> Option<u64> {
        self.ttl_ms.map(|ttl| ttl.saturating_sub(self.age_ms))
    }
}

/// What to do to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The key.
    pub prefix: KeyPrefix,
    /// What the client has seen of it.
    pub context: Context,
    /// The client gave a context, if only to say that it has seen nothing. Without one a removal is
    /// *blind* where the context is empty, and takes what is seen here.
    pub has_context: bool,
    /// Write only if the key shows nothing here that the context does not cover.
    pub only_if_current: bool,
    /// What becomes of values that were written at the same time.
    pub siblings: Siblings,
    /// The changes, in order.
    pub edits: Vec<FieldEdit>,
}

/// A change of one field of a map, or with the empty path of the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldEdit {
    /// Which field.
    pub path: Path,
    /// What to do.
    pub action: Action,
}

/// What to do to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write a value over what the context covers.
    Put(Bytes),
    /// Add to a counter.
    Increment(i64),
    /// Add to a bounded counter, or with a negative amount spend from it.
    Bounded(i64),
    /// Update rows of one leaf of the field.
    Update(Leaf, Vec<PartUpdate>),
    /// Remove what the context covers, or without one what is seen here, of one leaf of the field,
    /// or with `None` of all that is at the field and below it. Counters are reset.
    Clear(Option<Leaf>),
}

/// The part of a row, and what to do to the row.
pub type PartUpdate = (Bytes, Update);

impl Action {
    /// Updates the one row of a leaf.
    #[must_use]
    pub fn one(leaf: Leaf, update: Update) -> Self {
        Self::Update(leaf, vec![(Bytes::new(), update)])
    }

    /// Updates the rows of these parts alike.
    #[must_use]
    pub fn each(leaf: Leaf, parts: Vec<Bytes>, update: &Update) -> Self {
        let updates = parts.into_iter().map(|part| (part, update.clone()));
        Self::Update(leaf, updates.collect())
    }

    /// Has the kind of its leaf such an update? All updates of an action are of one sort.
    #[must_use]
    pub fn is_of_kind(&self) -> bool {
        match self {
            Self::Update(leaf, updates) => {
                let first = updates.first();
                first.is_none_or(|(_, update)| leaf.rules().takes(update))
            }
            Self::Put(_) | Self::Increment(_) | Self::Bounded(_) | Self::Clear(_) => true,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Put(value) => value.len(),
            Self::Update(_, updates) => {
                let sizes = updates
                    .iter()
                    .map(|(part, update)| part.len() + update.size());
                sizes.sum()
            }
            Self::Increment(_) | Self::Bounded(_) | Self::Clear(_) => 0,
        }
    }

    fn grows(&self) -> bool {
        match self {
            Self::Put(_) | Self::Increment(_) | Self::Bounded(_) => true,
            Self::Update(leaf, updates) => {
                let rules = leaf.rules();
                updates.iter().any(|(_, update)| rules.writes(update))
            }
            Self::Clear(_) => false,
        }
    }
}

impl Command {
    /// One change of a key that is no map, without an end.
    #[must_use]
    pub fn single(prefix: KeyPrefix, action: Action, context: Context, operation: OpId) -> Self {
        let edit = FieldEdit {
            path: Path::root(),
            action,
        };
        let target = Target {
            prefix,
            context,
            has_context: false,
            only_if_current: false,
            siblings: Siblings::default(),
            edits: vec![edit],
        };
        Self {
            targets: vec![target],
            operation,
            digest: 0,
            age_ms: 0,
            ttl_ms: None,
        }
    }

    /// Does it write versions, so that the store becomes larger? Removals do not, except that of an
    /// element of a remove-wins set and the turning off of a flag that prefers that.
    #[must_use]
    pub fn grows(&self) -> bool {
        let mut edits = self.targets.iter().flat_map(|target| &target.edits);
        edits.any(|edit| edit.action.grows())
    }

    /// The rows whose versions will carry the operation's name.
    pub(super) fn carrying_rows(&self) -> Vec<RowKey> {
        let mut rows = Vec::new();
        for target in &self.targets {
            for FieldEdit { path, action } in &target.edits {
                let row = |leaf, part: &[u8]| target.prefix.row_at(path, leaf, part);
                match action {
                    Action::Put(_) => rows.push(row(Leaf::Value, &[])),
                    Action::Update(leaf, updates) if leaf.rules().twice == Twice::Aliases => {
                        let writing = updates.iter();
                        let writing = writing.filter(|(_, update)| leaf.rules().writes(update));
                        rows.extend(writing.map(|(part, _)| row(*leaf, part)));
                    }
                    Action::Update(..)
                    | Action::Increment(_)
                    | Action::Bounded(_)
                    | Action::Clear(_) => {}
                }
            }
        }
        rows
    }
}

impl Target {
    /// About how many bytes it holds.
    #[must_use]
    pub fn size(&self) -> usize {
        let payloads = self.edits.iter().map(|edit| edit.action.size());
        self.prefix.as_bytes().len() + payloads.sum::<usize>()
    }

    /// Is nothing known of what the client has seen?
    pub(super) fn is_blind(&self) -> bool {
        self.context.is_empty() && !self.has_context
    }

    /// What a removal covers: the client's context, or without one what is seen here.
    pub(super) fn covering(&self, seen: Context) -> Context {
        if self.is_blind() {
            seen
        } else {
            self.context.clone()
        }
    }
}

/// A write that was entered here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What the other owners must store.
    pub sending: Sending,
    /// For each key the context of the client, and the dots of the write exactly.
    pub contexts: Vec<Context>,
    /// It had been entered before: this is a retry, which counts once.
    pub repeated: bool,
}

/// What goes to the other owners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sending {
    /// New deltas.
    Changes(Vec<Change>),
    /// The question who lacks these events of a repeated operation.
    Again(DotSet),
    /// Nothing: the dotlog has forgotten a repeated operation, since every owner held it durably.
    /// These are known to hold it still; one that lost its disk has to catch up first.
    Held(Vec<NodeId>),
    /// Nothing: there was nothing to change, and every owner holds durably what is there.
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
    /// The key shows something here that the context does not cover.
    NotCurrent,
    /// The kind has no such change.
    NotOfKind,
    /// The disk has no room for it: see [`Room`](crate::protocol::room::Room).
    DiskFull,
    /// This node holds too few rights of a bounded counter to spend so much now.
    Insufficient {
        /// What was to be spent.
        asked: u64,
        /// What this node may spend now.
        available: u64,
        /// What the counter shows here.
        value: u64,
    },
    /// This node may have lost what it did with a bounded counter, until it has heard this owner
    /// and taken over what that one has seen.
    NotWhole {
        /// An owner that it waits for.
        waits_for: NodeId,
    },
}
