//! What a reader has seen, to be handed to the write that builds on it.
//!
//! The token inside comes from a node, which alone can read it and checks its authenticity, its
//! cluster and its key. Around it the client keeps for which bucket and key it was given, so that
//! a mix-up is found before anything is sent. The text form is lower-case hexadecimal of
//!
//! ```text
//!   +---------+------------------------------+----------------------+
//!   | version | binding: hash of bucket, key | the node's token     |
//!   |   0x01  | u64 big endian               | (may be empty)       |
//!   +---------+------------------------------+----------------------+
//! ```

use std::fmt;

use serde_bytes::ByteBuf;
use thiserror::Error;

use crate::error::{Error, ErrorKind};
use crate::hex;
use crate::wire::{Key, MAX_CONTEXT};
use ring::{BucketId, ClusterId, Token};

/// What was seen of one key: pass it to the next write of that key, which then replaces exactly
/// what was seen and becomes a sibling of everything else.
///
/// It is opaque. [`Context::to_token`] makes it a text that another process can use.
#[derive(Clone, PartialEq, Eq)]
pub struct Context {
    binding: u64,
    token: ByteBuf,
}

impl Context {
    pub(crate) fn new(bucket: &str, key: &Key, token: ByteBuf) -> Self {
        Self {
            binding: binding(bucket, key),
            token,
        }
    }

    /// The context as text of hexadecimal digits, for a header, a form or a file.
    pub fn to_token(&self) -> String {
        let head = [VERSION].into_iter().chain(self.binding.to_be_bytes());
        let bytes = head.chain(self.token.iter().copied());
        hex::encode(bytes)
    }

    /// Reads what [`Context::to_token`] wrote.
    ///
    /// # Errors
    /// If the text is damaged, of another version, or too long. A text that was tampered with may
    /// pass here; the node refuses it.
    pub fn from_token(text: &str) -> Result<Self, BadContextToken> {
        if text.len() > (HEAD + MAX_CONTEXT) * 2 {
            return Err(BadContextToken::TooLong {
                limit: HEAD + MAX_CONTEXT,
            });
        }
        let bytes = hex::decode(text).ok_or(BadContextToken::Damaged)?;
        let Some((&[version, b0, b1, b2, b3, b4, b5, b6, b7], token)) =
            bytes.split_first_chunk::<HEAD>()
        else {
            return Err(BadContextToken::Damaged);
        };
        if version != VERSION {
            return Err(BadContextToken::UnknownVersion { found: version });
        }
        let binding = u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
        Ok(Self {
            binding,
            token: ByteBuf::from(token.to_vec()),
        })
    }

    /// Whether this context was given for the key.
    pub fn is_of(&self, bucket: &str, key: &Key) -> bool {
        self.binding == binding(bucket, key)
    }

    /// The node's part.
    pub(crate) fn token(&self) -> &ByteBuf {
        &self.token
    }
}

/// Shows how long it is and not what is in it.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({} bytes)", self.token.len())
    }
}

/// Why a text is no context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadContextToken {
    /// The text is cut short or holds something else than hexadecimal digits.
    #[error("the context token is damaged; nothing was sent: read the key again for a new one")]
    Damaged,
    /// The token was written by another version.
    #[error(
        "the context token has version {found} and this client reads {VERSION}; nothing was \
         sent: read the key again for a new one"
    )]
    UnknownVersion {
        /// The version in the token.
        found: u8,
    },
    /// The token is longer than any that a node gives.
    #[error(
        "the context token is longer than {limit} bytes; nothing was sent: read the key again \
         for a new one"
    )]
    TooLong {
        /// The limit in bytes, which are two digits each.
        limit: usize,
    },
}

impl From<BadContextToken> for Error {
    fn from(error: BadContextToken) -> Self {
        Self::local(ErrorKind::BadContext, error.to_string())
    }
}

/// Binds to bucket and key; the length keeps `("ab", "c")` and `("a", "bc")` apart.
fn binding(bucket: &str, key: &Key) -> u64 {
    hash(BINDING, bucket, key, b"")
}

/// A hash of bucket, key and more, in one of several independent `domains`.
pub(crate) fn hash(domain: u128, bucket: &str, key: &Key, more: &[u8]) -> u64 {
    let mut bytes = Vec::with_capacity(16 + key.partition.len() + key.sort.len() + more.len());
    for part in [key.partition.as_slice(), key.sort.as_slice(), more] {
        bytes.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend(part);
    }
    Token::of(ClusterId(domain), BucketId::of_name(bucket), &bytes).0
}

const VERSION: u8 = 1;
/// Bytes before the node's token.
const HEAD: usize = 9;
/// The domain of bindings.
const BINDING: u128 = 1;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{BadContextToken, ByteBuf, Context, Key};

    #[test]
    fn the_text_does_not_change() {
        let context = Context::new("users", &Key::from("ada"), ByteBuf::from(b"\x00\xfe"));
        assert_eq!(context.to_token(), GOLDEN);
        assert_eq!(Context::from_token(GOLDEN), Ok(context));
    }

    #[test]
    fn a_context_belongs_to_one_key() {
        let context = Context::new("users", &Key::new("ab", "c"), ByteBuf::new());
        assert!(context.is_of("users", &Key::new("ab", "c")));
        for other in [Key::new("a", "bc"), Key::new("abc", ""), Key::new("x", "")] {
            assert!(!context.is_of("users", &other));
        }
        assert!(!context.is_of("orders", &Key::new("ab", "c")));
    }

    #[test]
    fn a_damaged_text_is_refused() {
        for text in [
            "",
            "01",
            "0",
            "01zz",
            "größe",
            &GOLDEN[..10],
            &GOLDEN.to_uppercase(),
        ] {
            assert_eq!(
                Context::from_token(text),
                Err(BadContextToken::Damaged),
                "{text}"
            );
        }
        let newer = format!("02{}", &GOLDEN[2..]);
        assert_eq!(
            Context::from_token(&newer),
            Err(BadContextToken::UnknownVersion { found: 2 })
        );
        let endless = "00".repeat(1 << 20);
        assert!(matches!(
            Context::from_token(&endless),
            Err(BadContextToken::TooLong { .. })
        ));
    }

    proptest! {
        #[test]
        fn a_context_survives_its_text(
            token in vec(any::<u8>(), 0..100),
            key in vec(any::<u8>(), 1..9),
        ) {
            let context = Context::new("b", &Key::from(key), ByteBuf::from(token));
            prop_assert_eq!(Context::from_token(&context.to_token()), Ok(context));
        }

        #[test]
        fn any_text_gives_a_context_or_an_error(text in ".{0,80}") {
            prop_assert!(Context::from_token(&text).is_err() || text.len() >= 18);
        }
    }

    const GOLDEN: &str = "01bc3eacacb3ced1c300fe";
}
