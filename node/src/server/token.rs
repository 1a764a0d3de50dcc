//! Context tokens: what a client has seen of a key, opaque and authenticated (format 1; there is no
//! predecessor).
//!
//! ```text
//!   +---------+-------------------+----------------------+------------------------+
//!   | version | scope             | context              | authenticator          |
//!   |   0x01  | u64 big endian    | crdt::Context, dots  | u64 big endian         |
//!   +---------+-------------------+----------------------+------------------------+
//!             SipHash-2-4 of the                           SipHash-2-4 of all before,
//!             bucket, key, element                         keyed by the cluster's secret
//! ```
//!
//! A token is bound to one cluster and one key: used elsewhere it would claim as seen what nobody
//! has seen, and a write would kill it. A token from reading *one element* of a set speaks for that
//! element alone and is bound to it. The authenticator keeps clients from inventing history. It is
//! no secret who wrote what; a token shows node numbers and counts to whoever looks inside.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::protocol::cluster::Secret;
use crdt::Context;
use crdt::codec::{DecodeError, Decoder, Encoder};
use crdt::dots::DotSet;
use ring::{BucketId, ClusterId, NodeId};
use starling::wire::{Key, MAX_CONTEXT};

/// Seals and opens the tokens of one cluster.
#[derive(Debug, Clone)]
pub struct TokenKey {
    cluster: ClusterId,
    secret: Secret,
}

/// What a token speaks for: a key, or one element of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope(u64);

impl TokenKey {
    /// The key of a cluster with this secret.
    #[must_use]
    pub fn new(cluster: ClusterId, secret: &Secret) -> Self {
        Self {
            cluster,
            secret: *secret,
        }
    }

    /// The scope of a key, or of one element of it.
    #[must_use]
    pub fn scope(&self, bucket: BucketId, key: &Key, element: Option<&[u8]>) -> Scope {
        let mut hasher = SipHasher24::new_with_key(&SCOPES);
        hasher.write(&self.cluster.0.to_be_bytes());
        hasher.write(&bucket.0.to_be_bytes());
        for part in [
            &key.partition[..],
            &key.sort[..],
            element.unwrap_or_default(),
        ] {
            // Lengths keep ("ab", "c") and ("a", "bc") apart.
            hasher.write(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.write(part);
        }
        hasher.write(&[u8::from(element.is_some())]);
        Scope(hasher.finish())
    }

    /// The token of a context; `None` if it would be over [`MAX_CONTEXT`].
    #[must_use]
    pub fn seal(&self, scope: Scope, context: &Context) -> Option<Vec<u8>> {
        let mut encoder = Encoder::with_capacity(64);
        encoder.u8(VERSION);
        encoder.u64(scope.0);
        context.encode(&mut encoder);
        let mut token = encoder.finish();
        let authenticator = self.authenticator(&token);
        token.extend_from_slice(&authenticator.to_be_bytes());
        (token.len() <= MAX_CONTEXT).then_some(token)
    }

    /// The token after a write at `node`. A context that has outgrown a token is cut down to the
    /// last events of that node, the write's own among them: claiming less is always safe, the next
    /// write over it leaves at worst a sibling that a read resolves.
    #[must_use]
    pub fn seal_written(&self, scope: Scope, context: &Context, node: NodeId) -> Vec<u8> {
        let shorter = || {
            self.seal(scope, &latest_of(context, node))
                .unwrap_or_default()
        };
        self.seal(scope, context).unwrap_or_else(shorter)
    }

    /// The context in a token, and which of the allowed scopes it has. No token is the empty
    /// context of the first scope.
    ///
    /// # Errors
    /// When the token is damaged, forged, or of another key or cluster.
    pub fn open(&self, token: &[u8], allowed: &[Scope]) -> Result<(Context, Scope), BadToken> {
        if token.is_empty() {
            let first = allowed.first().copied().ok_or(BadToken::OtherKey)?;
            return Ok((Context::default(), first));
        }
        if token.len() > MAX_CONTEXT {
            return Err(BadToken::TooLarge { size: token.len() });
        }
        match token.first() {
            Some(&VERSION) | None => {}
            Some(&found) => return Err(BadToken::UnknownVersion { found }),
        }
        let (signed, authenticator) = token.split_last_chunk::<8>().ok_or(BadToken::Truncated)?;
        let mut decoder = Decoder::new(signed.get(1..).ok_or(BadToken::Truncated)?);
        let found = Scope(decoder.u64("scope").map_err(|_short| BadToken::Truncated)?);
        let is_allowed = allowed.contains(&found);
        // Compared as one number, in a time that does not tell how many bytes are right.
        let is_genuine = self.authenticator(signed) == u64::from_be_bytes(*authenticator);
        match (is_genuine, is_allowed) {
            (true, true) => {}
            (true, false) => return Err(BadToken::OtherKey),
            (false, true) => return Err(BadToken::Forged),
            (false, false) => return Err(BadToken::OtherCluster),
        }
        let context = Context::decode(&mut decoder).map_err(BadToken::Malformed)?;
        decoder.finish().map_err(BadToken::Malformed)?;
        Ok((context, found))
    }

    /// What proves that a node of this cluster has signed these bytes.
    pub(super) fn authenticator(&self, signed: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(self.secret.as_bytes());
        hasher.write(signed);
        hasher.finish()
    }
}

/// Why a token was refused. Nothing was done with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// It is longer than any that a node gives.
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Its end is missing.
    Truncated,
    /// It was made by another version.
    UnknownVersion {
        /// The version found.
        found: u8,
    },
    /// It is of this key and not as a node of this cluster has written it.
    Forged,
    /// It is of another key, or of one element of a set that is not the one at hand.
    OtherKey,
    /// It was not made by this cluster for this key.
    OtherCluster,
    /// A node of this cluster made it, and it does not decode.
    Malformed(DecodeError),
}

impl fmt::Display for BadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the context token ")?;
        match self {
            Self::TooLarge { size } => {
                write!(f, "has {size} bytes, and none has more than {MAX_CONTEXT}")
            }
            Self::Truncated => f.write_str("is cut short"),
            Self::UnknownVersion { found } => {
                write!(f, "has version {found}, and this node reads {VERSION}")
            }
            Self::Forged => f.write_str("was changed or cut short after a node made it"),
            Self::OtherKey => f.write_str("belongs to another key, or to one element of a set"),
            Self::OtherCluster => f.write_str("was made by another cluster, or is garbage"),
            Self::Malformed(error) => write!(f, "is genuine and damaged ({error})"),
        }?;
        f.write_str("; nothing was done: read the key again and pass on the context of that read")
    }
}

impl std::error::Error for BadToken {}

/// The last stretch of events of every actor of `node` that the context covers.
fn latest_of(context: &Context, node: NodeId) -> Context {
    let mut latest = DotSet::default();
    let mut ranges = context
        .dots()
        .ranges()
        .filter(|(actor, ..)| actor.node == node.0)
        .peekable();
    while let Some((actor, first, last)) = ranges.next() {
        if ranges.peek().is_none_or(|(next, ..)| *next != actor) {
            latest.insert_range(actor, first, last);
        }
    }
    Context::of(latest)
}

const VERSION: u8 = 1;

/// The key of scopes, which are no secret: what only has to be the same everywhere.
const SCOPES: [u8; 16] = *b"starling context";

#[cfg(test)]
mod tests {
    use crdt::{Actor, Context, Dot};
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use ring::{BucketId, ClusterId, NodeId};
    use starling::wire::{Key, MAX_CONTEXT};

    use super::{BadToken, Scope, TokenKey};
    use crate::protocol::cluster::Secret;

    fn key() -> TokenKey {
        TokenKey::new(ClusterId(7), &Secret::new([9; 16]))
    }

    fn scope(key: &TokenKey, name: &str) -> Scope {
        key.scope(BucketId::of_name("users"), &Key::from(name), None)
    }

    fn context() -> Context {
        let mut context = Context::default();
        for counter in [1, 2, 5] {
            context.insert(Dot::new(Actor { node: 1, nonce: 2 }, counter));
        }
        context
    }

    #[test]
    fn the_bytes_of_version_1_stay() {
        let token = key().seal(scope(&key(), "ada"), &context()).unwrap();
        let hex: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
    }

    #[test]
    fn each_misuse_has_a_message_of_its_own() {
        let (ours, ada) = (key(), scope(&key(), "ada"));
        let token = ours.seal(ada, &context()).unwrap();
        assert_eq!(ours.open(&token, &[ada]), Ok((context(), ada)));
        assert_eq!(ours.open(&[], &[ada]), Ok((Context::default(), ada)));
        assert_eq!(ours.open(&token[..10], &[ada]), Err(BadToken::Truncated));
        assert_eq!(
            ours.open(&token[..token.len() - 1], &[ada]),
            Err(BadToken::Forged)
        );
        assert_eq!(
            ours.open(&token, &[scope(&ours, "bob")]),
            Err(BadToken::OtherKey)
        );
        let theirs = TokenKey::new(ClusterId(8), &Secret::new([8; 16]));
        let there = scope(&theirs, "ada");
        assert_eq!(theirs.open(&token, &[there]), Err(BadToken::OtherCluster));
        let newer = [&[2], &token[1..]].concat();
        assert_eq!(
            ours.open(&newer, &[ada]),
            Err(BadToken::UnknownVersion { found: 2 })
        );
        let endless = vec![1; MAX_CONTEXT + 1];
        assert!(matches!(
            ours.open(&endless, &[ada]),
            Err(BadToken::TooLarge { .. })
        ));
    }

    #[test]
    fn an_elements_token_is_not_its_sets_token() {
        let (key, bucket, set) = (key(), BucketId::of_name("tags"), Key::new("a", ""));
        let scopes = [None, Some(&b""[..]), Some(b"x")].map(|e| key.scope(bucket, &set, e));
        assert!(scopes[0] != scopes[1] && scopes[0] != scopes[2] && scopes[1] != scopes[2]);
    }

    #[test]
    fn a_written_token_that_is_too_large_still_covers_the_write() {
        let (ours, ada) = (key(), scope(&key(), "ada"));
        let mut context = context();
        let far = (1..=40_000).map(|n| Dot::new(Actor { node: 5, nonce: 5 }, n * 1_000));
        far.for_each(|dot| context.insert(dot));
        assert_eq!(ours.seal(ada, &context), None);
        let token = ours.seal_written(ada, &context, NodeId(1));
        let (kept, _) = ours.open(&token, &[ada]).unwrap();
        assert!(kept.contains(Dot::new(Actor { node: 1, nonce: 2 }, 5)));
        assert!(context.dots().covers(kept.dots()));
    }

    proptest! {
        #[test]
        fn any_change_of_a_token_is_found(at in 0_usize..100, bit in 0_u8..8) {
            let (ours, ada) = (key(), scope(&key(), "ada"));
            let mut token = ours.seal(ada, &context()).unwrap();
            let at = at % token.len();
            token[at] ^= 1 << bit;
            prop_assert!(ours.open(&token, &[ada]).is_err());
        }

        #[test]
        fn any_bytes_give_a_context_or_an_error(bytes in vec(any::<u8>(), 0..80)) {
            let (ours, ada) = (key(), scope(&key(), "ada"));
            prop_assert_eq!(ours.open(&bytes, &[ada]).is_ok(), bytes.is_empty());
        }
    }

    const GOLDEN: &str = concat!(
        "01",
        "15b3c89f42cc1667",
        "0100000000000000010000000000000002020101",
        "0300",
        "47cf245d68318e00"
    );
}
