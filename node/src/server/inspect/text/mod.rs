//! What the parts and bodies of rows say, for people. What is the user's own bytes stays bytes.

use crate::protocol::keys::RowKey;
use crdt::kinds::Leaf;
use crdt::kinds::rules::Said;
use crdt::{Context, Dot, Row, Version};

/// The part of a row's key.
pub(super) fn part(key: &RowKey) -> Vec<u8> {
    match key.leaf().rules().part {
        Some(say) => text(say(key.part())),
        None => key.part().to_vec(),
    }
}

/// The body of one version.
pub(super) fn body(leaf: Leaf, dot: Dot, version: &Version) -> Vec<u8> {
    match leaf.rules().body {
        Some(say) => text(say(&Row::write(dot, version.clone(), Context::default()))),
        None => version.body.to_vec(),
    }
}

fn text(said: Said) -> Vec<u8> {
    let text = said.unwrap_or_else(|error| format!("damaged: {error}"));
    text.into_bytes()
}

#[cfg(test)]
mod tests;
