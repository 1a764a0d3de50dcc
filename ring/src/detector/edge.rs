//! One observer's view of one node: when it was heard, and how suspicious its silence is.
//!
//! ```text
//!   heartbeats   |    |    |     |    |                        now
//!   time       --+----+----+-----+----+--------------------------+-->
//!                 intervals: mean, sigma      elapsed
//!                                      '-------------------------'
//!   z = (elapsed - mean - pause) / max(sigma, floor)        phi = -log10 Q(z)
//! ```
//!
//! Heartbeats alone are samples, because only they come at intervals; any other message from the
//! node shows that it lives and ends the silence all the same.

use std::time::Duration;

use super::config::DetectorConfig;
use super::phi::phi;
use super::window::Window;
use crate::mutants::{self, Mutant};

/// The edge from a node to one of its observers, on the observer's side.
#[derive(Clone, Debug)]
pub struct Edge {
    window: Window,
    heard: Duration,
    /// The last heartbeat, if the next one ends an interval that counts.
    beat: Option<Duration>,
}

impl Edge {
    /// An edge that begins `now`. The node learns only after `grace` that it is observed here, so
    /// the silence counts from then on; its first heartbeat is due three intervals later.
    pub fn new(now: Duration, grace: Duration, config: &DetectorConfig) -> Self {
        Self {
            window: Window::new(config.interval()),
            heard: now.saturating_add(grace),
            beat: None,
        }
    }

    /// A heartbeat has come. The interval since the last one becomes a sample, unless it is longer
    /// than four heartbeats or had a pause of this node in it.
    pub fn handle_heartbeat(&mut self, now: Duration, config: &DetectorConfig) {
        if let Some(last) = self.beat.replace(now) {
            let interval = now.saturating_sub(last);
            if interval <= config.longest_sample() {
                self.window.insert(interval);
            }
        }
        self.handle_message(now);
    }

    /// Any other sign of life has come.
    pub fn handle_message(&mut self, now: Duration) {
        // Not the later of the two: what has been heard ends the grace of a new edge too.
        self.heard = now;
    }

    /// This node itself was away for `pause`: what it did not hear meanwhile is no silence.
    pub fn handle_pause(&mut self, now: Duration, pause: Duration) {
        let latest = self.heard.max(now);
        self.heard = self.heard.saturating_add(pause).min(latest);
        self.beat = None;
    }

    /// Forgets everything: the node began a new life, or has moved.
    pub fn reset(&mut self, now: Duration, grace: Duration, config: &DetectorConfig) {
        *self = Self::new(now, grace, config);
    }

    /// How suspicious the silence is. `patience` multiplies the accepted pause; it is 1 unless this
    /// node doubts itself ([`Health`](super::Health)).
    pub fn phi(&self, now: Duration, patience: u32, config: &DetectorConfig) -> f64 {
        let floor = if mutants::is_active(Mutant::PhiWithoutSigmaFloor) {
            f64::MIN_POSITIVE
        } else {
            config.sigma_floor.as_secs_f64()
        };
        let sigma = self.window.sigma().max(floor);
        let expected = self.window.mean() + config.pause.as_secs_f64() * f64::from(patience);
        let elapsed = now.saturating_sub(self.heard).as_secs_f64();
        phi((elapsed - expected) / sigma)
    }

    /// When the node was last heard. In the future for an edge that has just begun.
    pub fn heard(&self) -> Duration {
        self.heard
    }

    /// The mean interval between heartbeats, in seconds.
    pub fn mean(&self) -> f64 {
        self.window.mean()
    }

    /// The standard deviation of the intervals as measured, in seconds.
    pub fn sigma(&self) -> f64 {
        self.window.sigma()
    }

    /// The last intervals between heartbeats, at most 128, the oldest first. A new edge begins with
    /// two that were not measured.
    pub fn intervals(&self) -> impl DoubleEndedIterator<Item = Duration> {
        self.window.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{prop_assert, proptest};

    use super::{DetectorConfig, Edge};

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// An edge that has heard `beats` perfectly regular heartbeats, and when the last one was.
    fn regular(beats: u64, config: &DetectorConfig) -> (Edge, Duration) {
        let mut edge = Edge::new(Duration::ZERO, Duration::ZERO, config);
        for beat in 1..=beats {
            edge.handle_heartbeat(ms(500 * beat), config);
        }
        (edge, ms(500 * beats))
    }

    #[test]
    fn a_silence_of_two_seconds_reaches_eight() {
        // models/phi.py: hb 0.5s sd 0.10s pause 1.0s threshold 8 -> silence 2.06s.
        let config = DetectorConfig::default();
        let (edge, last) = regular(200, &config);
        assert!(edge.phi(last + ms(2_050), 1, &config) < 8.0);
        assert!(edge.phi(last + ms(2_075), 1, &config) > 8.0);
    }

    #[test]
    fn perfectly_regular_heartbeats_do_not_convict_the_first_late_one() {
        let config = DetectorConfig {
            pause: Duration::ZERO,
            ..DetectorConfig::default()
        };
        let (edge, last) = regular(200, &config);
        assert!(edge.phi(last + ms(650), 1, &config) < 2.0);
    }

    #[test]
    fn a_new_edge_waits_until_the_node_can_know_of_it() {
        let config = DetectorConfig::default();
        let edge = Edge::new(ms(10_000), ms(2_000), &config);
        assert!(edge.phi(ms(13_400), 1, &config) < 1.0);
        assert!(edge.phi(ms(14_500), 1, &config) > 8.0);
    }

    #[test]
    fn long_intervals_and_own_pauses_are_no_samples() {
        let config = DetectorConfig::default();
        let (mut edge, last) = regular(20, &config);
        let before: Vec<Duration> = edge.intervals().collect();
        edge.handle_heartbeat(last + ms(2_001), &config);
        assert_eq!(edge.intervals().collect::<Vec<_>>(), before);
        edge.handle_pause(last + ms(2_400), ms(300));
        edge.handle_heartbeat(last + ms(2_500), &config);
        assert_eq!(edge.intervals().collect::<Vec<_>>(), before);
        edge.handle_heartbeat(last + ms(3_000), &config);
        assert_eq!(edge.intervals().count(), before.len() + 1);
    }

    #[test]
    fn a_pause_of_the_observer_is_no_silence_of_the_observed() {
        let config = DetectorConfig::default();
        let (mut edge, last) = regular(20, &config);
        let woken = last + ms(30_200);
        assert!(edge.phi(woken, 1, &config) > 100.0);
        edge.handle_pause(woken, ms(30_000));
        assert!(edge.phi(woken, 1, &config) < 0.1);
        assert!(edge.heard() <= woken);
    }

    #[test]
    fn a_node_that_doubts_itself_waits_longer() {
        let config = DetectorConfig::default();
        let (edge, last) = regular(20, &config);
        assert!(edge.phi(last + ms(2_500), 1, &config) > 8.0);
        assert!(edge.phi(last + ms(2_500), 3, &config) < 1.0);
    }

    proptest! {
        #[test]
        fn phi_never_falls_during_a_silence(
            jitters in proptest::collection::vec(300_u64..1_500, 0..200),
            silence in 0_u64..100_000,
            more in 0_u64..10_000,
        ) {
            let config = DetectorConfig::default();
            let mut edge = Edge::new(Duration::ZERO, Duration::ZERO, &config);
            let mut last = Duration::ZERO;
            for jitter in jitters {
                last += ms(jitter);
                edge.handle_heartbeat(last, &config);
            }
            let early = edge.phi(last + ms(silence), 1, &config);
            let late = edge.phi(last + ms(silence + more), 1, &config);
            prop_assert!(early <= late && late.is_finite() && early >= 0.0);
        }
    }
}
