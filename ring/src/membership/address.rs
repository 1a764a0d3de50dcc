//! The texts in a member record, short and plain enough for logs, tables and dashboards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a node can be reached: `name:port`, `v4-address:port` or `[v6-address]:port`.
///
/// At most 255 visible ASCII characters. It is a hint: who answers there is told by the
/// certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

impl Address {
    /// The address that `text` spells.
    ///
    /// # Errors
    /// When it is not of the form above.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidAddress> {
        let text = text.into();
        if text.len() > MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidAddress {
                text: shortened(&text),
            });
        }
        let well_formed = text.rsplit_once(':').is_some_and(|(name, port)| {
            let bracketed = name.starts_with('[') && name.ends_with(']') && name.len() > 2;
            let port_is_number = port.bytes().all(|byte| byte.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port > 0);
            port_is_number && !name.is_empty() && (bracketed || !name.contains([':', '[', ']']))
        });
        if well_formed {
            Ok(Self(text))
        } else {
            Err(InvalidAddress {
                text: shortened(&text),
            })
        }
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidAddress {
    /// Its beginning, with everything unprintable escaped.
    pub text: String,
}

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not an address: write name:port, 10.0.0.1:port or [2001:db8::1]:port, with \
             a port from 1 to 65535",
            self.text
        )
    }
}

impl std::error::Error for InvalidAddress {}

/// What people call a node: 1 to 255 bytes without control characters. Not unique, not an
/// identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemberName(String);

impl MemberName {
    /// The name that `text` spells.
    ///
    /// # Errors
    /// When it is empty, longer than 255 bytes or has control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidMemberName> {
        let text = text.into();
        if text.is_empty() || text.len() > MAX_BYTES || text.chars().any(char::is_control) {
            return Err(InvalidMemberName {
                text: shortened(&text),
            });
        }
        Ok(Self(text))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a node is called that was given no name.
impl Default for MemberName {
    fn default() -> Self {
        Self("node-1".to_owned())
    }
}

impl TryFrom<String> for MemberName {
    type Error = InvalidMemberName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl FromStr for MemberName {
    type Err = InvalidMemberName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl From<MemberName> for String {
    fn from(name: MemberName) -> Self {
        name.0
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that cannot be a member's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidMemberName {
    /// Its beginning, with everything unprintable escaped.
    pub text: String,
}

impl fmt::Display for InvalidMemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` cannot be a node's name: give it 1 to {MAX_BYTES} bytes without control \
             characters",
            self.text
        )
    }
}

impl std::error::Error for InvalidMemberName {}

/// Enough of a refused text to recognise it by, and safe to print.
fn shortened(text: &str) -> String {
    text.chars()
        .take(SHOWN_CHARACTERS)
        .flat_map(char::escape_debug)
        .collect()
}

const MAX_BYTES: usize = 255;
const SHOWN_CHARACTERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::{Address, MemberName};

    #[test]
    fn an_address_ends_in_a_port() {
        for good in [
            "node-1:7401",
            "10.0.0.1:7401",
            "[::1]:7401",
            "a.example:65535",
        ] {
            assert_eq!(Address::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "", ":1", "a", "a:", "a:0", "a:65536", "a:+1", "::1:7401", "[]:1", "a b:1",
        ] {
            assert!(Address::new(bad).is_err(), "{bad}");
        }
        assert!(Address::new(format!("{}:1", "x".repeat(254))).is_err());
    }

    #[test]
    fn a_name_is_short_and_printable() {
        assert!(MemberName::new("Drossel 1").is_ok());
        assert!(MemberName::new("").is_err());
        assert!(MemberName::new("x".repeat(256)).is_err());
        let error = MemberName::new("a\u{1b}[31m").unwrap_err();
        assert!(!error.to_string().contains('\u{1b}'));
    }
}
