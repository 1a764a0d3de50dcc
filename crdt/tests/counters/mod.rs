//! The parts of the model of counters.
//!
//! | module | holds |
//! |---|---|
//! | [`ghost`] | the increments that a share truly reflects |
//! | [`node`] | one coordinator: a replica, completion records, voids |
//! | [`world`] | clients, network, a lost disk and the checks, driven by a seed |

mod ghost;
mod node;
mod world;

pub(crate) use ghost::History;
pub(crate) use node::Node;
pub(crate) use world::{Setting, Tally, run};

/// One broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A coordinator ships its last amount and not its running total (`lastver`).
    ShipsLastAmount,
    /// Losers stay as they are (`no_void`).
    NoVoid,
    /// The loser's actor takes the amount out of its own total, reset or not
    /// (`void_ignores_reset`).
    VoidIgnoresReset,
    /// A loser is made void although its winner may be on one disk alone.
    VoidBeforeWinnerIsSafe,
}
