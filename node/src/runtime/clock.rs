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
    /// How far the wall clock is ahead of those of most nodes, in milliseconds.
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// A node starts now.
    pub(crate) fn start() -> Self {
        Self {
            steady: Steady::start(),
            ahead_ms: Arc::default(),
        }
    }

    /// Both clocks, where a wall clock that is known to be wrong is corrected.
    pub(crate) fn now(&self) -> Moment {
        let own = self.own();
        let ahead_ms = self.ahead_ms.load(Ordering::Relaxed);
        Moment {
            wall_ms: own.wall_ms.saturating_add_signed(-ahead_ms),
            ..own
        }
    }

    /// From now on the wall clock is known to be so far ahead of those of most nodes.
    pub(crate) fn correct(&self, ahead_ms: i64) {
        self.ahead_ms.store(ahead_ms, Ordering::Relaxed);
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
