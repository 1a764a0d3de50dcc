//! For how long something could not be read: a disk, or the way to it, may fail for a moment.
//!
//! What fails for ten seconds is as good as damaged. That is counted by the clock and not by tries,
//! which may follow each other quickly; but a few tries must have failed on the way, since a
//! process that stood still in between knows nothing of that time.
//!
//! ```text
//!   tried      . . . . . . . . . . . . . . . . . . . .|         .                   .     ...
//!              every half a second for ten seconds    lasts     as long again, up to a minute
//! ```

use std::time::Duration;

use super::time::Time;

/// That something could not be read, time and again without a success in between.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Unreadable {
    since: Time,
    /// The last time that counted.
    tried: Time,
    /// How often that was; 0 while nothing has failed.
    tries: u32,
}

impl Unreadable {
    /// It could not be read now. That counts if it was due.
    pub(crate) fn fail(&mut self, now: Time) {
        if !self.is_due(now) {
            return;
        }
        if self.tries == 0 {
            self.since = now;
        }
        self.tried = now;
        self.tries = self.tries.saturating_add(1);
    }

    /// Is it time to try it again?
    pub(crate) fn is_due(&self, now: Time) -> bool {
        let pause = if self.lasts() {
            self.age().min(MOST_PAUSE)
        } else {
            TRY_EVERY
        };
        self.tries == 0 || now >= self.tried.after(pause)
    }

    /// Has it failed for so long that it is as good as damaged?
    pub(crate) fn lasts(&self) -> bool {
        self.tries >= FEWEST_TRIES && self.age() >= LASTS_AFTER
    }

    fn age(&self) -> Duration {
        self.tried.since(self.since)
    }
}

/// What has failed for so long without a break lasts.
pub(crate) const LASTS_AFTER: Duration = Duration::from_secs(10);
/// How soon it is tried again until then.
pub(crate) const TRY_EVERY: Duration = Duration::from_millis(500);
/// Tries that must have failed by then.
const FEWEST_TRIES: u32 = 5;
/// How soon it is tried again later, at the latest.
const MOST_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Time, Unreadable};

    fn at(ms: u64) -> Time {
        Time::at(Duration::from_millis(ms))
    }

    #[test]
    fn however_often_it_is_tried_ten_seconds_must_go_by() {
        let mut unread = Unreadable::default();
        for ms in (7_000..17_000).step_by(20) {
            unread.fail(at(ms));
            assert!(!unread.lasts(), "after {ms} ms");
        }
        unread.fail(at(17_000));
        assert!(unread.lasts());
    }

    #[test]
    fn the_time_in_which_nobody_tried_is_not_enough() {
        let mut unread = Unreadable::default();
        unread.fail(at(0));
        // The process was stopped meanwhile.
        unread.fail(at(60_000));
        assert!(!unread.lasts());
    }

    #[test]
    fn a_disk_that_hangs_before_it_fails_is_tried_a_few_times() {
        let mut unread = Unreadable::default();
        for ms in [0, 30_000, 60_000, 90_000, 120_000] {
            assert!(!unread.lasts());
            unread.fail(at(ms));
        }
        assert!(unread.lasts());
    }

    #[test]
    fn what_lasts_is_tried_more_and_more_rarely_and_once_a_minute_for_ever() {
        let (mut unread, mut tried) = (Unreadable::default(), Vec::new());
        for ms in (0..300_000).step_by(500) {
            if unread.is_due(at(ms)) {
                unread.fail(at(ms));
                tried.push(ms);
            }
        }
        let later = tried.into_iter().skip_while(|ms| *ms < 10_000);
        let expected = [10_000, 20_000, 40_000, 80_000, 140_000, 200_000, 260_000];
        assert!(later.eq(expected));
    }
}
