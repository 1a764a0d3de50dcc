//! Receiving what other owners coordinated: deltas, and containers with their dots.

use std::collections::{BTreeMap, BTreeSet};

use super::{Vnode, chosen, clearing, versions_of};
use crate::mutants::{self, Mutant};
use crate::protocol::event::Event;
use crate::protocol::keys::{KeyPrefix, RowKey};
use crate::protocol::messages::{Bundle, Change, KeyedRow};
use crate::protocol::stage::{SourceError, Stage};
use crdt::dots::DotSet;
use crdt::kinds::rules::Twice;
use crdt::{Context, Hlc, Row};

impl Vnode {
    /// Enters deltas that are new here; those seen before are left alone. Returns the events that
    /// this vnode made of its own in answer: removals of aliases.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub fn receive(
        &mut self,
        hlc: Hlc,
        changes: &[Change],
        stage: &mut Stage<'_>,
    ) -> Result<Vec<Change>, SourceError> {
        let events = changes.iter().map(|change| &change.event);
        let new =
            events.filter(|event| !self.clock.contains(event.dot) && self.is_here(&event.row));
        let new: Vec<&Event> = new.collect();
        self.note(&new, stage)?;
        let mut answers = Vec::new();
        for Change { event, delta } in changes {
            if self.clock.contains(event.dot) || !self.is_here(&event.row) {
                continue;
            }
            answers.extend(self.enter(hlc, event, delta, stage)?);
        }
        self.enter_held_back(stage);
        Ok(answers)
    }

    /// The counter whose share, or a node's rights, in these deltas sums up increments that are not
    /// here, if any does.
    ///
    /// A share is a running total: entered without the events of all it sums up, it would count
    /// increments that have no record here, and should those events be lost with a disk, their
    /// retries would count again.
    #[must_use]
    pub fn lacks_increments(&self, changes: &[Change]) -> Option<KeyPrefix> {
        let sums = |change: &&Change| change.event.row.leaf().rules().twice == Twice::Sums;
        let mut sums = changes.iter().filter(sums);
        let lacking = sums.find(|Change { event, delta }| self.lacks(event, delta, changes));
        lacking.map(|change| change.event.row.prefix())
    }

    /// Is the version that a delta was made over neither here nor among the changes that come with
    /// it? Whoever has that version has all that it sums up: it came in the same way, or with its
    /// events.
    fn lacks(&self, event: &Event, delta: &Row, changes: &[Change]) -> bool {
        let lacking = delta.context().dots().difference(self.clock.dots());
        let mut carried = DotSet::default();
        changes.iter().for_each(|c| carried.insert(c.event.dot));
        !self.clock.contains(event.dot) && !carried.covers(&lacking)
    }

    /// Joins containers and then enters their events: the end of a pull, of a repair, of a repeated
    /// operation. Both sides are filled for the join, each with the clock that belongs to its rows.
    ///
    /// A row that brings nothing new is passed over: with a row come all of its events that this
    /// vnode may lack, so it has no more to say, and joined it would leave a context behind that
    /// no entry of the dotlog settles.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub fn absorb(
        &mut self,
        hlc: Hlc,
        bundle: &Bundle,
        stage: &mut Stage<'_>,
    ) -> Result<Vec<Change>, SourceError> {
        let events = bundle.events.iter();
        let missing = events.filter(|event| !self.clock.contains(event.dot));
        let missing: BTreeSet<&RowKey> = missing.map(|event| &event.row).collect();
        let is_news = |keyed: &KeyedRow| {
            let mut shown = keyed.row.versions().keys();
            missing.contains(&keyed.key) || shown.any(|&dot| !self.clock.contains(dot))
        };
        let rows = self.join_rows(bundle, is_news, stage)?;
        if !rows.is_empty() {
            self.borrow(bundle, stage);
        }
        self.take_records(&bundle.records, stage)?;
        let answers = self.enter_rows(hlc, &bundle.events, rows, stage)?;
        self.enter_held_back(stage);
        Ok(answers)
    }

    /// Joins rows of a bundle with those that are here.
    pub(super) fn join_rows(
        &self,
        bundle: &Bundle,
        which: impl Fn(&KeyedRow) -> bool,
        stage: &Stage<'_>,
    ) -> Result<BTreeMap<RowKey, Row>, SourceError> {
        let mut rows = BTreeMap::new();
        let here = bundle.rows.iter().filter(|keyed| self.is_here(&keyed.key));
        for KeyedRow { key, row } in here.filter(|keyed| which(keyed)) {
            rows.insert(key.clone(), self.joined(key, row, bundle, stage)?);
        }
        for event in &bundle.events {
            // What came and is not alive was killed: the row must know (I2) until the clock does.
            if let Some(row) = rows.get_mut(&event.row)
                && event.has_version()
                && !row.versions().contains_key(&event.dot)
            {
                let mut context = row.context().clone();
                context.insert(event.dot);
                row.set_context(context);
            }
        }
        Ok(rows)
    }

    /// Enters joined rows and their events. Returns the events that this vnode made in answer.
    pub(super) fn enter_rows(
        &mut self,
        hlc: Hlc,
        events: &[Event],
        mut rows: BTreeMap<RowKey, Row>,
        stage: &mut Stage<'_>,
    ) -> Result<Vec<Change>, SourceError> {
        // An event whose row did not come along is not reflected here, and stays missing.
        let is_new =
            |event: &&Event| rows.contains_key(&event.row) && !self.clock.contains(event.dot);
        let entered: Vec<&Event> = events.iter().filter(is_new).collect();
        entered
            .iter()
            .for_each(|event| self.clock.insert(event.dot));
        // A version whose event did not come along is trimmed at its sender, which every owner once
        // held durably. The row here reflects it now.
        let versions = rows.values().flat_map(|row| row.versions().keys());
        let mut trimmed = DotSet::default();
        for &dot in versions.filter(|&&dot| !self.clock.contains(dot)) {
            trimmed.insert(dot);
        }
        self.enter_unlogged(&trimmed, stage);
        let mut before = BTreeMap::new();
        for (key, row) in &mut rows {
            before.insert(key.clone(), stage.row(key)?);
            chosen(key, row);
            row.strip(&self.clock);
            self.put_row(key, row, stage);
            self.expiring.meet(row);
        }
        for event in &entered {
            let row = rows.get(&event.row);
            let unsettled = row.is_some_and(|row| !row.context().is_empty());
            self.log(event, unsettled, stage);
        }
        self.note(&entered, stage)?;
        let mut answers = Vec::new();
        for (key, before) in &before {
            let of_row = entered.iter().filter(|event| event.row == *key);
            let of_row: Vec<&Event> = of_row.copied().collect();
            answers.extend(self.remove_aliases(hlc, key, before, &of_row, stage)?);
        }
        Ok(answers)
    }

    /// Enters dots that no owner logs any more and that the rows here reflect.
    pub(super) fn enter_unlogged(&mut self, dots: &DotSet, stage: &mut Stage<'_>) {
        if !dots.is_empty() {
            self.clock.join(dots);
            self.unlogged.join(dots);
            self.checkpoint(stage);
        }
    }

    /// This vnode's row joined with one of a bundle, each filled with the clock that belongs to it.
    ///
    /// Of the contexts so filled the row keeps what is about itself: what either side had stored,
    /// and the versions that the join drops. All else that the other owner has seen speaks of other
    /// rows, and of events that may yet be lost; those that matter come with it. What they trimmed
    /// cannot, so it is kept.
    pub(super) fn joined(
        &self,
        key: &RowKey,
        theirs: &Row,
        bundle: &Bundle,
        stage: &Stage<'_>,
    ) -> Result<Row, SourceError> {
        if mutants::is_active(Mutant::RepairOverwrites) {
            return Ok(theirs.clone());
        }
        let mine = self.row(key, stage)?;
        let kept = clearing::kept(key, &mine, theirs);
        let (mut joined, mut other) = (mine.clone(), theirs.clone());
        joined.fill(&self.clock);
        if mutants::is_active(Mutant::BareContainer) {
            other.set_context(Context::default());
        } else {
            other.fill(&bundle.bases);
        }
        joined.join(&other);
        let mut context = mine.context().clone();
        context.join(theirs.context());
        context.join(&Context::of(bundle.trimmed.clone()));
        let dropped = mine.versions().keys().chain(theirs.versions().keys());
        for &dot in dropped.filter(|dot| !joined.versions().contains_key(dot)) {
            context.insert(dot);
        }
        if !kept.is_empty() {
            let gone = context.dots().difference(versions_of(&kept).dots());
            context = Context::of(gone);
        }
        joined.set_context(context);
        joined.join(&kept);
        Ok(joined)
    }

    fn is_here(&self, row: &RowKey) -> bool {
        row.vnode(self.bits) == Some((u8::from(self.id.n), self.id.partition))
    }
}
