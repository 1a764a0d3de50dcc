//! An actor's own events have no gaps in its own vnode's clock, so that its base is all of them:
//! what it hands out as seen is then one number.

use super::Observation;
use crate::sim::ledger::Ledger;

pub(super) fn check(observation: &Observation<'_>, _ledger: &Ledger) -> Result<(), String> {
    let Observation::Committed(committed) = observation else {
        return Ok(());
    };
    let (clock, actor) = (committed.vnode.clock(), committed.vnode.actor());
    let (base, last) = (clock.base(actor), clock.dots().last(actor));
    if base == last {
        return Ok(());
    }
    Err(format!(
        "node {} made events up to {last} and lacks own {}",
        committed.node,
        base + 1
    ))
}
