//! How a node notices that another one has gone: observers, phi, suspicions, verdicts.
//!
//! Read in this order; each file is one idea, with its source.
//!
//! | file | question |
//! |---|---|
//! | [`Overlay`] | who listens to whose heartbeats? |
//! | [`Edge`], [`phi()`] | how suspicious is a silence? |
//! | [`Health`] | might the fault be mine? |
//! | [`Suspicion`], [`Verdicts`] | when do enough of us agree? |
//! | [`Flaps`] | whom do we trust less for a while? |
//!
//! ```text
//!   x --heartbeat--> observer:  edge --phi 3--> asks others to probe x
//!                                    --phi 8, and nobody reached x--> suspicion
//!   suspicion --gossip--> everyone:  H of K observers --> down        routing goes elsewhere
//!   x hears of it: a higher incarnation --gossip--> everyone: alive
//! ```
//!
//! Everything here is data and arithmetic: time is an argument, and nothing is random. What sends
//! the heartbeats, probes and suspicions is [`Gossip`](crate::gossip::Gossip).

mod config;
mod edge;
mod flap;
mod health;
mod overlay;
mod phi;
mod suspicion;
mod verdict;
mod window;

pub use config::DetectorConfig;
pub use edge::Edge;
pub use flap::Flaps;
pub use health::Health;
pub use overlay::Overlay;
pub use phi::{PHI_MAX, phi};
pub use suspicion::{Level, Suspicion};
pub use verdict::{Verdicts, quorum};
