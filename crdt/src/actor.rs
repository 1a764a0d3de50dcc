//! Who makes events: one vnode, during one life.

use std::fmt;

use crate::codec::{DecodeError, Decoder, Encoder};

/// One vnode during one life: the node's number and a random nonce.
///
/// The nonce is drawn anew whenever a vnode begins (process start, creation, quarantine, stand-in
/// role), so neither a lost log tail, nor a restored backup, nor a clone can ever count a
/// [`Dot`](crate::Dot) a second time. There is no epoch to persist or to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// The number of the node that the vnode lives on.
    pub node: u64,
    /// Random, drawn when the vnode began.
    pub nonce: u64,
}

impl Actor {
    /// How many bytes an encoded actor takes.
    pub const LENGTH: usize = 16;

    /// Appends `node` and `nonce`, eight big-endian bytes each, so that byte order is actor order.
    pub fn encode(self, encoder: &mut Encoder) {
        encoder.u64(self.node);
        encoder.u64(self.nonce);
    }

    /// Takes what [`Actor::encode`] wrote.
    ///
    /// # Errors
    /// When the input ends.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            node: decoder.u64("actor's node")?,
            nonce: decoder.u64("actor's nonce")?,
        })
    }
}

impl fmt::Display for Actor {
    /// The first eight hexadecimal digits of each half: enough to tell actors apart by eye.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{:08x}", self.node >> 32, self.nonce >> 32)
    }
}
