//! Members that come and go: who is not asked first for a while.
//!
//! Each time a member goes down costs it one point, and half of its points are forgiven every five
//! minutes. From three points on it is in quarantine, until it has less than one: it gets its
//! writes and is not preferred as a coordinator or for reads. The two thresholds lie apart so that
//! the quarantine itself does not flap.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::NodeId;

/// The points of all members that have any.
#[derive(Clone, Debug, Default)]
pub struct Flaps {
    points: BTreeMap<NodeId, Points>,
}

#[derive(Clone, Copy, Debug)]
struct Points {
    count: f64,
    /// When that was the count.
    at: Duration,
    quarantined: bool,
}

impl Flaps {
    /// A member has gone down.
    pub fn handle_down(&mut self, now: Duration, member: NodeId) {
        let points = self.points.entry(member).or_insert(Points {
            count: 0.0,
            at: now,
            quarantined: false,
        });
        points.count = points.left(now) + 1.0;
        points.at = now;
        points.quarantined |= points.count >= QUARANTINE;
    }

    /// Whether the member should not be preferred.
    pub fn is_quarantined(&self, now: Duration, member: NodeId) -> bool {
        let points = self.points.get(&member);
        points.is_some_and(|points| points.quarantined && points.left(now) >= RELEASE)
    }

    /// Forgets whom there is nothing to hold against any more, so that the memory stays small.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.points.retain(|_, points| {
            let left = points.left(now);
            points.quarantined &= left >= RELEASE;
            left >= FORGOTTEN
        });
    }
}

impl Points {
    fn left(&self, now: Duration) -> f64 {
        let half_lives = now.saturating_sub(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.count * (-half_lives).exp2()
    }
}

const HALF_LIFE: Duration = Duration::from_secs(5 * 60);
/// Three times within a few minutes. A little less, because the first is already fading.
const QUARANTINE: f64 = 2.5;
const RELEASE: f64 = 1.0;
const FORGOTTEN: f64 = 0.01;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Flaps;
    use crate::id::NodeId;

    const MINUTE: Duration = Duration::from_secs(60);
    const MEMBER: NodeId = NodeId(1);

    #[test]
    fn three_falls_in_a_row_quarantine_until_two_half_lives_are_over() {
        let mut flaps = Flaps::default();
        for minute in 0..3 {
            assert!(!flaps.is_quarantined(MINUTE * minute, MEMBER));
            flaps.handle_down(MINUTE * minute, MEMBER);
        }
        assert!(flaps.is_quarantined(MINUTE * 2, MEMBER));
        assert!(flaps.is_quarantined(MINUTE * 8, MEMBER));
        flaps.handle_timeout(MINUTE * 10);
        assert!(!flaps.is_quarantined(MINUTE * 10, MEMBER));
        assert!(!flaps.is_quarantined(MINUTE * 2, NodeId(2)));
    }

    #[test]
    fn a_member_that_falls_once_an_hour_is_never_in_quarantine() {
        let mut flaps = Flaps::default();
        for hour in 0..100 {
            flaps.handle_down(MINUTE * 60 * hour, MEMBER);
            assert!(!flaps.is_quarantined(MINUTE * 60 * hour, MEMBER));
            flaps.handle_timeout(MINUTE * 60 * hour + MINUTE * 59);
        }
        assert!(flaps.points.is_empty());
    }
}
