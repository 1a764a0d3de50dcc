//! Who covers one alias of a version covers all of them.
//!
//! A write that was retried elsewhere is one version under several dots. At rest either all of them
//! stand in the row or none does: one that stands alone came back after its write was removed or
//! replaced. Only a copy that was written over what no copy that is gone was written over may stand
//! for that. Where a disk took events with it, what is known of aliases may be gone too.

use std::collections::BTreeMap;

use super::Observation;
use super::causality::row_of;
use crate::sim::ledger::{Entry, Ledger};
use crdt::kinds::Leaf;
use starling_node::protocol::event::Event;
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
            let here = entries.iter().map(|entry| &entry.event);
            let here = here.filter(|event| vnode.clock().contains(event.dot));
            let (standing, gone): (Vec<&Event>, Vec<&Event>) =
                here.partition(|event| row.versions().contains_key(&event.dot));
            let mut standing = standing.into_iter();
            let stands = standing.find(|stands| !covers_alone(stands, &gone));
            if let (Some(stands), Some(gone)) = (stands, gone.first()) {
                let (node, id) = (resting.node, ledger.operations[*operation].id);
                let (stands, gone) = (stands.dot, gone.dot);
                return Err(format!(
                    "node {node} shows {stands} of {id} in {key}, although its alias {gone} is gone"
                ));
            }
        }
    }
    Ok(())
}

/// Was it written over what others wrote, and none of the `gone`?
fn covers_alone(stands: &Event, gone: &[&Event]) -> bool {
    let mut alone = stands.covers.clone();
    for other in gone {
        alone = alone.difference(&other.covers);
    }
    !alone.is_empty()
}

/// Numbers are joined when they are read, and whoever raises one may find nothing to do.
fn has_aliases(leaf: Leaf) -> bool {
    !matches!(
        leaf,
        Leaf::Share | Leaf::Max | Leaf::Min | Leaf::Sketch | Leaf::Rights | Leaf::Cleared
    )
}
