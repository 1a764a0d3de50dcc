//! Registers.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, Typed, decode, put, write};
use crate::bucket::{Answer, Found, Plain, Query, Register, Write};
use crate::error::Error;
use crate::wire::Kind;

impl<T: Serialize + DeserializeOwned + 'static, C: Codec> Typed<T, C, Register> {
    /// Assigns. What cannot be encoded is an error when the write is awaited.
    pub fn set(&self, value: &T) -> Write<Plain> {
        write::<T, C>((&self.handle.target, Kind::Register), [value], put)
    }

    /// Reads what was assigned last; `None` if nothing was.
    pub fn read(&self) -> Query<Found<Option<T>>> {
        self.handle.target.read(Kind::Register, decoded::<T, C>)
    }

    /// Removes what was assigned, as far as the context covers it or the coordinator sees it.
    pub fn delete(&self) -> Write<Plain> {
        self.handle.delete()
    }
}

fn decoded<T: DeserializeOwned, C: Codec>(answer: Answer) -> Result<Found<Option<T>>, Error> {
    let target = answer.target.clone();
    let decode = |bytes: Bytes| decode::<T, C>(&target, &bytes);
    let found = answer.register()?;
    found.decoded(|value| value.map(decode).transpose())
}
