//! Marks stand for the rows of sets and lists that show something, and for nothing else.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::Observation;
use crate::sim::ledger::Ledger;
use starling_node::protocol::keys::RowKey;
use starling_node::protocol::samples::mark_key;
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

/// The marks that only the rows or only the sample have.
fn differing(source: &dyn Source) -> Result<Vec<Vec<u8>>, SourceError> {
    let (mut wanted, mut marks) = (BTreeSet::new(), BTreeSet::new());
    let mut failed = None;
    source.scan(Family::Data, &[0], &[u8::MAX], &mut |key, stored| {
        let mark = RowKey::decode(key).ok().and_then(|key| mark_key(&key));
        match decode_row(key, stored) {
            Ok(row) if !row.versions().is_empty() => wanted.extend(mark),
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
        ControlFlow::Continue(())
    })?;
    source.scan(Family::Meta, b"sampled", b"samplee", &mut |mark, _| {
        marks.insert(mark.to_vec());
        ControlFlow::Continue(())
    })?;
    let differing = wanted.symmetric_difference(&marks).cloned().collect();
    failed.map_or(Ok(differing), Err)
}
