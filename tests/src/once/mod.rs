//! The model of exactly-once: two to four coordinators of one partition, and operations that are
//! tried again and again.
//!
//! The node's own vnodes are driven directly. Each operation changes several fields of a key in
//! one write: counters, values, sets, flags, lists, registers. It may be tried at any owner at any
//! time, in parallel with its first try, before or after a crash; owners go away and return late;
//! resets, removals and overwrites come in between; what has an end is removed when it is over.
//!
//! *The rule that the oracle holds*: in the end an operation that was entered anywhere counts once.
//! Its increments are in the sum, unless a reset saw them. Its versions are shown, unless something
//! covers one of their aliases (`rows`); what a retry put elsewhere into a list is another item.
//! A vnode that holds an operation's events knows it again, and refuses another change under its
//! name.
//!
//! ```text
//!   try ──> owner ──deltas, pulls──> owners           steps of a seed, or every schedule of a few
//!    └─ again, at another owner ──> owner             ([`run`], [`every_schedule`])
//!   finish: all return, everything is exchanged until nothing changes, the oracle looks
//! ```
//!
//! This is `counter.py` and `ctrblind.py` of the design's models on the real code, for every kind.

mod asked;
mod finish;
mod oracle;
mod owner;
mod rows;
mod schedule;
mod world;

pub use owner::Owner;
pub use schedule::{Scheduled, every_schedule};
pub use world::{Setting, Tally, run};

/// How many keys the clients use.
const KEYS: u8 = 2;
/// How long a version is kept after its end.
const TTL_GRACE_MS: u64 = 60_000;
