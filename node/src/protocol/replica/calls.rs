//! Calls that this replica makes to others, and what each is for.

use super::hinting::Hinting;
use super::{Batch, Output, Replica};
use crate::protocol::messages::PeerRequest;
use crate::protocol::time::Time;
use ring::{NodeId, VnodeId};

/// A call under way.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) peer: NodeId,
    pub(super) purpose: Purpose,
    pub(super) deadline: Time,
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Compare,
    Pull(VnodeId),
    PullKey(VnodeId),
    Page(VnodeId),
    Spread,
    Grant,
    /// What this node keeps for others: see `hinting`.
    Hint(Hinting),
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
        batch.outputs.push(Output::Call { to, tag, request });
    }
}

impl Purpose {
    pub(super) fn brings_rows(self) -> bool {
        match self {
            Self::Pull(_) | Self::PullKey(_) | Self::Page(_) => true,
            Self::Compare | Self::Spread | Self::Grant | Self::Hint(_) => false,
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
            | Purpose::Hint(_) => None,
        }
    }
}
