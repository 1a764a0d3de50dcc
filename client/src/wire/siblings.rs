//! What a bucket does with values that were written at the same time.

use std::fmt;
use std::num::NonZeroU8;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What becomes of values that were written without knowing of each other; fixed for the bucket's
/// life. It is about values, as keys or as fields of maps; other kinds merge by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Siblings {
    /// All of them are kept and shown, at most so many; nodes may have a lower limit. A put that
    /// would make one more is refused, and drops nothing.
    Keep(NonZeroU8),
    /// The one with the latest stamp is shown (last writer wins, by the nodes' hybrid clocks), and
    /// the next put replaces what its coordinator has, whatever its context. The others are lost.
    Latest,
}

impl Default for Siblings {
    fn default() -> Self {
        Self::Keep(USUAL)
    }
}

impl fmt::Display for Siblings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep(at_most) => write!(f, "{at_most}"),
            Self::Latest => f.write_str("latest"),
        }
    }
}

/// The text is no sibling policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{text}' says nothing about siblings: write how many are kept, 1 to 255, or 'latest'")]
pub struct UnknownSiblings {
    text: String,
}

impl FromStr for Siblings {
    type Err = UnknownSiblings;

    fn from_str(text: &str) -> Result<Self, UnknownSiblings> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        let at_most = text.parse().map(Self::Keep);
        at_most.map_err(|_no_number| UnknownSiblings {
            text: text.to_owned(),
        })
    }
}

const USUAL: NonZeroU8 = match NonZeroU8::new(64) {
    Some(at_most) => at_most,
    None => NonZeroU8::MIN,
};

#[cfg(test)]
mod tests {
    use super::Siblings;

    #[test]
    fn a_policy_is_read_as_it_is_shown() {
        for policy in [Siblings::default(), Siblings::Latest] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        for text in ["0", "256", "", "Latest", "-1"] {
            assert!(text.parse::<Siblings>().is_err(), "{text}");
        }
    }
}
