//! Answering the other owners.

use super::calls::Purpose;
use super::{Batch, Replica};
use crate::protocol::event::Event;
use crate::protocol::hints::FromShelf;
use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{
    Absorb, Bundle, Change, Differences, Fingerprint, PeerReply, PeerRequest, PullKey, ReadRows,
    Refusal, Replicate, RowsRead,
};
use crate::protocol::stage::SourceError;
use crdt::Hlc;
use ring::{NodeId, VnodeId};
use starling::wire::Durability;

impl Replica {
    /// The answer to a peer; `None` if it comes later.
    pub(super) fn answer(
        &mut self,
        (from, call): (NodeId, u64),
        request: PeerRequest,
        batch: &mut Batch<'_>,
    ) -> Result<Option<PeerReply>, SourceError> {
        let limits = &self.config.limits;
        let reply = match request {
            PeerRequest::Keep(kept) => return self.keep((from, call), &kept, batch),
            PeerRequest::Replicate(replicate) => self.replicate(from, &replicate, batch),
            PeerRequest::Again(again) => return Ok(self.again((from, call), &again, batch)),
            PeerRequest::Absorb(absorb) => self.absorb(from, &absorb, batch),
            PeerRequest::Grant(grant) => self.grant(from, &grant, batch),
            PeerRequest::Read(read) => Ok(match self.read(&read, batch)? {
                Ok(rows) => PeerReply::Rows(rows),
                Err(refusal) => PeerReply::Refused(refusal),
            }),
            PeerRequest::Repair { vnode, prefix } => {
                self.repair(from, vnode, prefix, batch);
                Ok(PeerReply::Acked)
            }
            PeerRequest::Compare(fingerprints) => Ok(PeerReply::Differences(
                self.differences(from, &fingerprints),
            )),
            PeerRequest::Pull(pull) => match self.vnodes.get(&pull.vnode) {
                Some(vnode) => {
                    let pulled = vnode.answer_pull(&pull, limits, &batch.stage);
                    let pulled = self.looked(pull.vnode, pulled)?;
                    Ok(pulled.map_or_else(PeerReply::Refused, PeerReply::Pulled))
                }
                // Another stand-in may build on what this one has coordinated.
                None => {
                    let found = self.hints.answer_pull(&pull, limits, &batch.stage);
                    Ok(self.shelf_answers(pull.vnode, found))
                }
            },
            PeerRequest::PullKey(pull) => match self.vnodes.get(&pull.vnode) {
                Some(vnode) => {
                    let pulled = vnode.answer_pull_key(&pull, limits, &batch.stage);
                    let pulled = self.looked(pull.vnode, pulled)?;
                    Ok(pulled.map_or_else(PeerReply::Refused, PeerReply::Pulled))
                }
                None => {
                    let found = self.hints.answer_pull_key(&pull, limits, &batch.stage);
                    Ok(self.shelf_answers(pull.vnode, found))
                }
            },
            PeerRequest::Sync(sync) => match self.vnodes.get(&sync.vnode) {
                Some(vnode) => {
                    let page = vnode.answer_sync(&sync, limits, &batch.stage);
                    let page = self.looked(sync.vnode, page)?;
                    let page = page.map(|page| PeerReply::Page(Box::new(page)));
                    Ok(page.unwrap_or_else(PeerReply::Refused))
                }
                None => Ok(PeerReply::Refused(self.unused(sync.vnode))),
            },
            PeerRequest::Examine(examine) => self.examine(&examine, batch),
        };
        reply.map(Some)
    }

    /// The rows of a selection, and the clock that belongs to them.
    pub(super) fn read(
        &mut self,
        read: &ReadRows,
        batch: &mut Batch<'_>,
    ) -> Result<Result<RowsRead, Refusal>, SourceError> {
        if let Some(durability) = read.durable {
            if !self.config.limits.room.takes_writes() {
                return Ok(Err(Refusal::DiskFull));
            }
            batch.barrier = batch.barrier.max(durability);
        }
        match self.vnodes.get(&read.vnode) {
            Some(vnode) => {
                let rows = vnode.read(read, &self.config.limits, &batch.stage);
                let rows = self.looked(read.vnode, rows)?;
                Ok(rows.and_then(|rows| rows))
            }
            None => Ok(Err(self.unused(read.vnode))),
        }
    }

    fn shelf_answers(&self, id: VnodeId, found: FromShelf) -> PeerReply {
        match found {
            Some(Ok(pulled)) => PeerReply::Pulled(pulled),
            Some(Err(refusal)) => PeerReply::Refused(refusal),
            None => PeerReply::Refused(self.unused(id)),
        }
    }

    fn differences(&mut self, from: NodeId, fingerprints: &[Fingerprint]) -> Differences {
        let mut differences = Differences {
            wall_ms: self.own_wall_ms(),
            ..Differences::default()
        };
        for fingerprint in fingerprints {
            match self.vnodes.get_mut(&fingerprint.vnode) {
                Some(vnode) => {
                    vnode.meet(from, fingerprint);
                    differences.differing.extend(vnode.difference(fingerprint));
                }
                None => differences.unknown.push(fingerprint.vnode),
            }
        }
        differences
    }

    /// Stores deltas. A duplicate is acknowledged too, and only as durably as was asked. What
    /// builds on increments that are not here is left to a pull, which brings all of it.
    pub(super) fn replicate(
        &mut self,
        from: NodeId,
        replicate: &Replicate,
        batch: &mut Batch<'_>,
    ) -> Result<PeerReply, SourceError> {
        if self.has_no_room(
            replicate.vnode,
            &mut replicate.changes.iter().map(|c| &c.event),
        ) {
            return Ok(PeerReply::Refused(Refusal::DiskFull));
        }
        let hlc = self.take_stamps(replicate.changes.iter().map(|c| c.event.hlc), batch);
        let Some(vnode) = self.vnodes.get(&replicate.vnode) else {
            return Ok(PeerReply::Refused(self.unused(replicate.vnode)));
        };
        let mut dots = replicate.changes.iter().map(|change| change.event.dot);
        if vnode.are_outlived(&replicate.changes) || dots.any(|dot| vnode.awaits(dot)) {
            return Ok(PeerReply::Refused(Refusal::Behind));
        }
        if let Some(prefix) = vnode.lacks_increments(&replicate.changes) {
            self.repair(from, replicate.vnode, prefix, batch);
            return Ok(PeerReply::Refused(Refusal::Behind));
        }
        let answers = self.work(replicate.vnode, batch, |vnode, _, stage| {
            vnode.receive(hlc, &replicate.changes, stage)
        })?;
        Ok(match answers {
            Ok(answers) => {
                self.entered(replicate.vnode, replicate.durability, &answers, batch);
                PeerReply::Acked
            }
            Err(refusal) => PeerReply::Refused(refusal),
        })
    }

    pub(super) fn absorb(
        &mut self,
        from: NodeId,
        absorb: &Absorb,
        batch: &mut Batch<'_>,
    ) -> Result<PeerReply, SourceError> {
        let Some(vnode) = self.vnodes.get(&absorb.vnode) else {
            return Ok(PeerReply::Refused(self.unused(absorb.vnode)));
        };
        let Bundle { events, rows, .. } = &absorb.bundle;
        let shown = rows.iter().flat_map(|keyed| keyed.row.versions().keys());
        let mut dots = events.iter().map(|event| event.dot).chain(shown.copied());
        if vnode.is_bundle_outlived(from, &absorb.bundle) || dots.any(|dot| vnode.awaits(dot)) {
            return Ok(PeerReply::Refused(Refusal::Behind));
        }
        if self.has_no_room(absorb.vnode, &mut absorb.bundle.events.iter()) {
            return Ok(PeerReply::Refused(Refusal::DiskFull));
        }
        let absorbed = self.absorb_bundle(absorb.vnode, &absorb.bundle, absorb.durability, batch);
        Ok(absorbed?.map_or_else(PeerReply::Refused, |()| PeerReply::Acked))
    }

    /// Is there too little room for these events? Those that are here already take none.
    fn has_no_room(&self, id: VnodeId, events: &mut dyn Iterator<Item = &Event>) -> bool {
        let room = self.config.limits.room;
        let vnode = self.vnodes.get(&id);
        let is_new = |event: &&Event| vnode.is_none_or(|vnode| !vnode.clock().contains(event.dot));
        !room.takes(events.filter(is_new).any(Event::grows))
    }

    /// Enters rows with their events, if the vnode can be read.
    pub(super) fn absorb_bundle(
        &mut self,
        id: VnodeId,
        bundle: &Bundle,
        durability: Durability,
        batch: &mut Batch<'_>,
    ) -> Result<Result<(), Refusal>, SourceError> {
        let hlc = self.take_stamps(bundle.events.iter().map(|event| event.hlc), batch);
        let answers = self.work(id, batch, |vnode, _, stage| {
            vnode.absorb(hlc, bundle, stage)
        })?;
        Ok(answers.map(|answers| self.entered(id, durability, &answers, batch)))
    }

    /// Pulls what this replica lacks of a key from a peer that has it.
    pub(super) fn repair(
        &mut self,
        from: NodeId,
        id: VnodeId,
        prefix: KeyPrefix,
        batch: &mut Batch<'_>,
    ) {
        let Some(vnode) = self.vnodes.get(&id) else {
            return;
        };
        let purpose = Purpose::PullKey(id, prefix.clone());
        if !self.may_pull_key(from, &purpose) {
            return;
        }
        let pull = PullKey {
            vnode: id,
            incarnation: vnode.actor().nonce,
            prefix,
            have: vnode.clock().clone(),
        };
        self.call(from, purpose, PeerRequest::PullKey(pull), batch);
    }

    pub(super) fn entered(
        &mut self,
        id: VnodeId,
        durability: Durability,
        answers: &[Change],
        batch: &mut Batch<'_>,
    ) {
        batch.barrier = batch.barrier.max(durability);
        batch.touched.push(id);
        self.spread(id, answers, batch);
    }

    /// Takes over the stamps of received events, as far as drift allows: a stamp from too far ahead
    /// is stored with its version and moves no clock here.
    pub(super) fn take_stamps(
        &mut self,
        stamps: impl Iterator<Item = Hlc>,
        batch: &Batch<'_>,
    ) -> Hlc {
        for stamp in stamps {
            if let Err(_exceeded) = self.hlc.observe(batch.now.wall_ms, stamp) {
                self.stamps_ahead += 1;
            }
        }
        self.hlc.stamp(batch.now.wall_ms)
    }

    /// Sends events that no client asked for to the other owners, once; dot pull does the rest.
    pub(super) fn spread(&mut self, id: VnodeId, changes: &[Change], batch: &mut Batch<'_>) {
        if changes.is_empty() {
            return;
        }
        for peer in self.other_owners(id) {
            let replicate = Replicate {
                vnode: id,
                durability: Durability::Memory,
                changes: changes.to_vec(),
            };
            let request = PeerRequest::Replicate(replicate);
            self.call(peer, Purpose::Spread, request, batch);
        }
    }
}
