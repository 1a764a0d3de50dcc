//! Calls of this replica to its peers that are under way, and what each is for.

use std::collections::{BTreeMap, BTreeSet};

use super::again::Asked;
use super::hinting::Hinting;
use super::{Batch, Output, Replica};
use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{PeerReply, PeerRequest};
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
    /// Since when it has answered no comparison; `None` if it answered the last one.
    pub(super) silent_since: Option<Time>,
    /// Since when there is no way to it; `None` if there was one for the last comparison.
    pub(super) cut_since: Option<Time>,
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
            silent_since: Some(now),
            cut_since: None,
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

/// How a call ends that brings nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The peer has refused it: it lives.
    Refused,
    /// There is no way to the peer.
    Cut,
    /// The peer has not answered in time: it may be slow, or stand still.
    Late,
}

impl Unanswered {
    /// What a reply is, if it brings nothing, or that there is none.
    pub(super) fn of(reply: Option<&PeerReply>) -> Self {
        match reply {
            Some(_) => Self::Refused,
            None => Self::Cut,
        }
    }
}

/// What a call is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    Compare,
    Pull(VnodeId),
    PullKey(VnodeId, KeyPrefix),
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
            Self::Pull(_) | Self::PullKey(..) | Self::Page(_) => true,
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
            | Purpose::PullKey(..)
            | Purpose::Spread
            | Purpose::Grant
            | Purpose::Again(_)
            | Purpose::Scrub(..)
            | Purpose::Hint(_) => None,
        }
    }
}

impl Replica {
    /// May a key that a read found stale be pulled from a peer? Not while that is under way, or
    /// much else of this sort: comparisons find what is missing in any case.
    pub(super) fn may_pull_key(&self, peer: NodeId, purpose: &Purpose) -> bool {
        let mut under_way = 0;
        for call in self.calls.values() {
            if let Purpose::PullKey(..) = call.purpose {
                if call.peer == peer && call.purpose == *purpose {
                    return false;
                }
                under_way += 1;
            }
        }
        under_way < MOST_KEY_PULLS
    }

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

/// Keys that are pulled because reads found them stale, at one time.
const MOST_KEY_PULLS: usize = 256;
