//! Lists.

use std::borrow::Borrow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, Typed, decode, encode, write};
use crate::bucket::{
    Answer, Gap, Items, List, ListItem, Plain, Position, Query, Scan, Write, Written,
};
use crate::error::Error;
use crate::wire::{Kind, Mutation};

impl<T: Serialize + DeserializeOwned + 'static, C: Codec> Typed<T, C, List> {
    /// Reads all items at once.
    pub fn read(&self) -> Query<Items<T>> {
        self.handle.target.read(Kind::List, decoded::<T, C>)
    }

    /// Reads the items by pages, in order.
    pub fn scan(&self) -> Scan<ListItem<T>> {
        let target = self.handle.target.clone();
        Scan::of_items(target, |target, bytes| decode::<T, C>(target, &bytes))
    }

    /// Puts items into a gap, in this order. What cannot be encoded is an error when the write is
    /// awaited.
    pub fn insert(
        &self,
        gap: &Gap,
        items: impl IntoIterator<Item = impl Borrow<T>>,
    ) -> Write<Plain> {
        let position = |of: &Option<Position>| of.as_ref().map(Position::to_wire);
        let (after, before) = (position(&gap.after), position(&gap.before));
        let list = (&self.handle.target, Kind::List);
        write::<T, C>(list, items, |items| Mutation::Insert {
            after,
            before,
            items,
        })
    }

    /// Reads the last item and puts another one behind it.
    ///
    /// # Errors
    /// As for reading and writing; after a failed read nothing was written.
    pub async fn push_back(&self, item: &T) -> Result<Written, Error> {
        let bytes = encode::<T, C>(&self.handle.target, item)?;
        self.handle.push_back(bytes).await
    }

    /// Reads the first item and puts another one before it.
    ///
    /// # Errors
    /// As for reading and writing; after a failed read nothing was written.
    pub async fn push_front(&self, item: &T) -> Result<Written, Error> {
        let bytes = encode::<T, C>(&self.handle.target, item)?;
        self.handle.push_front(bytes).await
    }
}

fn decoded<T: DeserializeOwned, C: Codec>(answer: Answer) -> Result<Items<T>, Error> {
    let target = answer.target.clone();
    Items::new(answer)?.decoded(|bytes| decode::<T, C>(&target, &bytes))
}
