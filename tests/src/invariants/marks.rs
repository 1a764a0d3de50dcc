//! Marks stand for the rows of sets, lists and maps that show something, and for the shares in
//! fields of maps that hold something, and for nothing else.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::Observation;
use crate::sim::ledger::Ledger;
use starling_node::protocol::keys::RowKey;
use starling_node::protocol::samples::{self, names};
use starling_node::protocol::shares;
use starling_node::protocol::stage::{Family, Source, SourceError, decode_row};

pub(super) fn check(observation: &Observation<'_>, _ledger: &Ledger) -> Result<(), String> {
    let Observation::Quiet(resting) = observation else {
        return Ok(());
    };
    for resting in *resting {
        let differ = differing(resting.source).map_err(|error| error.to_string())?;
        if let Some(mark) = differ.first() {
            let (node, mark) = (resting.node, mark.escape_ascii());
            return Err(format!(
                "node {node}: {mark} is marked and not stored, or stored and not marked"
            ));
        }
    }
    Ok(())
}

/// The marks that only the rows ask for or only the store has.
fn differing(source: &dyn Source) -> Result<Vec<Vec<u8>>, SourceError> {
    let (mut wanted, mut marks) = (BTreeSet::new(), BTreeSet::new());
    let mut failed = None;
    source.scan(Family::Data, &[0], &[u8::MAX], &mut |key, stored| {
        match (RowKey::decode(key), decode_row(key, stored)) {
            (Ok(key), Ok(row)) => {
                let sampled = samples::mark_key(&key).filter(|_| !row.versions().is_empty());
                let share = shares::mark_key(&key).filter(|_| shares::is_marked(&row));
                let names = names::mark_keys(&key).into_iter();
                let names = names.filter(|_| names::is_marked(&key, &row));
                wanted.extend(sampled.into_iter().chain(share).chain(names));
            }
            (_, Err(error)) => failed = Some(error),
            (Err(_), Ok(_)) => {}
        }
        ControlFlow::Continue(())
    })?;
    for (from, to) in [
        ("sampled", "samplee"),
        ("names", "namet"),
        ("shares", "sharet"),
    ] {
        let (from, to) = (from.as_bytes(), to.as_bytes());
        source.scan(Family::Meta, from, to, &mut |mark, _| {
            marks.insert(mark.to_vec());
            ControlFlow::Continue(())
        })?;
    }
    let differing = wanted.symmetric_difference(&marks).cloned().collect();
    failed.map_or(Ok(differing), Err)
}
