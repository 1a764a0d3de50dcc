//! The protocol: pure machines that decide, and what replicas say to each other.
//!
//! Nothing here reads a clock, draws a random number, opens a socket or knows a store: time and
//! randomness are arguments, storage is a [`stage::Stage`]. The node's runtime and the simulator
//! drive the same types.
//!
//! ```text
//!   client request ──> Coordinator ──Submit──> Replica (all vnodes of the node) ──> Stage
//!                        │    ^                   │  ^
//!                       Call  replies           Answer, Call
//!                        v    │                   v  │
//!                     other owners' Replicas ─────────
//! ```

#![deny(clippy::wildcard_enum_match_arm)]

pub mod clears;
pub mod cluster;
pub mod coordinator;
pub mod event;
pub mod hints;
pub mod keys;
pub mod messages;
pub mod replica;
pub mod room;
pub mod samples;
pub mod scrub;
pub mod shares;
mod source_error;
pub mod stage;
pub mod time;
mod unreadable;
pub mod vnode;
