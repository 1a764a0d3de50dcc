//! When operations begin: whenever a worker is free, or at a rate that was asked for.
//!
//! At a rate, operation number i is due i / rate seconds after the beginning, whether the one
//! before has ended or not, as with users who do not wait for each other. Its latency is counted
//! from when it was due if every worker was busy then: what it waited for is the cluster. (A
//! closed loop leaves just that out: Tene, *How NOT to Measure Latency*, "coordinated omission".)

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cli::clock::Stopwatch;

/// Gives out operations and says when each is due.
#[derive(Debug)]
pub(super) struct Pace {
    /// Operations a second; `None` for as many as the workers manage.
    rate: Option<u32>,
    watch: Stopwatch,
    begun: AtomicU64,
}

/// An operation that was given out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// How many were before it.
    pub(super) number: u64,
    /// When it is to begin, since the beginning of all.
    pub(super) due: Duration,
}

impl Pace {
    pub(super) fn new(rate: Option<u32>) -> Self {
        Self {
            rate,
            watch: Stopwatch::start(),
            begun: AtomicU64::new(0),
        }
    }

    /// The next operation.
    pub(super) fn take(&self) -> Turn {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let due = self
            .rate
            .map_or_else(|| self.watch.elapsed(), |rate| due(number, rate));
        Turn { number, due }
    }

    /// How long until an operation is due; nothing if it should have begun.
    pub(super) fn ahead(&self, turn: Turn) -> Duration {
        turn.due.saturating_sub(self.watch.elapsed())
    }

    /// By how much an operation begins too late; at no rate, none does.
    pub(super) fn behind(&self, turn: Turn) -> Duration {
        match self.rate {
            Some(_) => self.watch.elapsed().saturating_sub(turn.due),
            None => Duration::ZERO,
        }
    }
}

fn due(number: u64, rate: u32) -> Duration {
    let nanos = u128::from(number) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Pace, due};

    #[test]
    fn operations_are_due_at_equal_distances() {
        assert_eq!(due(0, 2_000), Duration::ZERO);
        assert_eq!(due(1, 2_000), Duration::from_micros(500));
        assert_eq!(due(2_000_000, 2_000), Duration::from_secs(1_000));
    }

    #[test]
    fn without_a_rate_an_operation_is_due_at_once_and_never_late() {
        let pace = Pace::new(None);
        let turns = [pace.take(), pace.take()];
        assert_eq!(turns.map(|turn| turn.number), [0, 1]);
        assert_eq!(pace.ahead(turns[0]), Duration::ZERO);
        assert_eq!(pace.behind(turns[0]), Duration::ZERO);
    }
}
