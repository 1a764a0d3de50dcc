//! Clears of large collections, from their arrival until nothing is left of them.
//!
//! A clear's row is joined and pulled like any other; what is special is here. While its range has
//! not been gone through, the store keeps a mark with what is to go: the row's own version may be
//! dropped before that, when another owner is done with it.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::Vnode;
use crate::mutants::{self, Mutant};
use crate::protocol::clears::Clears;
use crate::protocol::keys::{RowKey, cleared_key, cleared_range, row_of_cleared_key, successor};
use crate::protocol::messages::{Change, KeyedRow};
use crate::protocol::stage::{Family, Source, SourceError, Stage, decode_keyed};
use crdt::codec::{Decoder, Encoder};
use crdt::dots::DotSet;
use crdt::{Hlc, Row};
use ring::VnodeId;

impl Vnode {
    /// The clears that readers of this vnode's rows must heed.
    #[must_use]
    pub fn clears(&self) -> &Arc<Clears> {
        &self.clears
    }

    /// A row without what is cleared.
    pub(super) fn row(&self, key: &RowKey, stage: &Stage<'_>) -> Result<Row, SourceError> {
        let mut row = stage.row(key)?;
        self.clears.hide(key, &mut row);
        Ok(row)
    }

    /// Stages a row that may show new versions: without what is cleared, or if it is a clear, so
    /// that what it clears is hidden from now on.
    pub(super) fn put_row(&mut self, key: &RowKey, row: &mut Row, stage: &mut Stage<'_>) {
        self.clears.hide(key, row);
        if key.cleared().is_some() && Arc::make_mut(&mut self.clears).meet(key, row) {
            self.mark_clear(key, stage);
        }
        stage.put_row(key, row);
    }

    fn mark_clear(&self, key: &RowKey, stage: &mut Stage<'_>) {
        if let Some((_, removed)) = self.clears.iter().find(|(of, _)| *of == key) {
            let mut encoder = Encoder::with_capacity(64);
            removed.encode(&mut encoder);
            stage.put(Family::Meta, cleared_key(self.id, key), encoder.finish());
        }
    }

    /// Goes through a stretch of the rows that are cleared; when there is none left, forgets the
    /// clears that are done with.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub(in crate::protocol) fn purge_cleared(
        &mut self,
        hlc: Hlc,
        stage: &mut Stage<'_>,
    ) -> Result<Purged, SourceError> {
        if self.clears.is_empty() {
            return Ok(Purged::default());
        }
        let Some((clear, (from, to))) = self.clears.unfinished() else {
            let is_changed = self.forget_clears(stage)?;
            return Ok(Purged {
                is_changed,
                ..Purged::default()
            });
        };
        let found = stage.range(Family::Data, &from, &to, ROWS_PER_STEP)?;
        let mut answers = Vec::new();
        for (key, stored) in &found {
            let KeyedRow { key, mut row } = decode_keyed(key, stored)?;
            let before = row.clone();
            if self.clears.hide(&key, &mut row) {
                row.strip(&self.clock);
                stage.put_row(&key, &row);
                answers.extend(self.remove_aliases(hlc, &key, &before, &[], stage)?);
            }
        }
        let last = found.last().filter(|_| found.len() == ROWS_PER_STEP);
        let next = last.map(|(key, _)| successor(key));
        Arc::make_mut(&mut self.clears).purged(&clear, next);
        Ok(Purged {
            is_changed: true,
            has_more: true,
            answers,
        })
    }

    /// Forgets the clears whose range is clean, that every owner holds, and of which nothing can
    /// be on its way any more. True if there were any.
    fn forget_clears(&mut self, stage: &mut Stage<'_>) -> Result<bool, SourceError> {
        let bases = self.clock.dots().bases();
        let mut forgotten = Vec::new();
        let is_early = mutants::is_active(Mutant::ClearForgotten);
        for (key, removed) in self.clears.iter() {
            let row = stage.row(key)?;
            if is_early || bases.covers(removed) && self.holds_durably(&row) {
                forgotten.push((key.clone(), row));
            }
        }
        for (key, row) in &mut forgotten {
            // The clock holds the dots: a row that does not show them says that they are gone.
            row.hide(super::versions_of(row).dots());
            stage.put_row(key, row);
            stage.delete(Family::Meta, cleared_key(self.id, key));
            Arc::make_mut(&mut self.clears).forget(key);
        }
        Ok(!forgotten.is_empty())
    }
}

/// What a step of purging did.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Purged {
    /// Rows changed.
    pub is_changed: bool,
    /// There is more to go through.
    pub has_more: bool,
    /// The events that the vnode made of its own: removals of aliases.
    pub answers: Vec<Change>,
}

/// The clears that a store has marks of.
pub(super) fn recover_clears(id: VnodeId, source: &dyn Source) -> Result<Clears, SourceError> {
    let mut clears = Clears::default();
    let mut failed = None;
    let (from, to) = cleared_range(id);
    source.scan(Family::Meta, &from, &to, &mut |key, value| {
        let mut decoder = Decoder::new(value);
        let mark = row_of_cleared_key(key).and_then(|row| {
            let removed = DotSet::decode(&mut decoder)?;
            decoder.finish()?;
            Ok((row, removed))
        });
        match mark {
            Ok((row, removed)) => {
                clears.resume(row, &removed);
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(SourceError::corrupt(key, error));
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(clears), Err)
}

/// Rows that one step goes through.
const ROWS_PER_STEP: usize = 4_096;
