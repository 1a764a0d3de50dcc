//! The name of a client's operation, so that a retry is known as the same one.

use std::fmt;

use crate::codec::{DecodeError, Decoder, Encoder};

/// One operation of one client, the same in every retry (the completion record of RIFL, SOSP'15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    /// The client, random when it began.
    pub client: u128,
    /// Which of its operations.
    pub sequence: u64,
}

impl OpId {
    /// How many bytes an encoded operation id takes.
    pub const LENGTH: usize = 24;

    /// Appends 24 bytes whose order is the order of operation ids.
    pub fn encode(self, encoder: &mut Encoder) {
        encoder.u128(self.client);
        encoder.u64(self.sequence);
    }

    /// Takes what [`OpId::encode`] wrote.
    ///
    /// # Errors
    /// When the input ends.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            client: decoder.u128("operation's client")?,
            sequence: decoder.u64("operation's sequence")?,
        })
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}#{}", self.client >> 96, self.sequence)
    }
}
