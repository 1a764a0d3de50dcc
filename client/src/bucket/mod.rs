//! Handles on buckets and keys: where operations begin.

mod answers;
mod read;
mod write;

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use crate::client::Client;
use crate::error::Error;
use crate::wire::{Key, Kind, Mutation};

pub use answers::{Conflict, Count, Members, Read, Written};
pub use read::Query;
pub use write::{Adding, Plain, Removing, Write};

/// The future of an operation.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A named set of keys. Its kind decides which of the methods work: [`get`](Bucket::get) and
/// [`put`](Bucket::put) on values, [`counter`](Bucket::counter) on counters, [`set`](Bucket::set)
/// on sets, [`delete`](Bucket::delete) on all.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
}

/// A counter.
#[derive(Debug, Clone)]
pub struct Counter {
    target: Target,
}

/// A set of byte strings. An element that is added and removed at the same time stays.
#[derive(Debug, Clone)]
pub struct Set {
    target: Target,
}

/// What an operation is about.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) bucket: String,
    pub(crate) key: Key,
}

impl Bucket {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads a value, with its siblings and the context for the next write.
    pub fn get(&self, key: impl Into<Key>) -> Query<Read> {
        Query::new(self.target(key), Kind::Value, None, Read::new)
    }

    /// Writes a value over what the context covers; without a context it becomes a sibling of what
    /// is there.
    pub fn put(&self, key: impl Into<Key>, value: impl Into<Bytes>) -> Write<Plain> {
        let value = ByteBuf::from(Vec::from(value.into()));
        Write::new(self.target(key), Mutation::Put(value))
    }

    /// Removes what the context covers, or without one what the coordinator sees. What somebody
    /// writes at the same time, unseen, stays.
    pub fn delete(&self, key: impl Into<Key>) -> Write<Plain> {
        Write::new(self.target(key), Mutation::Delete)
    }

    /// Reads a value, lets `change` make a new one of its siblings (none if the key is not there),
    /// and writes that over them. Two updates at the same time leave siblings, which the next
    /// update sees: nothing is lost, and `change` must be able to merge.
    ///
    /// ```no_run
    /// # async fn run(users: starling::Bucket) -> Result<(), starling::Error> {
    /// users.update("ada", |siblings| siblings.concat()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for reading and writing; after a failed read nothing was written.
    pub async fn update<V: Into<Bytes>>(
        &self,
        key: impl Into<Key>,
        change: impl FnOnce(&[Bytes]) -> V,
    ) -> Result<Written, Error> {
        let key = key.into();
        let read = self.get(&key).await?;
        let value = change(read.siblings());
        self.put(key, value).context(read.context()).await
    }

    /// A counter of this bucket.
    pub fn counter(&self, key: impl Into<Key>) -> Counter {
        Counter {
            target: self.target(key),
        }
    }

    /// A set of this bucket.
    pub fn set(&self, key: impl Into<Key>) -> Set {
        Set {
            target: self.target(key),
        }
    }

    fn target(&self, key: impl Into<Key>) -> Target {
        Target {
            client: self.client.clone(),
            bucket: self.name.clone(),
            key: key.into(),
        }
    }
}

impl Counter {
    /// Adds; a negative amount subtracts. Automatic retries count once.
    pub fn add(&self, amount: i64) -> Write<Plain> {
        Write::new(self.target.clone(), Mutation::Increment(amount))
    }

    /// Reads the counter; 0 if it was never written.
    pub fn read(&self) -> Query<Count> {
        Query::new(self.target.clone(), Kind::Counter, None, Count::new)
    }

    /// Takes the counter back to zero, as far as the coordinator sees its increments. Increments at
    /// the same time count on. A context is refused: it cannot say how much of a counter was seen.
    pub fn reset(&self) -> Write<Plain> {
        Write::new(self.target.clone(), Mutation::Delete)
    }
}

impl Set {
    /// Puts an element in. More can be [added](Write::add) to the same write.
    pub fn add(&self, element: impl Into<Bytes>) -> Write<Adding> {
        self.add_all([element])
    }

    /// Puts elements in, all of them in one write.
    pub fn add_all<E: Into<Bytes>>(&self, elements: impl IntoIterator<Item = E>) -> Write<Adding> {
        Write::new(self.target.clone(), Mutation::Add(owned(elements)))
    }

    /// Takes an element out: what the context covers of it, or without one what the coordinator
    /// sees. More can be [removed](Write::remove) in the same write.
    pub fn remove(&self, element: impl Into<Bytes>) -> Write<Removing> {
        self.remove_all([element])
    }

    /// Takes elements out, all of them in one write.
    pub fn remove_all<E: Into<Bytes>>(
        &self,
        elements: impl IntoIterator<Item = E>,
    ) -> Write<Removing> {
        Write::new(self.target.clone(), Mutation::Remove(owned(elements)))
    }

    /// Reads all elements.
    pub fn members(&self) -> Query<Members> {
        Query::new(self.target.clone(), Kind::Set, None, Members::new)
    }

    /// Reads whether an element is in the set, without reading the others.
    pub fn contains(&self, element: impl Into<Bytes>) -> Query<bool> {
        let element = ByteBuf::from(Vec::from(element.into()));
        Query::new(self.target.clone(), Kind::Set, Some(element), |answer| {
            Members::new(answer).map(|members| !members.is_empty())
        })
    }

    /// Removes the set, as far as the context covers it or the coordinator sees it.
    pub fn clear(&self) -> Write<Plain> {
        Write::new(self.target.clone(), Mutation::Delete)
    }
}

fn owned<E: Into<Bytes>>(elements: impl IntoIterator<Item = E>) -> Vec<ByteBuf> {
    elements
        .into_iter()
        .map(|element| ByteBuf::from(Vec::from(element.into())))
        .collect()
}
