//! Canonical bytes: what digests are computed over.
//!
//! Integers are big endian and of fixed width, a text is its length (one byte) and its bytes, an
//! option is 0, or 1 and the value. Equal values have equal bytes and different values different
//! ones, so two digests can stand for the values. These bytes are never decoded.

use xxhash_rust::xxh3::xxh3_128;

/// A growing run of canonical bytes.
#[derive(Debug)]
pub(crate) struct Canonical(Vec<u8>);

impl Canonical {
    /// Begins with a tag, so that values of different types never share a digest by accident.
    pub(crate) fn new(tag: &[u8; 4], format: u8) -> Self {
        let mut bytes = Self(tag.to_vec());
        bytes.u8(format);
        bytes
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend(value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend(value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend(value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.extend(value.to_be_bytes());
    }

    pub(crate) fn u128(&mut self, value: u128) {
        self.0.extend(value.to_be_bytes());
    }

    /// How many values follow.
    pub(crate) fn count(&mut self, count: usize) {
        self.u64(count as u64);
    }

    /// Every text here is at most 255 bytes long by its own type; a longer one would be cut.
    pub(crate) fn text(&mut self, text: &str) {
        let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
        self.u8(length);
        self.0.extend(text.bytes().take(usize::from(length)));
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, encode: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                encode(self, value);
            }
        }
    }

    pub(crate) fn digest(&self) -> u128 {
        xxh3_128(&self.0)
    }
}
