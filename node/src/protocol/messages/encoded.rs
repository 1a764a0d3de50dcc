//! Serde for values that have a canonical encoding of their own: they travel as those bytes.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserializer, Serializer};
use serde_bytes::{ByteBuf, Bytes};

use crate::protocol::event::Event;
use crate::protocol::keys::{KeyPrefix, RowKey};
use crdt::codec::{DecodeError, Decoder, Encoder};
use crdt::dots::DotSet;
use crdt::{Clock, Row};

/// A value with canonical bytes.
pub(super) trait Encoded: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError>;
}

impl Encoded for Row {
    fn to_bytes(&self) -> Vec<u8> {
        self.encode()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }
}

impl Encoded for Clock {
    fn to_bytes(&self) -> Vec<u8> {
        self.encode()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }
}

impl Encoded for Event {
    fn to_bytes(&self) -> Vec<u8> {
        self.encode()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }
}

impl Encoded for DotSet {
    fn to_bytes(&self) -> Vec<u8> {
        let mut encoder = Encoder::default();
        self.encode(&mut encoder);
        encoder.finish()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let set = Self::decode(&mut decoder)?;
        decoder.finish()?;
        Ok(set)
    }
}

impl Encoded for RowKey {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }
}

impl Encoded for KeyPrefix {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }
}

pub(super) fn serialize<T: Encoded, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(&value.to_bytes())
}

pub(super) fn deserialize<'de, T: Encoded, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_bytes(OneVisitor(std::marker::PhantomData))
}

struct OneVisitor<T>(std::marker::PhantomData<T>);

impl<T: Encoded> Visitor<'_> for OneVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("canonical bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<T, E> {
        T::from_bytes(bytes).map_err(E::custom)
    }
}

/// The same for a list.
pub(super) mod list {
    use super::{
        ByteBuf, Bytes, Deserializer, Encoded, SeqAccess, SerializeSeq, Serializer, Visitor, de,
        fmt,
    };

    pub(in super::super) fn serialize<T: Encoded, S: Serializer>(
        values: &[T],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(values.len()))?;
        for value in values {
            list.serialize_element(Bytes::new(&value.to_bytes()))?;
        }
        list.end()
    }

    pub(in super::super) fn deserialize<'de, T: Encoded, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<T>, D::Error> {
        from.deserialize_seq(ListVisitor(std::marker::PhantomData))
    }

    struct ListVisitor<T>(std::marker::PhantomData<T>);

    impl<'de, T: Encoded> Visitor<'de> for ListVisitor<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of canonical bytes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut values = Vec::new();
            while let Some(bytes) = list.next_element::<ByteBuf>()? {
                values.push(T::from_bytes(&bytes).map_err(de::Error::custom)?);
            }
            Ok(values)
        }
    }
}
