//! What can be used as a key.

use std::fmt;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use crate::wire::Key;

impl Key {
    /// A key from its partition key, which places it on the ring, and its sort key, which orders it
    /// among the keys that share the partition key.
    ///
    /// ```
    /// use starling::Key;
    ///
    /// let order = Key::new("customer-7", "2026-11-21");
    /// assert_eq!(order, ("customer-7", "2026-11-21").into());
    /// assert_eq!(Key::from("ada"), Key::new("ada", ""));
    /// ```
    pub fn new(partition: impl AsRef<[u8]>, sort: impl AsRef<[u8]>) -> Self {
        let copy = |bytes: &[u8]| ByteBuf::from(bytes.to_vec());
        Self {
            partition: copy(partition.as_ref()),
            sort: copy(sort.as_ref()),
        }
    }
}

impl From<&str> for Key {
    fn from(partition: &str) -> Self {
        Self::new(partition, "")
    }
}

impl From<&String> for Key {
    fn from(partition: &String) -> Self {
        Self::new(partition, "")
    }
}

impl From<String> for Key {
    fn from(partition: String) -> Self {
        partition.into_bytes().into()
    }
}

impl From<Vec<u8>> for Key {
    fn from(partition: Vec<u8>) -> Self {
        Self {
            partition: ByteBuf::from(partition),
            sort: ByteBuf::new(),
        }
    }
}

impl From<&[u8]> for Key {
    fn from(partition: &[u8]) -> Self {
        Self::new(partition, "")
    }
}

impl<const N: usize> From<&[u8; N]> for Key {
    fn from(partition: &[u8; N]) -> Self {
        Self::new(partition, "")
    }
}

impl From<Bytes> for Key {
    fn from(partition: Bytes) -> Self {
        Vec::from(partition).into()
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

impl<P: AsRef<[u8]>, S: AsRef<[u8]>> From<(P, S)> for Key {
    fn from((partition, sort): (P, S)) -> Self {
        Self::new(partition, sort)
    }
}

/// For people: what is no printable text is escaped, and the sort key follows a slash.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.partition.escape_ascii())?;
        if !self.sort.is_empty() {
            write!(f, "/{}", self.sort.escape_ascii())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Key};

    #[test]
    fn text_and_bytes_make_the_same_key() {
        let key = Key::new("ada", "");
        let made = [
            Key::from("ada"),
            "ada".to_owned().into(),
            b"ada".into(),
            b"ada".as_slice().into(),
            Bytes::from_static(b"ada").into(),
            ("ada", b"").into(),
        ];
        assert!(made.iter().all(|made| *made == key));
    }

    #[test]
    fn a_key_is_shown_readably() {
        assert_eq!(Key::new("a\n", "b").to_string(), "a\\n/b");
        assert_eq!(Key::from("ada").to_string(), "ada");
    }
}
