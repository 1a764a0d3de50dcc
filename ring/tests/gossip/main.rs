//! Membership and failure detection of whole clusters in virtual time.
#![expect(clippy::print_stdout, reason = "what was measured is worth seeing")]

mod detection;
#[cfg(feature = "mutants")]
mod mutants;
mod spreading;
mod swarm;
mod world;
