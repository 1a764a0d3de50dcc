//! A replica shows exactly the maximal events of what it has seen.
//!
//! The ledger knows what each event covers from what its *client* had in hand, not from what the
//! nodes made of it. At any time a version that a replica shows is in its clock, is what its writer
//! wrote, and no event in the clock covers it: nothing deleted or overwritten comes back. And a
//! version that a replica has seen and does not show is covered by some event: nothing vanishes.
//!
//! At rest the second holds with an event that is *in the clock*. A kill that outlives the event
//! it came from would be a lost write, unless that event was a removal or a clear, or its version
//! is itself covered so: then nothing is missing that should be there. Such kills are the ones that
//! the row's context names (I2), and those of an event by which no node stands any more. They stay
//! when every disk that held the event is replaced before a full sync has brought its dot, while
//! the rows that it changed are there already, or are not there already; the vnode that has them
//! vouches for them then, so that all owners have them.
//!
//! What has an end may be gone after it, and ends at the same time everywhere.
//!
//! Shares of counters are joined by number when they are read and not by dots alone; their rows are
//! held to the first rule only, and [`counters`](super::counters) looks at their sums.

use std::collections::BTreeSet;

use super::Observation;
use crate::sim::ledger::{Entry, Ledger};
use crdt::kinds::Leaf;
use crdt::{Clock, Dot, Row};
use starling_node::protocol::keys::RowKey;
use starling_node::protocol::stage::{Family, Source, SourceError, decode_row};
use starling_node::protocol::vnode::Vnode;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    match observation {
        Observation::Committed(committed) => {
            for key in committed.rows {
                let found = check_row(key, committed.vnode, committed.source, ledger, |_, _| true);
                found.map_err(|what| format!("node {}: {what}", committed.node))?;
            }
            Ok(())
        }
        Observation::Quiet(nodes) => {
            let rows: BTreeSet<&RowKey> = ledger.entries().iter().map(|e| &e.event.row).collect();
            for resting in *nodes {
                for key in &rows {
                    let subject = ledger.subject_of(&key.prefix());
                    let vnode = subject.and_then(|subject| resting.replica.vnode(subject.vnode));
                    let Some(vnode) = vnode else { continue };
                    let is_known = |dot, row: &Row| is_known(dot, row, vnode.clock(), ledger);
                    check_row(key, vnode, resting.source, ledger, is_known)
                        .map_err(|what| format!("at rest, node {}: {what}", resting.node))?;
                }
            }
            Ok(())
        }
        Observation::Recovered { .. }
        | Observation::Entered { .. }
        | Observation::Read(_)
        | Observation::CarriedOut { .. }
        | Observation::Dropped { .. } => Ok(()),
    }
}

/// `explains` says which covering events may have taken a version away.
fn check_row(
    key: &RowKey,
    vnode: &Vnode,
    source: &dyn Source,
    ledger: &Ledger,
    explains: impl Fn(Dot, &Row) -> bool,
) -> Result<(), String> {
    let Some(mut row) = row_of(key, source)? else {
        return Ok(());
    };
    vnode.clears().hide(key, &mut row);
    let clock = vnode.clock();
    for (&dot, version) in row.versions() {
        let entry = ledger
            .entry(dot)
            .ok_or_else(|| format!("{key} shows the phantom {dot}"))?;
        if !clock.contains(dot) {
            return Err(format!("{key} shows {dot}, which is not in the clock"));
        }
        if entry
            .body
            .as_ref()
            .is_some_and(|body| *body != version.body)
        {
            return Err(format!(
                "{key} shows {dot} with another body than was written"
            ));
        }
        if version.expires_ms != entry.expires_ms {
            return Err(format!(
                "{key} shows {dot}, which ends at another time than was said"
            ));
        }
        let is_share = key.leaf() == Leaf::Share;
        if let Some(by) = entry
            .covered_by
            .iter()
            .find(|&&by| !is_share && clock.contains(by))
        {
            return Err(format!("{key} shows {dot}, which {by} covers"));
        }
    }
    // A clear is forgotten when there is nothing left of it.
    if matches!(key.leaf(), Leaf::Share | Leaf::Cleared) {
        return Ok(());
    }
    let hidden = |entry: &&Entry| {
        let dot = entry.event.dot;
        let is_over = entry.expires_ms.is_some_and(|end| end <= ledger.wall_ms);
        let is_hidden = clock.contains(dot) && !row.versions().contains_key(&dot) && !is_over;
        entry.event.row == *key && entry.body.is_some() && is_hidden
    };
    let prefix = key.prefix();
    let lost = ledger.entries_of(&prefix).filter(hidden);
    let mut unexplained =
        lost.filter(|entry| !entry.covered_by.iter().any(|&by| explains(by, &row)));
    match unexplained.next() {
        None => Ok(()),
        Some(Entry {
            event, covered_by, ..
        }) => Err(format!(
            "{key} has seen {} and does not show it, covered by {}",
            event.dot,
            if covered_by.is_empty() {
                "nothing"
            } else {
                "nothing that it has seen"
            },
        )),
    }
}

/// Is an event seen, or is all that is left of it a kill that hides no version of its own?
fn is_known(dot: Dot, row: &Row, clock: &Clock, ledger: &Ledger) -> bool {
    if clock.contains(dot) {
        return true;
    }
    let is_left = row.context().contains(dot) || ledger.holders(dot) == 0;
    let entry = ledger.entry(dot).filter(|_| is_left);
    entry.is_some_and(|entry| {
        let mut covering = entry.covered_by.iter();
        let is_removal = entry.body.is_none() || entry.event.row.leaf() == Leaf::Cleared;
        is_removal || covering.any(|&by| is_known(by, row, clock, ledger))
    })
}

/// The stored row of a key; none if an injected fault keeps it from being read, or damaged it.
pub(super) fn row_of(key: &RowKey, source: &dyn Source) -> Result<Option<Row>, String> {
    let Ok(stored) = source.get(Family::Data, key.as_bytes()) else {
        return Ok(None);
    };
    let Some(stored) = stored else {
        return Ok(Some(Row::default()));
    };
    match decode_row(key.as_bytes(), &stored) {
        Ok(row) => Ok(Some(row)),
        Err(SourceError::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
