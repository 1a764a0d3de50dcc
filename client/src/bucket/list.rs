//! Lists.

use std::borrow::Borrow;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answers::{Gap, Items, ListItem, Position, Written};
use super::edits::insertion;
use super::length::estimated_length;
use super::write::{Plain, Write};
use super::{Length, Query, Scan, Target};
use crate::error::Error;
use crate::typed::{MessagePack, Typed};
use crate::wire::{Kind, Mutation, Page, Part};

/// Items in an order. What several writers put into the same place at the same time stays together,
/// each writer's items in a row.
///
/// An item is put between two neighbours, which somebody must have read:
///
/// ```no_run
/// # async fn run(tasks: starling::List) -> Result<(), starling::Error> {
/// let items = tasks.read().await?;
/// tasks.insert(&items.gap(1), ["after the first"]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct List {
    pub(crate) target: Target,
}

impl List {
    pub(super) fn new(target: Target) -> Self {
        Self { target }
    }

    /// The same list with items of a type of the program's own, as MessagePack.
    pub fn typed<T: Serialize + DeserializeOwned>(&self) -> Typed<T, MessagePack, Self> {
        Typed::new(self.clone())
    }

    /// Reads all items at once. A list that does not fit into a message is read by
    /// [`scan`](List::scan).
    pub fn read(&self) -> Query<Items> {
        self.target.read(Kind::List, Items::new)
    }

    /// Reads the items by pages, in order; ranges are of [positions](Position::as_bytes).
    pub fn scan(&self) -> Scan<ListItem> {
        Scan::of_items(self.target.clone(), |_, item| Ok(item))
    }

    /// Counts the items, without reading them: see [`Length`].
    pub fn len(&self) -> Length {
        Length::new(self.target.clone(), Kind::List)
    }

    /// Estimates how many items there are, at the same small cost however many there are: see
    /// [`Length`].
    pub fn approximate_len(&self) -> Query<u64> {
        let target = self.target.clone();
        Query::new(target, Kind::List, Part::Estimate, estimated_length)
    }

    /// Puts items into a gap, in this order.
    pub fn insert<E: Into<Bytes>>(
        &self,
        gap: &Gap,
        items: impl IntoIterator<Item = E>,
    ) -> Write<Plain> {
        self.target.write(Kind::List, insertion(gap, items))
    }

    /// Reads the last item and puts another one behind it.
    ///
    /// # Errors
    /// As for reading and writing; after a failed read nothing was written.
    pub async fn push_back(&self, item: impl Into<Bytes>) -> Result<Written, Error> {
        let item = item.into();
        let last = self.end(true).await?;
        let last = last.items().first().map(|item| &item.position);
        self.insert(&Gap::between(last, None), [item]).await
    }

    /// Reads the first item and puts another one before it.
    ///
    /// # Errors
    /// As for reading and writing; after a failed read nothing was written.
    pub async fn push_front(&self, item: impl Into<Bytes>) -> Result<Written, Error> {
        let item = item.into();
        let first = self.end(false).await?;
        let first = first.items().first().map(|item| &item.position);
        self.insert(&Gap::between(None, first), [item]).await
    }

    /// Takes an item out: what the context covers of it, or without one what the coordinator sees.
    pub fn remove(&self, position: &Position) -> Write<Plain> {
        self.remove_all([position])
    }

    /// Takes items out, all of them in one write.
    pub fn remove_all<P: Borrow<Position>>(
        &self,
        positions: impl IntoIterator<Item = P>,
    ) -> Write<Plain> {
        let positions = positions
            .into_iter()
            .map(|position| position.borrow().to_wire());
        self.target
            .write(Kind::List, Mutation::Remove(positions.collect()))
    }

    /// Removes the list, as far as the context covers it or the coordinator sees it.
    pub fn clear(&self) -> Write<Plain> {
        self.target.write(Kind::List, Mutation::Delete)
    }

    /// The first or the last item, if there is one.
    fn end(&self, reverse: bool) -> Query<Items> {
        let page = Page {
            reverse,
            limit: 1,
            ..Page::default()
        };
        Query::new(
            self.target.clone(),
            Kind::List,
            Part::Page(page),
            Items::new,
        )
    }
}
