//! Sets.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answers::{Answer, Members};
use super::length::estimated_length;
use super::write::{Adding, Elements, Plain, Write, buffer, buffers};
use super::{Length, Query, Scan, Target};
use crate::typed::{MessagePack, Typed};
use crate::wire::{Kind, Mutation, Part};

/// A set of byte strings. An element that is added and removed at the same time stays, or goes if
/// the handle is that of a [`remove_set`](super::Bucket::remove_set).
#[derive(Debug, Clone)]
pub struct Set {
    pub(crate) target: Target,
    pub(crate) kind: Kind,
}

/// A set of byte strings from which nothing is removed.
#[derive(Debug, Clone)]
pub struct GrowSet {
    pub(crate) set: Set,
}

impl Set {
    pub(super) fn new(target: Target, kind: Kind) -> Self {
        Self { target, kind }
    }

    /// The same set with elements of a type of the program's own, as MessagePack.
    pub fn typed<T: Serialize + DeserializeOwned>(&self) -> Typed<T, MessagePack, Self> {
        Typed::new(self.clone())
    }

    /// Puts an element in. Others can be [added](Write::add) and [removed](Write::remove) in the
    /// same write.
    pub fn add(&self, element: impl Into<Bytes>) -> Write<Elements> {
        self.add_all([element])
    }

    /// Puts elements in, all of them in one write.
    pub fn add_all<E: Into<Bytes>>(
        &self,
        elements: impl IntoIterator<Item = E>,
    ) -> Write<Elements> {
        let mutation = Mutation::Add(buffers(elements));
        self.target.write(self.kind, mutation)
    }

    /// Takes an element out: what the context covers of it, or without one what the coordinator
    /// sees. Others can be [added](Write::add) and [removed](Write::remove) in the same write.
    pub fn remove(&self, element: impl Into<Bytes>) -> Write<Elements> {
        self.remove_all([element])
    }

    /// Takes elements out, all of them in one write.
    pub fn remove_all<E: Into<Bytes>>(
        &self,
        elements: impl IntoIterator<Item = E>,
    ) -> Write<Elements> {
        let mutation = Mutation::Remove(buffers(elements));
        self.target.write(self.kind, mutation)
    }

    /// Reads all elements at once. A set that does not fit into a message is read by
    /// [`scan`](Set::scan).
    pub fn members(&self) -> Query<Members> {
        self.target.read(self.kind, Members::new)
    }

    /// Reads the elements by pages, in byte order.
    pub fn scan(&self) -> Scan<Bytes> {
        Scan::of_elements(self.target.clone(), self.kind, |_, element| Ok(element))
    }

    /// Counts the elements, without reading them: see [`Length`].
    pub fn len(&self) -> Length {
        Length::new(self.target.clone(), self.kind)
    }

    /// Estimates how many elements there are, at the same small cost however many there are: see
    /// [`Length`].
    pub fn approximate_len(&self) -> Query<u64> {
        let (target, kind) = (self.target.clone(), self.kind);
        Query::new(target, kind, Part::Estimate, estimated_length)
    }

    /// Reads whether an element is in the set, without reading the others.
    pub fn contains(&self, element: impl Into<Bytes>) -> Query<bool> {
        let part = Part::Element(buffer(element));
        let finish = |answer: Answer| Members::new(answer).map(|members| !members.is_empty());
        Query::new(self.target.clone(), self.kind, part, finish)
    }

    /// Removes the set, as far as the context covers it or the coordinator sees it.
    pub fn clear(&self) -> Write<Plain> {
        self.target.write(self.kind, Mutation::Delete)
    }
}

impl GrowSet {
    pub(super) fn new(target: Target) -> Self {
        let set = Set::new(target, Kind::GrowSet);
        Self { set }
    }

    /// The same set with elements of a type of the program's own, as MessagePack.
    pub fn typed<T: Serialize + DeserializeOwned>(&self) -> Typed<T, MessagePack, Self> {
        Typed::new(self.clone())
    }

    /// Puts an element in. More can be [added](Write::add) to the same write.
    pub fn add(&self, element: impl Into<Bytes>) -> Write<Adding> {
        self.add_all([element])
    }

    /// Puts elements in, all of them in one write.
    pub fn add_all<E: Into<Bytes>>(&self, elements: impl IntoIterator<Item = E>) -> Write<Adding> {
        let mutation = Mutation::Add(buffers(elements));
        self.set.target.write(Kind::GrowSet, mutation)
    }

    /// Reads all elements at once, as [`Set::members`].
    pub fn members(&self) -> Query<Members> {
        self.set.members()
    }

    /// Reads the elements by pages, in byte order.
    pub fn scan(&self) -> Scan<Bytes> {
        self.set.scan()
    }

    /// Counts the elements, without reading them: see [`Length`].
    pub fn len(&self) -> Length {
        self.set.len()
    }

    /// Estimates how many elements there are, as [`Set::approximate_len`].
    pub fn approximate_len(&self) -> Query<u64> {
        self.set.approximate_len()
    }

    /// Reads whether an element is in the set, without reading the others.
    pub fn contains(&self, element: impl Into<Bytes>) -> Query<bool> {
        self.set.contains(element)
    }
}
