//! Which rows of a vnode are read.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::encoded;
use crate::protocol::keys::{KeyPrefix, RowKey};
use ring::BucketId;

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
