//! What the detector goes by.

use std::time::Duration;

/// How often nodes are heard, and what silence means.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorConfig {
    /// Between two heartbeats to one observer, jittered by a tenth either way. Default 500 ms; each
    /// costs some 30 bytes and a packet's overhead. Below 1 ms it counts as 1 ms.
    pub heartbeat: Duration,
    /// How many observers a node has, at most. Default 8; a cluster of n nodes has at most n - 1.
    pub observers: usize,
    /// How much longer than the mean interval a silence may last before it means anything. Default
    /// 1 s, two heartbeats. It adds itself to the time to detection.
    pub pause: Duration,
    /// The least standard deviation that is believed. Default 100 ms. With perfectly regular
    /// heartbeats the measured one tends to zero, and the first late packet would convict.
    pub sigma_floor: Duration,
    /// The phi at which other nodes are asked. Default 3: one silence in a thousand.
    pub phi_probe: f64,
    /// The phi at which a suspicion is spread. Default 8: one silence in 10^8.
    pub phi_suspect: f64,
    /// How long a suspicion that every observer shares is held before the verdict, so that a live
    /// node can refute it. Default 1 s. It adds itself to the time to detection.
    pub suspicion_min: Duration,
    /// How long a suspicion that nobody else shares would be held. Default 6 s.
    pub suspicion_max: Duration,
    /// How long a suspicion counts that is not repeated. Default 30 s. Observers repeat theirs
    /// three times in that span.
    pub suspicion_life: Duration,
}

impl DetectorConfig {
    /// The interval between heartbeats, never zero.
    pub fn interval(&self) -> Duration {
        self.heartbeat.max(Duration::from_millis(1))
    }

    /// The longest interval that is taken as a sample; longer ones are faults, not intervals.
    pub(crate) fn longest_sample(&self) -> Duration {
        self.interval().saturating_mul(4)
    }
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(500),
            observers: 8,
            pause: Duration::from_secs(1),
            sigma_floor: Duration::from_millis(100),
            phi_probe: 3.0,
            phi_suspect: 8.0,
            suspicion_min: Duration::from_secs(1),
            suspicion_max: Duration::from_secs(6),
            suspicion_life: Duration::from_secs(30),
        }
    }
}
