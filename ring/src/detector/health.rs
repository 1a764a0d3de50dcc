//! What a node thinks of itself: local health and the guard against its own pauses.
//!
//! A node that is slow hears everybody late and, without this, convicts its neighbours of its own
//! fault. Dadgar, Phillips and Currey, *Lifeguard* (2017), let such a node doubt itself: a score
//! from 0 to 8 grows with every sign of own trouble, and everything it waits for is given
//! score + 1 times as long. "Reduces the false positive rate by more than 50x."
//!
//! A pause is the plainest of these signs. A process that was stopped, or a
//! machine that was suspended, finds on waking that nobody has spoken for half a minute. Whoever
//! drives the machine notices that a tick came late and says so, and then:
//!
//! 1. the pause is added to the moment each node was last heard;
//! 2. for as long again as the pause lasted, at least two heartbeats, this node accuses nobody;
//! 3. its health score grows.

use std::time::Duration;

use super::config::DetectorConfig;

/// The health score of one node and the end of its silence after a pause.
#[derive(Clone, Debug)]
pub struct Health {
    score: u32,
    /// When the score last changed, or was last found to be right.
    judged: Duration,
    muted_until: Duration,
    /// Up to when pauses have been added to the edges: one pause may be reported twice.
    accounted: Duration,
}

impl Health {
    /// A node that begins `now`, in good health.
    pub fn new(now: Duration) -> Self {
        Self {
            score: 0,
            judged: now,
            muted_until: Duration::ZERO,
            accounted: now,
        }
    }

    /// From 0, well, to 8.
    pub fn score(&self) -> u32 {
        self.score
    }

    /// By what to multiply whatever this node waits for: 1 to 9.
    pub fn patience(&self) -> u32 {
        self.score + 1
    }

    /// Whether this node may accuse others.
    pub fn may_accuse(&self, now: Duration) -> bool {
        now >= self.muted_until
    }

    /// Something went wrong that may well be this node's own fault.
    pub fn worsen(&mut self, now: Duration) {
        self.score = (self.score + 1).min(WORST);
        self.judged = now;
    }

    /// Something went well that a node in trouble could not have done.
    pub fn improve(&mut self, now: Duration) {
        self.score = self.score.saturating_sub(1);
        self.judged = now;
    }

    /// Time passes: without new trouble the score falls by one every four heartbeats.
    pub fn handle_timeout(&mut self, now: Duration, config: &DetectorConfig) {
        let quiet = config.interval().saturating_mul(4);
        if self.score > 0 && now.saturating_sub(self.judged) >= quiet {
            self.improve(now);
        }
    }

    /// A tick came `late` by so much; gives by how much each edge is to be moved.
    ///
    /// That is less than `late` if a part of the pause was reported before, or if the clock that
    /// `now` is from stood still meanwhile, as the monotonic clock does while a machine is
    /// suspended.
    pub fn handle_late_tick(
        &mut self,
        now: Duration,
        late: Duration,
        config: &DetectorConfig,
    ) -> Duration {
        let unaccounted = late.min(now.saturating_sub(self.accounted));
        self.accounted = now;
        let silence = late.max(config.interval().saturating_mul(2));
        self.muted_until = self.muted_until.max(now.saturating_add(silence));
        self.worsen(now);
        unaccounted
    }
}

const WORST: u32 = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{DetectorConfig, Health};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_pause_is_added_once_and_mutes_for_as_long_again() {
        let config = DetectorConfig::default();
        let mut health = Health::new(Duration::ZERO);
        let now = 100 * SECOND;
        assert_eq!(
            health.handle_late_tick(now, 30 * SECOND, &config),
            30 * SECOND
        );
        assert_eq!(
            health.handle_late_tick(now, 30 * SECOND, &config),
            Duration::ZERO
        );
        assert!(!health.may_accuse(now + 29 * SECOND));
        assert!(health.may_accuse(now + 30 * SECOND));
    }

    #[test]
    fn a_short_pause_mutes_for_two_heartbeats() {
        let config = DetectorConfig::default();
        let mut health = Health::new(Duration::ZERO);
        health.handle_late_tick(SECOND, SECOND / 2, &config);
        assert!(!health.may_accuse(SECOND * 2 - SECOND / 100));
        assert!(health.may_accuse(SECOND * 2));
    }

    #[test]
    fn trouble_adds_up_and_passes() {
        let config = DetectorConfig::default();
        let mut health = Health::new(Duration::ZERO);
        (0..20).for_each(|_| health.worsen(SECOND));
        assert_eq!((health.score(), health.patience()), (8, 9));
        for second in 0..40 {
            health.handle_timeout(SECOND * second, &config);
        }
        assert_eq!((health.score(), health.patience()), (0, 1));
    }
}
