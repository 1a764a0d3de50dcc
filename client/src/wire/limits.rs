//! How large things may be, checked by client and node alike.
//!
//! The client checks before it sends, so that a mistake costs no round trip; the node checks
//! again, because it believes nobody. Beyond a limit the request is refused whole.

use thiserror::Error;

use super::{Key, Mutation};

/// Largest key in bytes, partition key and sort key together: 4 KiB.
pub const MAX_KEY: usize = 4 * 1024;
/// Largest value in bytes: 1 MiB.
pub const MAX_VALUE: usize = 1024 * 1024;
/// Largest element of a set in bytes: 4 KiB.
pub const MAX_ELEMENT: usize = 4 * 1024;
/// Most elements in one request: 1,000.
pub const MAX_ELEMENTS: usize = 1_000;
/// Longest bucket name in bytes: 255.
pub const MAX_BUCKET_NAME: usize = 255;
/// Largest context token in bytes: 64 KiB.
pub const MAX_CONTEXT: usize = 64 * 1024;
/// Largest encoded message in bytes: 8 MiB, the transport's default frame.
pub const MAX_MESSAGE: usize = 8 * 1024 * 1024;

/// Something is over its limit, or out of its alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LimitError {
    /// A key, value, element, context or count is too large.
    #[error("{what} of {size} exceeds the limit of {limit}; nothing was written: make it smaller")]
    TooLarge {
        /// What was measured, with its unit.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The partition key is empty, so nothing says where the key belongs.
    #[error("the partition key is empty; nothing was sent: a key needs at least one byte")]
    EmptyKey,
    /// There is no element in the request.
    #[error("the request names no element; nothing was sent: add or remove at least one")]
    NoElements,
    /// A bucket's name breaks the rules of [`validate_bucket_name`].
    #[error(
        "a bucket's name is 1 to 255 bytes of letters, digits, '.', '_' and '-'; nothing was \
         sent: choose another name"
    )]
    BucketName,
}

/// Checks that a bucket's name is 1 to 255 bytes of ASCII letters, digits, `.`, `_`, `-`.
///
/// # Errors
/// If it is not.
pub fn validate_bucket_name(name: &str) -> Result<(), LimitError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = !name.is_empty() && name.len() <= MAX_BUCKET_NAME && name.bytes().all(plain);
    if fits {
        Ok(())
    } else {
        Err(LimitError::BucketName)
    }
}

impl Key {
    /// Checks the key's size.
    ///
    /// # Errors
    /// If the partition key is empty, or both parts together are over [`MAX_KEY`].
    pub fn check(&self) -> Result<(), LimitError> {
        if self.partition.is_empty() {
            return Err(LimitError::EmptyKey);
        }
        let size = self.partition.len().saturating_add(self.sort.len());
        at_most("a key in bytes", size, MAX_KEY)
    }
}

impl Mutation {
    /// Checks the sizes of what is to be written.
    ///
    /// # Errors
    /// If the value or an element is too large, or there are too many elements or none.
    pub fn check(&self) -> Result<(), LimitError> {
        match self {
            Self::Put(value) => at_most("a value in bytes", value.len(), MAX_VALUE),
            Self::Delete | Self::Increment(_) => Ok(()),
            Self::Add(elements) | Self::Remove(elements) => {
                if elements.is_empty() {
                    return Err(LimitError::NoElements);
                }
                at_most("a number of elements", elements.len(), MAX_ELEMENTS)?;
                elements
                    .iter()
                    .try_for_each(|element| check_element(element))
            }
        }
    }
}

/// Checks one element of a set.
///
/// # Errors
/// If it is over [`MAX_ELEMENT`].
pub fn check_element(element: &[u8]) -> Result<(), LimitError> {
    at_most("an element in bytes", element.len(), MAX_ELEMENT)
}

/// Checks a context token's size; whose it is, only a node can tell.
///
/// # Errors
/// If it is over [`MAX_CONTEXT`].
pub fn check_context(token: &[u8]) -> Result<(), LimitError> {
    at_most("a context token in bytes", token.len(), MAX_CONTEXT)
}

fn at_most(what: &'static str, size: usize, limit: usize) -> Result<(), LimitError> {
    if size <= limit {
        Ok(())
    } else {
        Err(LimitError::TooLarge { what, size, limit })
    }
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::{
        Key, LimitError, MAX_ELEMENTS, MAX_KEY, MAX_VALUE, Mutation, validate_bucket_name,
    };

    #[test]
    fn a_bucket_name_is_short_and_plain() {
        for name in ["a", "words.2026_en-GB", &"x".repeat(255)] {
            assert_eq!(validate_bucket_name(name), Ok(()), "{name}");
        }
        for name in ["", "a b", "a/b", "größe", "a\0", &"x".repeat(256)] {
            assert_eq!(
                validate_bucket_name(name),
                Err(LimitError::BucketName),
                "{name}"
            );
        }
    }

    #[test]
    fn a_key_is_measured_over_both_parts() {
        let key = |partition, sort| Key {
            partition: ByteBuf::from(vec![1; partition]),
            sort: ByteBuf::from(vec![1; sort]),
        };
        assert_eq!(key(1, MAX_KEY - 1).check(), Ok(()));
        assert!(matches!(
            key(1, MAX_KEY).check(),
            Err(LimitError::TooLarge { .. })
        ));
        assert_eq!(key(0, 1).check(), Err(LimitError::EmptyKey));
    }

    #[test]
    fn a_mutation_is_refused_whole() {
        let elements = |count| Mutation::Add(vec![ByteBuf::from(b"x"); count]);
        assert_eq!(elements(MAX_ELEMENTS).check(), Ok(()));
        assert!(elements(MAX_ELEMENTS + 1).check().is_err());
        assert_eq!(elements(0).check(), Err(LimitError::NoElements));
        let value = |size| Mutation::Put(ByteBuf::from(vec![0; size]));
        assert_eq!(value(MAX_VALUE).check(), Ok(()));
        assert!(value(MAX_VALUE + 1).check().is_err());
    }
}
