//! Standing in: what others ask this node to keep, and its delivery.

use super::again::{Asked, Asker};
use super::calls::Purpose;
use super::{Batch, Replica, WriteError};
use crate::protocol::hints::{Hints, Keeping, Seat};
use crate::protocol::messages::{Kept, PeerReply, PeerRequest, Pulled, Refusal};
use crate::protocol::stage::{Source, SourceError};
use crate::protocol::vnode::{Command, Written};
use crdt::dots::DotSet;
use ring::{NodeId, VnodeId};
use starling::wire::Durability;

/// What a call about hints is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hinting {
    /// How far is an owner?
    Compare,
    /// An owner gets what it lacks.
    Deliver(VnodeId),
    /// The coordinator is asked for what is missing; its request waits.
    Complete(Box<Asked>),
}

impl Replica {
    /// What this node keeps for others.
    #[must_use]
    pub fn hints(&self) -> &Hints {
        &self.hints
    }

    /// Looks for what an earlier life kept, and tells what is kept who owns it now.
    pub(super) fn find_hints(&mut self, source: &dyn Source) {
        let mut hints = std::mem::replace(&mut self.hints, Hints::new(self.config.hints.clone()));
        hints.recover(source, |id| self.seat(id));
        self.hints = hints;
    }

    /// Tries again what could not be read of what is kept, and may have passed.
    pub(super) fn take_up_hints(&mut self, batch: &Batch<'_>) {
        let mut hints = std::mem::replace(&mut self.hints, Hints::new(self.config.hints.clone()));
        hints.try_again(&batch.stage, |id| self.seat(id));
        self.hints = hints;
    }

    /// Keeps something for the owners. `None` if the answer comes later.
    pub(super) fn keep(
        &mut self,
        (from, call): (NodeId, u64),
        kept: &Kept,
        batch: &mut Batch<'_>,
    ) -> Result<Option<PeerReply>, SourceError> {
        let vnode = match kept {
            Kept::Changes(replicate) => replicate.vnode,
            Kept::Again(again) => again.vnode,
        };
        if self.vnodes.contains_key(&vnode) {
            // Who was asked to stand in has become an owner.
            return match kept {
                Kept::Changes(replicate) => self.replicate(from, replicate, batch).map(Some),
                Kept::Again(again) => Ok(self.again((from, call), again, batch)),
            };
        }
        let refused = |refusal| Ok(Some(PeerReply::Refused(refusal)));
        if let Err(refusal) = self.may_keep(vnode) {
            return refused(refusal);
        }
        let (mut dots, mut stamps) = (DotSet::default(), Vec::new());
        let durability = match kept {
            Kept::Changes(replicate) => {
                for event in replicate.changes.iter().map(|change| &change.event) {
                    dots.insert(event.dot);
                    stamps.push(event.hlc);
                }
                replicate.durability
            }
            Kept::Again(again) => {
                dots = again.dots.clone();
                again.durability
            }
        };
        let hlc = self.take_stamps(stamps.into_iter(), batch);
        let seat = self.seat(vnode);
        match self.hints.keep(hlc, seat, kept, &mut batch.stage) {
            Keeping::Kept(answers) => {
                batch.barrier = batch.barrier.max(durability);
                self.spread(vnode, &answers, batch);
                Ok(Some(PeerReply::Acked))
            }
            Keeping::Refused(refusal) => refused(refusal),
            Keeping::Lacks(pull) => {
                let asked = Asked {
                    from,
                    asker: Asker::Peer(call),
                    vnode,
                    dots,
                    durability,
                };
                let purpose = Purpose::Hint(Hinting::Complete(Box::new(asked)));
                self.call(from, purpose, pull, batch);
                Ok(None)
            }
        }
    }

    /// A client's write for which no owner can be reached.
    pub(super) fn write_as_stand_in(
        &mut self,
        id: VnodeId,
        command: &Command,
        durability: Durability,
        batch: &mut Batch<'_>,
    ) -> Result<Result<Written, WriteError>, SourceError> {
        if self.vnodes.contains_key(&id) {
            return self.write(id, command, durability, batch);
        }
        if let Err(refusal) = self.may_keep(id) {
            return Ok(Err(WriteError::Refused(refusal)));
        }
        let hlc = self.hlc.stamp(batch.now.wall_ms);
        let seat = self.seat(id);
        batch.barrier = batch.barrier.max(durability);
        let limits = self.config.limits.clone();
        let shelf = (id, seat);
        let stage = &mut batch.stage;
        Ok(self.hints.write(hlc, shelf, command, &limits, stage))
    }

    /// Asks owners how far they are, sends them what they lack, and drops what all hold durably.
    pub(super) fn deliver_hints(&mut self, batch: &mut Batch<'_>) {
        if self.hints.is_empty() {
            return;
        }
        let questions = self
            .hints
            .compare(batch.now.time, self.config.compare_every);
        for (owner, fingerprints) in questions {
            let request = PeerRequest::Compare(fingerprints);
            self.call(owner, Purpose::Hint(Hinting::Compare), request, batch);
        }
        if self.config.limits.room.takes_writes() {
            self.hints.clear_up(&mut batch.stage);
        }
        self.send_hints(batch);
    }

    pub(super) fn handle_hint_reply(
        &mut self,
        from: NodeId,
        hinting: Hinting,
        reply: Option<PeerReply>,
        batch: &mut Batch<'_>,
    ) {
        match (hinting, reply) {
            (Hinting::Compare, Some(PeerReply::Differences(differences))) => {
                self.hints
                    .handle_differences(batch.now.time, from, differences);
            }
            (Hinting::Deliver(id), reply) => {
                let acked = reply == Some(PeerReply::Acked);
                self.hints.handle_delivered(from, id, acked);
            }
            (Hinting::Complete(asked), Some(PeerReply::Pulled(pulled))) => {
                self.complete(&asked, &pulled, batch);
            }
            (Hinting::Complete(asked), _) => {
                asked.answer(PeerReply::Refused(Refusal::Behind), batch);
            }
            (Hinting::Compare, _) => self.hints.handle_no_differences(from),
        }
        self.send_hints(batch);
    }

    pub(super) fn handle_failed_hint(&mut self, peer: NodeId, hinting: &Hinting) {
        match hinting {
            Hinting::Compare => self.hints.handle_no_differences(peer),
            Hinting::Deliver(id) => self.hints.handle_delivered(peer, *id, false),
            // The coordinator waits no longer either.
            Hinting::Complete(_) => {}
        }
    }

    /// Enters what the coordinator of an increment sent of the counter, and answers it.
    fn complete(&mut self, asked: &Asked, pulled: &Pulled, batch: &mut Batch<'_>) {
        if let Err(refusal) = self.may_keep(asked.vnode) {
            return asked.answer(PeerReply::Refused(refusal), batch);
        }
        let stamps = pulled.bundle.events.iter().map(|event| event.hlc);
        let hlc = self.take_stamps(stamps, batch);
        let refusal = match self.hints.complete(hlc, pulled, &mut batch.stage) {
            Keeping::Kept(answers) => {
                self.spread(asked.vnode, &answers, batch);
                Refusal::Behind
            }
            Keeping::Refused(refusal) => refusal,
            Keeping::Lacks(_) => Refusal::Behind,
        };
        let reply = if self.hints.holds(asked.vnode, asked.dots.iter()) {
            batch.barrier = batch.barrier.max(asked.durability);
            PeerReply::Acked
        } else {
            PeerReply::Refused(refusal)
        };
        asked.answer(reply, batch);
    }

    fn send_hints(&mut self, batch: &mut Batch<'_>) {
        let limits = self.config.limits.clone();
        while let Some((to, absorb)) = self.hints.next_delivery(&limits, &batch.stage) {
            let purpose = Purpose::Hint(Hinting::Deliver(absorb.vnode));
            self.call(to, purpose, PeerRequest::Absorb(absorb), batch);
        }
    }

    fn may_keep(&self, id: VnodeId) -> Result<(), Refusal> {
        if self.ring.is_none() {
            return Err(Refusal::Starting);
        }
        if self.quarantine.contains_key(&id) {
            // It is an owner, and will hold this as one.
            return Err(Refusal::Quarantined);
        }
        if self.aside.contains_key(&id) {
            return Err(Refusal::Storage);
        }
        if self.other_owners(id).is_empty() {
            return Err(Refusal::Malformed);
        }
        if !self.config.limits.room.takes_growth() {
            return Err(Refusal::DiskFull);
        }
        Ok(())
    }

    /// What a shelf begins with. It may lack what its vnode holds: it never counts for reads.
    fn seat(&mut self, id: VnodeId) -> Seat {
        Seat {
            beginning: self.beginning(true),
            owners: self.other_owners(id),
        }
    }
}
