//! What operations give back.

mod list;
mod map;
mod read;
mod written;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::Target;
use crate::context::Context;
use crate::error::Error;
use crate::wire::{Outcome, ReadResponse, State};
use ring::NodeId;

pub use list::{Gap, Items, ListItem, Position};
pub use map::{FieldState, MapEntry, MapState};
pub use read::{Conflict, Read};
pub(crate) use written::Done;
pub use written::{Batched, Written};

/// A node's answer to a read, before its kind is looked at.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) target: Target,
    pub(crate) node: NodeId,
    pub(crate) response: ReadResponse,
}

/// What came with a state.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    context: Context,
    answered: u8,
    node: NodeId,
}

/// Something as it was read, of a kind that has one value.
#[derive(Debug, Clone)]
pub struct Found<T> {
    value: T,
    seen: Seen,
}

/// A counter as it was read.
#[derive(Debug, Clone)]
pub struct Count {
    value: i64,
    seen: Seen,
}

/// A set's elements as they were read, in the order of their bytes.
#[derive(Debug, Clone)]
pub struct Members<T = Bytes> {
    elements: Vec<T>,
    seen: Seen,
}

impl<T> Found<T> {
    pub(crate) fn new(value: T, seen: Seen) -> Self {
        Self { value, seen }
    }

    /// The same read of something else.
    pub(crate) fn decoded<U>(
        self,
        decode: impl FnOnce(T) -> Result<U, Error>,
    ) -> Result<Found<U>, Error> {
        Ok(Found::new(decode(self.value)?, self.seen))
    }

    /// What was read.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// What was read, to keep.
    pub fn into_value(self) -> T {
        self.value
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
    pub(crate) fn new(answer: Answer) -> Result<Self, Error> {
        match answer.split() {
            (State::Counter(value), seen) => Ok(Self { value, seen }),
            (_, seen) => Err(seen.unexpected()),
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
    pub(crate) fn new(answer: Answer) -> Result<Self, Error> {
        match answer.split() {
            (State::Set(elements), seen) => Ok(Self {
                elements: bytes(elements),
                seen,
            }),
            (_, seen) => Err(seen.unexpected()),
        }
    }

    /// Whether an element is among them.
    pub fn contains(&self, element: impl AsRef<[u8]>) -> bool {
        self.elements.iter().any(|own| own == element.as_ref())
    }
}

impl<T> Members<T> {
    /// The same elements, each made something else.
    pub(crate) fn decoded<U>(
        self,
        decode: impl Fn(T) -> Result<U, Error>,
    ) -> Result<Members<U>, Error> {
        let elements = self.elements.into_iter().map(decode);
        Ok(Members {
            elements: elements.collect::<Result<_, _>>()?,
            seen: self.seen,
        })
    }

    /// The elements, in the order of their bytes.
    pub fn elements(&self) -> &[T] {
        &self.elements
    }

    /// The elements, to keep.
    pub fn into_elements(self) -> Vec<T> {
        self.elements
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

impl Answer {
    pub(crate) fn split(self) -> (State, Seen) {
        let Self {
            target,
            node,
            response,
        } = self;
        let context = Context::new(&target.bucket, &target.key, response.context);
        let seen = Seen {
            context,
            answered: response.answered,
            node,
        };
        (response.state, seen)
    }

    /// What a register holds.
    pub(crate) fn register(self) -> Result<Found<Option<Bytes>>, Error> {
        match self.split() {
            (State::Register(value), seen) => Ok(Found::new(value.map(owned), seen)),
            (_, seen) => Err(seen.unexpected()),
        }
    }

    /// A maximum or minimum.
    pub(crate) fn number(self) -> Result<Found<Option<i64>>, Error> {
        match self.split() {
            (State::Number(number), seen) => Ok(Found::new(number, seen)),
            (_, seen) => Err(seen.unexpected()),
        }
    }

    /// Whether a flag is on.
    pub(crate) fn flag(self) -> Result<Found<bool>, Error> {
        match self.split() {
            (State::Flag(is_on), seen) => Ok(Found::new(is_on, seen)),
            (_, seen) => Err(seen.unexpected()),
        }
    }

    /// How many different things a sketch has seen.
    pub(crate) fn estimate(self) -> Result<Found<u64>, Error> {
        match self.split() {
            (State::Estimate(count), seen) => Ok(Found::new(count, seen)),
            (_, seen) => Err(seen.unexpected()),
        }
    }

    /// The fields of a map.
    pub(crate) fn map(self) -> Result<Found<MapState>, Error> {
        match self.split() {
            (State::Map(fields), seen) => Ok(Found::new(MapState::new(fields), seen)),
            (_, seen) => Err(seen.unexpected()),
        }
    }

    /// Whatever it is.
    pub(crate) fn any(self) -> Result<Found<State>, Error> {
        let (state, seen) = self.split();
        Ok(Found::new(state, seen))
    }
}

impl Seen {
    pub(crate) fn unexpected(&self) -> Error {
        Error::unexpected(self.node, Outcome::NotApplied)
    }
}

/// Without a copy.
pub(crate) fn owned(buffer: ByteBuf) -> Bytes {
    Bytes::from(buffer.into_vec())
}

fn bytes(buffers: Vec<ByteBuf>) -> Vec<Bytes> {
    buffers.into_iter().map(owned).collect()
}
