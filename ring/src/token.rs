//! A key's place on the ring.
//!
//! `token = xxh3_64(seed = cluster, bucket id (8 bytes, big endian) ‖ partition key)`. The
//! committed vectors below make sure that it never changes: a changed hash would leave every
//! stored row where nobody looks for it.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::hex;
use crate::id::{BucketId, ClusterId};

/// A place on the 64-bit ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(#[serde(with = "hex::bits64")] pub u64);

impl Token {
    /// Where all keys with this partition key lie, whatever their sort keys.
    pub fn of(cluster: ClusterId, bucket: BucketId, partition_key: &[u8]) -> Self {
        let mut hasher = Xxh3::with_seed(cluster.seed());
        hasher.update(&bucket.0.to_be_bytes());
        hasher.update(partition_key);
        Self(hasher.digest())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Token;
    use crate::id::{BucketId, ClusterId};

    #[test]
    fn tokens_do_not_change() {
        let cluster = ClusterId(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        let long = [b'x'; 4096];
        let vectors = [
            ("", &b""[..], 0x8f02_5e6c_e1da_9949),
            ("words", &b"starling"[..], 0x7635_65cd_d127_08fe),
            ("words", &b"\x00\xff"[..], 0x998e_22f5_1716_10f1),
            ("packages", &long[..], 0x513b_ad21_ed52_37fc),
        ];
        for (bucket, key, token) in vectors {
            let found = Token::of(cluster, BucketId::of_name(bucket), key);
            assert_eq!(found, Token(token), "{bucket} {}", key.len());
        }
    }

    #[test]
    fn bucket_and_cluster_change_the_token() {
        let (bucket, key) = (BucketId::of_name("words"), b"starling");
        let token = Token::of(ClusterId(1), bucket, key);
        assert_ne!(token, Token::of(ClusterId(2), bucket, key));
        assert_ne!(
            token,
            Token::of(ClusterId(1), BucketId::of_name("sets"), key)
        );
    }
}
