//! The simulator: whole clusters in virtual time, from one seed.
//!
//! It drives the node's own [`Replica`](starling_node::protocol::replica::Replica) and
//! [`Coordinator`](starling_node::protocol::coordinator::Coordinator) over the memory engine, whose
//! disk has a volatile and a durable half. Everything that a node's shell does is an event in one
//! queue: a message arrives, a batch is taken, written, made durable, let out, a timer rings. A
//! crash can fall between any two of them. All that is random comes from the seed, so the seed
//! repeats the run: `trace` proves it.
//!
//! ```text
//!   seed ─> Plan (which faults, how often)
//!             │            trouble                      heal        rest
//!             ├──────────────────────────────────────────┼───────────┤
//!   clients   read, write of every kind, retry            stop        Quiet: every invariant
//!   nemesis   cuts, crashes, lost disks, pauses, ...      all mended
//!   at any time: invariants at each commit, start and read
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `plan` | what a seed decides before the first event |
//! | `queue` | virtual time |
//! | `world` | the loop, and where each event goes |
//! | `node` | a node: disk, clocks, process |
//! | `commits` | the committer: from inputs to outputs, step by step |
//! | `network` | calls and messages, and what befalls them |
//! | `wire` | the same over real connections, where a run has them |
//! | `clients`, `choices`, `orders` | clients: what they ask, retry and learn |
//! | `sessions` | what clients have seen, where a plan makes them sessions |
//! | `monotonic` | what monotonic reads have shown, where a plan has them |
//! | `nemesis` | faults |
//! | `deadlines` | until when somebody waits for what a node does |
//! | `damage` | bits that flip, and what nodes make of it |
//! | `ledger`, `record` | what truly happened |
//! | `rest` | healing, and waiting until nothing changes |
//! | `tally`, `trace`, `describe` | which paths were walked; what happened, as a hash or text |
//!
//! Method: TigerBeetle's VOPR and FoundationDB's simulation (Zhou et al., SIGMOD'21).

mod choices;
mod clients;
mod commits;
mod damage;
mod deadlines;
mod describe;
pub mod disk;
pub(crate) mod ledger;
pub(crate) mod monotonic;
mod nemesis;
mod network;
mod node;
mod orders;
mod plan;
pub(crate) mod queue;
mod record;
mod rest;
pub(crate) mod sessions;
mod tally;
mod trace;
mod wire;
mod world;

use std::fmt;

pub use plan::Plan;
use ring::QBits;
pub use tally::{SOMETIMES, Tally};
pub use wire::{Arrival, Arrived, Links, Wire};
use world::World;

/// How many owners each key has.
pub(crate) const N: usize = 3;

/// Two partitions, so that nodes have several vnodes and some own but one of them.
pub(crate) fn bits() -> QBits {
    QBits::new(1).expect("a ring may be cut in two")
}

/// What a run that broke nothing comes to.
#[derive(Debug)]
pub struct Report {
    /// Which paths it walked.
    pub tally: Tally,
    /// A hash of all that happened.
    pub trace: u64,
}

/// A run that broke a promise.
#[derive(Debug)]
pub struct Failure {
    /// The plan; its seed repeats the run.
    pub plan: Plan,
    /// Which invariant.
    pub invariant: &'static str,
    /// When, in microseconds of virtual time.
    pub at: u64,
    /// What was seen.
    pub what: String,
    /// A hash of all that happened until then.
    pub trace: u64,
    /// What happened, line by line, if that was asked for.
    pub lines: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            plan,
            invariant,
            at,
            what,
            ..
        } = self;
        writeln!(
            f,
            "{invariant} is broken after {}.{:06} s: {what}",
            at / 1_000_000,
            at % 1_000_000
        )?;
        writeln!(f, "  plan: {plan}")?;
        let (variable, test) = if plan.over_wire {
            ("STARLING_WIRE_SEED", "wire")
        } else {
            ("STARLING_SEED", "simulation")
        };
        write!(
            f,
            "  again: {variable}={} cargo test -p starling-tests --no-default-features \
             --test {test} replay -- --nocapture",
            plan.seed
        )
    }
}

/// Runs a seed.
///
/// # Errors
/// The run broke a promise.
pub fn run(seed: u64) -> Result<Report, Box<Failure>> {
    World::new(Plan::of(seed), None, false).run()
}

/// Runs a seed and keeps what happened line by line, should it fail.
///
/// # Errors
/// The run broke a promise.
pub fn replay(seed: u64) -> Result<Report, Box<Failure>> {
    World::new(Plan::of(seed), None, true).run()
}

/// Runs a plan over a wire, and keeps what happened line by line if `verbose`, should it fail.
///
/// # Errors
/// The run broke a promise.
pub fn run_over(plan: Plan, wire: Box<dyn Wire>, verbose: bool) -> Result<Report, Box<Failure>> {
    World::new(plan, Some(wire), verbose).run()
}
