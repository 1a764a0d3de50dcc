//! The retry budget: retries may be a tenth of all requests, so that a cluster in trouble is not
//! buried under them.

use std::time::Duration;

/// A token bucket. Every call puts in a tenth of a retry; every paid retry takes one out.
///
/// A client that sends little has [`RESERVE`] retries, which come back one a second. A client that
/// sends much can save up to [`SAVINGS`] for the moment when a node goes away. At zero, calls fail
/// with their first error instead of being retried.
#[derive(Debug)]
pub(crate) struct Budget {
    /// In tenths of a retry.
    tenths: u32,
    refilled: Duration,
}

impl Budget {
    pub(crate) fn new(now: Duration) -> Self {
        Self {
            tenths: RESERVE * RETRY,
            refilled: now,
        }
    }

    /// Counts a call.
    pub(crate) fn handle_call(&mut self) {
        self.tenths = self.tenths.saturating_add(1).min(SAVINGS * RETRY);
    }

    /// Takes one retry out, if there is one.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        self.refill(now);
        match self.tenths.checked_sub(RETRY) {
            Some(rest) => {
                self.tenths = rest;
                true
            }
            None => false,
        }
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.refilled).as_secs();
        if passed > 0 {
            self.refilled = now;
            let back = u32::try_from(passed)
                .unwrap_or(u32::MAX)
                .saturating_mul(RETRY);
            let reserve = self.tenths.saturating_add(back).min(RESERVE * RETRY);
            self.tenths = self.tenths.max(reserve);
        }
    }
}

/// One retry, in tenths.
const RETRY: u32 = 10;
/// Retries that a client always gets back.
const RESERVE: u32 = 10;
/// Most retries that a client can save.
const SAVINGS: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::{Budget, Duration, RESERVE};

    fn drain(budget: &mut Budget, now: Duration) -> u32 {
        (0..).take_while(|_| budget.take(now)).map(|_| 1).sum()
    }

    #[test]
    fn a_tenth_of_the_calls_may_be_retried() {
        let mut budget = Budget::new(Duration::ZERO);
        assert_eq!(drain(&mut budget, Duration::ZERO), RESERVE);
        (0..200).for_each(|_| budget.handle_call());
        assert_eq!(drain(&mut budget, Duration::ZERO), 20);
    }

    #[test]
    fn the_reserve_comes_back_with_time_and_no_more_than_that() {
        let mut budget = Budget::new(Duration::ZERO);
        drain(&mut budget, Duration::ZERO);
        assert_eq!(drain(&mut budget, Duration::from_secs(3)), 3);
        assert_eq!(drain(&mut budget, Duration::from_secs(1_000_000)), RESERVE);
    }

    #[test]
    fn savings_are_limited_and_kept() {
        let mut budget = Budget::new(Duration::ZERO);
        (0..1_000_000).for_each(|_| budget.handle_call());
        assert_eq!(drain(&mut budget, Duration::from_secs(60)), 1_000);
    }
}
