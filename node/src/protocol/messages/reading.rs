//! What a replica is asked to read, and what it answers.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{KeyedRow, encoded};
use crate::protocol::keys::{KeyPrefix, RowKey};
use crdt::Clock;
use crdt::dots::DotSet;
use ring::{BucketId, VnodeId};
use starling::wire::Durability;

/// Which rows of a key to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selection {
    /// All rows of the key.
    Key(#[serde(with = "encoded")] KeyPrefix),
    /// One row.
    Row(#[serde(with = "encoded")] RowKey),
    /// The rows of a range of keys.
    Range(Range),
    /// The keys of one bucket in a range: of each the first row that shows a version, without its
    /// body.
    Keys {
        /// The bucket.
        bucket: BucketId,
        /// Where to look; the limit is of rows looked at.
        range: Range,
    },
    /// The rows of a set or a list, or where there are more than the range's limit a sample of
    /// them: see [`samples`](crate::protocol::samples).
    Sample(Range),
    /// Of each name in a map a few rows that tell whether it is there, or where there are more
    /// names than the range's limit, of a sample of them: see
    /// [`names`](crate::protocol::samples::names).
    Names {
        /// All rows at the map and below it.
        range: Range,
        /// How many steps lead to the map.
        depth: u8,
    },
}

/// A range of row keys, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first.
    pub from: ByteBuf,
    /// The first one after it.
    pub to: ByteBuf,
    /// From its end backwards.
    pub reverse: bool,
    /// Rows at the most; `None` for all, and then an answer over a message's limit is refused.
    pub limit: Option<u32>,
}

/// Reads rows of a vnode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRows {
    /// The vnode.
    pub vnode: VnodeId,
    /// Which rows.
    pub selection: Selection,
    /// Answer with the whole clock, to inspect it, and not its bases alone.
    pub whole_clock: bool,
    /// Answer when all that the answer shows is so durable; `None` for whatever it is.
    #[serde(default)]
    pub durable: Option<Durability>,
    /// Leave out the bodies of versions that are longer than so many bytes: another owner sends
    /// them, and versions under equal dots are equal. `None` for all bodies.
    #[serde(default)]
    pub bodies_up_to: Option<u32>,
}

/// Rows and the clock that belongs to them, read as one atomic pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsRead {
    /// The stored rows, not filled.
    pub rows: Vec<KeyedRow>,
    /// The bases of the clock (or all of it, where that was asked).
    #[serde(with = "encoded")]
    pub clock: Clock,
    /// The vnode is catching up: the answer must not count towards r.
    pub catching_up: bool,
    /// The answer is complete only as far as this key, which it includes; `None` for all.
    pub until: Option<ByteBuf>,
    /// The answer is a sample: all rows of which the hash of the part, or in a map that of the
    /// name, is below this.
    pub sampled: Option<u64>,
    /// The versions that stand in the rows with an empty body, since theirs was left out.
    #[serde(default, with = "encoded")]
    pub left_out: DotSet,
}
