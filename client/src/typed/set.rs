//! Sets. Elements are compared by their bytes: see [`Typed`].

use std::borrow::Borrow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, Typed, decode, encode, write};
use crate::bucket::{Answer, GrowSet, Members, Plain, Query, Scan, Set, Write};
use crate::error::Error;
use crate::wire::Mutation;

impl<T: Serialize + DeserializeOwned + 'static, C: Codec> Typed<T, C, Set> {
    /// Puts an element in. What cannot be encoded is an error when the write is awaited.
    pub fn add(&self, element: &T) -> Write<Plain> {
        self.add_all([element])
    }

    /// Puts elements in, all of them in one write.
    pub fn add_all(&self, elements: impl IntoIterator<Item = impl Borrow<T>>) -> Write<Plain> {
        let set = (&self.handle.target, self.handle.kind);
        write::<T, C>(set, elements, Mutation::Add)
    }

    /// Takes an element out: what the context covers of it, or without one what the coordinator
    /// sees.
    pub fn remove(&self, element: &T) -> Write<Plain> {
        self.remove_all([element])
    }

    /// Takes elements out, all of them in one write.
    pub fn remove_all(&self, elements: impl IntoIterator<Item = impl Borrow<T>>) -> Write<Plain> {
        let set = (&self.handle.target, self.handle.kind);
        write::<T, C>(set, elements, Mutation::Remove)
    }

    /// Reads all elements at once, in the order of their bytes.
    pub fn members(&self) -> Query<Members<T>> {
        let Set { target, kind } = &self.handle;
        target.read(*kind, decoded::<T, C>)
    }

    /// Reads the elements by pages, in the order of their bytes.
    pub fn scan(&self) -> Scan<T> {
        let Set { target, kind } = self.handle.clone();
        Scan::of_elements(target, kind, |target, bytes| decode::<T, C>(target, &bytes))
    }

    /// Reads whether an element is in the set, without reading the others.
    pub fn contains(&self, element: &T) -> Query<bool> {
        match encode::<T, C>(&self.handle.target, element) {
            Ok(bytes) => self.handle.contains(bytes),
            Err(error) => self.handle.contains(Vec::new()).failing(error),
        }
    }
}

impl<T: Serialize + DeserializeOwned + 'static, C: Codec> Typed<T, C, GrowSet> {
    /// Puts an element in. What cannot be encoded is an error when the write is awaited.
    pub fn add(&self, element: &T) -> Write<Plain> {
        self.set().add(element)
    }

    /// Puts elements in, all of them in one write.
    pub fn add_all(&self, elements: impl IntoIterator<Item = impl Borrow<T>>) -> Write<Plain> {
        self.set().add_all(elements)
    }

    /// Reads all elements at once, in the order of their bytes.
    pub fn members(&self) -> Query<Members<T>> {
        self.set().members()
    }

    /// Reads the elements by pages, in the order of their bytes.
    pub fn scan(&self) -> Scan<T> {
        self.set().scan()
    }

    /// Reads whether an element is in the set, without reading the others.
    pub fn contains(&self, element: &T) -> Query<bool> {
        self.set().contains(element)
    }

    fn set(&self) -> Typed<T, C, Set> {
        Typed::of(self.handle.set.clone())
    }
}

fn decoded<T: DeserializeOwned, C: Codec>(answer: Answer) -> Result<Members<T>, Error> {
    let target = answer.target.clone();
    Members::new(answer)?.decoded(|bytes| decode::<T, C>(&target, &bytes))
}
