//! A stand-in drops a hint when every owner has it durably, and not before; once all
//! is healed it drops all.
//!
//! An owner whose disk was replaced since the hint was taken is let off: it may have said that it
//! had it, and have lost it. So is one that has not read its vnode yet, or cannot at this moment.

use super::Observation;
use crate::sim::ledger::Ledger;

pub(super) fn check(observation: &Observation<'_>, _: &Ledger) -> Result<(), String> {
    match observation {
        Observation::Dropped {
            node,
            dot,
            owner,
            holds: false,
        } => Err(format!(
            "node {node} drops its hint {dot}, which owner {owner} lacks"
        )),
        Observation::Quiet(nodes) => {
            let mut kept = nodes
                .iter()
                .filter(|resting| !resting.replica.hints().is_empty());
            kept.next().map_or(Ok(()), |resting| {
                let node = resting.node;
                Err(format!("at rest, node {node} still keeps hints"))
            })
        }
        _ => Ok(()),
    }
}
