//! The answer of a read: what the replies of several owners come to.

use std::collections::BTreeMap;

use super::joined::{Joined, listed};
use super::names::share_names;
use super::repairs::{dots, dots_of};
use super::{ReadDone, ReadOrder};
use crate::protocol::keys::RowKey;
use crate::protocol::messages::{RowsRead, Selection};
use crate::protocol::samples;
use crdt::dots::DotSet;
use crdt::{Context, Dot};
use ring::NodeId;

/// The answer of a read: the join of what these owners have replied, of whom so many count. The
/// order's session is taken for it.
pub(super) fn answer(
    order: &mut ReadOrder,
    mut replies: BTreeMap<NodeId, RowsRead>,
    answered: u8,
) -> ReadDone {
    let (reverse, is_listing, map) = match &order.selection {
        Selection::Range(range) => (range.reverse, false, None),
        Selection::Keys { .. } => (false, true, None),
        Selection::Key(_) | Selection::Row(_) | Selection::Sample(_) => (false, false, None),
        Selection::Names { depth, .. } => (false, false, Some(usize::from(*depth))),
    };
    let session = order.session.take();
    let seen = session.map_or_else(DotSet::default, |seen| seen_in(seen, &replies));
    let until = replies.values().filter_map(|reply| reply.until.clone());
    let until = if reverse { until.max() } else { until.min() };
    let sampled = replies.values().filter_map(|reply| reply.sampled).min();
    share_names(&mut replies, map);
    let replies = replies.into_values();
    let (mut rows, bases, context) = if is_listing {
        (listed(replies), Context::default(), Context::default())
    } else {
        // Of two versions under one dot the first stays: the one with its body.
        let (whole, others): (Vec<_>, Vec<_>) =
            replies.partition(|reply| reply.left_out.is_empty());
        let mut joined = Joined::default();
        whole.into_iter().chain(others).for_each(|r| joined.add(r));
        joined.finish()
    };
    if let Some(until) = &until {
        // Beyond it some replica has not spoken, and its silence says nothing.
        rows.retain(|key, _| match reverse {
            false => key.as_bytes() <= &until[..],
            true => key.as_bytes() >= &until[..],
        });
    }
    if let Some(bound) = sampled {
        rows.retain(|key, _| samples::hash_in(key, map) < bound);
    }
    ReadDone {
        rows,
        until,
        sampled,
        bases,
        context,
        answered,
        seen,
    }
}

/// What a session has seen after it is shown the join of these. If one of them shows all of it, the
/// session has seen no more than that one: what others had besides was of no matter.
fn seen_in(mut seen: DotSet, replies: &BTreeMap<NodeId, RowsRead>) -> DotSet {
    let mut both = Joined::default();
    for reply in replies.values() {
        both.add(reply.clone());
    }
    let shown: Vec<(&RowKey, Dot)> = both.rows().iter().flat_map(dots_of).collect();
    let is_all = |reply: &RowsRead| dots(reply).eq(shown.iter().copied());
    let all = replies.values().filter(|r| r.until.is_none() && is_all(r));
    match all.min_by_key(|reply| reply.clock.dots().len()) {
        Some(least) => seen.join(least.clock.dots()),
        None => replies.values().for_each(|r| seen.join(r.clock.dots())),
    }
    seen
}
