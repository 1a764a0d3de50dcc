//! The names of operations, by which a write that arrives twice counts once.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::context::hash;
use crate::wire::{Key, OperationId};

impl OperationId {
    /// The name that an idempotency key gives to an operation on a key: the same in every process
    /// and at every time.
    pub(crate) fn of_idempotency_key(bucket: &str, key: &Key, idempotency_key: &str) -> Self {
        let part = |domain| hash(domain, bucket, key, idempotency_key.as_bytes());
        Self {
            client: (part(UPPER), part(LOWER)),
            sequence: 0,
        }
    }
}

/// 48 hexadecimal digits: the client's 128 bits, then the sequence.
impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = self.client;
        write!(f, "{high:016x}{low:016x}{:016x}", self.sequence)
    }
}

impl FromStr for OperationId {
    type Err = BadOperationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = text.len() == 48 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let part = |at: usize| {
            let digits = text.get(at..at + 16).filter(|_| is_hex);
            digits
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .ok_or(BadOperationId)
        };
        Ok(Self {
            client: (part(0)?, part(16)?),
            sequence: part(32)?,
        })
    }
}

/// A text that is no operation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an operation id is exactly 48 hexadecimal digits; nothing was sent: copy it whole")]
pub struct BadOperationId;

/// Domains of the hash, apart from each other and from that of contexts.
const UPPER: u128 = 2;
const LOWER: u128 = 3;

#[cfg(test)]
mod tests {
    use super::{BadOperationId, Key, OperationId};

    #[test]
    fn an_operation_id_survives_its_text() {
        let id = OperationId {
            client: (1, u64::MAX),
            sequence: 7,
        };
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in [
            "",
            "7",
            &"g".repeat(48),
            &"+".repeat(48),
            &"0".repeat(49),
            &"é".repeat(24),
        ] {
            assert_eq!(text.parse::<OperationId>(), Err(BadOperationId), "{text}");
        }
    }

    #[test]
    fn an_idempotency_key_names_one_operation_on_one_key() {
        let id = |bucket, key, name| OperationId::of_idempotency_key(bucket, &Key::from(key), name);
        assert_eq!(id("b", "k", "order-42"), id("b", "k", "order-42"));
        assert_ne!(id("b", "k", "order-42"), id("b", "k", "order-43"));
        assert_ne!(id("b", "k", "order-42"), id("b", "l", "order-42"));
        assert_ne!(id("b", "k", "order-42"), id("c", "k", "order-42"));
        assert_ne!(id("b", "k", "x").client.0, id("b", "k", "x").client.1);
    }
}
