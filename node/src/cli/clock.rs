//! What the commands need of the process's clocks.

use std::time::Duration;

use crate::protocol::time::Time;
use crate::runtime::clock::{Clock, Steady};

/// Measures how long something takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    clock: Steady,
    start: Time,
}

impl Stopwatch {
    /// Begins now.
    pub(crate) fn start() -> Self {
        let clock = Steady::start();
        Self {
            clock,
            start: clock.time(),
        }
    }

    /// The time since it began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.time().since(self.start)
    }
}

/// The wall clock: how long ago 1970 began.
pub(crate) fn wall() -> Duration {
    Duration::from_millis(Clock::start().now().wall_ms)
}
