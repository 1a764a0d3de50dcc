//! An atomic batch arrives whole: a vnode that has one event of a span has all of them.
//!
//! A vnode on a new disk is let off until it has caught up: the dotlogs of the others have
//! forgotten parts of old spans, each event when it was safe, and those come by the full sync.

use super::Observation;
use crate::sim::ledger::Ledger;
use crdt::Dot;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Committed(committed) = observation else {
        return Ok(());
    };
    let clock = committed.vnode.clock();
    if !ledger.new_disks.is_empty() {
        return Ok(());
    }
    for event in committed.events {
        let mut span = (event.first..=event.last).map(|n| Dot::new(event.dot.actor, n));
        if let Some(missing) = span.find(|&mate| !clock.contains(mate)) {
            let (node, dot) = (committed.node, event.dot);
            return Err(format!(
                "node {node} has {dot} and not {missing} of the same batch"
            ));
        }
    }
    Ok(())
}
