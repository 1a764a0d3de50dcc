//! A few nodes, one mechanism at a time, where the simulator tries everything at once.

mod clocks;
mod damage;
mod hints;
mod pulls;
mod tending;

use starling_node::protocol::hints::HintConfig;
use starling_node::protocol::replica::ReplicaConfig;
use starling_tests::asked::number;
use starling_tests::flock::Flock;

/// Three owners of a partition, and two that may stand in for them, with such limits.
fn five(hints: HintConfig) -> Flock {
    let config = ReplicaConfig {
        hints,
        ..ReplicaConfig::default()
    };
    Flock::new(5, 3, config)
}

/// How many rows there are where the number should make no difference.
fn rows() -> u64 {
    number("STARLING_ROWS").unwrap_or(100_000)
}
