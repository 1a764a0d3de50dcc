//! A session reads what it has written, and never goes back behind what it was shown, whatever was
//! lost meanwhile: it gets that, or an error.

use super::quorum_reads::is_seen;
use super::{Answered, Observation};
use crate::sim::ledger::Ledger;
use crate::sim::sessions::Known;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Read(Answered {
        done,
        known: Some(Known { events, gone }),
        ..
    }) = observation
    else {
        return Ok(());
    };
    // What ends is hidden from clients by the time that a session carries, and goes when it goes.
    let is_endless = |dot| ledger.entry(dot).is_some_and(|e| e.expires_ms.is_none());
    for &dot in events.iter().filter(|dot| is_endless(**dot)) {
        is_seen(dot, done, ledger).map_err(|what| format!("a session falls behind: {what}"))?;
    }
    let mut shown = done.rows.values().flat_map(|row| row.versions().keys());
    match shown.find(|&dot| gone.contains(dot) && is_endless(*dot)) {
        Some(back) => Err(format!("a session is shown {back} again, which was gone")),
        None => Ok(()),
    }
}
