//! Gossip as bytes, version 1.
//!
//! ```text
//!   version u8 = 1 | cluster 16 | boot 8 | refutations varint | kind u8 | body
//! ```
//!
//! Who sends is told by the connection's certificate and is not repeated. The incarnation of the
//! sender is in every message, because every message is a sign of life, and of which life matters.
//!
//! | kind | body | size |
//! |---|---|---|
//! | 0 heartbeat | | 27 bytes |
//! | 1 push | items | a datagram |
//! | 2 ping, 3 ack | nonce 4 | 31 bytes |
//! | 4 probe | nonce 4, subject 8 | |
//! | 5 probed | nonce 4, alive 0/1 | |
//! | 6 pull | root 8 | |
//! | 7 buckets | salt 4, 256 fingerprints of 4 | 1,055 bytes |
//! | 8 summary | for each bucket: number u8, count varint, entries | a datagram |
//! | 9 want | ids of 8, ascending | a datagram |
//! | 10 join | items | a stream |
//! | 11 page | last 0/1, items | a stream |
//!
//! An item is `0, length varint, record` or `1, suspicion`; an entry of a summary is
//! `id 8 | boot 8 | refutations varint | version varint | flags u8` (1 removed, 2 down).
//!
//! A datagram has at most 1,200 bytes, which every path carries (RFC 9000, section 14); what goes
//! by stream at most 64 KiB at a time. There is no earlier version.

mod bytes;
mod error;
mod record;
#[cfg(test)]
mod tests;

use crate::detector::Suspicion;
use crate::id::{ClusterId, NodeId};
use crate::membership::{Incarnation, Member};
use bytes::{Read, Reader, put_varint};

pub use error::{Malformed, MessageError};
pub use record::MAX_RECORD;
pub(super) use record::encode_member;

/// Most bytes of a message that goes as a datagram.
pub const MAX_DATAGRAM: usize = 1_200;
/// Most bytes of a message that goes by stream.
pub const MAX_PAGE: usize = 64 << 10;
/// Into how many buckets members are hashed.
pub(super) const BUCKETS: usize = 256;

/// A message with what every message has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Envelope {
    pub(super) incarnation: Incarnation,
    pub(super) message: Message,
}

/// What nodes say to each other.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// I live.
    Heartbeat,
    /// This is new.
    Push(Vec<Item>),
    /// Answer me.
    Ping { nonce: u32 },
    /// Here I am.
    Ack { nonce: u32 },
    /// Do you reach this node? I do not.
    Probe { nonce: u32, subject: NodeId },
    /// Whether I did.
    Probed { nonce: u32, is_alive: bool },
    /// This is the digest of what I know. Silence means: the same.
    Pull { root: u64 },
    /// It is not the same; these are the digests of its parts.
    Buckets { salt: u32, fingerprints: Vec<u32> },
    /// This is what I have in some parts.
    Summary(Vec<Bucket>),
    /// Tell me of these.
    Want(Vec<NodeId>),
    /// Tell me everything; this is what I am.
    Join(Vec<Item>),
    /// A part of everything.
    Page { is_last: bool, items: Vec<Item> },
}

/// A piece of news.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Member(Box<Member>),
    Suspicion(Suspicion),
}

/// All entries of one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) number: u8,
    pub(super) entries: Vec<Entry>,
}

/// What a node has of one member, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: NodeId,
    pub(super) incarnation: Incarnation,
    pub(super) version: u64,
    pub(super) is_removed: bool,
    pub(super) is_down: bool,
}

impl Envelope {
    /// The bytes of the message.
    pub(super) fn encode(&self, cluster: ClusterId) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.push(VERSION);
        bytes.extend(cluster.0.to_be_bytes());
        record::put_incarnation(&mut bytes, self.incarnation);
        self.message.encode(&mut bytes);
        bytes
    }

    /// Reads what [`Envelope::encode`] wrote.
    pub(super) fn decode(bytes: &[u8], cluster: ClusterId) -> Result<Self, MessageError> {
        if bytes.len() > MAX_PAGE {
            return Err(Malformed::Long.into());
        }
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(MessageError::Version { found: version });
        }
        let found = ClusterId(reader.u128()?);
        if found != cluster {
            return Err(MessageError::OtherCluster { found });
        }
        let incarnation = record::read_incarnation(&mut reader)?;
        let message = Message::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self {
            incarnation,
            message,
        })
    }
}

impl Message {
    fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Heartbeat => bytes.push(0),
            Self::Push(items) => {
                bytes.push(1);
                put_items(bytes, items);
            }
            Self::Ping { nonce } => {
                bytes.push(2);
                bytes.extend(nonce.to_be_bytes());
            }
            Self::Ack { nonce } => {
                bytes.push(3);
                bytes.extend(nonce.to_be_bytes());
            }
            Self::Probe { nonce, subject } => {
                bytes.push(4);
                bytes.extend(nonce.to_be_bytes());
                bytes.extend(subject.0.to_be_bytes());
            }
            Self::Probed { nonce, is_alive } => {
                bytes.push(5);
                bytes.extend(nonce.to_be_bytes());
                bytes.push(u8::from(*is_alive));
            }
            Self::Pull { root } => {
                bytes.push(6);
                bytes.extend(root.to_be_bytes());
            }
            Self::Buckets { salt, fingerprints } => {
                bytes.push(7);
                bytes.extend(salt.to_be_bytes());
                bytes.extend(fingerprints.iter().flat_map(|print| print.to_be_bytes()));
            }
            Self::Summary(buckets) => {
                bytes.push(8);
                buckets.iter().for_each(|bucket| bucket.encode(bytes));
            }
            Self::Want(ids) => {
                bytes.push(9);
                bytes.extend(ids.iter().flat_map(|id| id.0.to_be_bytes()));
            }
            Self::Join(items) => {
                bytes.push(10);
                put_items(bytes, items);
            }
            Self::Page { is_last, items } => {
                bytes.extend([11, u8::from(*is_last)]);
                put_items(bytes, items);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(match reader.u8()? {
            0 => Self::Heartbeat,
            1 => Self::Push(read_all(reader, Item::decode)?),
            2 => Self::Ping {
                nonce: reader.u32()?,
            },
            3 => Self::Ack {
                nonce: reader.u32()?,
            },
            4 => Self::Probe {
                nonce: reader.u32()?,
                subject: NodeId(reader.u64()?),
            },
            5 => Self::Probed {
                nonce: reader.u32()?,
                is_alive: reader.flag()?,
            },
            6 => Self::Pull {
                root: reader.u64()?,
            },
            7 => {
                let salt = reader.u32()?;
                let fingerprints = (0..BUCKETS).map(|_| reader.u32()).collect::<Read<_>>()?;
                Self::Buckets { salt, fingerprints }
            }
            8 => {
                let buckets = read_all(reader, Bucket::decode)?;
                ascending(&buckets, |bucket: &Bucket| bucket.number)?;
                Self::Summary(buckets)
            }
            9 => {
                let ids = read_all(reader, |reader| reader.u64().map(NodeId))?;
                ascending(&ids, |id| *id)?;
                Self::Want(ids)
            }
            10 => Self::Join(read_all(reader, Item::decode)?),
            11 => Self::Page {
                is_last: reader.flag()?,
                items: read_all(reader, Item::decode)?,
            },
            12..=u8::MAX => return Err(Malformed::Kind),
        })
    }
}

impl Item {
    /// Appends the item.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Member(member) => {
                let record = encode_member(member);
                bytes.push(0);
                put_varint(bytes, record.len() as u64);
                bytes.extend(record);
            }
            Self::Suspicion(suspicion) => {
                bytes.push(1);
                record::put_suspicion(bytes, suspicion);
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Read<Self> {
        match reader.u8()? {
            0 => {
                let length = usize::try_from(reader.varint()?);
                let length = length.map_err(|_too_large| Malformed::Number)?;
                let member = record::decode_member(reader.bytes(length)?)?;
                Ok(Self::Member(Box::new(member)))
            }
            1 => record::read_suspicion(reader).map(Self::Suspicion),
            2..=u8::MAX => Err(Malformed::Kind),
        }
    }
}

impl Bucket {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.number);
        put_varint(bytes, self.entries.len() as u64);
        for entry in &self.entries {
            bytes.extend(entry.id.0.to_be_bytes());
            record::put_incarnation(bytes, entry.incarnation);
            put_varint(bytes, entry.version);
            bytes.push(u8::from(entry.is_removed) | u8::from(entry.is_down) << 1);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Read<Self> {
        let number = reader.u8()?;
        // Not collected by count: each entry must be there before there is room made for it.
        let mut entries = Vec::new();
        for _ in 0..reader.varint()? {
            let id = NodeId(reader.u64()?);
            let incarnation = record::read_incarnation(reader)?;
            let version = reader.varint()?;
            let flags = reader.u8()?;
            if flags > 3 {
                return Err(Malformed::Flag);
            }
            entries.push(Entry {
                id,
                incarnation,
                version,
                is_removed: flags & 1 != 0,
                is_down: flags & 2 != 0,
            });
        }
        ascending(&entries, |entry: &Entry| entry.id)?;
        Ok(Self { number, entries })
    }
}

fn put_items(bytes: &mut Vec<u8>, items: &[Item]) {
    items.iter().for_each(|item| item.encode(bytes));
}

/// Values until the bytes end.
fn read_all<T>(reader: &mut Reader<'_>, read: impl Fn(&mut Reader<'_>) -> Read<T>) -> Read<Vec<T>> {
    let mut values = Vec::new();
    while !reader.is_empty() {
        values.push(read(reader)?);
    }
    Ok(values)
}

fn ascending<T, K: Ord>(values: &[T], key: impl Fn(&T) -> K) -> Read<()> {
    if values.is_sorted_by(|a, b| key(a) < key(b)) {
        Ok(())
    } else {
        Err(Malformed::Order)
    }
}

const VERSION: u8 = 1;
