//! The node's clocks: the only place that reads them. Machines are handed a [`Moment`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::protocol::time::{Moment, Time};

/// A steady clock, whose time begins when this is made. Copies share the beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steady {
    start: Instant,
}

impl Steady {
    /// Time begins now.
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The time since then.
    pub(crate) fn time(self) -> Time {
        Time::at(self.start.elapsed())
    }
}

/// The clocks of one node, whose steady time begins when this is made. Clones share the beginning,
/// and what is known of the wall clock.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    steady: Steady,
    /// What a wall clock that is right would have said when the steady one began, in milliseconds.
    /// Nobody but who corrects it reads the wall clock anew, so that one that is set does not show
    /// before it is known whether it was set right.
    began_ms: Arc<AtomicI64>,
}

impl Clock {
    /// A node starts now.
    pub(crate) fn start() -> Self {
        let clock = Self {
            steady: Steady::start(),
            began_ms: Arc::default(),
        };
        clock.correct(clock.own(), 0);
        clock
    }

    /// Both clocks, the wall clock as it was corrected last.
    pub(crate) fn now(&self) -> Moment {
        let time = self.time();
        let began_ms = self.began_ms.load(Ordering::Relaxed);
        let wall_ms = milliseconds(time).saturating_add_signed(began_ms);
        Moment { time, wall_ms }
    }

    /// At a moment as the [own](Clock::own) clocks said it, the wall clock was so far ahead of the
    /// time to go by.
    pub(crate) fn correct(&self, own: Moment, ahead_ms: i64) {
        let right = i64::try_from(own.wall_ms)
            .unwrap_or(i64::MAX)
            .saturating_sub(ahead_ms);
        let passed = i64::try_from(milliseconds(own.time)).unwrap_or(i64::MAX);
        self.began_ms
            .store(right.saturating_sub(passed), Ordering::Relaxed);
    }

    /// Both clocks, right or wrong.
    pub(crate) fn own(&self) -> Moment {
        // A wall clock before 1970 is as good as none.
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        Moment {
            time: self.time(),
            wall_ms,
        }
    }

    /// The steady clock.
    pub(crate) fn time(&self) -> Time {
        self.steady.time()
    }

    /// How long it is until `time`; zero if it has come.
    pub(crate) fn until(&self, time: Time) -> Duration {
        time.since(self.time())
    }

    /// Waits until `time`, for ever if there is none.
    pub(crate) async fn sleep_until(&self, time: Option<Time>) {
        match time {
            Some(time) => {
                let instant = self.steady.start + time.since_start();
                tokio::time::sleep_until(tokio::time::Instant::from_std(instant)).await;
            }
            None => std::future::pending().await,
        }
    }
}

fn milliseconds(time: Time) -> u64 {
    u64::try_from(time.since_start().as_millis()).unwrap_or(u64::MAX)
}
