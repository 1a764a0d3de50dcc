//! How many owners a key has: n.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The n of a bucket, between 1 and 7. In a cluster with fewer nodes every node is an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct ReplicaCount(u8);

impl ReplicaCount {
    /// The smallest n. One lost disk loses data.
    pub const MIN: Self = Self(1);
    /// The largest n. Beyond it writes cost more than another copy is worth.
    pub const MAX: Self = Self(7);
    /// What a bucket has when nothing else was asked for.
    pub const DEFAULT: Self = Self(3);

    /// The replica count `n`.
    ///
    /// # Errors
    /// When `n` is not between 1 and 7.
    pub fn new(n: u8) -> Result<Self, InvalidReplicaCount> {
        if (Self::MIN.0..=Self::MAX.0).contains(&n) {
            Ok(Self(n))
        } else {
            Err(InvalidReplicaCount { n })
        }
    }

    /// Every replica count, from the smallest to the largest.
    pub fn all() -> impl Iterator<Item = Self> {
        (Self::MIN.0..=Self::MAX.0).map(Self)
    }
}

impl Default for ReplicaCount {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl TryFrom<u8> for ReplicaCount {
    type Error = InvalidReplicaCount;

    fn try_from(n: u8) -> Result<Self, Self::Error> {
        Self::new(n)
    }
}

impl From<ReplicaCount> for u8 {
    fn from(count: ReplicaCount) -> Self {
        count.0
    }
}

impl From<ReplicaCount> for usize {
    fn from(count: ReplicaCount) -> Self {
        Self::from(count.0)
    }
}

impl fmt::Display for ReplicaCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number that cannot be a replica count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidReplicaCount {
    /// The number that was asked for.
    pub n: u8,
}

impl fmt::Display for InvalidReplicaCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "n = {} is not a replica count: choose one between 1 and 7",
            self.n
        )
    }
}

impl std::error::Error for InvalidReplicaCount {}

#[cfg(test)]
mod tests {
    use super::ReplicaCount;

    #[test]
    fn a_replica_count_is_between_one_and_seven() {
        let valid: Vec<u8> = (0..=u8::MAX)
            .filter(|n| ReplicaCount::new(*n).is_ok())
            .collect();
        assert_eq!(valid, [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(ReplicaCount::all().map(u8::from).collect::<Vec<_>>(), valid);
    }
}
