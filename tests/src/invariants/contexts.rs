//! A context covers only what its reader saw, or what was overwritten before it read.
//!
//! "Overwritten" takes in what came before an event of another row of the key: who removes one
//! element over a context that holds another has seen both, and so has, by hearsay, who reads it.
//!
//! A context that covers more makes the reader's next write kill versions that nobody has read: a
//! clock newer than its row does that, and so does a dot that is claimed as a vector entry.

use std::collections::BTreeSet;

use super::Observation;
use crate::sim::ledger::Ledger;
use crdt::Dot;
use crdt::kinds::Leaf;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Read(answered) = observation else {
        return Ok(());
    };
    let rows = answered.done.rows.values();
    let shown: BTreeSet<Dot> = rows
        .flat_map(|row| row.versions().keys().copied())
        .collect();
    let context = &answered.done.context;
    let prefix = &ledger.subjects[answered.subject].prefix;
    for entry in ledger
        .entries_of(prefix)
        .filter(|entry| entry.body.is_some() && entry.event.row.leaf() != Leaf::Cleared)
    {
        let dot = entry.event.dot;
        let is_claimed = context.contains(dot) && !shown.contains(&dot);
        if is_claimed
            && !ledger
                .entries_of(prefix)
                .any(|later| later.covers.contains(dot))
        {
            let key = &entry.event.row;
            return Err(format!(
                "a read of {key} covers {dot}, which it did not show"
            ));
        }
    }
    Ok(())
}
