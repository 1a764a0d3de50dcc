//! What a client was told is *not applied* is not applied, and never will be.

use super::Observation;
use crate::sim::ledger::{Ending, Ledger};

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Quiet(nodes) = observation else {
        return Ok(());
    };
    for (index, operation) in ledger.operations.iter().enumerate() {
        if !matches!(operation.ended, Some((_, Ending::NotApplied))) {
            continue;
        }
        let vnode = ledger.subjects[operation.subject].vnode;
        for dot in ledger.dots_of(index) {
            let mut vnodes = nodes
                .iter()
                .filter_map(|resting| resting.replica.vnode(vnode));
            if vnodes.any(|vnode| vnode.clock().contains(dot)) {
                let id = operation.id;
                return Err(format!(
                    "{id} was called not applied, and is applied as {dot}"
                ));
            }
        }
    }
    Ok(())
}
