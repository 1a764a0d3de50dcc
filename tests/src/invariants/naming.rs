//! One dot names one row and one operation, for ever.
//!
//! A dot that is given twice makes the second write look like a duplicate of the first: it is
//! acknowledged and dropped. It takes a vnode that goes on under an actor of an earlier life.

use super::Observation;
use crate::sim::ledger::Ledger;

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Committed(committed) = observation else {
        return Ok(());
    };
    for event in committed.events {
        let Some(entry) = ledger.entry(event.dot) else {
            return Err(format!(
                "node {} holds {event:?}, which nobody made",
                committed.node
            ));
        };
        if entry.event != *event {
            let made = &entry.event;
            return Err(format!(
                "node {} holds {event:?}, made was {made:?}",
                committed.node
            ));
        }
    }
    Ok(())
}
