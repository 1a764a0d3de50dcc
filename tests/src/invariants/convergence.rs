//! Some seconds after the last fault heals, every replica of a key is byte-identical.
//!
//! The clocks of a vnode's owners are equal, and so are their rows in canonical form: stripped by
//! the clock, with contexts that speak of versions of the row itself which it does not show: that
//! a row has seen what it shows needs no saying, and a removal's own dot shows nowhere. (What a
//! context says of another row, or of an event that was lost with its disks after a client had seen
//! it, kills nothing. It goes when the clock explains it, and where a disk took part of an actor's
//! events with it, that may be never. So each owner forgets a clear by itself when it has seen all
//! that the clear names, and the rows of clears are compared where nothing was lost.)
//!
//! Where nothing was lost, stored rows have no context left at all and dotlogs are empty: every
//! owner holds everything durably and knows that all do.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::{Observation, Resting};
use crate::sim::bits;
use crate::sim::ledger::Ledger;
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::kinds::counter::Share;
use crdt::{Context, Row};
use ring::VnodeId;
use starling_node::protocol::event::Event;
use starling_node::protocol::keys::{RowKey, data_range, vnode_end, vnode_prefix};
use starling_node::protocol::stage::{Family, decode_row};
use starling_node::protocol::vnode::Vnode;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Quiet(nodes) = observation else {
        return Ok(());
    };
    is_converged(nodes, ledger)?;
    if ledger.has_loss {
        return Ok(());
    }
    for resting in *nodes {
        for vnode in resting.replica.vnodes() {
            is_settled(resting, vnode.id())?;
        }
    }
    Ok(())
}

/// Are the clocks and rows of all owners equal?
pub(crate) fn is_converged(nodes: &[Resting<'_>], ledger: &Ledger) -> Result<(), String> {
    let mut first: BTreeMap<VnodeId, &Resting<'_>> = BTreeMap::new();
    for resting in nodes {
        for vnode in resting.replica.vnodes() {
            let id = vnode.id();
            let Some(other) = first.get(&id) else {
                first.insert(id, resting);
                continue;
            };
            let (a, b) = (other.node, resting.node);
            let theirs = other.replica.vnode(id).map(|vnode| vnode.clock().clone());
            if theirs.as_ref() != Some(vnode.clock()) {
                return Err(format!("the clocks of {id:?} at nodes {a} and {b} differ"));
            }
            let vnodes: Vec<&Vnode> = other.replica.vnode(id).into_iter().chain([vnode]).collect();
            let mine = rows(resting, id, &vnodes, ledger)?;
            let theirs = rows(other, id, &vnodes, ledger)?;
            for key in mine.keys().chain(theirs.keys()) {
                if mine.get(key) != theirs.get(key) {
                    let (here, there) = (mine.get(key), theirs.get(key));
                    let key = key.escape_ascii();
                    return Err(format!(
                        "the rows of {key} at nodes {a} and {b} differ: {there:?}, {here:?}"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// The canonical rows of a vnode, to compare with those of another.
fn rows(
    resting: &Resting<'_>,
    id: VnodeId,
    both: &[&Vnode],
    ledger: &Ledger,
) -> Result<BTreeMap<Vec<u8>, Row>, String> {
    let mut rows = BTreeMap::new();
    let Some(vnode) = resting.replica.vnode(id) else {
        return Ok(rows);
    };
    for (key, stored) in entries(resting, Family::Data, &data_range(id, bits()))? {
        let of = RowKey::decode(&key).map_err(|error| error.to_string())?;
        if ledger.has_loss && of.leaf() == Leaf::Cleared {
            continue;
        }
        let mut row = decode_row(&key, &stored).map_err(|error| error.to_string())?;
        row.strip(vnode.clock());
        let cleared = cleared(both, &key);
        let mut own = Context::default();
        let of_row = |event: &Event| event.row.as_bytes() == key && event.has_version();
        for entry in ledger.entries().iter().filter(|e| of_row(&e.event)) {
            let dot = entry.event.dot;
            let is_killed = row.context().contains(dot) && !row.versions().contains_key(&dot);
            // What a clear names needs no context where the clear is known, and has one where it
            // came after the clear was forgotten.
            if is_killed && vnode.clock().contains(dot) && !cleared.contains(dot) {
                own.insert(dot);
            }
        }
        row.set_context(own);
        if !row.is_empty() {
            rows.insert(key, row);
        }
    }
    Ok(rows)
}

/// What the clears that these vnodes know name of a row.
fn cleared(vnodes: &[&Vnode], key: &[u8]) -> DotSet {
    let mut dots = DotSet::default();
    let Ok(row) = RowKey::decode(key) else {
        return dots;
    };
    for vnode in vnodes {
        let around: Vec<&RowKey> = vnode.clears().around(&row).collect();
        let all = vnode.clears().iter();
        all.filter(|(clear, _)| around.contains(clear))
            .for_each(|(_, removed)| dots.join(removed));
    }
    dots
}

/// Has everything that has an end been removed after it?
pub(crate) fn nothing_is_over(resting: &Resting<'_>, id: VnodeId) -> Result<(), String> {
    for (key, stored) in entries(resting, Family::Data, &data_range(id, bits()))? {
        let row = decode_row(&key, &stored).map_err(|error| error.to_string())?;
        if row
            .versions()
            .values()
            .any(|version| version.expires_ms.is_some())
        {
            let (node, key) = (resting.node, key.escape_ascii());
            return Err(format!("node {node} still holds what is over, in {key}"));
        }
    }
    Ok(())
}

/// Has the vnode nothing left to tell and nothing left to explain?
pub(crate) fn is_settled(resting: &Resting<'_>, id: VnodeId) -> Result<(), String> {
    let node = resting.node;
    let range = (vnode_prefix(id).to_vec(), vnode_end(id));
    let left = entries(resting, Family::Dotlog, &range)?.len();
    if left > 0 {
        return Err(format!(
            "node {node} did not trim {left} entries of the dotlog of {id:?}"
        ));
    }
    for (key, stored) in entries(resting, Family::Data, &data_range(id, bits()))? {
        let row = decode_row(&key, &stored).map_err(|error| error.to_string())?;
        if !row.context().is_empty() {
            let key = key.escape_ascii();
            return Err(format!("node {node} did not settle {key}"));
        }
        let of = RowKey::decode(&key).map_err(|error| error.to_string())?;
        let is_own = resting.replica.vnode(id).map(Vnode::actor) == of.actor();
        if is_own && of.leaf() == Leaf::Share {
            let share = Share::of(&row).map_err(|error| error.to_string())?;
            if share.is_reset() {
                return Err(format!("node {node} keeps its share {of}, which is reset"));
            }
        }
    }
    Ok(())
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn entries(
    resting: &Resting<'_>,
    family: Family,
    (from, to): &(Vec<u8>, Vec<u8>),
) -> Result<Entries, String> {
    let mut entries = Vec::new();
    let scanned = resting.source.scan(family, from, to, &mut |key, value| {
        entries.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    });
    scanned.map_err(|error| error.to_string())?;
    Ok(entries)
}
