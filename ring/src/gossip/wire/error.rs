//! Why a message was not taken in.

use std::fmt;

use crate::id::{ClusterId, NodeId};

/// A message that was dropped. Nothing was changed by it, and gossip goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// The sender is of another version.
    Version {
        /// The version byte found.
        found: u8,
    },
    /// The sender is of another cluster. The two never merge.
    OtherCluster {
        /// The sender's cluster.
        found: ClusterId,
    },
    /// The sender was removed for good, and nobody listens to it any more.
    Removed {
        /// The sender.
        from: NodeId,
    },
    /// The bytes are no message.
    Malformed(Malformed),
}

/// What is wrong with bytes that should have been a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They end too early.
    Short,
    /// They go on after the end.
    Trailing,
    /// They are more than a message may have.
    Long,
    /// A number is out of its range or not in its shortest form.
    Number,
    /// A flag is neither 0 nor 1.
    Flag,
    /// A kind of message or item that this version does not know.
    Kind,
    /// A text breaks the rules of what it stands for.
    Text,
    /// Entries are not in ascending order.
    Order,
    /// A record of a member breaks its bounds.
    Record,
}

impl From<Malformed> for MessageError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dropped a gossip message, what is known stays as it is: ")?;
        match self {
            Self::Version { found } => write!(
                f,
                "it has version {found} and this node reads {}; update the older of the two",
                super::VERSION
            ),
            Self::OtherCluster { found } => write!(
                f,
                "its sender is of cluster {found}; correct the addresses or the certificates"
            ),
            Self::Removed { from } => write!(
                f,
                "its sender {from} was removed for good; empty that node's data directory and give \
                 it a new certificate"
            ),
            Self::Malformed(malformed) => malformed.fmt(f),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "it ends too early",
            Self::Trailing => "it goes on after its end",
            Self::Long => "it is too long",
            Self::Number => "a number is out of range or not in its shortest form",
            Self::Flag => "a flag is neither 0 nor 1",
            Self::Kind => "it is of a kind that this version does not know",
            Self::Text => "a text breaks the rules of what it stands for",
            Self::Order => "its entries are not in order",
            Self::Record => "a member record breaks its bounds",
        })
    }
}

impl std::error::Error for MessageError {}
