//! Changes within a write, by kind: of the fields of a map, and of the keys of a batch.

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::answers::{Gap, Position};
use super::write::{buffer, buffers};
use crate::wire::{Edit, Kind, Mutation};

/// Where in a write a change goes.
#[derive(Debug)]
pub(super) struct At<'a> {
    pub(super) edits: &'a mut Vec<Edit>,
    pub(super) path: Vec<ByteBuf>,
}

/// Changes of a value.
#[derive(Debug)]
pub struct ValueEdits<'a>(pub(super) At<'a>);

/// Changes of a counter.
#[derive(Debug)]
pub struct CounterEdits<'a>(pub(super) At<'a>);

/// Changes of a set.
#[derive(Debug)]
pub struct SetEdits<'a>(pub(super) At<'a>, pub(super) Kind);

/// Changes of a register.
#[derive(Debug)]
pub struct RegisterEdits<'a>(pub(super) At<'a>);

/// Changes of a maximum or minimum.
#[derive(Debug)]
pub struct NumberEdits<'a>(pub(super) At<'a>, pub(super) Kind);

/// Changes of a flag.
#[derive(Debug)]
pub struct FlagEdits<'a>(pub(super) At<'a>, pub(super) Kind);

/// Changes of a sketch.
#[derive(Debug)]
pub struct SketchEdits<'a>(pub(super) At<'a>);

/// Changes of a list.
#[derive(Debug)]
pub struct ListEdits<'a>(pub(super) At<'a>);

impl At<'_> {
    /// The place of a field of the map that is here.
    pub(super) fn field(&mut self, name: &[u8]) -> At<'_> {
        let mut path = self.path.clone();
        path.push(ByteBuf::from(name));
        At {
            edits: self.edits,
            path,
        }
    }

    pub(super) fn push(&mut self, kind: Kind, mutation: Mutation) {
        let path = self.path.clone();
        self.edits.push(Edit {
            path,
            kind,
            mutation,
        });
    }

    /// The last change, if it is of this place and kind.
    fn last(&mut self, kind: Kind) -> Option<&mut Mutation> {
        let is_here = |edit: &&mut Edit| edit.kind == kind && edit.path == self.path;
        self.edits
            .last_mut()
            .filter(is_here)
            .map(|edit| &mut edit.mutation)
    }

    fn add(&mut self, kind: Kind, element: ByteBuf) {
        match self.last(kind) {
            Some(Mutation::Add(elements)) => elements.push(element),
            _ => self.push(kind, Mutation::Add(vec![element])),
        }
    }

    fn remove(&mut self, kind: Kind, element: ByteBuf) {
        match self.last(kind) {
            Some(Mutation::Remove(elements)) => elements.push(element),
            _ => self.push(kind, Mutation::Remove(vec![element])),
        }
    }
}

impl ValueEdits<'_> {
    /// Writes a value over what the context covers.
    pub fn put(&mut self, value: impl Into<Bytes>) -> &mut Self {
        self.0.push(Kind::Value, Mutation::Put(buffer(value)));
        self
    }

    /// Removes it.
    pub fn delete(&mut self) -> &mut Self {
        self.0.push(Kind::Value, Mutation::Delete);
        self
    }
}

impl CounterEdits<'_> {
    /// Adds; a negative amount subtracts.
    pub fn add(&mut self, amount: i64) -> &mut Self {
        self.0.push(Kind::Counter, Mutation::Increment(amount));
        self
    }

    /// Takes it back to zero, as far as the coordinator sees its increments.
    pub fn reset(&mut self) -> &mut Self {
        self.0.push(Kind::Counter, Mutation::Delete);
        self
    }
}

impl SetEdits<'_> {
    /// Puts an element in.
    pub fn add(&mut self, element: impl Into<Bytes>) -> &mut Self {
        self.0.add(self.1, buffer(element));
        self
    }

    /// Takes an element out. A set that only grows refuses it, and with it the whole write.
    pub fn remove(&mut self, element: impl Into<Bytes>) -> &mut Self {
        self.0.remove(self.1, buffer(element));
        self
    }

    /// Takes all elements out.
    pub fn clear(&mut self) -> &mut Self {
        self.0.push(self.1, Mutation::Delete);
        self
    }
}

impl RegisterEdits<'_> {
    /// Assigns.
    pub fn set(&mut self, value: impl Into<Bytes>) -> &mut Self {
        self.0.push(Kind::Register, Mutation::Put(buffer(value)));
        self
    }

    /// Removes what was assigned.
    pub fn delete(&mut self) -> &mut Self {
        self.0.push(Kind::Register, Mutation::Delete);
        self
    }
}

impl NumberEdits<'_> {
    /// Raises a maximum to at least this, lowers a minimum to at most this.
    pub fn offer(&mut self, number: i64) -> &mut Self {
        self.0.push(self.1, Mutation::Offer(number));
        self
    }

    /// Removes what was offered.
    pub fn delete(&mut self) -> &mut Self {
        self.0.push(self.1, Mutation::Delete);
        self
    }
}

impl FlagEdits<'_> {
    /// Turns it on.
    pub fn enable(&mut self) -> &mut Self {
        self.0.push(self.1, Mutation::Switch(true));
        self
    }

    /// Turns it off.
    pub fn disable(&mut self) -> &mut Self {
        self.0.push(self.1, Mutation::Switch(false));
        self
    }
}

impl SketchEdits<'_> {
    /// Counts one more thing, unless it was counted before.
    pub fn add(&mut self, thing: impl Into<Bytes>) -> &mut Self {
        self.0.add(Kind::Sketch, buffer(thing));
        self
    }

    /// Forgets everything.
    pub fn clear(&mut self) -> &mut Self {
        self.0.push(Kind::Sketch, Mutation::Delete);
        self
    }
}

impl ListEdits<'_> {
    /// Puts items into a gap that a read of the list has shown, in this order.
    pub fn insert<E: Into<Bytes>>(
        &mut self,
        gap: &Gap,
        items: impl IntoIterator<Item = E>,
    ) -> &mut Self {
        self.0.push(Kind::List, insertion(gap, items));
        self
    }

    /// Takes an item out.
    pub fn remove(&mut self, position: &Position) -> &mut Self {
        self.0.remove(Kind::List, position.to_wire());
        self
    }

    /// Takes all items out.
    pub fn clear(&mut self) -> &mut Self {
        self.0.push(Kind::List, Mutation::Delete);
        self
    }
}

/// Putting items into a gap.
pub(super) fn insertion<E: Into<Bytes>>(gap: &Gap, items: impl IntoIterator<Item = E>) -> Mutation {
    Mutation::Insert {
        after: gap.after.as_ref().map(Position::to_wire),
        before: gap.before.as_ref().map(Position::to_wire),
        items: buffers(items),
    }
}
