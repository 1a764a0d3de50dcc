//! Trimming the dotlog: an event that every owner holds durably needs no entry any more.

use std::ops::ControlFlow;

use super::collected::{self, Collecting};
use super::{Limits, Vnode, decode_entry};
use crate::mutants::{self, Mutant};
use crate::protocol::event::Event;
use crate::protocol::keys::{RowKey, data_range, event_key, successor};
use crate::protocol::messages::Change;
use crate::protocol::stage::{Family, Source, SourceError, Stage, decode_row};
use crdt::dots::DotSet;
use crdt::{Clock, Dot, Hlc};

/// What a pass of trimming did.
#[derive(Debug, Default)]
pub struct Trimmed {
    /// Entries that went.
    pub entries: usize,
    /// Limits cut it short.
    pub has_more: bool,
    /// The events that the vnode made of its own: removals of its shares that are reset.
    pub answers: Vec<Change>,
}

impl Vnode {
    /// Removes entries that every owner holds durably, and settles the rows that they marked:
    /// strips their contexts by the clock, and removes rows with nothing left, and shares of this
    /// vnode that are reset (`collected`). An entry whose row cannot be settled yet stays, and so
    /// does this node's own increment of a bounded counter while an unknown copy of it may exist
    /// (`rights`). The dots go to the checkpoint in the same batch.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub fn trim(
        &mut self,
        hlc: Hlc,
        limits: &Limits,
        stage: &mut Stage<'_>,
    ) -> Result<Trimmed, SourceError> {
        let mut done = Trimmed::default();
        self.collect_early(hlc, limits, &mut done, stage)?;
        let safe = Clock::of(self.durable_everywhere()).missing_from(&self.unlogged);
        for (event, unsettled) in self.entries(&safe, limits, stage)? {
            if !self.are_rights_settled(&event, stage)?
                || (unsettled && !self.settle(&event, stage)?)
            {
                continue;
            }
            match self.collecting(&event, stage)? {
                Collecting::Nothing => {}
                Collecting::Remove(row) if done.answers.len() < collected::PER_PASS => {
                    done.answers.push(self.collect(hlc, &event, &row, stage)?);
                }
                Collecting::Remove(_) => {
                    done.has_more = true;
                    continue;
                }
                Collecting::Wait => continue,
            }
            self.release(&event);
            stage.delete(Family::Dotlog, event_key(self.id, event.dot));
            self.unlogged.insert(event.dot);
            done.entries += 1;
        }
        if done.entries > 0 {
            self.checkpoint(stage);
        }
        done.has_more |= done.entries >= limits.events_per_trim;
        Ok(done)
    }

    /// The entries of some dots, with their marks, about as many as one pass looks at.
    fn entries(
        &self,
        of: &DotSet,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Vec<Entry>, SourceError> {
        let mut entries: Vec<Entry> = Vec::new();
        for (actor, first, last) in of.ranges() {
            let from = event_key(self.id, Dot::new(actor, first));
            let to = successor(&event_key(self.id, Dot::new(actor, last)));
            let mut failed = None;
            stage.scan(Family::Dotlog, &from, &to, &mut |key, entry| {
                match decode_entry(key, entry) {
                    Ok(entry) => entries.push(entry),
                    Err(error) => failed = Some(error),
                }
                if failed.is_some() || entries.len() >= limits.events_per_trim {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(entries)
    }

    /// The bug [`Mutant::ShareCollectedEarly`]: whoever sees a share reset removes it, without a
    /// look at whose it is and at what others have seen.
    fn collect_early(
        &mut self,
        hlc: Hlc,
        limits: &Limits,
        done: &mut Trimmed,
        stage: &mut Stage<'_>,
    ) -> Result<(), SourceError> {
        if !mutants::is_active(Mutant::ShareCollectedEarly) {
            return Ok(());
        }
        let logged = self.clock.missing_from(&self.unlogged);
        for (event, _) in self.entries(&logged, limits, stage)? {
            if let Collecting::Remove(row) = self.collecting(&event, stage)? {
                done.answers.push(self.collect(hlc, &event, &row, stage)?);
            }
        }
        Ok(())
    }

    /// After a full sync: settles a stretch of all rows. No entry of the dotlog marks them, since
    /// what their contexts hold against late messages came with the pages, and the clock explains
    /// it now. A pass that a restart cuts short leaves contexts that the next write of their row
    /// settles.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub fn settle_some(&mut self, stage: &mut Stage<'_>) -> Result<usize, SourceError> {
        // Too early, and the clock would not explain the contexts yet.
        if !self.covers_peers() {
            return Ok(0);
        }
        let Some(after) = self.settling.take() else {
            return Ok(0);
        };
        let (start, end) = data_range(self.id, self.bits);
        let found = stage.range(Family::Data, &after.max(start), &end, ROWS_PER_PASS)?;
        let mut settled = 0;
        for (key, stored) in &found {
            let mut row = decode_row(key, stored)?;
            if !row.context().is_empty() {
                let key = RowKey::decode(key).map_err(|error| SourceError::corrupt(key, error))?;
                row.strip(&self.clock);
                stage.put_row(&key, &row);
                settled += 1;
            }
        }
        if found.len() == ROWS_PER_PASS {
            self.settling = found.last().map(|(key, _)| successor(key));
        }
        Ok(settled)
    }

    /// Strips a row by the clock. False if something is left that the clock does not explain.
    fn settle(&self, event: &Event, stage: &mut Stage<'_>) -> Result<bool, SourceError> {
        let mut row = stage.row(&event.row)?;
        row.strip(&self.clock);
        stage.put_row(&event.row, &row);
        Ok(row.context().is_empty())
    }
}

/// An entry of the dotlog: the event, and whether its row still needs settling.
type Entry = (Event, bool);

/// Rows that one settling step looks at.
const ROWS_PER_PASS: usize = 1_024;
