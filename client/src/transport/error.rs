//! What can go wrong between two parties, and the codes with which a connection is closed.
//!
//! Each error says what failed, what is still true and what to do. The question that matters most
//! to the caller of a write, "can the peer have received it?", has its own method.

use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use super::identity::{IdentityError, Principal};
use ring::{ClusterId, NodeId};

/// Why bytes did not arrive, or why nobody knows whether they did.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransportError {
    /// The UDP port is taken.
    #[error(
        "{address} is in use by another process; nothing was started: stop that process or \
         choose another port"
    )]
    AddressInUse {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The UDP socket could not be opened for another reason.
    #[error("{address} could not be opened ({reason}); nothing was started: check the address")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        reason: String,
    },
    /// The certificates or keys handed to the endpoint cannot be used.
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// The TLS library refused the certificates or the configuration.
    #[error("the TLS setup is unusable ({reason}); nothing was started: check the certificates")]
    Setup {
        /// What the library said.
        reason: String,
    },
    /// The address cannot be connected to at all.
    #[error(
        "{address} cannot be reached from here ({reason}); nothing was sent: check the address"
    )]
    Unreachable {
        /// Where the connection was to go.
        address: SocketAddr,
        /// Why it cannot.
        reason: String,
    },
    /// Nobody answered, or the handshake did not finish.
    #[error(
        "no connection to {address} within {after:?}; nothing was sent: check that a node listens \
         there on UDP, or try another node"
    )]
    ConnectTimeout {
        /// Where the connection was to go.
        address: SocketAddr,
        /// How long was waited.
        after: Duration,
    },
    /// The peer would not have us, for a reason without a variant of its own.
    #[error("the peer refused the connection: {reason}; nothing was sent: try another node")]
    Refused {
        /// The code the peer closed with, 0 if QUIC itself refused.
        code: CloseCode,
        /// What the peer said.
        reason: String,
    },
    /// The two ends belong to different clusters.
    #[error(
        "the peer belongs to cluster {theirs} and we to {ours}; nothing was sent: check the \
         address and the certificates"
    )]
    WrongCluster {
        /// The cluster that was expected.
        ours: ClusterId,
        /// The cluster in the peer's certificate.
        theirs: ClusterId,
    },
    /// Another node answers at the address.
    #[error(
        "{found} answered where node {expected} was expected; nothing was sent: refresh the \
         addresses"
    )]
    WrongNode {
        /// The node that was to be reached.
        expected: NodeId,
        /// Who answered.
        found: NodeId,
    },
    /// The peer wants a certificate and we have none.
    #[error("the peer requires a certificate; nothing was sent: configure one")]
    CertificateRequired,
    /// A node was required and the certificate says something else.
    #[error(
        "{found} is not a node, and only nodes may do this; nothing was sent: use a node's \
         certificate, or the client protocol"
    )]
    NotANode {
        /// Who it is.
        found: Principal,
    },
    /// The peer's certificate does not say who the peer is.
    #[error("the certificate names nobody in Starling ({reason}); nothing was sent: reissue it")]
    Unidentified {
        /// What is wrong with it.
        reason: String,
    },
    /// One side's certificate is not signed by an authority that the other side trusts.
    #[error("{reason}; nothing was sent: both sides must use the same authority")]
    UntrustedAuthority {
        /// Which side does not trust which.
        reason: String,
    },
    /// One side's certificate is signed as it should be and still not valid, as when expired.
    #[error("{reason}; nothing was sent: renew the certificate and check the clocks")]
    CertificateRefused {
        /// Which side refused, and why.
        reason: String,
    },
    /// The two ends have no protocol in common.
    #[error(
        "the peer does not speak {offered}; nothing was sent: check that the versions fit and \
         that the port is Starling's"
    )]
    VersionMismatch {
        /// What we speak.
        offered: String,
    },
    /// A body is larger than the limit. Sending: nothing left. Receiving: the connection ends.
    #[error("a message of {size} bytes exceeds the limit of {limit}; it was not taken: split it")]
    FrameTooLarge {
        /// Bytes of the body.
        size: u64,
        /// The limit, [`Limits::max_frame`](super::Limits::max_frame).
        limit: u64,
    },
    /// The peer sent bytes that are not ours to understand. The connection ends.
    #[error("the peer broke the protocol: {reason}; the connection was closed: connect again")]
    BadFrame {
        /// What was wrong.
        reason: String,
    },
    /// The connection went away while a call was waiting.
    #[error(
        "the connection was lost ({reason}); the request may have been carried out: ask again or \
         retry with the same operation id"
    )]
    ConnectionLost {
        /// How it ended.
        reason: String,
    },
    /// The peer received the request and will not answer it.
    #[error(
        "the peer gave no answer ({reason}); the request may have been carried out: retry with \
         the same operation id"
    )]
    NoReply {
        /// What the peer said.
        reason: String,
    },
    /// No reply came in time. A reply that comes later is dropped.
    #[error(
        "no reply within {after:?}; the request may have been carried out: ask again or retry \
         with the same operation id"
    )]
    Deadline {
        /// How long was waited.
        after: Duration,
    },
    /// A limit of ours is reached; the request was not queued.
    #[error("{what} reached the limit of {limit}; the request was not sent: slow down, then retry")]
    Overloaded {
        /// What is full.
        what: &'static str,
        /// Its limit.
        limit: u64,
    },
    /// The connection or the endpoint was closed before.
    #[error("the connection is closed ({reason}); the request was not sent: connect again")]
    Closed {
        /// Who closed it, and why.
        reason: String,
    },
}

impl TransportError {
    /// Whether the peer can have received the request. `false` is a proof that it never left.
    pub fn request_may_have_arrived(&self) -> bool {
        match self {
            Self::BadFrame { .. }
            | Self::ConnectionLost { .. }
            | Self::NoReply { .. }
            | Self::Deadline { .. } => true,
            Self::AddressInUse { .. }
            | Self::Bind { .. }
            | Self::Identity(_)
            | Self::Setup { .. }
            | Self::Unreachable { .. }
            | Self::ConnectTimeout { .. }
            | Self::Refused { .. }
            | Self::WrongCluster { .. }
            | Self::WrongNode { .. }
            | Self::CertificateRequired
            | Self::NotANode { .. }
            | Self::Unidentified { .. }
            | Self::UntrustedAuthority { .. }
            | Self::CertificateRefused { .. }
            | Self::VersionMismatch { .. }
            | Self::FrameTooLarge { .. }
            | Self::Overloaded { .. }
            | Self::Closed { .. } => false,
        }
    }

    /// The code with which to close a connection because of this error.
    pub(super) fn close_code(&self) -> CloseCode {
        match self {
            Self::WrongCluster { .. } => CloseCode::WRONG_CLUSTER,
            Self::WrongNode { .. } => CloseCode::WRONG_NODE,
            Self::CertificateRequired => CloseCode::CERTIFICATE_REQUIRED,
            Self::NotANode { .. } => CloseCode::NOT_A_NODE,
            Self::Unidentified { .. } => CloseCode::UNIDENTIFIED,
            Self::FrameTooLarge { .. } => CloseCode::FRAME_TOO_LARGE,
            Self::BadFrame { .. } => CloseCode::BAD_FRAME,
            Self::Overloaded { .. } => CloseCode::OVERLOADED,
            Self::ConnectTimeout { .. } | Self::Deadline { .. } => CloseCode::TOO_SLOW,
            _ => CloseCode::SHUTDOWN,
        }
    }
}

/// Why a connection is closed, as both ends see it in QUIC's application close code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseCode(pub u32);

impl CloseCode {
    /// An orderly end: somebody stops, or does not need the connection any more.
    pub const SHUTDOWN: Self = Self(0);
    /// The certificate is of another cluster.
    pub const WRONG_CLUSTER: Self = Self(0x10);
    /// The peer requires a certificate.
    pub const CERTIFICATE_REQUIRED: Self = Self(0x11);
    /// The peer protocol is for nodes only, and only nodes serve.
    pub const NOT_A_NODE: Self = Self(0x12);
    /// Another node was expected here.
    pub const WRONG_NODE: Self = Self(0x13);
    /// The certificate has no readable `starling://` name.
    pub const UNIDENTIFIED: Self = Self(0x14);
    /// The handshake took too long.
    pub const TOO_SLOW: Self = Self(0x15);
    /// A bound of the closing side is reached.
    pub const OVERLOADED: Self = Self(0x16);
    /// The bytes on a stream are not frames, or a frame came where it must not.
    pub const BAD_FRAME: Self = Self(0x20);
    /// A frame exceeds the closing side's limit.
    pub const FRAME_TOO_LARGE: Self = Self(0x21);
    /// The code that answers requests has failed.
    pub const HANDLER_FAILED: Self = Self(0x22);
}

/// What a peer says of itself, fit for a log line and never more than one.
pub(super) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_PRINTABLE)
        .collect()
}

const MAX_PRINTABLE: usize = 300;
