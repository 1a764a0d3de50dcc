//! A read that overlaps an acknowledged write sees it (R+W>N), or what covers it.
//!
//! What is promised when: while at least `w` of the nodes that acknowledged the write still stand
//! by it, every read with `r + w > n` sees it that begins then. A crash takes a promise back when
//! it takes more than the write's durability survives; a wiped or restored disk takes back all
//! promises.
//!
//! In runs where a vnode that is catching up waits for every other owner, and no disk was silently
//! replaced by an older copy, one node that stands by a write at `wal` or `synced` is enough: who
//! lost it does not count until it has it again. A process that forgot what it had
//! acknowledged at `memory` knows of no loss.

use std::collections::BTreeSet;

use super::{Answered, Observation};
use crate::sim::N;
use crate::sim::ledger::{Acked, Ledger};
use crdt::Dot;
use crdt::kinds::Leaf;
use crdt::kinds::counter::Share;
use starling::wire::Durability;
use starling_node::protocol::coordinator::ReadDone;
use starling_node::protocol::event::{Effect, Operation};
use starling_node::protocol::keys::RowKey;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Read(answered) = observation else {
        return Ok(());
    };
    for acked in ledger.acked(answered.subject) {
        if is_owed(answered, acked, ledger) {
            let prefix = &ledger.subjects[answered.subject].prefix;
            let of_key = |dot: &&Dot| {
                ledger
                    .entry(**dot)
                    .is_some_and(|e| e.event.row.is_of(prefix))
            };
            for &dot in acked.dots.iter().filter(of_key) {
                is_seen(dot, answered.done, ledger).map_err(|what| {
                    let (w, r) = (acked.w, answered.r);
                    format!("a read with r = {r} missed a write with w = {w}: {what}")
                })?;
            }
        }
    }
    Ok(())
}

/// Must this read see this write?
pub(crate) fn is_owed(answered: &Answered<'_>, acked: &Acked, ledger: &Ledger) -> bool {
    let overlaps = usize::from(answered.r) + usize::from(acked.w) > N;
    let is_logged = ledger.operations[acked.operation].durability >= Durability::Wal;
    let is_strict = is_logged && ledger.plan.waits_for_all && !ledger.has_unknown_loss;
    let needed = if is_strict { 1 } else { usize::from(acked.w) };
    let holding = |dot| ledger.owners_holding(dot, answered.subject, answered.began);
    let is_held = acked.dots.iter().all(|&dot| holding(dot) >= needed);
    acked.at <= answered.began && overlaps && is_held
}

/// Did the actor of an increment remove its share later, when all of it was reset? No other event
/// of a vnode's own names its own dot.
fn was_collected(increment: Dot, share: &RowKey, ledger: &Ledger) -> bool {
    let prefix = share.prefix();
    let of_key = ledger.entries_of(&prefix);
    let mut of_row = of_key.filter(|entry| entry.event.row == *share);
    of_row.any(|entry| {
        let dot = entry.event.dot;
        let is_removal = entry.operation.is_none() && entry.covers.contains(dot);
        is_removal && dot.actor == increment.actor && dot.counter > increment.counter
    })
}

/// Does a read show an event, or what covers it?
pub(super) fn is_seen(dot: Dot, done: &ReadDone, ledger: &Ledger) -> Result<(), String> {
    let Some(entry) = ledger.entry(dot) else {
        return Ok(());
    };
    let key = &entry.event.row;
    if let Some(Operation {
        effect: Effect::Increment(_),
        ..
    }) = entry.event.operation
    {
        let share = done.rows.get(key).map(Share::of);
        let share = share.and_then(Result::ok).unwrap_or_default();
        let upto = share.added().upto;
        let is_gone = share.is_reset() && was_collected(dot, key, ledger);
        return if upto >= dot.counter || is_gone {
            Ok(())
        } else {
            Err(format!(
                "{key} holds increments up to {upto}, without {dot}"
            ))
        };
    }
    if key.leaf() == Leaf::Cleared {
        let rows = done.rows.iter().filter(|(row, _)| entry.is_about(row));
        let mut shown = rows.flat_map(|(_, row)| row.versions().keys());
        return match shown.find(|&&shown| entry.covers.contains(shown)) {
            Some(back) => Err(format!("{back} is shown, which {dot} cleared")),
            None => Ok(()),
        };
    }
    if entry.body.is_some() {
        // A version that was seen is shown or covered. In keys of many rows the context need not
        // hold what was covered in one of them.
        let is_alone = key.leaf() == Leaf::Value && key.path().names().is_empty();
        let is_covered = !is_alone && !entry.covered_by.is_empty();
        return if done.context.contains(dot) || is_covered {
            Ok(())
        } else {
            Err(format!("{key} does not show {dot} nor cover it"))
        };
    }
    let shown = done.rows.get(key).map(|row| row.versions().keys().copied());
    let shown: BTreeSet<Dot> = shown.into_iter().flatten().collect();
    match shown
        .into_iter()
        .find(|&shown| entry.covers.contains(shown))
    {
        Some(back) => Err(format!("{key} shows {back}, which {dot} removed")),
        None => Ok(()),
    }
}
