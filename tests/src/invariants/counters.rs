//! Every increment counts once, however often it was tried and wherever.
//!
//! The i-th increment of a key adds plus or minus 8 to the power of i, so the value in base 8 (with
//! digits from -3 to 4) says of each increment how often it counts.
//!
//! | of its events | it counts |
//! |---|---|
//! | some are at the owners in the end | once |
//! | none is: a crash took more than their level survives | never or once |
//! | all of those there were reset by a reset that is there too | never |
//! | some of those there were reset | never or once: the reset may have seen a loser alone |

use super::Observation;
use crate::sim::ledger::{Entry, Ledger};
use crdt::kinds::counter::{self, Share};
use crdt::{Actor, Clock, Row};
use starling::wire::Kind;
use starling_node::protocol::event::Effect;
use starling_node::protocol::keys::KeyPrefix;
use starling_node::protocol::messages::Selection;
use starling_node::protocol::stage::Source;
use starling_node::protocol::vnode::{Action, Limits, read_rows};

pub(super) fn check(observation: &Observation<'_>, ledger: &Ledger) -> Result<(), String> {
    let Observation::Quiet(nodes) = observation else {
        return Ok(());
    };
    let counters = ledger
        .subjects
        .iter()
        .enumerate()
        .filter(|(_, s)| s.kind == Kind::Counter);
    for (index, subject) in counters {
        for resting in *nodes {
            let Some(vnode) = resting.replica.vnode(subject.vnode) else {
                continue;
            };
            let value = value(&subject.prefix, resting.source)?;
            check_counter(index, value, vnode.clock(), ledger).map_err(|what| {
                let node = resting.node;
                format!("node {node}, {:?}, value {value}: {what}", subject.prefix)
            })?;
        }
    }
    Ok(())
}

/// The stored value of a counter.
fn value(prefix: &KeyPrefix, source: &dyn Source) -> Result<i128, String> {
    let selection = Selection::Key(prefix.clone());
    let rows = read_rows(source, &selection, &Limits::default());
    let rows = rows.map_err(|error| error.to_string())?;
    let rows = rows.map_err(|refusal| format!("{refusal:?}"))?;
    let rows: Vec<Row> = rows.rows.into_iter().map(|keyed| keyed.row).collect();
    counter::value(&rows).map_err(|error| error.to_string())
}

fn check_counter(
    subject: usize,
    value: i128,
    clock: &Clock,
    ledger: &Ledger,
) -> Result<(), String> {
    let mut rest = value;
    for (index, operation) in ledger.operations.iter().enumerate() {
        if operation.subject != subject {
            continue;
        }
        let Some(Action::Increment(amount)) = operation.action else {
            continue;
        };
        // The digits below this one are gone from the rest already.
        let weight = i128::from(amount.unsigned_abs());
        let digit = (rest / weight).rem_euclid(8);
        let digit = if digit > 4 { digit - 8 } else { digit };
        rest -= digit * weight;
        let times = digit * i128::from(amount.signum());
        let expected = expected(index, clock, ledger);
        if !expected.contains(&times) {
            let id = operation.id;
            let dots: Vec<String> = ledger.dots_of(index).map(|dot| dot.to_string()).collect();
            return Err(format!(
                "{id} ({amount}, events {dots:?}) counts {times} times, not {expected:?}"
            ));
        }
    }
    if rest == 0 {
        Ok(())
    } else {
        Err(format!("{rest} came from nowhere"))
    }
}

/// How often an increment may count.
fn expected(operation: usize, clock: &Clock, ledger: &Ledger) -> &'static [i128] {
    let subject = &ledger.subjects[ledger.operations[operation].subject];
    let here: Vec<_> = ledger
        .dots_of(operation)
        .filter(|&dot| clock.contains(dot))
        .collect();
    let resets = ledger.entries_of(&subject.prefix).filter(|entry| {
        let effect = entry.event.operation.map(|operation| operation.effect);
        effect == Some(Effect::Removal) && clock.contains(entry.event.dot)
    });
    let resets: Vec<(Actor, u64)> = resets.filter_map(reset_of).collect();
    let is_reset = |dot: &crdt::Dot| {
        resets
            .iter()
            .any(|&(actor, upto)| actor == dot.actor && dot.counter <= upto)
    };
    match (here.len(), here.iter().filter(|dot| is_reset(dot)).count()) {
        (0, _) => &[0, 1],
        (_, 0) => &[1],
        (all, reset) if all == reset => &[0],
        _ => &[0, 1],
    }
}

/// Whose increments an event of a reset took away, and up to which.
fn reset_of(entry: &Entry) -> Option<(Actor, u64)> {
    let share = Share::decode(entry.body.as_ref()?).ok()?;
    let part = entry.event.row.part();
    let (node, nonce) = part.split_first_chunk::<8>()?;
    let actor = Actor {
        node: u64::from_be_bytes(*node),
        nonce: u64::from_be_bytes(*nonce.first_chunk()?),
    };
    Some((actor, share.reset_part().upto))
}
