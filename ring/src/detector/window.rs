//! The last 128 intervals between heartbeats, with their mean and deviation.
//!
//! Intervals are kept in whole microseconds and their sums in integers, so that what is added is
//! taken out again exactly: a floating-point sum would drift over months.

use std::collections::VecDeque;
use std::time::Duration;

/// A sliding window of intervals. When it is full the oldest makes room.
#[derive(Clone, Debug)]
pub(super) struct Window {
    samples: VecDeque<u32>,
    sum: u128,
    sum_of_squares: u128,
}

impl Window {
    /// Begins with two samples, `interval` and a quarter of it to either side, so that the first
    /// real ones do not meet a deviation of zero.
    pub(super) fn new(interval: Duration) -> Self {
        let mut window = Self {
            samples: VecDeque::new(),
            sum: 0,
            sum_of_squares: 0,
        };
        let quarter = interval / 4;
        window.insert(interval.saturating_sub(quarter));
        window.insert(interval.saturating_add(quarter));
        window
    }

    /// Takes an interval in. One above 71 minutes counts as 71 minutes.
    pub(super) fn insert(&mut self, interval: Duration) {
        if self.samples.len() >= CAPACITY
            && let Some(oldest) = self.samples.pop_front()
        {
            self.sum -= u128::from(oldest);
            self.sum_of_squares -= u128::from(oldest) * u128::from(oldest);
        }
        let sample = u32::try_from(interval.as_micros()).unwrap_or(u32::MAX);
        self.samples.push_back(sample);
        self.sum += u128::from(sample);
        self.sum_of_squares += u128::from(sample) * u128::from(sample);
    }

    /// The mean in seconds.
    pub(super) fn mean(&self) -> f64 {
        seconds(self.sum) / self.count()
    }

    /// The standard deviation in seconds.
    pub(super) fn sigma(&self) -> f64 {
        let count = self.samples.len() as u128;
        let scaled = (self.sum_of_squares * count).saturating_sub(self.sum * self.sum);
        (scaled as f64).sqrt() / self.count() / MICROS
    }

    /// All intervals, the oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Duration> {
        self.samples
            .iter()
            .map(|&sample| Duration::from_micros(u64::from(sample)))
    }

    fn count(&self) -> f64 {
        self.samples.len() as f64
    }
}

fn seconds(micros: u128) -> f64 {
    micros as f64 / MICROS
}

const CAPACITY: usize = 128;
const MICROS: f64 = 1e6;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, proptest};

    use super::{CAPACITY, Window};

    proptest! {
        #[test]
        fn mean_and_sigma_are_those_of_the_last_samples(micros in vec(1_u32..5_000_000, 130..400)) {
            let mut window = Window::new(Duration::from_millis(500));
            for sample in &micros {
                window.insert(Duration::from_micros(u64::from(*sample)));
            }
            let last = &micros[micros.len() - CAPACITY..];
            let count = last.len() as f64;
            let mean = last.iter().map(|s| f64::from(*s)).sum::<f64>() / count / 1e6;
            let square = |s: &u32| (f64::from(*s) / 1e6 - mean).powi(2);
            let sigma = (last.iter().map(square).sum::<f64>() / count).sqrt();
            prop_assert!((window.mean() - mean).abs() < 1e-9);
            prop_assert!((window.sigma() - sigma).abs() < 1e-6);
            prop_assert!(window.iter().count() == CAPACITY);
        }
    }

    #[test]
    fn a_new_window_has_the_expected_interval_and_a_quarter_of_it() {
        let window = Window::new(Duration::from_millis(500));
        assert!((window.mean() - 0.5).abs() < 1e-9);
        assert!((window.sigma() - 0.125).abs() < 1e-9);
    }
}
