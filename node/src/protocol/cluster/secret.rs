//! What only the nodes of a cluster know.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 128 random bits drawn by `init`. Context tokens are authenticated with it, so it travels over
/// connections between nodes only, and is kept in a file that its owner alone can read.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(#[serde(with = "serde_bytes")] [u8; 16]);

impl Secret {
    /// The secret with these bytes, which the caller drew at random.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Says that there is a secret and not which.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
