//! The name of a layout.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hex;

/// A layout's place in the total order of layouts, and its content.
///
/// The epoch counts the changes on the way to it. Two operators who change the ring at once make
/// two layouts of one epoch; the digest then tells them apart and decides, on every node alike,
/// which is the newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LayoutId {
    /// One more than the epoch of the layout it was made from; 1 for the first.
    pub epoch: u64,
    /// The hash of everything else in the layout.
    #[serde(with = "hex::bits128")]
    pub digest: u128,
}

/// The epoch and the first eight digits of the digest, enough to tell layouts apart by eye.
impl fmt::Display for LayoutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:08x}", self.epoch, self.digest >> 96)
    }
}

#[cfg(test)]
mod tests {
    use super::LayoutId;

    #[test]
    fn the_epoch_counts_before_the_digest() {
        let id = |epoch, digest| LayoutId { epoch, digest };
        assert!(id(1, u128::MAX) < id(2, 0));
        assert!(id(2, 1) < id(2, 2));
        assert_eq!(id(2, 2), id(2, 2));
    }

    #[test]
    fn a_layout_is_shown_by_epoch_and_first_digits() {
        let id = LayoutId {
            epoch: 12,
            digest: 0xabcd_0123 << 96,
        };
        assert_eq!(id.to_string(), "12:abcd0123");
    }
}
