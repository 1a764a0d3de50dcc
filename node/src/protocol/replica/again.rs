//! Repeated operations: does this replica hold their events? Mostly it does, and nothing travels.
//!
//! ```text
//!   coordinator            this replica
//!   Again(dots)   ------>  all here: acknowledges, as durably as is asked
//!   Pull(missing) <------  otherwise, while the question waits
//!   Pulled(rows)  ------>  acknowledges, or refuses if something is still missing
//! ```
//!
//! To send the rows unasked would be dear: with a row that many write to goes every event of it
//! that somebody may lack, and a client that tries again because the nodes are slow would make them
//! slower.

use super::calls::Purpose;
use super::{Batch, Output, Replica};
use crate::protocol::messages::{Again, PeerReply, PeerRequest, Pull, Pulled, Refusal};
use crate::protocol::stage::SourceError;
use crdt::dots::DotSet;
use ring::{NodeId, VnodeId};
use starling::wire::Durability;

/// A request that is answered when what is missing has been pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) from: NodeId,
    pub(super) call: u64,
    pub(super) vnode: VnodeId,
    pub(super) dots: DotSet,
    pub(super) durability: Durability,
}

impl Asked {
    pub(super) fn answer(&self, reply: PeerReply, batch: &mut Batch<'_>) {
        let (to, call) = (self.from, self.call);
        batch.outputs.push(Output::Answer { to, call, reply });
    }
}

impl Replica {
    /// Acknowledges the events of a repeated operation. `None` if they are pulled first.
    pub(super) fn again(
        &mut self,
        (from, call): (NodeId, u64),
        again: &Again,
        batch: &mut Batch<'_>,
    ) -> Option<PeerReply> {
        let Again {
            vnode: id,
            durability,
            dots,
        } = again;
        let Some(vnode) = self.vnodes.get(id) else {
            return Some(PeerReply::Refused(Refusal::NotOwner));
        };
        let want = dots.difference(vnode.clock().dots());
        if want.is_empty() {
            batch.barrier = batch.barrier.max(*durability);
            return Some(PeerReply::Acked);
        }
        if !self.takes_growth() {
            return Some(PeerReply::Refused(Refusal::DiskFull));
        }
        let pull = Pull {
            vnode: *id,
            incarnation: vnode.actor().nonce,
            want,
            have: vnode.clock().clone(),
        };
        let asked = Asked {
            from,
            call,
            vnode: *id,
            dots: dots.clone(),
            durability: *durability,
        };
        let purpose = Purpose::Again(Box::new(asked));
        self.call(from, purpose, PeerRequest::Pull(pull), batch);
        None
    }

    /// Enters what was missing, and answers.
    pub(super) fn handle_missing(
        &mut self,
        asked: &Asked,
        reply: Option<PeerReply>,
        batch: &mut Batch<'_>,
    ) -> Result<(), SourceError> {
        let vnode = self.vnodes.get(&asked.vnode);
        let takes = |pulled: &Pulled| {
            vnode.is_some_and(|vnode| {
                vnode.actor().nonce == pulled.incarnation
                    && !vnode.is_bundle_outlived(asked.from, &pulled.bundle)
            })
        };
        if let Some(PeerReply::Pulled(pulled)) = reply
            && takes(&pulled)
            && self.takes_growth()
        {
            self.absorb_bundle(asked.vnode, &pulled.bundle, asked.durability, batch)?;
        }
        let vnode = self.vnodes.get(&asked.vnode);
        let reply = if vnode.is_some_and(|vnode| vnode.clock().dots().covers(&asked.dots)) {
            batch.barrier = batch.barrier.max(asked.durability);
            PeerReply::Acked
        } else {
            PeerReply::Refused(Refusal::Behind)
        };
        asked.answer(reply, batch);
        Ok(())
    }
}
