//! A node keeps what it acknowledged, through every crash that the level of the ack survives.
//!
//! | acknowledged at | kill -9 | power loss | a new disk |
//! |---|---|---|---|
//! | memory | may be lost | may be lost | may be lost |
//! | wal | kept | may be lost | may be lost |
//! | synced | kept | kept | may be lost |
//!
//! At every start a node's clocks, or its hints, hold all that it still stands by; at the end every
//! event that at least one node stands by is at all owners. So a write acknowledged `synced` at w
//! survives any w - 1 lost disks.

use std::iter;

use super::Observation;
use crate::sim::ledger::Ledger;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    match observation {
        Observation::Recovered { node, replica } => {
            for (dot, level) in ledger.promised_by(*node) {
                let Some(entry) = ledger.entry(dot) else {
                    continue;
                };
                let subject = ledger.subject_of(&entry.event.row.prefix());
                let holds = subject.is_none_or(|subject| match replica.vnode(subject.vnode) {
                    Some(vnode) => vnode.clock().contains(dot),
                    None => replica.hints().holds(subject.vnode, iter::once(dot)),
                });
                if !holds {
                    let row = &entry.event.row;
                    return Err(format!(
                        "node {node} lost {dot} of {row}, acked at {level:?}"
                    ));
                }
            }
            Ok(())
        }
        Observation::Quiet(nodes) => {
            for entry in ledger
                .entries()
                .iter()
                .filter(|e| ledger.holders(e.event.dot) > 0)
            {
                let (dot, row) = (entry.event.dot, &entry.event.row);
                let Some(subject) = ledger.subject_of(&row.prefix()) else {
                    continue;
                };
                for resting in *nodes {
                    let vnode = resting.replica.vnode(subject.vnode);
                    if vnode.is_some_and(|vnode| !vnode.clock().contains(dot)) {
                        let node = resting.node;
                        return Err(format!("at rest, node {node} lacks {dot} of {row}, acked"));
                    }
                }
            }
            Ok(())
        }
        Observation::Committed(_)
        | Observation::Entered { .. }
        | Observation::Read(_)
        | Observation::CarriedOut { .. }
        | Observation::Dropped { .. } => Ok(()),
    }
}
