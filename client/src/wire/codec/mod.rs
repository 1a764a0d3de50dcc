//! Messages as bytes and back (format 1; there is no predecessor).
//!
//! ```text
//!   +---------+------------------------------------------------------------+
//!   | version | MessagePack: structs are arrays in field order, a variant  |
//!   |   0x01  | with content is a map of one entry {name: content}         |
//!   +---------+------------------------------------------------------------+
//! ```
//!
//! Decoding is total: any bytes give a message or a [`WireError`]. Memory grows with the bytes that
//! are there, never with a length that they promise. Bytes after the message are refused, because
//! a sender that adds them means something that this reader would miss.

#[cfg(test)]
mod tests;

use bytes::{BufMut, BytesMut};
use rmp_serde::{Deserializer, Serializer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::limits::MAX_MESSAGE;

/// The version byte that this code writes, and the only one it reads.
pub const VERSION: u8 = 1;

/// Why bytes are no message, or a message cannot become bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// There is not even a version.
    #[error("the message is empty; nothing was done with it: the sender is broken")]
    Empty,
    /// The sender speaks another version.
    #[error(
        "the message has version {found} and this side reads {VERSION}; nothing was done with \
         it: upgrade the older side"
    )]
    UnknownVersion {
        /// The version byte.
        found: u8,
    },
    /// The message is larger than [`MAX_MESSAGE`].
    #[error("a message of {size} bytes exceeds the limit of {limit}; it was not taken: split it")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The bytes are no MessagePack of the expected shape.
    #[error("the message is malformed ({reason}); nothing was done with it: the sender is broken")]
    Malformed {
        /// What the decoder found.
        reason: String,
    },
    /// There are bytes after the message.
    #[error(
        "{count} bytes follow the message; nothing was done with it: the sender is newer or broken"
    )]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// The message cannot be written as MessagePack.
    #[error("the message cannot be encoded ({reason}); nothing was sent: this is a bug")]
    Unencodable {
        /// What the encoder said.
        reason: String,
    },
}

/// Appends a message to `buffer`; on an error the buffer is as before.
///
/// # Errors
/// If the message is over [`MAX_MESSAGE`], or of a type that MessagePack cannot express.
pub fn encode(message: &impl Serialize, buffer: &mut BytesMut) -> Result<(), WireError> {
    let start = buffer.len();
    buffer.put_u8(VERSION);
    let written = message.serialize(&mut Serializer::new((&mut *buffer).writer()));
    let size = buffer.len().saturating_sub(start);
    let outcome = match written {
        Err(error) => Err(WireError::Unencodable {
            reason: error.to_string(),
        }),
        Ok(()) if size > MAX_MESSAGE => Err(WireError::TooLarge {
            size,
            limit: MAX_MESSAGE,
        }),
        Ok(()) => Ok(()),
    };
    if outcome.is_err() {
        buffer.truncate(start);
    }
    outcome
}

/// Reads exactly one message from all of `bytes`.
///
/// # Errors
/// If the bytes are anything else than one message of type `T` in the version of this code.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > MAX_MESSAGE {
        return Err(WireError::TooLarge {
            size: bytes.len(),
            limit: MAX_MESSAGE,
        });
    }
    let (&version, mut rest) = bytes.split_first().ok_or(WireError::Empty)?;
    if version != VERSION {
        return Err(WireError::UnknownVersion { found: version });
    }
    let mut deserializer = Deserializer::new(&mut rest);
    deserializer.set_max_depth(MAX_DEPTH);
    let message = T::deserialize(&mut deserializer).map_err(|error| WireError::Malformed {
        reason: error.to_string(),
    })?;
    if rest.is_empty() {
        Ok(message)
    } else {
        Err(WireError::TrailingBytes { count: rest.len() })
    }
}

/// No message nests deeper; garbage that does must not exhaust the stack.
const MAX_DEPTH: usize = 32;
