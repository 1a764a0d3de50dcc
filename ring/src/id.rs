//! The names of things: nodes, clusters, buckets.
//!
//! Each is a plain number behind a type of its own, so that one cannot be taken for another. All
//! of them are shown as hexadecimal digits of fixed length.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::hex;

/// A node: a random number, drawn once, which its certificate names and its data directory keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(#[serde(with = "hex::bits64")] pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for NodeId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_u64(text).map(Self)
    }
}

/// A cluster: 128 random bits drawn by `init`. Two clusters never merge, whoever talks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterId(#[serde(with = "hex::bits128")] pub u128);

impl ClusterId {
    /// The seed of this cluster's ring: equal keys have different tokens in different clusters, so
    /// that nobody can prepare keys that all fall on one partition of every Starling.
    pub fn seed(self) -> u64 {
        xxh3_64(&self.0.to_be_bytes())
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for ClusterId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::parse(text, 32).map(Self).ok_or(ParseIdError {
            digits: 32,
            found: text.len(),
        })
    }
}

/// A bucket: the hash of its name, so that every node derives the same one without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BucketId(#[serde(with = "hex::bits64")] pub u64);

impl BucketId {
    /// The id of the bucket called `name`.
    pub fn of_name(name: &str) -> Self {
        Self(xxh3_64(name.as_bytes()))
    }
}

impl fmt::Display for BucketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for BucketId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_u64(text).map(Self)
    }
}

/// A text that should have been an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseIdError {
    /// How many hexadecimal digits the identifier has.
    pub digits: usize,
    /// How many bytes were found.
    pub found: usize,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an identifier is exactly {} hexadecimal digits; this text of {} bytes is not one",
            self.digits, self.found
        )
    }
}

impl std::error::Error for ParseIdError {}

fn parse_u64(text: &str) -> Result<u64, ParseIdError> {
    hex::parse(text, 16)
        .and_then(|wide| u64::try_from(wide).ok())
        .ok_or(ParseIdError {
            digits: 16,
            found: text.len(),
        })
}

#[cfg(test)]
mod tests {
    use super::{BucketId, ClusterId, NodeId};

    #[test]
    fn an_id_reads_back_what_it_shows() {
        let node = NodeId(0x00ab_cdef_0123_4567);
        assert_eq!(node.to_string(), "00abcdef01234567");
        assert_eq!(node.to_string().parse(), Ok(node));
        let cluster = ClusterId(7);
        assert_eq!(cluster.to_string().len(), 32);
        assert_eq!(cluster.to_string().parse(), Ok(cluster));
        let bucket = BucketId::of_name("words");
        assert_eq!(bucket.to_string().parse(), Ok(bucket));
    }

    #[test]
    fn a_text_of_other_length_or_alphabet_is_refused() {
        for text in [
            "",
            "1",
            "+0abcdef01234567",
            "00abcdef0123456g",
            "00abcdef012345678",
        ] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
            assert!(text.parse::<ClusterId>().is_err(), "{text}");
        }
    }

    #[test]
    fn bucket_ids_do_not_change() {
        assert_eq!(BucketId::of_name("").0, 0x2d06_8005_38d3_94c2);
        assert_eq!(BucketId::of_name("words"), BucketId::of_name("words"));
    }
}
