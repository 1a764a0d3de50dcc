//! The ring cut into Q = 2^b equal arcs.
//!
//! ```text
//! token      |bbbb....................................|   64 bits
//!             ^^^^ partition = the top b bits
//! ```
//!
//! Rows are stored by their token first, so a partition is one contiguous range, and doubling Q
//! later splits ranges without moving a row.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::count::ReplicaCount;
use crate::token::Token;

/// The b of Q = 2^b: how finely the ring is cut, between 0 (one partition) and 20.
///
/// More partitions spread load more evenly and cost a clock, a dotlog and a table entry each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct QBits(u8);

impl QBits {
    /// The finest cut: 1,048,576 partitions.
    pub const MAX: Self = Self(20);
    /// 256 partitions, enough for 16 nodes.
    pub const DEFAULT: Self = Self(8);
    /// 64 partitions, enough for a demonstration on one machine.
    pub const DEMO: Self = Self(6);

    /// A ring of `2^bits` partitions.
    ///
    /// # Errors
    /// When `bits` is greater than 20.
    pub fn new(bits: u8) -> Result<Self, InvalidQBits> {
        if bits <= Self::MAX.0 {
            Ok(Self(bits))
        } else {
            Err(InvalidQBits { bits })
        }
    }

    /// Q: how many partitions there are.
    pub fn partition_count(self) -> u32 {
        1 << self.0
    }

    /// The partition that holds `token`.
    pub fn partition(self, token: Token) -> PartitionId {
        let top = token.0.checked_shr(self.unused_bits()).unwrap_or(0);
        PartitionId(u32::try_from(top).unwrap_or(u32::MAX))
    }

    /// All partitions in ring order.
    pub fn partitions(self) -> impl Iterator<Item = PartitionId> {
        (0..self.partition_count()).map(PartitionId)
    }

    /// Whether the ring has this partition.
    pub fn contains(self, partition: PartitionId) -> bool {
        partition.0 < self.partition_count()
    }

    fn unused_bits(self) -> u32 {
        u64::BITS - u32::from(self.0)
    }
}

impl Default for QBits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u8> for QBits {
    type Error = InvalidQBits;

    fn try_from(bits: u8) -> Result<Self, Self::Error> {
        Self::new(bits)
    }
}

impl From<QBits> for u8 {
    fn from(bits: QBits) -> Self {
        bits.0
    }
}

/// One of the equal arcs of the ring, counted from token zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub u32);

impl PartitionId {
    /// The first and the last token of this partition, both inclusive.
    ///
    /// For a partition that the ring does not have ([`QBits::contains`]) the number counts round
    /// the ring once more.
    pub fn range(self, bits: QBits) -> (Token, Token) {
        let first = u64::from(self.0)
            .checked_shl(bits.unused_bits())
            .unwrap_or(0);
        let span = u64::MAX.checked_shr(u32::from(bits.0)).unwrap_or(0);
        (Token(first), Token(first | span))
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which vnode of a node: buckets of different n have different owners, so the replica of a
/// partition exists once per n, and every key of a vnode's state begins with that n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VnodeId {
    /// The replica count of the buckets whose rows it holds.
    pub n: ReplicaCount,
    /// The arc of the ring whose rows it holds.
    pub partition: PartitionId,
}

impl fmt::Display for VnodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}/p{}", self.n, self.partition)
    }
}

/// A number of bits that cannot cut a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidQBits {
    /// The number that was asked for.
    pub bits: u8,
}

impl fmt::Display for InvalidQBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a ring cannot have 2^{} partitions: choose at most 2^20",
            self.bits
        )
    }
}

impl std::error::Error for InvalidQBits {}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{PartitionId, QBits};
    use crate::token::Token;

    #[test]
    fn a_ring_of_one_partition_holds_every_token() {
        let whole = QBits::new(0).unwrap();
        assert_eq!(whole.partition(Token(u64::MAX)), PartitionId(0));
        assert_eq!(PartitionId(0).range(whole), (Token(0), Token(u64::MAX)));
        assert!(QBits::new(21).is_err());
    }

    proptest! {
        #[test]
        fn a_token_lies_in_the_range_of_its_partition(token in any::<u64>(), bits in 0_u8..=20) {
            let bits = QBits::new(bits).unwrap();
            let partition = bits.partition(Token(token));
            let (first, last) = partition.range(bits);
            prop_assert!(bits.contains(partition));
            prop_assert!(first.0 <= token && token <= last.0);
        }

        #[test]
        fn neighbouring_ranges_touch(bits in 1_u8..=20, at in any::<u32>()) {
            let bits = QBits::new(bits).unwrap();
            let partition = PartitionId(at % (bits.partition_count() - 1));
            let next = PartitionId(partition.0 + 1);
            prop_assert_eq!(partition.range(bits).1.0 + 1, next.range(bits).0.0);
        }
    }
}
