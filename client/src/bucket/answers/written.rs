//! What became of a write.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::context::Context;
use crate::wire::State;
use ring::NodeId;

/// A write that reached as many replicas as were asked for.
#[derive(Debug, Clone)]
pub struct Written {
    pub(crate) context: Context,
    pub(crate) done: Done,
}

/// A batch that reached as many replicas as were asked for: all of it.
#[derive(Debug, Clone)]
pub struct Batched {
    pub(crate) contexts: BTreeMap<Bytes, Context>,
    pub(crate) done: Done,
}

/// What is true of a write of any number of keys.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) acks: u8,
    pub(crate) stand_ins: u8,
    pub(crate) owners: u8,
    pub(crate) is_repeated: bool,
    pub(crate) node: NodeId,
    pub(crate) state: Option<State>,
}

impl Written {
    /// What the key holds now, as far as the writer knows: the next write over it needs no read.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// How many replicas had it when the answer was given: owners, and stand-ins.
    pub fn acks(&self) -> u8 {
        self.done.acks
    }

    /// How many of those are stand-ins, which keep it for owners that were away.
    pub fn stand_ins(&self) -> u8 {
        self.done.stand_ins
    }

    /// How many owners the key has.
    pub fn owners(&self) -> u8 {
        self.done.owners
    }

    /// Whether the operation had been applied before, so that this was a retry that counted once.
    pub fn is_repeated(&self) -> bool {
        self.done.is_repeated
    }

    /// The node that ran the write.
    pub fn node(&self) -> NodeId {
        self.done.node
    }

    /// The key's state at the coordinator after the write, if it was asked for. After a write of a
    /// map's field it is that of the whole map.
    pub fn state(&self) -> Option<&State> {
        self.done.state.as_ref()
    }

    /// The counter's value at the coordinator after the write, if it was asked for.
    pub fn count(&self) -> Option<i64> {
        match self.done.state {
            Some(State::Counter(value)) => Some(value),
            _ => None,
        }
    }
}

impl Batched {
    /// What the key with this sort key holds now: the next write over it needs no read. `None` if
    /// the batch did not change it.
    pub fn context(&self, sort: impl AsRef<[u8]>) -> Option<&Context> {
        self.contexts.get(sort.as_ref())
    }

    /// The sort keys that were changed, in order, and their contexts.
    pub fn contexts(&self) -> impl Iterator<Item = (&Bytes, &Context)> {
        self.contexts.iter()
    }

    /// How many replicas had it when the answer was given: owners, and stand-ins.
    pub fn acks(&self) -> u8 {
        self.done.acks
    }

    /// How many of those are stand-ins, which keep it for owners that were away.
    pub fn stand_ins(&self) -> u8 {
        self.done.stand_ins
    }

    /// How many owners the key has.
    pub fn owners(&self) -> u8 {
        self.done.owners
    }

    /// Whether the operation had been applied before, so that this was a retry that counted once.
    pub fn is_repeated(&self) -> bool {
        self.done.is_repeated
    }

    /// The node that ran the write.
    pub fn node(&self) -> NodeId {
        self.done.node
    }
}
