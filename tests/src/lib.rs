//! The cluster as a test subject.
//!
//! - [`sim`]: whole clusters in one thread under virtual time, driven by a seed; the node's own
//!   machines on a disk that loses what was not synced.
//! - [`invariants`]: what must be true of every run, one file for each.
//! - [`flock`]: a few nodes in one thread, step by step.
//! - [`once`]: the model of exactly-once, on the node's own vnodes.
//! - [`cluster`]: real `starling` processes on loopback.
//! - [`netns`]: networks, disks and clocks of their own for them, and what can go wrong with those.
//! - [`asked`]: how long, how many, which seed: what the environment asks for.
//! - [`workload`]: clients that write down what they do.
//! - [`history`]: what clients saw, and the checker for lost, phantom and double-counted effects.

pub mod asked;
pub mod cluster;
pub mod flock;
pub mod history;
pub mod invariants;
pub mod netns;
pub mod once;
pub mod rings;
pub mod sim;
pub mod workload;
