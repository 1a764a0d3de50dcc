//! The keys of what a vnode stores.
//!
//! ```text
//!   data     n u8 | token u64 | bucket u64 | varint | partition key | sort key, escaped | 0 1
//!            | tag u8 | part                                            ^ the key's prefix ends
//!   dotlog   n u8 | partition u32 | actor 16 B | counter u64
//!   records  n u8 | partition u32 | operation id 24 B
//!   meta     "vnode" | n u8 | partition u32          "behind" | n u8 | partition u32
//! ```
//!
//! Numbers are big endian, so that byte order is their order. The token comes first, so a vnode is
//! one contiguous range of `data`; the rows of one key are contiguous, and the keys of one
//! partition key are ordered by sort key: a zero byte of the sort key is written 0 255, its end 0
//! 1.

use std::fmt;

use crdt::codec::{DecodeError, Decoder, Encoder};
use crdt::{Actor, Dot, OpId};
use ring::{BucketId, PartitionId, QBits, Token, VnodeId};

/// What the rows of a key are, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// The one row of a `value`.
    Value,
    /// One actor's share of a `counter`; the part is the actor.
    Share,
    /// One element of a `set`; the part is the element.
    Element,
}

impl Tag {
    fn code(self) -> u8 {
        match self {
            Self::Value => 0,
            Self::Share => 1,
            Self::Element => 2,
        }
    }

    fn of(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Value),
            1 => Some(Self::Share),
            2 => Some(Self::Element),
            _ => None,
        }
    }
}

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

    /// The key of one row.
    #[must_use]
    pub fn row(&self, tag: Tag, part: &[u8]) -> RowKey {
        let mut key = Vec::with_capacity(self.0.len() + 1 + part.len());
        key.extend_from_slice(&self.0);
        key.push(tag.code());
        key.extend_from_slice(part);
        RowKey {
            bytes: key,
            prefix: self.0.len(),
        }
    }

    /// The row of an actor's share.
    #[must_use]
    pub fn share(&self, actor: Actor) -> RowKey {
        let mut encoder = Encoder::with_capacity(Actor::LENGTH);
        actor.encode(&mut encoder);
        self.row(Tag::Share, &encoder.finish())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
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
        let tag = decoder.u8("row's tag")?;
        Tag::of(tag).ok_or(DecodeError::Invalid { field: "row's tag" })?;
        Ok(Self {
            bytes: bytes.to_vec(),
            prefix,
        })
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
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
    pub fn tag(&self) -> Tag {
        self.bytes
            .get(self.prefix)
            .and_then(|&code| Tag::of(code))
            .unwrap_or(Tag::Value)
    }

    /// Which row of the key it is: an element, an actor, or nothing.
    #[must_use]
    pub fn part(&self) -> &[u8] {
        self.bytes.get(self.prefix + 1..).unwrap_or_default()
    }

    /// Whose share of a counter the row is, if it is one.
    #[must_use]
    pub fn actor(&self) -> Option<Actor> {
        if self.tag() != Tag::Share {
            return None;
        }
        let mut decoder = Decoder::new(self.part());
        let actor = Actor::decode(&mut decoder).ok()?;
        decoder.finish().ok().map(|()| actor)
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

/// What the `dotlog`, `records` and `meta` keys of a vnode begin with, after the table.
#[must_use]
pub fn vnode_prefix(vnode: VnodeId) -> [u8; 5] {
    let [a, b, c, d] = vnode.partition.0.to_be_bytes();
    [u8::from(vnode.n), a, b, c, d]
}

/// The first key after all that begin with a vnode's prefix.
#[must_use]
pub fn vnode_end(vnode: VnodeId) -> Vec<u8> {
    match vnode.partition.0.checked_add(1) {
        Some(next) => [&[u8::from(vnode.n)][..], &next.to_be_bytes()].concat(),
        None => vec![u8::from(vnode.n) + 1],
    }
}

/// The dotlog key of an event.
#[must_use]
pub fn event_key(vnode: VnodeId, dot: Dot) -> Vec<u8> {
    let mut encoder = Encoder::with_capacity(29);
    encoder.raw(&vnode_prefix(vnode));
    dot.actor.encode(&mut encoder);
    encoder.u64(dot.counter);
    encoder.finish()
}

/// The dot in a dotlog key.
///
/// # Errors
/// When the bytes are no dotlog key.
pub fn dot_of_event_key(key: &[u8]) -> Result<Dot, DecodeError> {
    let rest = key.get(5..).ok_or(DecodeError::Truncated {
        field: "dotlog key",
    })?;
    let mut decoder = Decoder::new(rest);
    let actor = Actor::decode(&mut decoder)?;
    let counter = decoder.u64("dotlog key's counter")?;
    decoder.finish()?;
    Ok(Dot::new(actor, counter))
}

/// The key of an operation's record.
#[must_use]
pub fn record_key(vnode: VnodeId, op: OpId) -> Vec<u8> {
    let mut encoder = Encoder::with_capacity(29);
    encoder.raw(&vnode_prefix(vnode));
    op.encode(&mut encoder);
    encoder.finish()
}

/// The key of a vnode's checkpoint.
#[must_use]
pub fn checkpoint_key(vnode: VnodeId) -> Vec<u8> {
    [&b"vnode"[..], &vnode_prefix(vnode)].concat()
}

/// The key of the mark that a vnode is catching up.
#[must_use]
pub fn behind_key(vnode: VnodeId) -> Vec<u8> {
    [&b"behind"[..], &vnode_prefix(vnode)].concat()
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

const ESCAPED_ZERO: u8 = 255;
const END_OF_SORT: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use ring::{BucketId, PartitionId, QBits, ReplicaCount, Token, VnodeId};

    use super::{KeyPrefix, RowKey, Tag, data_range};

    fn prefix(sort: &[u8]) -> KeyPrefix {
        KeyPrefix::new(3, Token(7), BucketId(9), b"p", sort)
    }

    proptest! {
        #[test]
        fn rows_are_ordered_by_sort_key(
            a in vec(0_u8..3, 0..6), b in vec(0_u8..3, 0..6), x in any::<Vec<u8>>()
        ) {
            let row_a = prefix(&a).row(Tag::Element, &x);
            let row_b = prefix(&b).row(Tag::Value, b"");
            if a != b {
                prop_assert_eq!(a.cmp(&b), row_a.as_bytes().cmp(row_b.as_bytes()));
            }
            let end = prefix(&a).end();
            prop_assert!(row_a.as_bytes() < &end[..]);
            prop_assert_eq!(row_b.as_bytes() < &end[..], b <= a);
        }

        #[test]
        fn a_row_key_comes_back(sort in any::<Vec<u8>>(), part in any::<Vec<u8>>()) {
            let row = prefix(&sort).row(Tag::Element, &part);
            let back = RowKey::decode(row.as_bytes()).unwrap();
            prop_assert_eq!(&back, &row);
            prop_assert_eq!(back.part(), &part[..]);
            prop_assert_eq!(back.tag(), Tag::Element);
            prop_assert!(back.is_of(&prefix(&sort)));
            prop_assert_eq!(KeyPrefix::decode(back.prefix().as_bytes()).unwrap(), prefix(&sort));
        }

        #[test]
        fn any_bytes_give_a_key_or_an_error(bytes in any::<Vec<u8>>()) {
            if let Ok(key) = RowKey::decode(&bytes) {
                prop_assert_eq!(key.as_bytes(), &bytes[..]);
            }
        }
    }

    #[test]
    fn vnodes_cut_the_table_without_gap_or_overlap() {
        let bits = QBits::new(2).unwrap();
        let n = ReplicaCount::new(3).unwrap();
        let ranges: Vec<_> = bits
            .partitions()
            .map(|partition| data_range(VnodeId { n, partition }, bits))
            .collect();
        for pair in ranges.windows(2) {
            assert_eq!(pair[0].1, pair[1].0);
        }
        assert_eq!(ranges[3].1, [4]);
        let key = KeyPrefix::new(3, Token(u64::MAX), BucketId(0), b"", b"").row(Tag::Value, b"");
        assert!(key.as_bytes() < &ranges[3].1[..]);
        assert_eq!(key.vnode(bits), Some((3, PartitionId(3))));
    }
}
