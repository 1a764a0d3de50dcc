//! The shell: clocks, sockets and threads, and the loop that drives the machines. It decides
//! nothing.
//!
//! ```text
//!   network thread                                     committer thread
//!   ┌───────────────────────────────────────┐          ┌────────────────────────────┐
//!   │ Endpoint: clients, peers              │  inputs  │ Replica: all vnodes        │
//!   │   accept, peers ──events──> shell     │ ───────> │   one batch, one barrier   │
//!   │ Desk · Coordinator · Exchange, Gossip │ <─────── │ Engine                     │
//!   │ HTTP: health, metrics                 │ outputs  └────────────────────────────┘
//!   └───────────────────────────────────────┘                    │
//!        reads rows by itself, where the view says that row and clock belong together
//! ```
//!
//! [`Node::start`] is the way in, [`send_init`] begins a cluster. Nothing here is global, so
//! several nodes can live in one process.

mod accept;
mod assemble;
pub mod carrier;
pub(crate) mod clock;
mod committer;
mod envelope;
mod event;
mod init;
mod node;
mod peers;
mod seeds;
mod shell;
pub mod source;
mod start;
mod store;
#[cfg(test)]
mod tests;
mod view;
mod words;

pub use init::{InitAnswer, InitError, InitReport, send_init};
pub use node::{Node, StopError, Stopper};
pub use start::StartError;

pub(crate) use committer::{Published, Statistics};
