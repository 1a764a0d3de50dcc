//! How a history went, in numbers.

use std::fmt;
use std::ops::AddAssign;

use crate::history::{Action, History, Outcome};

/// Counts of events by how they ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Writes that are applied for certain.
    pub acknowledged: usize,
    /// Writes that may be applied.
    pub open: usize,
    /// Writes that were refused for certain.
    pub refused: usize,
    /// Reads that succeeded.
    pub read: usize,
    /// Reads that failed.
    pub unread: usize,
}

impl Tally {
    /// Counts.
    pub fn of(history: &History) -> Self {
        let mut tally = Self::default();
        for event in &history.events {
            let count = match (&event.action, &event.outcome) {
                (Action::Read, Outcome::Observed(_)) => &mut tally.read,
                (Action::Read, _) => &mut tally.unread,
                (_, Outcome::Applied { .. }) => &mut tally.acknowledged,
                (_, Outcome::Unknown) => &mut tally.open,
                (_, Outcome::Refused | Outcome::Observed(_)) => &mut tally.refused,
            };
            *count += 1;
        }
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.open += other.open;
        self.refused += other.refused;
        self.read += other.read;
        self.unread += other.unread;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            acknowledged,
            open,
            refused,
            read,
            unread,
        } = self;
        write!(
            f,
            "writes: {acknowledged} acknowledged, {open} left open, {refused} refused; reads: \
             {read} answered, {unread} failed"
        )
    }
}
