//! A vnode that holds an operation's events knows a retry of it again.
//!
//! Otherwise it enters the operation a second time. That is healed where the two spans meet, but a
//! counter reads too high meanwhile, and what was replaced is back. A vnode on a new disk is let
//! off: the records come last in a full sync.

use super::Observation;
use crate::sim::ledger::Ledger;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Entered {
        node,
        operation,
        is_known,
        is_repeated,
    } = observation
    else {
        return Ok(());
    };
    if *is_known && !is_repeated && !ledger.new_disks.contains(node) {
        let id = ledger.operations[*operation].id;
        return Err(format!("node {node} holds {id} and entered it again"));
    }
    Ok(())
}
