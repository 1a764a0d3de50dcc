//! Writing and reading the primitives of gossip messages.
//!
//! Fixed integers are big endian; a *varint* is LEB128, seven bits a byte, the lowest first; a
//! text is its length in one byte and its bytes. Reading is total: whatever the bytes are, it ends
//! with a value or with [`Malformed`], and takes no memory that the bytes do not bring along.

use super::error::Malformed;

/// What reading gives.
pub(super) type Read<T> = Result<T, Malformed>;

/// What is left of a message.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends the reading: bytes that nothing stands for are an error.
    pub(super) fn finish(self) -> Read<()> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Trailing)
        }
    }

    pub(super) fn bytes(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Read<u8> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn u128(&mut self) -> Read<u128> {
        self.array().map(u128::from_be_bytes)
    }

    /// A varint in its shortest form.
    pub(super) fn varint(&mut self) -> Read<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed::Number);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let is_padded = byte == 0 && shift > 0;
                return if is_padded {
                    Err(Malformed::Number)
                } else {
                    Ok(value)
                };
            }
        }
        Err(Malformed::Number)
    }

    /// A varint of 32 bits.
    pub(super) fn varint32(&mut self) -> Read<u32> {
        u32::try_from(self.varint()?).map_err(|_too_large| Malformed::Number)
    }

    pub(super) fn flag(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            2..=u8::MAX => Err(Malformed::Flag),
        }
    }

    pub(super) fn text(&mut self) -> Read<&'a str> {
        let length = self.u8()?;
        let bytes = self.bytes(usize::from(length))?;
        std::str::from_utf8(bytes).map_err(|_not_utf8| Malformed::Text)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(*taken)
    }
}

/// Appends a varint.
pub(super) fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

/// Appends a text. Every text in a record has at most 255 bytes by its own type; a longer one would
/// be cut.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    bytes.push(length);
    bytes.extend(text.bytes().take(usize::from(length)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{Malformed, Reader, put_varint};

    proptest! {
        #[test]
        fn a_varint_reads_back_what_was_written(value in any::<u64>(), shift in 0_u32..64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value >> shift);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Ok(value >> shift));
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn a_number_has_one_form() {
        for bytes in [
            &[0x80, 0x00][..],
            &[0xff; 10],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        ] {
            assert_eq!(Reader::new(bytes).varint(), Err(Malformed::Number));
        }
        assert_eq!(Reader::new(&[0x80]).varint(), Err(Malformed::Short));
    }
}
