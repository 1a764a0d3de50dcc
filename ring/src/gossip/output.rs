//! What the machine hands out: messages, events, errors.

use std::fmt;
use std::time::Duration;

use super::wire::MAX_RECORD;
use crate::detector::Level;
use crate::id::NodeId;
use crate::membership::{Incarnation, MemberMapError};

/// Bytes for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// For whom. It may be down, or not be reachable: then the bytes are dropped.
    pub to: NodeId,
    /// The message.
    pub bytes: Vec<u8>,
    /// How it is to travel.
    pub carriage: Carriage,
}

/// How a message is to travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// As a datagram, at most [`MAX_DATAGRAM`](super::MAX_DATAGRAM) bytes. It may be lost, doubled
    /// or overtaken.
    Datagram,
    /// By stream, at most [`MAX_PAGE`](super::MAX_PAGE) bytes. It may be lost with its connection.
    Stream,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// The record of a member is new or has changed: persist it, and use its addresses.
    Changed(NodeId),
    /// A member is suspect: some observer has not heard of it for too long.
    Suspected {
        /// Who.
        peer: NodeId,
        /// The greatest phi that any of its observers has reported.
        level: Level,
    },
    /// A member is down: enough observers agree. Route round it.
    Down {
        /// Who.
        peer: NodeId,
    },
    /// A member that was suspect or down takes part again.
    Up {
        /// Who.
        peer: NodeId,
    },
    /// This node was suspected, or a record of a former life of it was about, and it has raised its
    /// incarnation. Whoever speaks for the node elsewhere uses this one from now on.
    Refuted {
        /// The new incarnation.
        incarnation: Incarnation,
    },
    /// This node was away. Whatever rests on having been there, like a lease, does not hold.
    Paused {
        /// For how long.
        late: Duration,
    },
    /// This node was removed from the cluster for good. It sends nothing any more.
    Removed,
    /// A record was not taken in.
    Unusable(MemberMapError),
}

/// Why a record is not announced. What was announced before stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceError {
    /// It does not fit into a datagram.
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// It, or one of the members that are known, breaks the bounds of the map.
    Members(MemberMapError),
}

impl fmt::Display for AnnounceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size } => write!(
                f,
                "the record of this node has {size} bytes, at most {MAX_RECORD} fit into a gossip \
                 message; what was announced before stands: give it fewer or shorter addresses"
            ),
            Self::Members(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AnnounceError {}
