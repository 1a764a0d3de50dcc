//! What operations give back.

use bytes::Bytes;
use serde_bytes::ByteBuf;
use thiserror::Error as ThisError;

use super::Target;
use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::wire::{ReadResponse, State, WriteResponse};
use ring::NodeId;

/// A node's answer to a read, before its kind is looked at.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) target: Target,
    pub(super) node: NodeId,
    pub(super) response: ReadResponse,
}

/// A value as it was read: none, one, or several siblings that were written at the same time.
///
/// [`single`](Read::single) is an error if there are several, and [`resolve`](Read::resolve) makes
/// one of them; neither drops a sibling in silence. Write the result with [`Read::context`].
#[derive(Debug, Clone)]
#[must_use = "a read may hold siblings"]
pub struct Read {
    siblings: Vec<Bytes>,
    seen: Seen,
}

/// A counter as it was read.
#[derive(Debug, Clone)]
pub struct Count {
    value: i64,
    seen: Seen,
}

/// A set's elements as they were read, in byte order.
#[derive(Debug, Clone)]
pub struct Members {
    elements: Vec<Bytes>,
    seen: Seen,
}

/// A write that reached as many replicas as were asked for.
#[derive(Debug, Clone)]
pub struct Written {
    context: Context,
    acks: u8,
    is_repeated: bool,
    node: NodeId,
    state: Option<State>,
}

/// There are several values where one was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
#[error(
    "the key has {siblings} siblings; all of them are still there: merge them with `resolve`, and \
     write the result with the context of this read"
)]
pub struct Conflict {
    /// How many.
    pub siblings: usize,
}

#[derive(Debug, Clone)]
struct Seen {
    context: Context,
    answered: u8,
    node: NodeId,
}

impl Read {
    pub(super) fn new(answer: Answer) -> Option<Self> {
        match answer.split() {
            (State::Value(siblings), seen) => Some(Self {
                siblings: bytes(siblings),
                seen,
            }),
            (State::Counter(_) | State::Set(_), _) => None,
        }
    }

    /// All values: none, one, or siblings.
    pub fn siblings(&self) -> &[Bytes] {
        &self.siblings
    }

    /// The value, if there is at most one.
    ///
    /// # Errors
    /// If there are siblings.
    pub fn single(&self) -> Result<Option<&Bytes>, Conflict> {
        match self.siblings.as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            siblings => Err(Conflict {
                siblings: siblings.len(),
            }),
        }
    }

    /// The value, of which `merge` makes one if there are siblings; `None` if there is none.
    pub fn resolve<V: Into<Bytes>>(self, merge: impl FnOnce(&[Bytes]) -> V) -> Option<Bytes> {
        match self.siblings.as_slice() {
            [] => None,
            [value] => Some(value.clone()),
            siblings => Some(merge(siblings).into()),
        }
    }

    /// What was seen: pass it to the write that builds on it.
    pub fn context(&self) -> &Context {
        &self.seen.context
    }

    /// How many replicas the answer was joined from.
    pub fn answered(&self) -> u8 {
        self.seen.answered
    }

    /// The node that was asked.
    pub fn node(&self) -> NodeId {
        self.seen.node
    }
}

impl Count {
    pub(super) fn new(answer: Answer) -> Option<Self> {
        match answer.split() {
            (State::Counter(value), seen) => Some(Self { value, seen }),
            (State::Value(_) | State::Set(_), _) => None,
        }
    }

    /// The counter's value.
    pub fn value(&self) -> i64 {
        self.value
    }

    /// What was seen.
    pub fn context(&self) -> &Context {
        &self.seen.context
    }

    /// How many replicas the answer was joined from.
    pub fn answered(&self) -> u8 {
        self.seen.answered
    }

    /// The node that was asked.
    pub fn node(&self) -> NodeId {
        self.seen.node
    }
}

impl Members {
    pub(super) fn new(answer: Answer) -> Option<Self> {
        match answer.split() {
            (State::Set(elements), seen) => Some(Self {
                elements: bytes(elements),
                seen,
            }),
            (State::Value(_) | State::Counter(_), _) => None,
        }
    }

    /// The elements, in byte order.
    pub fn elements(&self) -> &[Bytes] {
        &self.elements
    }

    /// Whether an element is among them.
    pub fn contains(&self, element: impl AsRef<[u8]>) -> bool {
        self.elements.iter().any(|own| own == element.as_ref())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// What was seen: pass it to a removal that is to take out exactly this.
    pub fn context(&self) -> &Context {
        &self.seen.context
    }

    /// How many replicas the answer was joined from.
    pub fn answered(&self) -> u8 {
        self.seen.answered
    }

    /// The node that was asked.
    pub fn node(&self) -> NodeId {
        self.seen.node
    }
}

impl Written {
    pub(super) fn new(target: &Target, node: NodeId, response: WriteResponse) -> Self {
        let WriteResponse {
            context,
            acks,
            state,
            repeated,
        } = response;
        let context = Context::new(&target.bucket, &target.key, context);
        Self {
            context,
            acks,
            is_repeated: repeated,
            node,
            state,
        }
    }

    /// What the key holds now, as far as the writer knows: the next write over it needs no read.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// How many replicas had it when the answer was given.
    pub fn acks(&self) -> u8 {
        self.acks
    }

    /// Whether the operation had been applied before, so that this was a retry that counted once.
    pub fn is_repeated(&self) -> bool {
        self.is_repeated
    }

    /// The node that ran the write.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The key's state at the coordinator after the write, if it was asked for.
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// The counter's value at the coordinator after the write, if it was asked for.
    pub fn count(&self) -> Option<i64> {
        match self.state {
            Some(State::Counter(value)) => Some(value),
            Some(State::Value(_) | State::Set(_)) | None => None,
        }
    }
}

impl Answer {
    fn split(self) -> (State, Seen) {
        let Self {
            target,
            node,
            response,
        } = self;
        let ReadResponse {
            state,
            context,
            answered,
        } = response;
        let context = Context::new(&target.bucket, &target.key, context);
        (
            state,
            Seen {
                context,
                answered,
                node,
            },
        )
    }
}

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        Self::local(ErrorKind::Conflict, conflict.to_string())
    }
}

fn bytes(buffers: Vec<ByteBuf>) -> Vec<Bytes> {
    buffers
        .into_iter()
        .map(|buffer| Bytes::from(buffer.into_vec()))
        .collect()
}
