//! What the parts and bodies of rows say, for people. What is the user's own bytes stays bytes.

use crate::protocol::keys::RowKey;
use crdt::codec::{DecodeError, Decoder};
use crdt::kinds::Leaf;
use crdt::kinds::bounded::Rights;
use crdt::kinds::cleared::{self, Scope};
use crdt::kinds::counter::Share;
use crdt::kinds::flag::{self, Wins};
use crdt::kinds::hll::Block;
use crdt::kinds::{extremum, remove_wins};
use crdt::{Actor, Context, Dot, Row, Version};

/// The part of a row's key: an actor or the number of a block as text, everything else as it is.
pub(super) fn part(key: &RowKey) -> Vec<u8> {
    match (key.leaf(), key.part()) {
        (Leaf::Share, part) => actor(part).unwrap_or_else(damaged).into_bytes(),
        (Leaf::Sketch, [block]) => block.to_string().into_bytes(),
        (Leaf::Cleared, part) => scope(part).into_bytes(),
        (Leaf::Rights, part) => node(part).unwrap_or_else(damaged).into_bytes(),
        (
            Leaf::Value
            | Leaf::Element
            | Leaf::Register
            | Leaf::Max
            | Leaf::Min
            | Leaf::Flag
            | Leaf::DisableFlag
            | Leaf::GrowElement
            | Leaf::RemoveWinsElement
            | Leaf::Sketch
            | Leaf::Item,
            part,
        ) => part.to_vec(),
    }
}

/// The body of one version.
pub(super) fn body(leaf: Leaf, dot: Dot, version: &Version) -> Vec<u8> {
    let alone = || Row::write(dot, version.clone(), Context::default());
    let text = match leaf {
        Leaf::Share => share(&version.body),
        Leaf::Max | Leaf::Min => {
            extremum::max(&alone()).map(|number| number.unwrap_or_default().to_string())
        }
        Leaf::Sketch => sketch(&version.body),
        Leaf::Cleared => cleared(&alone()),
        Leaf::Rights => rights(&version.body),
        Leaf::Flag => Ok(on(flag::is_enabled(&alone(), Wins::Enable))),
        Leaf::DisableFlag => Ok(on(flag::is_enabled(&alone(), Wins::Disable))),
        Leaf::Element | Leaf::GrowElement => Ok("in".to_owned()),
        Leaf::RemoveWinsElement if remove_wins::contains(&alone()) => Ok("in".to_owned()),
        Leaf::RemoveWinsElement => Ok("out".to_owned()),
        Leaf::Value | Leaf::Register | Leaf::Item => return version.body.to_vec(),
    };
    text.unwrap_or_else(damaged).into_bytes()
}

fn on(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_owned()
}

fn actor(part: &[u8]) -> Result<String, DecodeError> {
    Ok(Actor::decode(&mut Decoder::new(part))?.to_string())
}

fn node(part: &[u8]) -> Result<String, DecodeError> {
    Ok(format!("{:016x}", Decoder::new(part).u64("node of a row")?))
}

fn sketch(body: &[u8]) -> Result<String, DecodeError> {
    let block = Block::decode(body)?;
    let set = block.ranks().iter().filter(|&&rank| rank > 0).count();
    Ok(format!("{set} of {} registers set", block.ranks().len()))
}

fn rights(body: &[u8]) -> Result<String, DecodeError> {
    let rights = Rights::decode(body)?;
    let grants = rights.granted.iter();
    let grants = grants.map(|(node, amount)| format!(", granted {amount} to {node:016x}"));
    let grants: String = grants.collect();
    Ok(format!(
        "added {}, used {}{grants}",
        rights.added, rights.used
    ))
}

fn scope(part: &[u8]) -> String {
    match Scope::of(part) {
        Some(Scope::Leaf(leaf)) => format!("every {}", leaf.name()),
        Some(Scope::Below) => "everything".to_owned(),
        None => "unknown".to_owned(),
    }
}

fn cleared(row: &Row) -> Result<String, DecodeError> {
    let removed = cleared::removed(row)?;
    Ok(format!("whatever {} events have written", removed.len()))
}

fn share(body: &[u8]) -> Result<String, DecodeError> {
    let share = Share::decode(body)?;
    let (added, reset) = (share.added(), share.reset_part());
    Ok(format!(
        "{} (added {} up to {}, reset {} up to {}, {} void)",
        share.value(),
        added.total,
        added.upto,
        reset.total,
        reset.upto,
        share.voids()
    ))
}

fn damaged(error: DecodeError) -> String {
    format!("damaged: {error}")
}

#[cfg(test)]
mod tests;
