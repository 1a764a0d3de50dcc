//! Nothing is carried out for somebody who has given it up.
//!
//! What a node that is behind does for nobody makes the next request late too. How long a message
//! was on its way nobody knows, so a call's time runs from when the node has it.

use super::Observation;
use crate::sim::ledger::Ledger;

pub(super) fn check(observation: &Observation<'_>, _ledger: &Ledger) -> Result<(), String> {
    let Observation::CarriedOut {
        node,
        what,
        at,
        until,
    } = observation
    else {
        return Ok(());
    };
    if at >= until {
        let late = at - until;
        return Err(format!(
            "node {node} carried out {what} {late} us after it was given up"
        ));
    }
    Ok(())
}
