//! Values of a type of the program's own.

mod codec;

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::bucket::{
    Answer, Bucket, Draft, Entry, MultiGet, Plain, Query, Read, Rounds, Scan, Write, Written,
};
use crate::error::{Error, ErrorKind};
use crate::wire::{Edit, Key, Kind, Mutation};

#[cfg(feature = "json")]
pub use codec::Json;
pub use codec::{Codec, MessagePack};

/// A bucket of values of one type, written as MessagePack unless something else is asked for.
///
/// What is read has the same siblings and contexts as that of a [`Bucket`]; only the bytes are
/// turned into a type. A value that is none of that type is an error of kind
/// [`Codec`](ErrorKind::Codec); its bytes can still be read through [`Typed::bucket`].
///
/// ```no_run
/// # async fn run(client: starling::Client) -> Result<(), starling::Error> {
/// #[derive(Default, serde::Serialize, serde::Deserialize)]
/// struct User {
///     name: String,
///     visits: u64,
/// }
///
/// let users = client.typed::<User>("users");
/// let merge = |siblings: Vec<User>| {
///     siblings.into_iter().max_by_key(|user| user.visits).unwrap_or_default()
/// };
/// let visit = |user: Option<User>| {
///     let user = user.unwrap_or_default();
///     User { visits: user.visits + 1, ..user }
/// };
/// let (user, _) = users.update("ada", merge, visit).await?;
/// assert!(user.visits > 0);
/// # Ok(())
/// # }
/// ```
pub struct Typed<T, C = MessagePack> {
    bucket: Bucket,
    marker: Marker<T, C>,
}

/// Holds neither a value nor a codec.
type Marker<T, C> = PhantomData<fn() -> (T, C)>;

impl<T> Typed<T> {
    pub(crate) fn new(bucket: Bucket) -> Self {
        Self {
            bucket,
            marker: PhantomData,
        }
    }

    /// The same bucket with values written in another format.
    pub fn codec<C: Codec>(self) -> Typed<T, C> {
        Typed {
            bucket: self.bucket,
            marker: PhantomData,
        }
    }

    /// The same bucket with values written as JSON.
    #[cfg(feature = "json")]
    pub fn json(self) -> Typed<T, Json> {
        self.codec()
    }
}

impl<T: Serialize + DeserializeOwned + 'static, C: Codec> Typed<T, C> {
    /// The same bucket with values of bytes.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Reads a value, with its siblings and the context for the next write.
    pub fn get(&self, key: impl Into<Key>) -> Query<Read<T>> {
        self.bucket.target(key).read(Kind::Value, decoded::<T, C>)
    }

    /// Writes a value over what its [`context`](Write::context) covers. Without one it is
    /// [`blind`](Write::blind), and becomes a sibling of what is there. A value that cannot be
    /// encoded is an error when the write is awaited.
    pub fn put(&self, key: impl Into<Key>, value: &T) -> Write<Plain> {
        let (bytes, error) = match C::encode(value) {
            Ok(bytes) => (bytes, None),
            Err(reason) => (Vec::new(), Some(unencodable(&reason))),
        };
        let mutation = Mutation::Put(ByteBuf::from(bytes));
        let mut draft = Draft::new(vec![Edit::of_key(Kind::Value, mutation)]);
        draft.error = error;
        Write::of_draft(self.bucket.target(key), draft)
    }

    /// Removes what the context covers, or without one what the coordinator sees.
    pub fn delete(&self, key: impl Into<Key>) -> Write<Plain> {
        self.bucket.value(key).delete()
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
                Err(error) if rounds.goes_on(self.bucket.client(), &error).await => {}
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
        let bucket = self.bucket.clone();
        MultiGet::new(keys, move |key| {
            bucket.target(key).read(Kind::Value, decoded::<T, C>)
        })
    }

    /// Reads the values of a partition key, in the order of their sort keys.
    pub fn scan(&self, partition_key: impl AsRef<[u8]>) -> Scan<Entry<Read<T>>> {
        let target = self.bucket.target(Key::new(partition_key, ""));
        Scan::of_keys(target, Kind::Value, decoded::<T, C>)
    }
}

fn decoded<T: DeserializeOwned, C: Codec>(answer: Answer) -> Result<Read<T>, Error> {
    let key = answer.target.key.clone();
    let read = Read::new(answer)?;
    read.decoded(|bytes| C::decode(bytes).map_err(|reason| undecodable(&key, &reason)))
}

fn unencodable(reason: &str) -> Error {
    let message = format!("the value cannot be encoded ({reason}); nothing was sent: change it");
    Error::local(ErrorKind::Codec, message)
}

fn undecodable(key: &Key, reason: &str) -> Error {
    let message = format!(
        "a value of {key} is none of the type asked for ({reason}); it is still there: read its \
         bytes"
    );
    Error::local(ErrorKind::Codec, message)
}

impl<T, C> Clone for Typed<T, C> {
    fn clone(&self) -> Self {
        Self {
            bucket: self.bucket.clone(),
            marker: PhantomData,
        }
    }
}

impl<T, C> fmt::Debug for Typed<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}
