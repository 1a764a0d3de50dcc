//! Limits, their defaults, and what QUIC is told of them.

use std::sync::Arc;
use std::time::Duration;

use quinn::VarInt;

use super::identity::{Identity, TrustRoots};

/// What an endpoint needs to exist.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// What we show to peers. Without it only connections to nodes that take anonymous clients
    /// succeed, and nothing can be accepted.
    pub identity: Option<Identity>,
    /// The authorities that peers' certificates must be signed by.
    pub roots: TrustRoots,
    /// Whether and how to accept connections; `None` makes an endpoint that only connects.
    pub accept: Option<AcceptConfig>,
    /// Bounds of each connection.
    pub limits: Limits,
}

/// How connections are accepted.
#[derive(Debug, Clone)]
pub struct AcceptConfig {
    /// Whether clients must show a certificate. Peers always must.
    pub client_auth: ClientAuth,
    /// Handshakes at one time, default 256. From half of it on, newcomers must prove their address
    /// first (a QUIC retry); beyond it they are refused and try again.
    pub max_handshakes: usize,
    /// Connections at one time, in both directions, default 4,096. Beyond it newcomers are
    /// refused.
    pub max_connections: usize,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Only bearers of a certificate of the cluster.
    Required,
    /// Anonymous clients too; a certificate that is shown must still be good.
    Optional,
}

/// Bounds of one connection. What it can hold in memory at worst is the sum of its four queues of
/// [`Limits::max_queued_bytes`], [`Limits::max_serving_bytes`] and QUIC's windows (24 MiB each
/// way), and of 64 KiB of datagrams each way; an idle one holds little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest body in bytes, default 8 MiB. Sending a larger one is refused; receiving one closes
    /// the connection. Both ends should agree.
    pub max_frame: u32,
    /// Calls of ours waiting for a reply, default 65,536. Beyond it calls fail as overloaded.
    pub max_in_flight: usize,
    /// Requests of the peer not answered yet, default 8,192. At it, reading from the peer pauses.
    pub max_serving: usize,
    /// Bytes of requests of the peer not answered yet, default 64 MiB. At it, reading pauses; one
    /// request is always taken.
    pub max_serving_bytes: usize,
    /// Bytes waiting to be written on one stream, default 64 MiB. Beyond it calls fail as
    /// overloaded and replies become errors at their callers. With half of it in replies, reading
    /// from the peer pauses.
    pub max_queued_bytes: usize,
    /// How long connecting and accepting may take altogether, default 5 s.
    pub connect_timeout: Duration,
    /// A connection is lost after this long without a packet, default 10 s.
    pub idle_timeout: Duration,
    /// A packet is sent after this long without one, default 2 s; keep it well below the idle
    /// timeout.
    pub keep_alive: Duration,
}

impl Default for AcceptConfig {
    fn default() -> Self {
        Self {
            client_auth: ClientAuth::Required,
            max_handshakes: 256,
            max_connections: 4096,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame: 8 * 1024 * 1024,
            max_in_flight: 65_536,
            max_serving: 8_192,
            max_serving_bytes: 64 * 1024 * 1024,
            max_queued_bytes: 64 * 1024 * 1024,
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(2),
        }
    }
}

/// The QUIC settings that were measured to be cheapest for many small pipelined messages.
///
/// With `has_datagrams` the other side may send some. Whoever accepts cannot know beforehand
/// whether a peer or a client comes, so it takes them from both; of those that nobody reads the
/// oldest make room.
pub(super) fn quic_transport(limits: &Limits, has_datagrams: bool) -> Arc<quinn::TransportConfig> {
    let mut discovery = quinn::MtuDiscoveryConfig::default();
    discovery.upper_bound(MAX_DATAGRAM);
    let mut acks = quinn::AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(10))
        .max_ack_delay(Some(ACK_DELAY));

    // An idle timeout too long for QUIC's encoding means none, which is what `None` says.
    let idle = quinn::IdleTimeout::try_from(limits.idle_timeout).ok();
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(has_datagrams.then_some(DATAGRAM_BUFFER))
        .datagram_send_buffer_size(DATAGRAM_BUFFER)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(u64::from(CONNECTION_WINDOW))
        .max_idle_timeout(idle)
        .keep_alive_interval(Some(limits.keep_alive))
        .mtu_discovery_config(Some(discovery))
        .ack_frequency_config(Some(acks))
        .enable_segmentation_offload(true);
    Arc::new(transport)
}

/// Largest datagram to try. Above 6,550 a batch of segments outgrows one send and bulk transfer
/// collapses.
pub(super) const MAX_DATAGRAM: u16 = 6500;
/// Asked of the kernel for the socket, in each direction; it may grant less (`net.core.rmem_max`).
pub(super) const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// Streams that a peer may open: one for its small calls, one for its bulk.
const STREAMS: u32 = 2;
const STREAM_WINDOW: u32 = 8 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 24 * 1024 * 1024;
/// Bytes of datagrams that wait on either side of a connection; beyond it the oldest are dropped.
const DATAGRAM_BUFFER: usize = 64 * 1024;
const ACK_DELAY: Duration = Duration::from_millis(5);
