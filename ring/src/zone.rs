//! A failure domain: what can be lost at one stroke.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a zone: 1 to 64 of the characters `a-z`, `0-9`, `.`, `_` and `-`.
///
/// The owners of a partition are spread over as many zones as there are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(String);

impl Zone {
    /// The zone called `name`.
    ///
    /// # Errors
    /// When the name is empty, longer than 64 bytes, or has any other character.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidZone> {
        let name = name.into();
        let allowed = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
        if name.is_empty() || name.len() > MAX_BYTES {
            Err(InvalidZone::Length { bytes: name.len() })
        } else if let Some(found) = name.chars().find(|c| !allowed(c)) {
            Err(InvalidZone::Character { found })
        } else {
            Ok(Self(name))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a node is that was given no zone.
impl Default for Zone {
    fn default() -> Self {
        Self("zone-1".to_owned())
    }
}

impl TryFrom<String> for Zone {
    type Error = InvalidZone;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that cannot name a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidZone {
    /// It is empty or longer than 64 bytes.
    Length {
        /// Its length.
        bytes: usize,
    },
    /// It has a character that zone names do not have.
    Character {
        /// The first such character.
        found: char,
    },
}

impl fmt::Display for InvalidZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { bytes } => {
                write!(
                    f,
                    "a zone's name has 1 to {MAX_BYTES} characters, not {bytes}"
                )
            }
            Self::Character { found } => {
                write!(
                    f,
                    "a zone's name is made of a-z, 0-9, '.', '_' and '-'; found {found:?}"
                )
            }
        }
    }
}

impl std::error::Error for InvalidZone {}

const MAX_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::{InvalidZone, Zone};

    #[test]
    fn a_zone_is_a_short_plain_word() {
        assert_eq!(Zone::new("rack-1.dc_2").unwrap().as_str(), "rack-1.dc_2");
        assert_eq!(Zone::new(""), Err(InvalidZone::Length { bytes: 0 }));
        assert_eq!(
            Zone::new("z".repeat(65)),
            Err(InvalidZone::Length { bytes: 65 })
        );
        assert_eq!(
            Zone::new("Rack"),
            Err(InvalidZone::Character { found: 'R' })
        );
        assert_eq!(
            Zone::new("zürich"),
            Err(InvalidZone::Character { found: 'ü' })
        );
    }
}
