//! Calls of this replica to its peers that are under way, and what each is for.

use std::collections::{BTreeMap, BTreeSet};

use super::again::Asked;
use super::hinting::Hinting;
use super::{Batch, Output, Replica};
use crate::protocol::messages::PeerRequest;
use crate::protocol::time::Time;
use ring::{NodeId, VnodeId};

/// What is known of a peer as a whole.
#[derive(Debug)]
pub(super) struct PeerState {
    pub(super) next_compare: Time,
    /// Since when a comparison is under way.
    pub(super) compares_since: Option<Time>,
    /// What was compared, each under which actor of this node.
    pub(super) compared: BTreeMap<VnodeId, u64>,
    pub(super) unreachable_since: Option<Time>,
    /// Of which vnodes it is far behind this node, as last heard.
    pub(super) behind: BTreeSet<VnodeId>,
}

impl PeerState {
    pub(super) fn new(now: Time) -> Self {
        let compared = BTreeMap::new();
        Self {
            next_compare: now,
            compares_since: None,
            compared,
            unreachable_since: Some(now),
            behind: BTreeSet::new(),
        }
    }
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) peer: NodeId,
    pub(super) purpose: Purpose,
    pub(super) deadline: Time,
}

/// What a call is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    Compare,
    Pull(VnodeId),
    PullKey(VnodeId),
    Page(VnodeId),
    Spread,
    /// What is missing of a repeated operation.
    Again(Box<Asked>),
    Grant,
    /// The comparison of a vnode's content, while that has this actor.
    Scrub(VnodeId, u64),
    /// What this node keeps for others: see `hinting`.
    Hint(Hinting),
}

impl Purpose {
    pub(super) fn brings_rows(&self) -> bool {
        match self {
            Self::Pull(_) | Self::PullKey(_) | Self::Page(_) => true,
            Self::Compare
            | Self::Spread
            | Self::Grant
            | Self::Again(_)
            | Self::Scrub(..)
            | Self::Hint(_) => false,
        }
    }
}

impl Call {
    /// The vnode whose pull or sync this is: it has one at a time.
    pub(super) fn occupied(&self) -> Option<VnodeId> {
        match self.purpose {
            Purpose::Pull(id) | Purpose::Page(id) => Some(id),
            Purpose::Compare
            | Purpose::PullKey(_)
            | Purpose::Spread
            | Purpose::Grant
            | Purpose::Again(_)
            | Purpose::Scrub(..)
            | Purpose::Hint(_) => None,
        }
    }
}

impl Replica {
    pub(super) fn call(
        &mut self,
        to: NodeId,
        purpose: Purpose,
        request: PeerRequest,
        batch: &mut Batch<'_>,
    ) {
        let tag = self.next_tag;
        self.next_tag += 1;
        let deadline = batch.now.time.after(self.config.call_timeout);
        self.calls.insert(
            tag,
            Call {
                peer: to,
                purpose,
                deadline,
            },
        );
        let until = deadline;
        batch.outputs.push(Output::Call {
            to,
            tag,
            request,
            until,
        });
    }
}
