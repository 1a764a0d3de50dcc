//! How often and how long a replica does what it does by itself.

use std::time::Duration;

use crate::protocol::hints::HintConfig;
use crate::protocol::vnode::Limits;

/// How often and how long.
#[derive(Debug, Clone)]
pub struct ReplicaConfig {
    /// How much of everything.
    pub limits: Limits,
    /// How much is kept for owners that are away.
    pub hints: HintConfig,
    /// Between two comparisons of clocks with one peer, jittered by a quarter. Default 1 s.
    pub compare_every: Duration,
    /// How long a dot must be missing before it is pulled; what is on its way comes before that.
    /// Default 200 ms.
    pub pull_delay: Duration,
    /// Between two syncs to the disk of what was written without one. Default 1 s. Peers trim only
    /// what is synced.
    pub sync_every: Duration,
    /// How long a call to a peer may take before it counts as failed. Default 5 s.
    pub call_timeout: Duration,
    /// How long there must be no way to a peer before a vnode that is catching up goes on without
    /// it. Default 5 s.
    pub patience: Duration,
    /// The same for a peer that is connected and answers nothing: it may be busy, and hold what
    /// nobody else does. Default 60 s.
    pub long_patience: Duration,
    /// A peer that lacks so many dots of a vnode lacks more than what is on its way: it is far
    /// behind. Default 256.
    pub far_behind: u64,
    /// Pulls under way at one time. Default 8.
    pub pulls: usize,
    /// Rows, events, records or marks of which it is looked every half a second whether they are
    /// sound, and as many of a vnode of which something could not be read; with 0 damage is found
    /// only when what it hit is read. Default 1,024.
    pub verify_rows: usize,
    /// Between two stretches of rows whose content is compared with the other owners. Default 1 s.
    pub scrub_every: Duration,
    /// Between two vnodes whose content is compared, so that a small store costs next to nothing.
    /// Default 5 s.
    pub scrub_pause: Duration,
    /// Between two stretches where somebody asked for a comparison at once. Default 50 ms.
    pub scrub_hurry: Duration,
    /// Rows in one stretch, up to 32,768; with 0 nothing is compared. Default 1,024.
    pub scrub_rows: usize,
    /// How far ahead of the wall a stamp of a peer may lie, in milliseconds, to be taken over.
    /// Default 500.
    pub max_drift_ms: u64,
}

impl Default for ReplicaConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            hints: HintConfig::default(),
            compare_every: Duration::from_secs(1),
            pull_delay: Duration::from_millis(200),
            sync_every: Duration::from_secs(1),
            call_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(5),
            long_patience: Duration::from_secs(60),
            far_behind: 256,
            pulls: 8,
            verify_rows: 1_024,
            scrub_every: Duration::from_secs(1),
            scrub_pause: Duration::from_secs(5),
            scrub_hurry: Duration::from_millis(50),
            scrub_rows: 1_024,
            max_drift_ms: 500,
        }
    }
}
