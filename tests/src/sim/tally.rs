//! How often each path was walked: a run that never lost a message has not tested loss.

use std::collections::BTreeMap;
use std::fmt;

/// Counts by name.
#[derive(Debug, Clone, Default)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    /// Counts one more.
    pub(crate) fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    /// Counts some more.
    pub(crate) fn add(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }

    /// Adds the counts of another run.
    pub fn join(&mut self, other: &Self) {
        for (&what, &times) in &other.0 {
            self.add(what, times);
        }
    }

    /// How often it happened.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// What of [`SOMETIMES`] never happened.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        SOMETIMES
            .iter()
            .copied()
            .filter(|what| self.of(what) == 0)
            .collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, times) in &self.0 {
            writeln!(f, "  {times:>9}  {what}")?;
        }
        Ok(())
    }
}

/// What must happen at least once over a range of seeds, or the range proves nothing.
pub const SOMETIMES: &[&str] = &[
    "a batch was lost in a crash",
    "a body was asked for after all",
    "a body was left out",
    "a catching-up replica did not count",
    "a collection was cleared at once",
    "a coordinator answered below quorum",
    "a coordinator did not know",
    "a counter was reset",
    "a disk was restored from a backup",
    "a disk was wiped",
    "a dotlog entry was trimmed",
    "a full sync was finished",
    "a hint was dropped",
    "a hint was kept",
    "a link was cut",
    "a lost version was restored",
    "a machine crashed",
    "a message was delivered twice",
    "a message was lost",
    "a monotonic read was checked",
    "a monotonic read was not confirmed",
    "a node was paused",
    "a peer was far behind",
    "a process crashed",
    "a pull brought rows",
    "a quorum read was checked",
    "a read repaired",
    "a read showed siblings",
    "a reset share was collected",
    "a retry hit a record",
    "a row was damaged",
    "a row was lost in silence",
    "a session read was checked",
    "a session waited in vain",
    "a stand-in coordinated",
    "a stand-in counted",
    "a store failed",
    "something of a vnode could not be read",
    "a vnode began anew after damage",
    "a vnode went into quarantine",
    "a wall clock jumped",
    "an acknowledged write was lost as its level allows",
    "an increment was made void",
    "what was late was refused",
];
