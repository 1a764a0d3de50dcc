//! Vnodes whose stored bytes are damaged: kept from use, emptied, and begun anew.
//!
//! ```text
//!   damage is met        out of use at once: nothing of it is served, nothing is pulled from it
//!   next batch           a mark in the store says so, and what follows, to every later life
//!   an owner compares    its clock covers all that every owner ever held durably?
//!   then                 the rows, events, records and the checkpoint are deleted, page by page
//!   nothing is left      it begins as a vnode that never was, and catches up from the others
//! ```
//!
//! What cannot be read is not damaged yet: a disk, or the way to it, may fail for a moment
//! (`aside`). Where that lasts, the walk over what is stored takes it for damaged (`walk`).
//!
//! "Seen and absent" means deleted, so a vnode that lacks what its clock holds would have the
//! others delete it too: a damaged row is therefore the loss of the whole vnode, and its repair
//! that of a lost disk. What no other owner has of it is lost with it, as with a lost disk. While
//! no other owner covers what all had, the bytes stay as they are: they may be the last copy.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::{Batch, Replica};
use crate::protocol::keys::damaged_key;
use crate::protocol::messages::{Fingerprint, Refusal};
use crate::protocol::stage::{Family, Source, SourceError, Stage};
use crate::protocol::time::Time;
use crate::protocol::unreadable::Unreadable;
use crate::protocol::vnode::{Remains, Vnode, everything_of, question};
use crdt::Clock;
use ring::{NodeId, QBits, VnodeId};
use starling::wire::Durability;

/// A damaged vnode, until it has begun anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    reason: String,
    /// Names the question to the other owners.
    nonce: u64,
    remains: Remains,
    /// What the owners that have answered hold durably.
    heard: BTreeMap<NodeId, Clock>,
    /// The owners that have answered last that they have no such vnode in use.
    unused_at: BTreeSet<NodeId>,
    /// Another owner has what must not be lost: the bytes go.
    is_emptying: bool,
    /// The store says as much of it as is known here.
    is_marked: bool,
    /// For how long the bytes could not be read in order to delete them.
    unread: Unreadable,
    /// Why the bytes cannot be deleted.
    stuck: Option<String>,
}

impl Quarantine {
    /// What was found damaged, and how.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Are its bytes being deleted, since another owner has what must not be lost?
    #[must_use]
    pub fn is_emptying(&self) -> bool {
        self.is_emptying
    }

    /// Why its bytes cannot be deleted, if that was tried and failed: a person has to act.
    #[must_use]
    pub fn stuck(&self) -> Option<&str> {
        self.stuck.as_deref()
    }

    /// The owners that have no such vnode in use either. One that has just started has it in a
    /// moment; where it is damaged too, each waits for the other, and a person has to act.
    #[must_use]
    pub fn unused_at(&self) -> &BTreeSet<NodeId> {
        &self.unused_at
    }

    /// May the bytes go? What every owner ever held durably must be at those that have answered.
    /// So must be all that was seen here, or every owner must have answered: what none of them has
    /// is lost with this copy. Where nobody can tell any more what it was, every owner must answer.
    fn is_covered(&self, others: &[NodeId]) -> bool {
        let heard = self
            .heard
            .iter()
            .filter(|(node, clock)| others.contains(node) && !is_empty(clock));
        let (mut count, mut joined) = (0, Clock::default());
        for (_, clock) in heard {
            joined.join(clock.dots());
            count += 1;
        }
        let Remains { settled, seen } = &self.remains;
        let covers = |clock: &Clock| joined.covers(clock);
        let have_all_answered = others.iter().all(|node| self.heard.contains_key(node));
        match settled {
            Some(settled) => {
                let is_all_there = seen.as_ref().is_some_and(covers);
                count > 0 && covers(settled) && (is_all_there || have_all_answered)
            }
            None => count > 0 && count == others.len(),
        }
    }

    /// Its bytes could not be deleted now.
    fn bear(&mut self, now: Time, error: &SourceError) {
        self.unread.fail(now);
        let may_pass = matches!(error, SourceError::Unreadable { .. });
        if !may_pass || self.unread.lasts() {
            self.stuck = Some(error.to_string());
        }
    }

    fn mark(&self) -> Vec<u8> {
        let mut mark = vec![u8::from(self.is_emptying)];
        mark.extend_from_slice(self.reason.as_bytes());
        mark
    }
}

impl Replica {
    /// The damaged vnodes that are kept from use.
    pub fn quarantined(&self) -> impl Iterator<Item = (VnodeId, &Quarantine)> {
        self.quarantine.iter().map(|(&id, damaged)| (id, damaged))
    }

    /// How often this life has put a vnode into quarantine.
    #[must_use]
    pub fn quarantines(&self) -> u64 {
        self.quarantines
    }

    /// Why a vnode that is not in use is not: it is damaged, cannot be read, or is another's.
    pub(super) fn unused(&self, id: VnodeId) -> Refusal {
        if self.quarantine.contains_key(&id) {
            Refusal::Quarantined
        } else if self.aside.contains_key(&id) {
            Refusal::Storage
        } else {
            Refusal::NotOwner
        }
    }

    /// Recovers a vnode. One that is damaged, or was found to be in an earlier life, goes into
    /// quarantine instead.
    pub(super) fn begin_unless_damaged(
        &mut self,
        id: VnodeId,
        source: &dyn Source,
    ) -> Result<Option<Vnode>, SourceError> {
        if let Some(mark) = source.get(Family::Meta, &damaged_key(id))? {
            let (step, reason) = mark.split_first().unwrap_or((&0, &[]));
            let reason = String::from_utf8_lossy(reason).into_owned();
            self.put_into_quarantine(id, reason, source);
            if let Some(damaged) = self.quarantine.get_mut(&id) {
                damaged.is_emptying = *step == 1;
                damaged.is_marked = true;
            }
            return Ok(None);
        }
        match self.begin(id, source) {
            Ok(vnode) => Ok(Some(vnode)),
            Err(error @ SourceError::Corrupt { .. }) => {
                self.put_into_quarantine(id, error.to_string(), source);
                Ok(None)
            }
            Err(error @ SourceError::Senseless { .. }) => {
                // The other owners have the same: to fill it from them would bring it back.
                self.put_into_quarantine(id, error.to_string(), source);
                if let Some(damaged) = self.quarantine.get_mut(&id) {
                    damaged.stuck = Some("the other owners have the same".to_owned());
                }
                Ok(None)
            }
            Err(error @ SourceError::Unreadable { .. }) => Err(error),
        }
    }

    /// The batch at hand met this error. If that is damage of one vnode, it will be put into
    /// quarantine when the batch is answered.
    pub(super) fn meet(&mut self, error: &SourceError) {
        if let SourceError::Corrupt {
            vnode: Some(id), ..
        } = error
        {
            self.met = Some((*id, error.to_string()));
        }
    }

    /// From now on the vnode is out of use.
    pub(super) fn put_into_quarantine(&mut self, id: VnodeId, reason: String, source: &dyn Source) {
        self.vnodes.remove(&id);
        self.aside.remove(&id);
        self.recovered.remove(&id);
        self.quarantines += 1;
        let damaged = Quarantine {
            reason,
            nonce: self.random.u64(..),
            remains: Remains::of(id, self.node, source),
            heard: BTreeMap::new(),
            unused_at: BTreeSet::new(),
            is_emptying: false,
            is_marked: false,
            unread: Unreadable::default(),
            stuck: None,
        };
        self.quarantine.insert(id, damaged);
    }

    /// What the vnodes in quarantine ask an owner: how far is it?
    pub(super) fn questions_to(&self, peer: NodeId) -> Vec<Fingerprint> {
        let asks = |&(&id, damaged): &(&VnodeId, &Quarantine)| {
            !damaged.is_emptying && self.other_owners(id).contains(&peer)
        };
        let asking = self.quarantine.iter().filter(asks);
        asking
            .map(|(&vnode, damaged)| question(vnode, damaged.nonce))
            .collect()
    }

    /// Has a vnode in quarantine asked under this name?
    pub(super) fn asks_as(&self, id: VnodeId, nonce: u64) -> bool {
        let damaged = self.quarantine.get(&id);
        damaged.is_some_and(|damaged| damaged.nonce == nonce)
    }

    /// An owner has told what it holds durably.
    pub(super) fn hear_for_quarantine(&mut self, id: VnodeId, from: NodeId, durable: Clock) {
        if let Some(damaged) = self.quarantine.get_mut(&id) {
            damaged.heard.insert(from, durable);
            damaged.unused_at.remove(&from);
        }
    }

    /// An owner has told that it has no such vnode in use. What it told before does not count any
    /// more: that may be what is damaged there.
    pub(super) fn hear_of_no_use(&mut self, id: VnodeId, from: NodeId) {
        if let Some(damaged) = self.quarantine.get_mut(&id) {
            damaged.heard.remove(&from);
            damaged.unused_at.insert(from);
        }
    }

    /// Marks, empties and begins anew what is in quarantine, as far as it has come. True if there
    /// is more to do soon.
    pub(super) fn tend_quarantine(&mut self, batch: &mut Batch<'_>) -> Result<bool, SourceError> {
        let mut goes_on = false;
        for id in self.quarantine.keys().copied().collect::<Vec<_>>() {
            let others = self.other_owners(id);
            let damaged = self.quarantine.get_mut(&id);
            let Some(damaged) = damaged.filter(|damaged| damaged.stuck.is_none()) else {
                continue;
            };
            if !damaged.is_emptying && damaged.is_covered(&others) {
                damaged.is_emptying = true;
                damaged.is_marked = false;
            }
            if !damaged.is_marked {
                let mark = damaged.mark();
                damaged.is_marked = true;
                // It must outlive the machine before the first row goes.
                batch.barrier = Durability::Synced;
                batch.stage.put(Family::Meta, damaged_key(id), mark);
                goes_on |= damaged.is_emptying;
            } else if damaged.is_emptying && damaged.unread.is_due(batch.now.time) {
                goes_on |= self.empty_or_begin(id, batch)?;
            }
        }
        Ok(goes_on)
    }

    fn empty_or_begin(&mut self, id: VnodeId, batch: &mut Batch<'_>) -> Result<bool, SourceError> {
        let emptied = empty(id, self.bits, &mut batch.stage);
        let emptied = emptied.and_then(|has_more| {
            let begun = (!has_more).then(|| self.begin(id, &batch.stage));
            begun.transpose()
        });
        let mut vnode = match emptied {
            Ok(Some(vnode)) => vnode,
            Ok(None) => {
                if let Some(damaged) = self.quarantine.get_mut(&id) {
                    damaged.unread = Unreadable::default();
                }
                return Ok(true);
            }
            Err(error) => {
                // The other vnodes have nothing to do with it.
                if let Some(damaged) = self.quarantine.get_mut(&id) {
                    damaged.bear(batch.now.time, &error);
                }
                return Ok(false);
            }
        };
        batch.stage.delete(Family::Meta, damaged_key(id));
        vnode.checkpoint(&mut batch.stage);
        vnode.mark_behind(&mut batch.stage);
        batch.barrier = batch.barrier.max(Durability::Wal);
        batch.touched.push(id);
        self.quarantine.remove(&id);
        self.vnodes.insert(id, vnode);
        Ok(false)
    }

    /// A batch came to nothing: what it was to mark is marked anew.
    pub(super) fn forget_marks(&mut self) {
        for damaged in self.quarantine.values_mut() {
            damaged.is_marked = false;
        }
    }
}

/// Deletes a stretch of what the store has of a vnode. False if there is nothing left.
fn empty(id: VnodeId, bits: QBits, stage: &mut Stage<'_>) -> Result<bool, SourceError> {
    let mut keys = Vec::new();
    for (family, (from, to)) in everything_of(id, bits) {
        stage.scan(family, &from, &to, &mut |key, _| {
            keys.push((family, key.to_vec()));
            if keys.len() < KEYS_PER_STEP {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        if keys.len() >= KEYS_PER_STEP {
            break;
        }
    }
    let has_more = keys.len() >= KEYS_PER_STEP;
    for (family, key) in keys {
        stage.delete(family, key);
    }
    Ok(has_more)
}

fn is_empty(clock: &Clock) -> bool {
    clock == &Clock::default()
}

/// Keys that one step deletes, about 100,000 a second.
const KEYS_PER_STEP: usize = 2_048;
