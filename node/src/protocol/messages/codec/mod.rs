//! Messages between replicas as bytes.
//!
//! ```text
//!   message = u8 version (1) | MessagePack of the request or reply, as compact arrays
//! ```
//!
//! Rows, clocks, events and keys inside are their own canonical bytes. Decoding is total: bytes
//! from a peer give a message or a [`MessageError`].

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that are not a message of this protocol. Nothing was done with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageError {
    /// There were none.
    Empty,
    /// The version is not spoken here: the peer is newer or older than this build can talk to.
    UnknownVersion {
        /// The version found.
        found: u8,
    },
    /// They do not decode.
    Malformed {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty message"),
            Self::UnknownVersion { found } => {
                write!(f, "message version {found} is not known here, {VERSION} is")
            }
            Self::Malformed { reason } => write!(f, "a malformed message: {reason}"),
        }
    }
}

impl Error for MessageError {}

/// The bytes of a message.
///
/// # Errors
/// None for the types of this module; the encoder's signature asks for it.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, MessageError> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(VERSION);
    match rmp_serde::encode::write(&mut bytes, message) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(MessageError::Malformed {
            reason: error.to_string(),
        }),
    }
}

/// The message in bytes.
///
/// # Errors
/// When they are not one, or bytes are left after it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, MessageError> {
    let (&version, mut rest) = bytes.split_first().ok_or(MessageError::Empty)?;
    if version != VERSION {
        return Err(MessageError::UnknownVersion { found: version });
    }
    match rmp_serde::decode::from_read(&mut rest) {
        Ok(message) if rest.is_empty() => Ok(message),
        Ok(_) => Err(MessageError::Malformed {
            reason: format!("{} bytes too many", rest.len()),
        }),
        Err(error) => Err(MessageError::Malformed {
            reason: error.to_string(),
        }),
    }
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests;
