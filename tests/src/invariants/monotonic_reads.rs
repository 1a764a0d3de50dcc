//! Of two monotonic reads of a key the one that begins when the other is answered shows no less:
//! not without what that one showed, nor with what was gone by then.
//!
//! What is promised when: while nobody has lost anything that it stood by since the first of them
//! began.

use super::quorum_reads::is_seen;
use super::{Answered, Observation};
use crate::sim::ledger::Ledger;
use crate::sim::monotonic::Shown;
use crate::sim::queue::Instant;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Read(Answered {
        done,
        subject,
        began,
        is_monotonic: true,
        ..
    }) = observation
    else {
        return Ok(());
    };
    // What ends is hidden from clients by the clocks of nodes, and goes at each in its own time.
    let is_endless = |dot| ledger.entry(dot).is_some_and(|e| e.expires_ms.is_none());
    for Shown { versions, gone, .. } in owed(ledger, *subject, *began) {
        for &dot in versions.iter().filter(|dot| is_endless(**dot)) {
            is_seen(dot, done, ledger).map_err(|what| {
                format!("a monotonic read shows less than one before it: {what}")
            })?;
        }
        let mut shown = done.rows.values().flat_map(|row| row.versions().keys());
        if let Some(back) = shown.find(|&dot| gone.contains(dot) && is_endless(*dot)) {
            return Err(format!(
                "a monotonic read shows {back} again, which was gone"
            ));
        }
    }
    Ok(())
}

/// What a monotonic read that began then must show no less than.
pub(crate) fn owed(
    ledger: &Ledger,
    subject: usize,
    began: Instant,
) -> impl Iterator<Item = &Shown> {
    let shown = ledger.shown(subject).iter();
    shown.filter(move |shown| shown.at <= began && shown.forsaken == ledger.forsaken())
}
