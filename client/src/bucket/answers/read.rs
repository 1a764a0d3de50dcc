//! A value as it was read, with its siblings.

use bytes::Bytes;
use thiserror::Error as ThisError;

use super::{Answer, Seen, bytes};
use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::wire::State;
use ring::NodeId;

/// A value as it was read: none, one, or several siblings that were written at the same time.
///
/// [`single`](Read::single) is an error if there are several, and [`resolve`](Read::resolve) makes
/// one of them; neither drops a sibling in silence. Write the result with [`Read::context`].
#[derive(Debug, Clone)]
#[must_use = "a read may hold siblings"]
pub struct Read<T = Bytes> {
    siblings: Vec<T>,
    seen: Seen,
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

impl Read {
    pub(crate) fn new(answer: Answer) -> Result<Self, Error> {
        match answer.split() {
            (State::Value(siblings), seen) => Ok(Self {
                siblings: bytes(siblings),
                seen,
            }),
            (_, seen) => Err(seen.unexpected()),
        }
    }
}

impl<T> Read<T> {
    /// The same read with each sibling made something else.
    pub(crate) fn decoded<U>(
        self,
        decode: impl Fn(&T) -> Result<U, Error>,
    ) -> Result<Read<U>, Error> {
        Ok(Read {
            siblings: self.siblings.iter().map(decode).collect::<Result<_, _>>()?,
            seen: self.seen,
        })
    }

    /// All values: none, one, or siblings.
    pub fn siblings(&self) -> &[T] {
        &self.siblings
    }

    /// All values, to keep.
    pub fn into_siblings(self) -> Vec<T> {
        self.siblings
    }

    /// The value, if there is at most one.
    ///
    /// # Errors
    /// If there are siblings.
    pub fn single(&self) -> Result<Option<&T>, Conflict> {
        match self.siblings.as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            siblings => Err(Conflict {
                siblings: siblings.len(),
            }),
        }
    }

    /// The value, of which `merge` makes one if there are siblings; `None` if there is none.
    pub fn resolve<V: Into<T>>(mut self, merge: impl FnOnce(&[T]) -> V) -> Option<T> {
        if self.siblings.len() > 1 {
            return Some(merge(&self.siblings).into());
        }
        self.siblings.pop()
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

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        Self::local(ErrorKind::Conflict, conflict.to_string())
    }
}
