//! Repeated operations: does this replica hold their events? Mostly it does, and nothing travels.
//!
//! ```text
//!   coordinator            this replica
//!   Again(dots)   ------>  all here: acknowledges, as durably as is asked
//!   Pull(missing) <------  otherwise, while the question waits
//!   Pulled(rows)  ------>  acknowledges, or refuses if something is still missing
//! ```
//!
//! A session's write waits in the same way until this replica holds what its session has seen.
//!
//! To send the rows unasked would be dear: with a row that many write to goes every event of it
//! that somebody may lack, and a client that tries again because the nodes are slow would make them
//! slower.

use super::calls::Purpose;
use super::{Batch, Held, Output, Replica};
use crate::protocol::messages::{Again, PeerReply, PeerRequest, Pull, Pulled, Refusal};
use crate::protocol::stage::SourceError;
use crate::protocol::vnode::Vnode;
use crdt::dots::DotSet;
use ring::{NodeId, VnodeId};
use starling::wire::Durability;

/// A request that is answered when what is missing has been pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) from: NodeId,
    pub(super) asker: Asker,
    pub(super) vnode: VnodeId,
    pub(super) dots: DotSet,
    pub(super) durability: Durability,
}

/// Who waits for what is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// The peer itself, by this call.
    Peer(u64),
    /// A write of this node's coordinator.
    Order(u64),
}

impl Asked {
    pub(super) fn answer(&self, reply: PeerReply, batch: &mut Batch<'_>) {
        self.tell(reply, true, batch);
    }

    fn tell(&self, reply: PeerReply, has_answered: bool, batch: &mut Batch<'_>) {
        let to = self.from;
        batch.outputs.push(match self.asker {
            Asker::Peer(call) => Output::Answer { to, call, reply },
            Asker::Order(ticket) => Output::Held {
                ticket,
                held: Held {
                    from: Some(to),
                    is_held: reply == PeerReply::Acked,
                    has_answered,
                },
            },
        });
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
        self.pull_for((from, Asker::Peer(call)), again, batch)
    }

    /// Sees to it that this replica holds what a session has seen.
    pub(super) fn hold(
        &mut self,
        ticket: u64,
        from: Option<NodeId>,
        again: &Again,
        batch: &mut Batch<'_>,
    ) {
        let reply = match from {
            Some(from) => self.pull_for((from, Asker::Order(ticket)), again, batch),
            None => {
                let vnode = self.vnodes.get(&again.vnode);
                let holds = |vnode: &Vnode| vnode.clock().dots().covers(&again.dots);
                let is_held = vnode.is_some_and(holds);
                Some(if is_held {
                    PeerReply::Acked
                } else {
                    PeerReply::Refused(Refusal::Behind)
                })
            }
        };
        if let Some(reply) = reply {
            let held = Held {
                from,
                is_held: reply == PeerReply::Acked,
                has_answered: false,
            };
            batch.outputs.push(Output::Held { ticket, held });
        }
    }

    fn pull_for(
        &mut self,
        (from, asker): (NodeId, Asker),
        again: &Again,
        batch: &mut Batch<'_>,
    ) -> Option<PeerReply> {
        let Again {
            vnode: id,
            durability,
            dots,
        } = again;
        let Some(vnode) = self.vnodes.get(id) else {
            return Some(PeerReply::Refused(self.unused(*id)));
        };
        let want = dots.difference(vnode.clock().dots());
        if want.is_empty() {
            batch.barrier = batch.barrier.max(*durability);
            return Some(PeerReply::Acked);
        }
        if !self.takes_growth() {
            return Some(PeerReply::Refused(Refusal::DiskFull));
        }
        let page = u64::try_from(self.config.limits.events_per_pull).unwrap_or(u64::MAX);
        if want.len() > page {
            // One pull would not bring it all, and those under way for its own sake will.
            return Some(PeerReply::Refused(Refusal::Behind));
        }
        let pull = Pull {
            vnode: *id,
            incarnation: vnode.actor().nonce,
            want,
            have: vnode.clock().clone(),
        };
        let asked = Asked {
            from,
            asker,
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
        let has_answered = matches!(reply, Some(PeerReply::Pulled(_)));
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
            let bundle = &pulled.bundle;
            if let Err(refusal) =
                self.absorb_bundle(asked.vnode, bundle, asked.durability, batch)?
            {
                asked.tell(PeerReply::Refused(refusal), has_answered, batch);
                return Ok(());
            }
        }
        let vnode = self.vnodes.get(&asked.vnode);
        let reply = if vnode.is_some_and(|vnode| vnode.clock().dots().covers(&asked.dots)) {
            batch.barrier = batch.barrier.max(asked.durability);
            PeerReply::Acked
        } else {
            PeerReply::Refused(Refusal::Behind)
        };
        asked.tell(reply, has_answered, batch);
        Ok(())
    }
}
