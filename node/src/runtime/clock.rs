//! The node's clocks: the only place that reads them. Machines are handed a [`Moment`].

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::protocol::time::{Moment, Time};

/// The clocks of one node, whose steady time begins when this is made. Copies share the beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// A node starts now.
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Both clocks.
    pub(crate) fn now(self) -> Moment {
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
    pub(crate) fn time(self) -> Time {
        Time::at(self.start.elapsed())
    }

    /// How long it is until `time`; zero if it has come.
    pub(crate) fn until(self, time: Time) -> Duration {
        time.since(self.time())
    }

    /// Waits until `time`, for ever if there is none.
    pub(crate) async fn sleep_until(self, time: Option<Time>) {
        match time {
            Some(time) => {
                let instant = self.start + time.since_start();
                tokio::time::sleep_until(tokio::time::Instant::from_std(instant)).await;
            }
            None => std::future::pending().await,
        }
    }
}
