//! Who covers one alias of a version covers all of them.
//!
//! A write that was retried elsewhere is one version under several dots. At rest either all of them
//! stand in the row or none does: one that stands alone came back after its write was removed or
//! replaced. Where a disk took events with it, what is known of aliases may be gone too.

use std::collections::BTreeMap;

use super::Observation;
use super::causality::row_of;
use crate::sim::ledger::{Entry, Ledger};
use crdt::kinds::Leaf;
use starling_node::protocol::keys::RowKey;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Quiet(nodes) = observation else {
        return Ok(());
    };
    if ledger.has_loss {
        return Ok(());
    }
    let mut aliases: BTreeMap<(usize, &RowKey), Vec<&Entry>> = BTreeMap::new();
    for entry in ledger.entries().iter().filter(|entry| entry.body.is_some()) {
        let lasts = entry.expires_ms.is_none() && has_aliases(entry.event.row.leaf());
        if let Some(operation) = entry.operation.filter(|_| lasts) {
            let of_row = aliases.entry((operation, &entry.event.row)).or_default();
            of_row.push(entry);
        }
    }
    for ((operation, key), entries) in aliases.iter().filter(|(_, entries)| entries.len() > 1) {
        for resting in *nodes {
            let subject = ledger.subject_of(&key.prefix());
            let Some(vnode) = subject.and_then(|subject| resting.replica.vnode(subject.vnode))
            else {
                continue;
            };
            let Some(row) = row_of(key, resting.source)? else {
                continue;
            };
            let dots = entries.iter().map(|entry| entry.event.dot);
            let dots = dots.filter(|&dot| vnode.clock().contains(dot));
            let (stand, gone): (Vec<_>, Vec<_>) =
                dots.partition(|dot| row.versions().contains_key(dot));
            if let (Some(stands), Some(gone)) = (stand.first(), gone.first()) {
                let (node, id) = (resting.node, ledger.operations[*operation].id);
                return Err(format!(
                    "node {node} shows {stands} of {id} in {key}, although its alias {gone} is gone"
                ));
            }
        }
    }
    Ok(())
}

/// Numbers are joined when they are read, and whoever raises one may find nothing to do.
fn has_aliases(leaf: Leaf) -> bool {
    !matches!(
        leaf,
        Leaf::Share | Leaf::Max | Leaf::Min | Leaf::Sketch | Leaf::Rights | Leaf::Cleared
    )
}
