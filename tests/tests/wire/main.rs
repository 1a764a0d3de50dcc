//! The simulator over real connections: what nodes say to each other is encoded, framed, encrypted
//! and sent by the code of the node, with quinn and TLS, through UDP sockets in memory that lose,
//! double, delay and reorder packets as the seed says.
//!
//! All else is as in `simulation`: clients, nemesis, disks, invariants. Time is tokio's paused
//! clock, so that hours pass in moments. Keys and connection ids are drawn by the operating system,
//! not by the seed: what happens to which packet repeats, their bytes do not.
//!
//! | variable | what it does |
//! |---|---|
//! | `STARLING_WIRE_SEEDS=n` | runs n fresh seeds; without it none |
//! | `STARLING_FIRST=n` | begins the fresh seeds at n instead of at random |
//! | `STARLING_WIRE_SEED=n` | what [`replay`] runs, with every step printed should it fail |

mod network;
mod nodes;

use std::time::Instant;

use nodes::Nodes;
use starling_tests::asked::number;
use starling_tests::sim::{self, Plan, Tally};

#[test]
fn every_promise_is_kept_over_real_connections() {
    let tally = run(0..FIXED);
    let missing: Vec<_> = SOMETIMES
        .iter()
        .filter(|what| tally.of(what) == 0)
        .collect();
    assert!(missing.is_empty(), "{missing:?} never happened:\n{tally}");
}

/// Runs only when asked for.
#[test]
fn fresh_seeds_keep_every_promise_over_real_connections() {
    let Some(count) = number("STARLING_WIRE_SEEDS") else {
        return;
    };
    let first = number("STARLING_FIRST").unwrap_or_else(|| u64::from(fastrand::u32(..)) << 16);
    run(first..first.saturating_add(count));
}

#[test]
fn replay() {
    let Some(seed) = number("STARLING_WIRE_SEED") else {
        return;
    };
    match one(seed, true) {
        Ok(report) => println!(
            "seed {seed} passes, trace {:016x}\n{}",
            report.trace, report.tally
        ),
        Err(failure) => {
            failure.lines.iter().for_each(|line| println!("{line}"));
            panic!("{failure}");
        }
    }
}

fn one(seed: u64, verbose: bool) -> Result<sim::Report, Box<sim::Failure>> {
    let plan = Plan::over_wire(seed);
    let nodes = Nodes::new(seed, plan.links());
    sim::run_over(plan, Box::new(nodes), verbose)
}

fn run(seeds: impl IntoIterator<Item = u64>) -> Tally {
    let began = Instant::now();
    let mut tally = Tally::default();
    for seed in seeds {
        match one(seed, false) {
            Ok(report) => tally.join(&report.tally),
            Err(failure) => panic!("{failure}"),
        }
    }
    let (runs, took) = (tally.of("a run ended"), began.elapsed().as_secs_f64());
    println!("{runs} seeds in {took:.0} s:\n{tally}");
    tally
}

/// How many seeds run every time, from 0.
const FIXED: u64 = 24;

/// What must happen at least once, or the seeds prove nothing.
const SOMETIMES: &[&str] = &[
    "a call found no connection, or lost it",
    "a connection was lost",
    "a message took more than one packet",
    "a message took the stream of large ones",
    "a node connected anew",
    "a packet arrived twice",
    "a packet met a cut",
    "a packet overtook another",
    "a packet was lost",
    "a packet was too large for the path",
    "a process crashed",
    "a quorum read was checked",
];
