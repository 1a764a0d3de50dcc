//! Where a write can go, and what it is about.

use super::{OrderFailed, WriteOrder};
use crate::protocol::vnode::{Action, Sending};
use crdt::dots::DotSet;
use ring::{NodeId, PreferenceList};

/// Where the copies of a write can go.
#[derive(Debug)]
pub(super) struct Routes<'a> {
    pub(super) here: NodeId,
    pub(super) owners: &'a PreferenceList,
    /// The owners in reach, this node among them if it is one.
    pub(super) reachable: &'a [NodeId],
    /// Who else can be reached to stand in for owners, best first; nobody if that is not allowed.
    pub(super) stand_ins: Vec<NodeId>,
}

/// The events of a write.
pub(super) fn dots_of(sending: &Sending) -> DotSet {
    match sending {
        Sending::Changes(changes) => {
            let mut dots = DotSet::default();
            changes.iter().for_each(|c| dots.insert(c.event.dot));
            dots
        }
        Sending::Again(dots) => dots.clone(),
        // Every owner holds what there is.
        Sending::Held(_) | Sending::Nothing => DotSet::default(),
    }
}

/// Does anything in the write depend on what its coordinator sees of a key?
pub(super) fn is_conditional(order: &WriteOrder) -> bool {
    let mut targets = order.command.targets.iter();
    targets.any(|target| target.only_if_current)
}

/// Does it change a bounded counter? Stand-ins keep nothing of those.
pub(super) fn is_about_rights(order: &WriteOrder) -> bool {
    let targets = order.command.targets.iter();
    let mut edits = targets.flat_map(|target| &target.edits);
    edits.any(|edit| matches!(edit.action, Action::Bounded(_)))
}

/// Why a write cannot begin: too few owners, or too few owners and stand-ins, are in reach.
pub(super) fn too_few(
    order: &WriteOrder,
    reachable: usize,
    stand_ins: usize,
    stands_in: bool,
) -> Option<OrderFailed> {
    let owners = count(reachable);
    if owners < order.pw {
        return Some(OrderFailed::Unavailable {
            reachable: owners,
            required: order.pw,
        });
    }
    let stand_ins = count(stand_ins + usize::from(stands_in));
    (owners.saturating_add(stand_ins) < order.w).then_some(OrderFailed::TooFewStandIns {
        owners,
        stand_ins,
        required: order.w,
    })
}

pub(super) fn count(nodes: usize) -> u8 {
    u8::try_from(nodes).unwrap_or(u8::MAX)
}
