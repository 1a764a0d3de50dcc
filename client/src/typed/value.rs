//! Values, alone and in their bucket.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, Typed, decode, put, write};
use crate::bucket::{
    Answer, Bucket, Entry, MultiGet, Plain, Query, Read, Rounds, Scan, Value, Write, Written,
};
use crate::error::Error;
use crate::wire::{Key, Kind};

impl<T: Serialize + DeserializeOwned + 'static, C: Codec> Typed<T, C, Value> {
    /// Reads it, with its siblings and the context for the next write.
    pub fn get(&self) -> Query<Read<T>> {
        self.handle.target.read(Kind::Value, decoded::<T, C>)
    }

    /// Writes it over what its [`context`](Write::context) covers. Without one it is
    /// [`blind`](Write::blind), and becomes a sibling of what is there. A value that cannot be
    /// encoded is an error when the write is awaited.
    pub fn put(&self, value: &T) -> Write<Plain> {
        write::<T, C>((&self.handle.target, Kind::Value), [value], put)
    }

    /// Removes what the context covers, or without one what the coordinator sees.
    pub fn delete(&self) -> Write<Plain> {
        self.handle.delete()
    }
}

impl<T: Serialize + DeserializeOwned + 'static, C: Codec> Typed<T, C, Bucket> {
    /// A value of this bucket.
    pub fn value(&self, key: impl Into<Key>) -> Typed<T, C, Value> {
        Typed::of(self.handle.value(key))
    }

    /// Reads a value, with its siblings and the context for the next write.
    pub fn get(&self, key: impl Into<Key>) -> Query<Read<T>> {
        self.value(key).get()
    }

    /// Writes a value, as [`put`](Typed::put) of that value alone does.
    pub fn put(&self, key: impl Into<Key>, value: &T) -> Write<Plain> {
        self.value(key).put(value)
    }

    /// Removes what the context covers, or without one what the coordinator sees.
    pub fn delete(&self, key: impl Into<Key>) -> Write<Plain> {
        self.value(key).delete()
    }

    /// Reads a value, lets `merge` make one of its siblings if there are several, lets `change`
    /// make the new one of it (of `None` if the key is not there), and writes that over them if
    /// they are still current. If somebody else was faster it begins again, up to ten times. Gives
    /// what was written.
    ///
    /// # Errors
    /// As for reading and writing; after a failed read nothing was written.
    pub async fn update(
        &self,
        key: impl Into<Key>,
        mut merge: impl FnMut(Vec<T>) -> T,
        mut change: impl FnMut(Option<T>) -> T,
    ) -> Result<(T, Written), Error> {
        let key = key.into();
        let mut rounds = Rounds::default();
        loop {
            let read = self.get(&key).await?;
            let context = read.context().clone();
            let mut siblings = read.into_siblings();
            let current = if siblings.len() > 1 {
                Some(merge(siblings))
            } else {
                siblings.pop()
            };
            let value = change(current);
            let put = self.put(&key, &value).context(&context);
            match put.only_if_current().await {
                Ok(written) => return Ok((value, written)),
                Err(error) if rounds.goes_on(self.handle.client(), &error).await => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads several values, some at a time, in the order in which they arrive.
    pub fn multi_get<K: Into<Key> + 'static, I: IntoIterator<Item = K>>(
        &self,
        keys: I,
    ) -> MultiGet<Read<T>>
    where
        I::IntoIter: Send + 'static,
    {
        let typed = self.clone();
        MultiGet::new(keys, move |key| typed.get(key))
    }

    /// Reads the values of a partition key, in the order of their sort keys.
    pub fn scan(&self, partition_key: impl AsRef<[u8]>) -> Scan<Entry<Read<T>>> {
        let target = self.handle.target(Key::new(partition_key, ""));
        Scan::of_keys(target, Kind::Value, decoded::<T, C>)
    }
}

fn decoded<T: DeserializeOwned, C: Codec>(answer: Answer) -> Result<Read<T>, Error> {
    let target = answer.target.clone();
    Read::new(answer)?.decoded(|bytes| decode::<T, C>(&target, bytes))
}
