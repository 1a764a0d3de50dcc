//! Bounded counters in a vnode: who may spend, and when ([`crdt::kinds::bounded`]).
//!
//! A node spends from rights of its own, so it asks nobody and no two spend one right. That holds
//! as long as two things do: a node knows all of its own row, and no right is made twice. Both have
//! to survive lost and restored disks, late messages and retries.
//!
//! *Whole before it acts* (`whole`). A vnode adds, spends, grants and takes back only when, since
//! it began, every other owner has been heard and all that it had seen then is here. What a lost
//! disk knew of the own row is then known again, as far as any disk still knows it. An owner that
//! has told its clock to a new life of a node takes no row of a bounded counter from an older life
//! of it any more, so nothing of the past arrives later.
//!
//! *No total without its past.* A row's body is a running total. One that arrives is entered only
//! where the version that it was made over is known ([`Vnode::lacks_increments`]), so with a total
//! every owner has the events that it sums up, and their records.
//!
//! *What is added waits.* An add that was retried through another coordinator is there twice and
//! would make rights twice. So what this node added is [reserved](Reserved), neither spent nor
//! granted, until every owner, being whole, holds it durably, and this vnode has seen all that they
//! had seen when they did. From then on a retry is recognised everywhere, and a copy that was made
//! before is known here: of the copies only the smallest dot is ever set free. An owner that is not
//! whole may have lost a copy that it made and that a third one has. What is reserved is an own add
//! whose entry is still in the dotlog, and one that is known to be a copy. That it is one, every
//! owner remembers until it is taken back.
//!
//! *A copy is taken back once, by the node that made it* (`returns`): an add is used up, a spend is
//! added again, by an event that names the copy and so enters it in the record of the operation, in
//! one batch with the row. As with the other counters every owner must hold both durably first,
//! or the winner be lost with all who held it (`lost`). Nobody else writes the row, so while that
//! node is away the copy stays: a spend that counts twice leaves the value too low, an add too
//! high, and its rights unused.
//!
//! *Granted by a row.* A refused spend asks the owner with the most rights for some (`grants`). It
//! grants by an event of its own row, and the asker may spend when the row has arrived. No message
//! is a promise.
//!
//! So at every moment the spends (copies too, less those taken back) are at most the adds that were
//! set free, one copy of each: the counter is never below 0 by what disks hold. What only disks
//! held that are lost is lost: a spend that was acknowledged by w owners survives w - 1 of them.

mod grants;
mod lost;
mod plan;
mod returns;
mod whole;

use std::collections::BTreeMap;

use super::Vnode;
use super::records::{Increment, Record};
use crate::mutants::{self, Mutant};
use crate::protocol::event::{Effect, Event, Operation};
use crate::protocol::keys::{KeyPrefix, RowKey};
use crate::protocol::stage::{Family, Source, SourceError, Stage, decode_keyed};
use crdt::Dot;
use crdt::kinds::Leaf;
use crdt::kinds::bounded::{self, Ledger};
use crdt::kinds::map::Path;
pub use grants::Shortage;
pub(super) use whole::{Lives, Wholeness};

/// What this node added and may not spend yet, by its rows.
pub(super) type Reserved = BTreeMap<RowKey, BTreeMap<Dot, u64>>;

impl Vnode {
    /// This node's row of a bounded counter.
    fn own_rights(&self, prefix: &KeyPrefix) -> RowKey {
        prefix.row(Leaf::Rights, &bounded::part(self.actor.node))
    }

    /// The rights of all nodes, as they are known here.
    fn ledger(&self, prefix: &KeyPrefix, stage: &Stage<'_>) -> Result<Ledger, SourceError> {
        let (from, to) = prefix.leaf_range(&Path::root(), Leaf::Rights);
        let mut rows = Vec::new();
        for (key, stored) in stage.range(Family::Data, &from, &to, usize::MAX)? {
            let keyed = decode_keyed(&key, &stored)?;
            let node = bounded::node_of(keyed.key.part());
            let node = node.map_err(|error| SourceError::corrupt(&key, error))?;
            rows.push((node, keyed.row));
        }
        let ledger = bounded::ledger(rows.iter().map(|(node, row)| (*node, row)));
        ledger.map_err(|error| SourceError::senseless(&from, error))
    }

    /// What this node may spend or grant now.
    fn spendable(&self, prefix: &KeyPrefix, ledger: &Ledger) -> u64 {
        let mut reserved = self.reserved_in(&self.own_rights(prefix), None);
        if mutants::is_active(Mutant::AddedSpendableAtOnce) {
            // The bug: what was added is spent before a copy of it would be known.
            reserved = 0;
        }
        ledger.rights_of(self.actor.node).saturating_sub(reserved)
    }

    /// What is reserved in a row of this node, but for one application.
    fn reserved_in(&self, row: &RowKey, but: Option<Dot>) -> u64 {
        let reserved = self.reserved.get(row).into_iter().flatten();
        // One that is not here is not in the row either: its record has come first, or it is lost.
        let others = reserved.filter(|&(&dot, _)| Some(dot) != but && self.clock.contains(dot));
        others.fold(0, |sum, (_, &amount)| sum.saturating_add(amount))
    }

    fn reserve(&mut self, row: RowKey, dot: Dot, amount: i64) {
        if let Ok(amount @ 1..) = u64::try_from(amount) {
            self.reserved.entry(row).or_default().insert(dot, amount);
        }
    }

    fn set_free(&mut self, row: &RowKey, dot: Dot) {
        if let Some(reserved) = self.reserved.get_mut(row) {
            reserved.remove(&dot);
            if reserved.is_empty() {
                self.reserved.remove(row);
            }
        }
    }

    /// An event of this node's own row is entered: what it adds is reserved, what it takes back no
    /// longer.
    pub(super) fn note_rights(&mut self, event: &Event) {
        if !self.is_own_right(event) {
            return;
        }
        match event.operation.map(|operation| operation.effect) {
            Some(Effect::Increment(amount)) => self.reserve(event.row.clone(), event.dot, amount),
            Some(Effect::TakenBack(application)) => self.set_free(&event.row, application.dot),
            Some(Effect::Carried | Effect::Removal) | None => {}
        }
    }

    /// Reserves what this node's copies of an operation added, as long as they are not taken back,
    /// whether or not the dotlog still has them.
    pub(super) fn reserve_losers(&mut self, record: &Record) {
        for increment in rights_in(record) {
            let row = self.own_rights(&increment.share.prefix());
            for loser in record.applied.at(increment.place).skip(1) {
                if loser.actor.node != self.actor.node {
                    continue;
                }
                if record.taken.contains(&loser) {
                    self.set_free(&row, loser);
                } else {
                    self.reserve(row.clone(), loser, increment.amount);
                }
            }
        }
    }

    /// May the entry of an event go, by the rules of bounded counters? Every owner holds it
    /// durably. An increment of this node stays until a copy of it would be known, and is not one
    /// that has to be taken back.
    pub(super) fn are_rights_settled(
        &self,
        event: &Event,
        stage: &Stage<'_>,
    ) -> Result<bool, SourceError> {
        let (true, Some(operation)) = (self.is_own_right(event), event.operation) else {
            return Ok(true);
        };
        let Operation { id, effect, .. } = operation;
        if !matches!(effect, Effect::Increment(_)) {
            return Ok(true);
        }
        let all_whole = self.peers.values().all(|view| view.is_whole);
        if !all_whole || !self.covers_peers() || self.awaited().is_some() {
            return Ok(false);
        }
        let Some(record) = self.record(id, stage)? else {
            return Ok(true);
        };
        let winner = self
            .left_at(&record, event.dot.counter - event.first)
            .next();
        let is_over = self.doubled.counts_twice(id) == Some(false);
        Ok(is_over || winner == Some(event.dot) || record.taken.contains(&event.dot))
    }

    /// The entry of an event goes: what it added may be spent.
    pub(super) fn release(&mut self, event: &Event) {
        if self.is_own_right(event) {
            self.set_free(&event.row, event.dot);
        }
    }

    /// Is an increment of this node in it that not every owner is known to hold? Then a copy of it
    /// may still appear, and the record must be there to tell.
    pub(super) fn has_open_rights(&self, record: &Record) -> bool {
        let is_open = |dot: Dot| {
            let is_logged = self.clock.contains(dot) && !self.unlogged.contains(dot);
            dot.actor.node == self.actor.node && is_logged
        };
        rights_in(record).next().is_some() && record.applied.dots().any(is_open)
    }

    /// What is reserved follows from the dotlog and the records of a store: `events` are its
    /// entries.
    pub(super) fn recover_rights(
        &mut self,
        events: &[Event],
        source: &dyn Source,
    ) -> Result<(), SourceError> {
        for event in events {
            self.note_rights(event);
        }
        let stage = Stage::new(source);
        for id in self.doubled.all() {
            if let Some(record) = self.record(id, &stage)? {
                self.reserve_losers(&record);
                if rights_in(&record).next().is_some() {
                    self.doubled_before.insert(id);
                }
            }
        }
        Ok(())
    }

    fn is_own_right(&self, event: &Event) -> bool {
        event.row.leaf() == Leaf::Rights && event.dot.actor.node == self.actor.node
    }
}

/// The increments of bounded counters in an operation.
fn rights_in(record: &Record) -> impl Iterator<Item = &Increment> {
    let increments = record.increments.iter();
    increments.filter(|increment| increment.share.leaf() == Leaf::Rights)
}
