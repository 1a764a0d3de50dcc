//! A list as it was read: its items, and the gaps between them that something can be put into.

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::{Answer, Seen, owned};
use crate::context::Context;
use crate::error::Error;
use crate::wire::{Item, State};
use ring::NodeId;

/// Where an item is: a name for it that never changes and is never another item's. Positions are
/// ordered as the list is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(Bytes);

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListItem<T = Bytes> {
    /// Where it is.
    pub position: Position,
    /// What it is.
    pub value: T,
}

/// A place between two neighbours, or at an end of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gap {
    pub(crate) after: Option<Position>,
    pub(crate) before: Option<Position>,
}

/// A list's items as they were read, in order.
#[derive(Debug, Clone)]
pub struct Items<T = Bytes> {
    items: Vec<ListItem<T>>,
    seen: Seen,
}

impl Position {
    /// The position that these bytes are, for instance after they were stored.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    pub(crate) fn to_wire(&self) -> ByteBuf {
        ByteBuf::from(self.0.to_vec())
    }
}

impl ListItem {
    pub(crate) fn new(Item { position, item }: Item) -> Self {
        Self {
            position: Position(owned(position)),
            value: owned(item),
        }
    }
}

impl<T> ListItem<T> {
    /// The same item, which is made something else.
    pub(crate) fn decoded<U>(
        self,
        decode: impl FnOnce(T) -> Result<U, Error>,
    ) -> Result<ListItem<U>, Error> {
        let Self { position, value } = self;
        let value = decode(value)?;
        Ok(ListItem { position, value })
    }
}

impl Gap {
    /// Between two items of which `after` comes first; `None` is the beginning or the end of the
    /// list. They should be neighbours: between others it is open on which side of those in the
    /// middle something is put.
    pub fn between(after: Option<&Position>, before: Option<&Position>) -> Self {
        Self {
            after: after.cloned(),
            before: before.cloned(),
        }
    }
}

impl Items {
    pub(crate) fn new(answer: Answer) -> Result<Self, Error> {
        match answer.split() {
            (State::List(items), seen) => Ok(Self {
                items: items.into_iter().map(ListItem::new).collect(),
                seen,
            }),
            (_, seen) => Err(seen.unexpected()),
        }
    }
}

impl<T> Items<T> {
    /// The same items, each made something else.
    pub(crate) fn decoded<U>(
        self,
        decode: impl Fn(T) -> Result<U, Error>,
    ) -> Result<Items<U>, Error> {
        let items = self.items.into_iter().map(|item| item.decoded(&decode));
        Ok(Items {
            items: items.collect::<Result<_, _>>()?,
            seen: self.seen,
        })
    }

    /// The items, in order.
    pub fn items(&self) -> &[ListItem<T>] {
        &self.items
    }

    /// What the items are, in order.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|item| &item.value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The gap before the item with this index, counted from 0; with the length of the list or
    /// more the one at its end.
    pub fn gap(&self, index: usize) -> Gap {
        let index = index.min(self.items.len());
        let position = |index: usize| self.items.get(index).map(|item| &item.position);
        Gap::between(index.checked_sub(1).and_then(position), position(index))
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
