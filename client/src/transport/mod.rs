//! The transport: bytes in, bytes out, between identified parties.
//!
//! One UDP port carries everything. Clients and nodes are told apart by ALPN ([`Alpn`]), who
//! somebody is comes from the certificate ([`Principal`]), and messages are none of this module's
//! business: it moves opaque bodies and pairs each reply with its request.
//!
//! ```text
//!   Endpoint ---- one UDP socket, TLS 1.3, both ALPNs
//!      `- Connection ---- one QUIC connection to one peer
//!            |- our calls    ==> requests, one-way messages     (bidirectional stream we opened)
//!            |               <== their replies
//!            |- their calls  <== requests, one-way messages     (bidirectional stream they opened)
//!            |               ==> our replies
//!            |- the same pair once more for bodies above 64 KiB, with low priority
//!            `- between peers: datagrams, which nobody waits for and which may be lost
//! ```
//!
//! The streams live as long as the connection and calls are pipelined on them, because a stream
//! and a task per request were measured at three times the CPU. All frames queued
//! for a stream leave in one write per wake-up.
//!
//! Files: `frames` the bytes of a frame · `outbox` what waits to be written · `inlet` what
//! was read · `pending` calls without a reply yet · `gate` requests not answered yet · `link` these
//! put together, with the tasks that move bytes · `connection` and `serve` what callers and callees
//! see of it · `handshake` who may connect · `endpoint` the socket · `tls`, `identity` certificates
//! · `config` limits · `error`.

mod config;
mod connection;
mod endpoint;
mod error;
mod frames;
mod gate;
mod handshake;
mod identity;
mod inlet;
mod link;
mod outbox;
mod pending;
mod serve;
mod tls;

pub use config::{AcceptConfig, ClientAuth, EndpointConfig, Limits};
pub use connection::{CallId, Connection, ConnectionStats};
pub use endpoint::Endpoint;
pub use error::{CloseCode, TransportError};
pub use handshake::Expect;
pub use identity::{Identity, IdentityError, Principal, Role, TrustRoots};
pub use serve::{Incoming, ReplyTo};
pub use tls::{Alpn, SERVER_NAME};
