//! How many orders a node takes on at one time.
//!
//! What is under way is what is finished in a second times the seconds that each takes (Little,
//! *A Proof for the Queuing Formula L = λW*, 1961). So a node that takes on no more than it lately
//! finished in a quarter of a second lets nobody wait for much longer than that, however many ask.
//! The others are refused at once, before anything is done, which costs next to nothing, and come
//! again after a pause. A node that took them all would finish none before its client has given
//! it up and asked anew: it would be busy with what nobody waits for, and stay so when the rush
//! is over.
//!
//! Of writes it takes on fewer still while its store is behind with what it puts off, and none any
//! more before the store makes all of them wait.

use std::time::Duration;

use super::Outcome;
use crate::protocol::time::Time;

/// What was finished lately.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// The window that goes on, counted from the node's start.
    window: u64,
    /// Orders that succeeded in each of the last windows; that of window w lies at w modulo their
    /// number.
    finished: [usize; WINDOWS],
    /// Writes under way.
    writes: usize,
    /// Thousandths of those that may not be, because the store is behind.
    pressure: u16,
}

impl Admission {
    /// May one more order be taken on? There are so many under way, and never more than `most`.
    pub(super) fn takes(
        &mut self,
        now: Time,
        is_write: bool,
        (under_way, most): (usize, usize),
    ) -> bool {
        let limit = self.limit(now).min(most);
        let kept_free = limit.saturating_mul(self.pressure.into()) / 1_000;
        under_way < limit && (!is_write || self.writes < limit.saturating_sub(kept_free))
    }

    /// So many thousandths of the writes that may be under way may not, because the store is
    /// behind.
    pub(super) fn set_pressure(&mut self, thousandths: u16) {
        self.pressure = thousandths;
    }

    /// A write is taken on.
    pub(super) fn handle_write_begun(&mut self) {
        self.writes += 1;
    }

    /// An order has come to its end.
    pub(super) fn handle_end(&mut self, now: Time, outcome: &Outcome) {
        if let Outcome::Written(_) = outcome {
            self.writes = self.writes.saturating_sub(1);
        }
        if outcome.is_success() {
            self.handle_success(now);
        }
    }

    /// One has come to its end as was asked.
    fn handle_success(&mut self, now: Time) {
        self.turn_to(now);
        *self.count_of(self.window) += 1;
    }

    /// How many orders may be under way.
    fn limit(&mut self, now: Time) -> usize {
        self.turn_to(now);
        self.finished.into_iter().fold(ALWAYS, usize::max)
    }

    /// Forgets the windows that are over for too long.
    fn turn_to(&mut self, now: Time) {
        let window = now.since_start().as_nanos() / WINDOW.as_nanos();
        let window = u64::try_from(window).unwrap_or(u64::MAX);
        let begun = window.saturating_sub(self.window);
        for back in 0..begun.min(WINDOWS as u64) {
            *self.count_of(window - back) = 0;
        }
        self.window = self.window.max(window);
    }

    fn count_of(&mut self, window: u64) -> &mut usize {
        let [first, others @ ..] = &mut self.finished;
        let at = usize::try_from(window % WINDOWS as u64).unwrap_or(0);
        at.checked_sub(1)
            .and_then(|at| others.get_mut(at))
            .unwrap_or(first)
    }
}

/// For how long an order that is taken on may have to wait, about.
const WINDOW: Duration = Duration::from_millis(250);
/// The best of so many windows counts: a second, in which a stall is not yet taken for the rule.
const WINDOWS: usize = 4;
/// So many may be under way however few were finished: after a rest, or where each takes long.
const ALWAYS: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ALWAYS, Admission, Outcome, Time};
    use crate::protocol::coordinator::OrderFailed;

    fn at(ms: u64) -> Time {
        Time::default().after(Duration::from_millis(ms))
    }

    #[test]
    fn a_node_takes_on_what_it_finishes_in_a_quarter_of_a_second() {
        let mut admission = Admission::default();
        for ms in 1_000..1_250 {
            (0..20).for_each(|_| admission.handle_success(at(ms)));
        }
        assert_eq!(admission.limit(at(1_250)), 5_000);
        // A stall of less than a second changes nothing, a longer one all.
        assert_eq!(admission.limit(at(1_999)), 5_000);
        assert_eq!(admission.limit(at(2_000)), ALWAYS);
    }

    #[test]
    fn some_may_always_be_under_way() {
        let mut admission = Admission::default();
        assert_eq!(admission.limit(at(0)), ALWAYS);
        admission.handle_success(at(60_000));
        assert_eq!(admission.limit(at(60_001)), ALWAYS);
    }

    #[test]
    fn while_the_store_is_behind_fewer_writes_are_taken_on_and_reads_as_ever() {
        let mut admission = Admission::default();
        let writes = |admission: &mut Admission| {
            let begun = (0..2_000).take_while(|&n| {
                let is_taken = admission.takes(at(0), true, (n, usize::MAX));
                is_taken.then(|| admission.handle_write_begun()).is_some()
            });
            let begun = begun.count();
            let ended = Outcome::Written(Err(OrderFailed::Overloaded));
            (0..begun).for_each(|_| admission.handle_end(at(0), &ended));
            begun
        };
        let at_pressure = |pressure| {
            let mut admission = Admission::default();
            admission.set_pressure(pressure);
            writes(&mut admission)
        };
        assert_eq!([0, 500, 1_000].map(at_pressure), [ALWAYS, ALWAYS / 2, 0]);
        admission.set_pressure(1_000);
        assert!(admission.takes(at(0), false, (ALWAYS - 1, usize::MAX)));
        admission.set_pressure(0);
        assert_eq!(
            writes(&mut admission),
            ALWAYS,
            "it is over, and all have ended"
        );
    }

    #[test]
    fn the_best_window_of_the_last_second_counts() {
        let mut admission = Admission::default();
        for (ms, orders) in [(0, 2_000), (300, 3_000), (600, 1_500)] {
            (0..orders).for_each(|_| admission.handle_success(at(ms)));
        }
        assert_eq!(admission.limit(at(700)), 3_000);
        assert_eq!(admission.limit(at(1_300)), 1_500);
    }
}
