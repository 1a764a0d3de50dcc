//! Who lacks something of what a read has found, and what tells two owners' rows apart: their dots.

use std::collections::BTreeMap;

use super::joined::Joined;
use crate::protocol::keys::RowKey;
use crate::protocol::messages::RowsRead;
use crdt::{Dot, Row};
use ring::NodeId;

/// Which side of a difference must pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stale {
    /// This node lacks something.
    Here,
    /// The peer lacks something.
    There,
}

/// Between `here` and each peer that replied: who shows other versions than the join of both, as
/// far as those versions were written before `young_ms`.
pub(super) fn repairs(
    replies: &BTreeMap<NodeId, RowsRead>,
    here: NodeId,
    young_ms: u64,
) -> Vec<(NodeId, Stale)> {
    let Some(mine) = replies.get(&here) else {
        return Vec::new();
    };
    let mut repairs = Vec::new();
    for (&peer, theirs) in replies.iter().filter(|(node, _)| **node != here) {
        if dots(mine).eq(dots(theirs)) {
            continue;
        }
        let mut both = Joined::default();
        both.add(mine.clone());
        both.add(theirs.clone());
        let newest = both.rows().values().flat_map(|row| row.versions().values());
        if newest
            .map(|version| version.hlc.milliseconds())
            .max()
            .unwrap_or(0)
            > young_ms
        {
            continue;
        }
        let shown = both.rows().iter().flat_map(dots_of);
        if !dots(mine).eq(shown.clone()) {
            repairs.push((peer, Stale::Here));
        }
        if !dots(theirs).eq(shown) {
            repairs.push((peer, Stale::There));
        }
    }
    repairs
}

/// Which versions a replica shows, in the order of their rows.
pub(super) fn dots(reply: &RowsRead) -> impl Iterator<Item = (&RowKey, Dot)> {
    let rows = reply.rows.iter();
    rows.flat_map(|keyed| dots_of((&keyed.key, &keyed.row)))
}

/// Which versions a row shows.
pub(super) fn dots_of<'a>(
    (key, row): (&'a RowKey, &'a Row),
) -> impl Iterator<Item = (&'a RowKey, Dot)> + Clone {
    row.versions().keys().map(move |&dot| (key, dot))
}
