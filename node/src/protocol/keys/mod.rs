//! The keys of what a vnode stores.
//!
//! ```text
//!   data     n u8 | token u64 | bucket u64 | varint | partition key | sort key, escaped | 0 1
//!            | path | leaf u8 | part                                    ^ the key's prefix ends
//!   dotlog   n u8 | partition u32 | actor 16 B | counter u64
//!   records  n u8 | partition u32 | operation id 24 B
//!   meta     "vnode" | n u8 | partition u32          "behind" | n u8 | partition u32
//!            "cleared" | n u8 | partition u32 | row key of a clear
//!            "sampled" | row key but its part | hash u64 | part     (`samples`)
//!            "names" | row key up to a map | hash u64 | the rest of it   (`samples::names`)
//!            "shares" | row key of a share               (`shares`)
//!            "damaged" | n u8 | partition u32        "borrowed" | n u8 | partition u32
//! ```
//!
//! The path is empty but in a map, where it leads to a field ([`map`]). Numbers are big endian, so
//! that byte order is their order. The token comes first, so a vnode is one contiguous range of
//! `data`; the rows of one key are contiguous, and the keys of one partition key are ordered by
//! sort key: a zero byte of the sort key is written 0 255, its end 0 1.

mod tables;
#[cfg(test)]
mod tests;

use std::{fmt, mem, ops};

use crdt::Actor;
use crdt::codec::{DecodeError, Decoder, Encoder};
use crdt::kinds::Leaf;
use crdt::kinds::cleared::Scope;
use crdt::kinds::map::{self, Path};
use ring::{BucketId, PartitionId, QBits, Token, VnodeId};
pub use tables::{
    Bounds, behind_key, behind_key_beside, borrowed_key, checkpoint_key, checkpoint_range,
    cleared_key, cleared_range, damaged_key, dot_of_event_key, event_key, record_key,
    row_of_cleared_key, successor, vnode_end, vnode_prefix,
};

/// Where a key lives: what the keys of all its rows begin with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPrefix(Vec<u8>);

impl KeyPrefix {
    /// The prefix of a key in a bucket with `n` replicas.
    #[must_use]
    pub fn new(n: u8, token: Token, bucket: BucketId, partition_key: &[u8], sort: &[u8]) -> Self {
        let mut encoder = Encoder::with_capacity(24 + partition_key.len() + sort.len());
        encoder.u8(n);
        encoder.u64(token.0);
        encoder.u64(bucket.0);
        encoder.bytes(partition_key);
        for &byte in sort {
            encoder.u8(byte);
            if byte == 0 {
                encoder.u8(ESCAPED_ZERO);
            }
        }
        encoder.u8(0);
        encoder.u8(END_OF_SORT);
        Self(encoder.finish())
    }

    /// The prefix in bytes received from a peer.
    ///
    /// # Errors
    /// When the bytes are no prefix, or more than one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        skip_prefix(&mut decoder)?;
        decoder.finish()?;
        Ok(Self(bytes.to_vec()))
    }

    /// The key of one row that is in no field of a map.
    #[must_use]
    pub fn row(&self, leaf: Leaf, part: &[u8]) -> RowKey {
        self.row_at(&Path::root(), leaf, part)
    }

    /// The key of one row of a field.
    #[must_use]
    pub fn row_at(&self, path: &Path, leaf: Leaf, part: &[u8]) -> RowKey {
        let suffix = map::encode_suffix(path, leaf, part);
        RowKey {
            bytes: [&self.0[..], &suffix[..]].concat(),
            prefix: self.0.len(),
            leaf: self.0.len() + suffix.len() - part.len() - 1,
        }
    }

    /// The row of an actor's share in a field.
    #[must_use]
    pub fn share(&self, path: &Path, actor: Actor) -> RowKey {
        let mut encoder = Encoder::with_capacity(Actor::LENGTH);
        actor.encode(&mut encoder);
        self.row_at(path, Leaf::Share, &encoder.finish())
    }

    /// The range of all rows of one leaf of a field: from, and up to but without.
    #[must_use]
    pub fn leaf_range(&self, path: &Path, leaf: Leaf) -> (Vec<u8>, Vec<u8>) {
        let (from, to) = map::leaf_range(path, leaf);
        self.bounds(&from, &to)
    }

    fn bounds(&self, from: &[u8], to: &[u8]) -> (Vec<u8>, Vec<u8>) {
        ([&self.0[..], from].concat(), [&self.0[..], to].concat())
    }

    /// The key of the row that says what was cleared in a scope of a field.
    #[must_use]
    pub fn cleared(&self, path: &Path, scope: Scope) -> RowKey {
        self.row_at(path, Leaf::Cleared, &scope.part())
    }

    /// What the rows of those fields of a map begin at whose names are not before `name`, which may
    /// be any bytes; with none, behind the rows at the map's own path.
    #[must_use]
    pub fn fields_from(&self, path: &Path, name: &[u8]) -> Vec<u8> {
        [&self.0[..], &map::fields_from(path, name)].concat()
    }

    /// The range of all rows at a field and below it: from, and up to but without.
    #[must_use]
    pub fn field_range(&self, path: &Path) -> (Vec<u8>, Vec<u8>) {
        if path.names().is_empty() {
            return (self.0.clone(), self.end());
        }
        let (from, to) = map::range(path);
        self.bounds(&from, &to)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The partition key and the sort key.
    #[must_use]
    pub fn keys(&self) -> (Vec<u8>, Vec<u8>) {
        let mut decoder = Decoder::new(self.0.get(FIXED..).unwrap_or_default());
        let partition = decoder.bytes("partition key").unwrap_or_default().to_vec();
        let escaped = decoder.rest();
        let mut sort = Vec::with_capacity(escaped.len());
        let mut bytes = escaped
            .get(..escaped.len().saturating_sub(2))
            .unwrap_or_default()
            .iter();
        while let Some(&byte) = bytes.next() {
            sort.push(byte);
            if byte == 0 {
                bytes.next();
            }
        }
        (partition, sort)
    }

    /// The range of all keys with this one's partition key: from, and up to but without.
    #[must_use]
    pub fn partition_range(&self) -> (Vec<u8>, Vec<u8>) {
        let (partition, _) = self.keys();
        let mut encoder = Encoder::with_capacity(FIXED + partition.len() + 5);
        encoder.raw(self.0.get(..FIXED).unwrap_or_default());
        encoder.bytes(&partition);
        let from = encoder.finish();
        // What follows may begin with any byte, so the end is the next partition key of all.
        let mut to = from.clone();
        while to.pop_if(|last| *last == u8::MAX).is_some() {}
        if let Some(last) = to.last_mut() {
            *last += 1;
        }
        (from, to)
    }

    /// The first key after all rows of this key.
    #[must_use]
    pub fn end(&self) -> Vec<u8> {
        // The last byte is END_OF_SORT, so adding one never overflows.
        let mut end = self.0.clone();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        end
    }
}

/// The key of one row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    bytes: Vec<u8>,
    prefix: usize,
    leaf: usize,
}

impl RowKey {
    /// The row key in bytes from the store or a peer.
    ///
    /// # Errors
    /// When the bytes are no row key.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        skip_prefix(&mut decoder)?;
        let prefix = bytes.len() - decoder.rest().len();
        let part = map::decode_suffix(decoder.rest())?.2.len();
        Ok(Self {
            bytes: bytes.to_vec(),
            prefix,
            leaf: bytes.len() - part - 1,
        })
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bucket that the row belongs to.
    #[must_use]
    pub fn bucket(&self) -> Option<BucketId> {
        let id = self.bytes.get(9..)?.first_chunk()?;
        Some(BucketId(u64::from_be_bytes(*id)))
    }

    /// The key that the row belongs to.
    #[must_use]
    pub fn prefix(&self) -> KeyPrefix {
        KeyPrefix(self.bytes.get(..self.prefix).unwrap_or_default().to_vec())
    }

    /// Does the row belong to this key?
    #[must_use]
    pub fn is_of(&self, prefix: &KeyPrefix) -> bool {
        self.prefix == prefix.0.len() && self.bytes.starts_with(&prefix.0)
    }

    /// What the row is.
    #[must_use]
    pub fn leaf(&self) -> Leaf {
        let code = self.bytes.get(self.leaf).copied();
        code.and_then(Leaf::of).unwrap_or(Leaf::Value)
    }

    /// All of it but the part: what the keys of all rows of this leaf of the field begin with.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        self.bytes.get(..=self.leaf).unwrap_or_default()
    }

    /// The field of a map that the row is in; empty outside of maps.
    #[must_use]
    pub fn path(&self) -> Path {
        let suffix = self.bytes.get(self.prefix..).unwrap_or_default();
        map::decode_suffix(suffix).map_or_else(|_| Path::root(), |(path, ..)| path)
    }

    /// Where in the bytes each step of the path begins and ends, outermost first.
    #[must_use]
    pub fn steps(&self) -> Vec<ops::Range<usize>> {
        let path = self.path();
        let mut begin = self.prefix;
        let ends = path.ends().map(|end| self.prefix + end);
        ends.map(|end| mem::replace(&mut begin, end)..end).collect()
    }

    /// Is the row in a field of a map?
    #[must_use]
    pub fn is_in_field(&self) -> bool {
        self.leaf > self.prefix
    }

    /// Which row of its field it is: an element, an actor, or nothing.
    #[must_use]
    pub fn part(&self) -> &[u8] {
        self.bytes.get(self.leaf + 1..).unwrap_or_default()
    }

    /// Whose share of a counter the row is, if it is one.
    #[must_use]
    pub fn actor(&self) -> Option<Actor> {
        if self.leaf() != Leaf::Share {
            return None;
        }
        let mut decoder = Decoder::new(self.part());
        let actor = Actor::decode(&mut decoder).ok()?;
        decoder.finish().ok().map(|()| actor)
    }

    /// The range that the row clears, if it is the row of a clear: from, and up to but without.
    #[must_use]
    pub fn cleared(&self) -> Option<Bounds> {
        if self.leaf() != Leaf::Cleared {
            return None;
        }
        let (prefix, path) = (self.prefix(), self.path());
        match Scope::of(self.part())? {
            Scope::Leaf(leaf) => Some(prefix.leaf_range(&path, leaf)),
            Scope::Below => Some(prefix.field_range(&path)),
        }
    }

    /// The share of another actor in the same counter.
    #[must_use]
    pub fn share_of(&self, actor: Actor) -> Self {
        let mut encoder = Encoder::with_capacity(self.leaf + 1 + Actor::LENGTH);
        encoder.raw(self.head());
        actor.encode(&mut encoder);
        Self {
            bytes: encoder.finish(),
            ..*self
        }
    }

    /// The vnode that the row belongs to on a ring cut by `bits`.
    #[must_use]
    pub fn vnode(&self, bits: QBits) -> Option<(u8, PartitionId)> {
        let (&n, rest) = self.bytes.split_first()?;
        let token = Token(u64::from_be_bytes(*rest.first_chunk()?));
        Some((n, bits.partition(token)))
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes.escape_ascii())
    }
}

/// The range of `data` that a vnode owns: from, and up to but without.
#[must_use]
pub fn data_range(vnode: VnodeId, bits: QBits) -> (Vec<u8>, Vec<u8>) {
    let n = u8::from(vnode.n);
    let (first, last) = vnode.partition.range(bits);
    let key = |n: u8, token: u64| [&[n][..], &token.to_be_bytes()].concat();
    let end = match last.0.checked_add(1) {
        Some(next) => key(n, next),
        None => vec![n + 1],
    };
    (key(n, first.0), end)
}

fn skip_prefix(decoder: &mut Decoder<'_>) -> Result<(), DecodeError> {
    decoder.u8("n")?;
    decoder.u64("token")?;
    decoder.u64("bucket")?;
    decoder.bytes("partition key")?;
    loop {
        if decoder.u8("sort key")? == 0 {
            match decoder.u8("sort key")? {
                ESCAPED_ZERO => {}
                END_OF_SORT => return Ok(()),
                _ => return Err(DecodeError::Invalid { field: "sort key" }),
            }
        }
    }
}

/// Bytes of a key's n, token and bucket.
const FIXED: usize = 17;
const ESCAPED_ZERO: u8 = 255;
const END_OF_SORT: u8 = 1;
