//! What replicas tell each other of the content of their rows.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use ring::VnodeId;

/// Asks what the rows of some ranges come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examine {
    /// The vnode.
    pub vnode: VnodeId,
    /// Where the ranges begin, in order, and where the last one ends: one more than there are
    /// ranges, and no more than [`MAX_BOUNDS`].
    pub bounds: Vec<ByteBuf>,
}

/// What they come to, one atomic pair with the clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// A hash of the answerer's clock.
    pub clock: u64,
    /// The digest of each range; of one that holds more rows than are looked at for one answer,
    /// and of those after it, none.
    pub digests: Vec<Option<u64>>,
}

/// Ranges asked for at one time, and one.
pub const MAX_BOUNDS: usize = 17;
