//! The byte codec of everything that is stored or sent by the million: varints and plain fields.
//!
//! A varint holds seven bits a byte, least significant first, the high bit set on all but the last
//! byte (LEB128). Only the shortest form is accepted, so that equal values have equal bytes.
//! Reading is total: any input gives a value or a [`DecodeError`], never a panic, and a length is
//! checked against what is left before anything is allocated.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

/// Why bytes could not be read. The value that was being read does not exist; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ended inside a field.
    Truncated {
        /// What was being read.
        field: &'static str,
    },
    /// A field has a value that no encoder writes.
    Invalid {
        /// What was being read.
        field: &'static str,
    },
    /// The format byte names a format that this build does not know.
    UnknownFormat {
        /// What was being read.
        field: &'static str,
        /// The format byte found.
        found: u8,
    },
    /// Bytes were left after the value.
    TrailingBytes {
        /// How many.
        count: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { field } => write!(f, "the bytes end inside the {field}"),
            Self::Invalid { field } => write!(f, "the {field} has a value that is never written"),
            Self::UnknownFormat { field, found } => {
                write!(
                    f,
                    "format {found} of the {field} is not known to this version"
                )
            }
            Self::TrailingBytes { count } => write!(f, "{count} bytes follow the value"),
        }
    }
}

impl Error for DecodeError {}

/// Appends fields to a buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// An empty buffer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
        }
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Appends a varint.
    pub fn varint(&mut self, value: u64) {
        self.varint_wide(u128::from(value));
    }

    /// Appends a varint of up to 128 bits.
    pub fn varint_wide(&mut self, mut value: u128) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push((value & 0x7f) as u8);
    }

    /// Appends a signed integer, zigzag coded so that small magnitudes are short.
    pub fn signed(&mut self, value: i128) {
        self.varint_wide((value << 1).cast_unsigned() ^ (value >> 127).cast_unsigned());
    }

    /// Appends eight bytes, big endian.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Appends sixteen bytes, big endian.
    pub fn u128(&mut self, value: u128) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// Appends a length and that many bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Appends bytes without a length.
    pub fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes fields off the front of a slice.
#[derive(Debug, Clone, Copy)]
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Reads from the front of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] at the end of the input.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let (&first, rest) = self
            .rest
            .split_first()
            .ok_or(DecodeError::Truncated { field })?;
        self.rest = rest;
        Ok(first)
    }

    /// Takes a varint.
    ///
    /// # Errors
    /// When the input ends, the value is over 64 bits, or the form is not the shortest.
    pub fn varint(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let wide = self.varint_wide(field)?;
        u64::try_from(wide).map_err(|_too_wide| DecodeError::Invalid { field })
    }

    /// Takes a varint of up to 128 bits.
    ///
    /// # Errors
    /// When the input ends, the value is over 128 bits, or the form is not the shortest.
    pub fn varint_wide(&mut self, field: &'static str) -> Result<u128, DecodeError> {
        let mut value = 0_u128;
        for shift in (0..=126).step_by(7) {
            let byte = self.u8(field)?;
            let bits = u128::from(byte & 0x7f);
            let fits = shift < 126 || bits < 4;
            let shortest = byte != 0 || shift == 0;
            if !fits || !shortest {
                return Err(DecodeError::Invalid { field });
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Invalid { field })
    }

    /// Takes a zigzag coded signed integer.
    ///
    /// # Errors
    /// As for [`Decoder::varint_wide`].
    pub fn signed(&mut self, field: &'static str) -> Result<i128, DecodeError> {
        let coded = self.varint_wide(field)?;
        Ok((coded >> 1).cast_signed() ^ -((coded & 1).cast_signed()))
    }

    /// Takes eight bytes, big endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<8>()
            .ok_or(DecodeError::Truncated { field })?;
        self.rest = rest;
        Ok(u64::from_be_bytes(*head))
    }

    /// Takes sixteen bytes, big endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn u128(&mut self, field: &'static str) -> Result<u128, DecodeError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<16>()
            .ok_or(DecodeError::Truncated { field })?;
        self.rest = rest;
        Ok(u128::from_be_bytes(*head))
    }

    /// Takes a length and that many bytes.
    ///
    /// # Errors
    /// When fewer bytes are left than the length says.
    pub fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.count(field)?;
        let (head, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::Truncated { field })?;
        self.rest = rest;
        Ok(head)
    }

    /// Takes a length and that many bytes as an owned buffer.
    ///
    /// # Errors
    /// As for [`Decoder::bytes`].
    pub fn owned_bytes(&mut self, field: &'static str) -> Result<Bytes, DecodeError> {
        self.bytes(field).map(Bytes::copy_from_slice)
    }

    /// Takes a count of items that each need at least one more byte, so that a forged count cannot
    /// make the reader allocate more than the input is long.
    ///
    /// # Errors
    /// When more items are announced than bytes are left.
    pub fn count(&mut self, field: &'static str) -> Result<usize, DecodeError> {
        let count = self.varint(field)?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => Err(DecodeError::Truncated { field }),
        }
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] when something is left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { count }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{DecodeError, Decoder, Encoder};

    proptest! {
        #[test]
        fn what_is_written_is_read(
            n in any::<u64>(), wide in any::<i128>(), b in any::<Vec<u8>>(),
        ) {
            let mut encoder = Encoder::default();
            encoder.varint(n);
            encoder.signed(wide);
            encoder.bytes(&b);
            let bytes = encoder.finish();
            let mut decoder = Decoder::new(&bytes);
            prop_assert_eq!(decoder.varint("n").unwrap(), n);
            prop_assert_eq!(decoder.signed("wide").unwrap(), wide);
            prop_assert_eq!(decoder.bytes("b").unwrap(), &b[..]);
            prop_assert_eq!(decoder.finish(), Ok(()));
        }

        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes in any::<Vec<u8>>()) {
            let mut decoder = Decoder::new(&bytes);
            while decoder.signed("x").is_ok() && decoder.bytes("y").is_ok() {}
        }
    }

    #[test]
    fn a_longer_form_of_a_number_is_refused() {
        let mut decoder = Decoder::new(&[0x80, 0x00]);
        assert_eq!(
            decoder.varint("n"),
            Err(DecodeError::Invalid { field: "n" })
        );
    }
}
