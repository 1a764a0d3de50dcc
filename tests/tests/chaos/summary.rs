//! What a run has seen, as a table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::plan::Plan;
use starling_tests::workload::{Tally, Verdict};

/// Sums over all rounds.
#[derive(Debug, Default)]
pub struct Summary {
    rounds: usize,
    /// By sort of fault: how often, and how long altogether.
    faults: BTreeMap<&'static str, (usize, Duration)>,
    tally: Tally,
    equal_after: Vec<Duration>,
    settled_after: Vec<Duration>,
}

impl Summary {
    /// Adds a round.
    pub fn add(&mut self, plan: &Plan, verdict: &Verdict) {
        self.rounds += 1;
        for episode in &plan.episodes {
            let (count, time) = self.faults.entry(episode.fault.sort()).or_default();
            *count += 1;
            *time += episode.end.saturating_sub(episode.begin);
        }
        self.tally += verdict.tally;
        self.equal_after.push(verdict.equal_after);
        self.settled_after.push(verdict.settled_after);
    }

    /// What was done, over all rounds.
    pub fn tally(&self) -> Tally {
        self.tally
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<28}{:>9}{:>12}", "fault", "times", "together")?;
        for (sort, (count, time)) in &self.faults {
            writeln!(f, "{sort:<28}{count:>9}{:>10.0} s", time.as_secs_f64())?;
        }
        let Tally {
            acknowledged,
            open,
            refused,
            read,
            unread,
        } = self.tally;
        writeln!(f, "\n{:<28}{:>9}", "outcome", "count")?;
        for (name, count) in [
            ("rounds", self.rounds),
            ("writes acknowledged", acknowledged),
            ("writes left open", open),
            ("writes refused", refused),
            ("reads answered", read),
            ("reads failed", unread),
        ] {
            writeln!(f, "{name:<28}{count:>9}")?;
        }
        writeln!(
            f,
            "\n{:<28}{:>9}{:>12}",
            "after the heal", "median", "longest"
        )?;
        for (name, times) in [
            ("replicas equal", &self.equal_after),
            ("and the history checked", &self.settled_after),
        ] {
            let (median, longest) = middle_and_end(times);
            writeln!(f, "{name:<28}{median:>7.1} s{longest:>10.1} s")?;
        }
        Ok(())
    }
}

/// The median and the maximum, in seconds.
fn middle_and_end(times: &[Duration]) -> (f64, f64) {
    let mut times = times.to_vec();
    times.sort();
    let seconds = |time: Option<&Duration>| time.map_or(0.0, Duration::as_secs_f64);
    (seconds(times.get(times.len() / 2)), seconds(times.last()))
}
