//! The instants that machines are handed.

use std::fmt;
use std::time::Duration;

/// An instant on the node's steady clock: the time since the node started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The instant that does not come.
    pub const NEVER: Self = Self(Duration::MAX);

    /// The instant `since_start` after the node's start.
    #[must_use]
    pub fn at(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The instant `later` after this one.
    #[must_use]
    pub fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }

    /// How long this instant lies after `earlier`; zero if it does not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The time since the node's start.
    #[must_use]
    pub fn since_start(self) -> Duration {
        self.0
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.0.as_secs_f64())
    }
}

/// Both clocks at one moment: the steady one for deadlines, the wall for stamps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// The steady clock.
    pub time: Time,
    /// Milliseconds since the Unix epoch by the wall clock, which may jump.
    pub wall_ms: u64,
}
