//! Wide numbers as people and as machines read them.
//!
//! In formats for people (JSON, TOML) an identifier is a string of hexadecimal digits: TOML has
//! no unsigned 64-bit integers and JavaScript rounds them. In binary formats a `u64` is itself and
//! a `u128` is the pair of its halves, high one first, because not every format has 128 bits.

use std::fmt;

/// The number that exactly `digits` hexadecimal digits spell, if that is what `text` is.
pub(crate) fn parse(text: &str, digits: usize) -> Option<u128> {
    if text.len() != digits || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

/// For `#[serde(with = "hex::bits64")]`.
pub(crate) mod bits64 {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{value:016x}"))
        } else {
            value.serialize(serializer)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer);
        }
        let text = String::deserialize(deserializer)?;
        super::parse(&text, 16)
            .and_then(|wide| u64::try_from(wide).ok())
            .ok_or_else(|| super::wrong_digits(16, &text))
    }
}

/// For `#[serde(with = "hex::bits128")]`.
pub(crate) mod bits128 {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{value:032x}"))
        } else {
            let low = u64::try_from(value & u128::from(u64::MAX)).unwrap_or(u64::MAX);
            let high = u64::try_from(value >> 64).unwrap_or(u64::MAX);
            (high, low).serialize(serializer)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<u128, D::Error> {
        if !deserializer.is_human_readable() {
            let (high, low) = <(u64, u64)>::deserialize(deserializer)?;
            return Ok((u128::from(high) << 64) | u128::from(low));
        }
        let text = String::deserialize(deserializer)?;
        super::parse(&text, 32).ok_or_else(|| super::wrong_digits(32, &text))
    }
}

fn wrong_digits<E: serde::de::Error>(digits: usize, found: &str) -> E {
    E::custom(WrongDigits {
        digits,
        found: found.len(),
    })
}

struct WrongDigits {
    digits: usize,
    found: usize,
}

impl fmt::Display for WrongDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected {} hexadecimal digits, found {} bytes",
            self.digits, self.found
        )
    }
}
