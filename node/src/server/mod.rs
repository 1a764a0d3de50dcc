//! What stands between clients and the protocol: their bytes become orders, outcomes become bytes.
//!
//! ```text
//!   bytes ──Desk::accept──> Accepted::Order{order, shape} ──> Coordinator ──> Outcome
//!                             |        ...::Reply               |
//!                             v                                 v
//!   bytes <──encode_response── Response <──Desk::respond(shape, outcome)
//! ```
//!
//! Nothing here reads a clock or a socket. All that a client says is checked here and nowhere else:
//! that the bucket is known and of the right kind, sizes, r and w, the time allowed, and that a
//! context token is of this cluster and this key. What cannot be done is refused with a message
//! that says what failed, what is still true and what to do next.
//!
//! Whoever the transport lets in may do everything: there are no permissions per bucket.

mod accept;
mod change;
mod desk;
mod failure;
mod fields;
mod inspect;
mod kinds;
mod place;
mod session;
mod shown;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod token;

pub use accept::Accepted;
pub use desk::{Desk, Posture, encode_response};
pub use shown::Shape;
pub use status::{HereStatus, PeerStatus, StatusInput};
pub use token::{BadToken, Scope, TokenKey};
