//! Trimming the dotlog: an event that every owner holds durably needs no entry any more.

use std::ops::ControlFlow;

use super::{Limits, Vnode, decode_entry};
use crate::protocol::event::Event;
use crate::protocol::keys::{RowKey, data_range, event_key};
use crate::protocol::stage::{Family, Source, SourceError, Stage, decode_row};
use crdt::{Clock, Dot};

impl Vnode {
    /// Removes entries that every owner holds durably, and settles the rows that they marked:
    /// strips their contexts by the clock, and removes rows with nothing left. An entry whose row
    /// cannot be settled yet stays, and so does this node's own increment of a bounded counter
    /// while an unknown copy of it may exist (`rights`). The dots go to the checkpoint in the same
    /// batch. Returns how many entries went.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub fn trim(&mut self, limits: &Limits, stage: &mut Stage<'_>) -> Result<usize, SourceError> {
        let safe = Clock::of(self.durable_everywhere()).missing_from(&self.unlogged);
        let mut entries: Vec<(Event, bool)> = Vec::new();
        for (actor, first, last) in safe.ranges() {
            let from = event_key(self.id, Dot::new(actor, first));
            let to = [&event_key(self.id, Dot::new(actor, last))[..], &[0]].concat();
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
        let mut trimmed = 0;
        for (event, unsettled) in entries {
            if !self.are_rights_settled(&event, stage)?
                || (unsettled && !self.settle(&event, stage)?)
            {
                continue;
            }
            self.release(&event);
            stage.delete(Family::Dotlog, event_key(self.id, event.dot));
            self.unlogged.insert(event.dot);
            trimmed += 1;
        }
        if trimmed > 0 {
            self.checkpoint(stage);
        }
        Ok(trimmed)
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
            self.settling = found.last().map(|(key, _)| [&key[..], &[0]].concat());
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

/// Rows that one settling step looks at.
const ROWS_PER_PASS: usize = 1_024;
