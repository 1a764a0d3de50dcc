//! An owner trims what every owner holds durably: so whoever starts again after a crash has seen
//! all that somebody has trimmed, and needs no full sync for it.
//!
//! A node whose disk was replaced, or a vnode of which was damaged, is let off: it had said that it
//! held it, and has lost it.

use super::Observation;
use crate::sim::ledger::Ledger;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Recovered { node, replica } = observation else {
        return Ok(());
    };
    if ledger.new_disks.contains(node) {
        return Ok(());
    }
    for vnode in replica.vnodes() {
        let mut trimmed = ledger.trimmed_of(vnode.id());
        if let Some(dot) = trimmed.find(|&dot| !vnode.clock().contains(dot)) {
            return Err(format!(
                "node {node} lost {dot}, which another owner trimmed as durable everywhere"
            ));
        }
    }
    Ok(())
}
