//! Values, elements and items of a type of the program's own.
//!
//! There is one shape for all of them: a handle that reads and writes bytes, and beside it a type
//! and the format in which that becomes bytes. What the handle has beyond that, it has itself
//! ([`Typed::raw`]).

mod codec;
mod list;
mod register;
mod set;
mod value;

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::bucket::{Bucket, Draft, Plain, Target, Write};
use crate::error::{Error, ErrorKind};
use crate::wire::{Edit, Kind, Mutation};

#[cfg(feature = "json")]
pub use codec::Json;
pub use codec::{Codec, MessagePack};

/// A handle whose values, elements or items are of one type, written as MessagePack unless
/// something else is asked for: of a bucket of values ([`Client::typed`](crate::Client::typed)),
/// or of a value, register, set or list that is a key or a field of a map
/// ([`Register::typed`](crate::Register::typed), and so on).
///
/// What is read has the same siblings and contexts as that of the handle of bytes; only the bytes
/// are turned into a type. What is none of that type is an error of kind
/// [`Codec`](ErrorKind::Codec), which names the bucket, the key and the format; its bytes can still
/// be read through [`Typed::raw`].
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
///
/// // A field of a map, a set and a list.
/// let profile = client.bucket("profiles").map("ada");
/// profile.register("last").typed::<User>().set(&user).await?;
/// let seen = profile.set("seen").typed::<(u16, String)>();
/// seen.add(&(2026, "Berlin".to_owned())).await?;
/// assert!(seen.contains(&(2026, "Berlin".to_owned())).await?);
/// profile.list("log").typed::<User>().push_back(&user).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Elements of sets
///
/// Two elements are one if their *bytes* are equal, so what is equal in the program must be encoded
/// alike, by every version of every program that uses the set. Numbers, texts, enums, tuples, and
/// structs and ordered maps (`BTreeMap`) of these are. A `HashMap` or `HashSet` is not, since its
/// order changes with each run; nor are floats (`0.0` and `-0.0` are equal and two elements), nor a
/// struct to which a field is added later, even one that may be left out: what the older program
/// has added, the newer one does not find.
pub struct Typed<T, C = MessagePack, H = Bucket> {
    handle: H,
    marker: Marker<T, C>,
}

/// Holds neither a value nor a codec.
type Marker<T, C> = PhantomData<fn() -> (T, C)>;

impl<T, H> Typed<T, MessagePack, H> {
    pub(crate) fn new(handle: H) -> Self {
        Self::of(handle)
    }

    /// The same in another format.
    pub fn codec<C: Codec>(self) -> Typed<T, C, H> {
        Typed::of(self.handle)
    }

    /// The same as JSON.
    #[cfg(feature = "json")]
    pub fn json(self) -> Typed<T, Json, H> {
        self.codec()
    }
}

impl<T, C, H> Typed<T, C, H> {
    fn of(handle: H) -> Self {
        Self {
            handle,
            marker: PhantomData,
        }
    }

    /// The same handle of bytes.
    pub fn raw(&self) -> &H {
        &self.handle
    }
}

/// A write of values that are encoded. One that cannot be is an error when the write is awaited,
/// and nothing is sent.
fn write<T: Serialize, C: Codec>(
    (target, kind): (&Target, Kind),
    values: impl IntoIterator<Item = impl Borrow<T>>,
    mutation: impl FnOnce(Vec<ByteBuf>) -> Mutation,
) -> Write<Plain> {
    let encoded: Result<Vec<ByteBuf>, Error> = values
        .into_iter()
        .map(|value| encode::<T, C>(target, value.borrow()).map(ByteBuf::from))
        .collect();
    let (bytes, error) = match encoded {
        Ok(bytes) => (bytes, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let edit = Edit {
        path: target.path.clone(),
        kind,
        mutation: mutation(bytes),
    };
    let mut draft = Draft::new(vec![edit]);
    draft.error = error;
    Write::of_draft(target.clone(), draft)
}

/// Writes one value.
fn put(mut bytes: Vec<ByteBuf>) -> Mutation {
    Mutation::Put(bytes.pop().unwrap_or_default())
}

fn encode<T: Serialize, C: Codec>(target: &Target, value: &T) -> Result<Vec<u8>, Error> {
    C::encode(value).map_err(|reason| {
        let message = format!(
            "what is meant for {} cannot be encoded as {} ({reason}); nothing was sent: change it",
            place(target),
            C::NAME
        );
        Error::local(ErrorKind::Codec, message)
    })
}

fn decode<T: DeserializeOwned, C: Codec>(target: &Target, bytes: &[u8]) -> Result<T, Error> {
    C::decode(bytes).map_err(|reason| {
        let message = format!(
            "what is in {} is none of the type asked for in {} ({reason}); it is still there: \
             read its bytes",
            place(target),
            C::NAME
        );
        Error::local(ErrorKind::Codec, message)
    })
}

/// The key, or the field of it, for people.
fn place(target: &Target) -> String {
    let of_key = format!("key {} of bucket {}", target.key, target.bucket);
    if target.path.is_empty() {
        return of_key;
    }
    let names: Vec<String> = target
        .path
        .iter()
        .map(|name| name.escape_ascii().to_string())
        .collect();
    format!("field {} of {of_key}", names.join("."))
}

impl<T, C, H: Clone> Clone for Typed<T, C, H> {
    fn clone(&self) -> Self {
        Self::of(self.handle.clone())
    }
}

impl<T, C, H: fmt::Debug> fmt::Debug for Typed<T, C, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}
