//! Clears of large collections, from their arrival until nothing is left of them.
//!
//! A clear's row is joined and pulled like any other; what is special is here. While its range has
//! not been gone through, the store keeps a mark with what is to go: the row's own version may be
//! dropped before that, when another owner has a later clear.
//!
//! Of all events a clear alone takes effect outside of its row, and so it is the one that must not
//! come to anybody with its row alone, when that shows nothing of it any more: whoever has rows of
//! the range from an old disk would have seen the clear and show them still. So an owner forgets a
//! clear no sooner than it has trimmed its events, and from then on it comes by a full sync, as
//! does what it removed. Until then its row shows it, whoever else has forgotten it ([`kept`]).

use std::ops::ControlFlow;
use std::sync::Arc;

use super::{Limits, Vnode, versions_of};
use crate::mutants::{self, Mutant};
use crate::protocol::clears::Clears;
use crate::protocol::keys::{RowKey, cleared_key, cleared_range, row_of_cleared_key, successor};
use crate::protocol::messages::{Change, KeyedRow};
use crate::protocol::stage::{Family, Source, SourceError, Stage, decode_keyed};
use crdt::codec::{Decoder, Encoder};
use crdt::dots::DotSet;
use crdt::kinds::{Leaf, cleared};
use crdt::{Clock, Context, Hlc, Row};
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
        limits: &Limits,
        stage: &mut Stage<'_>,
    ) -> Result<Purged, SourceError> {
        if self.clears.is_empty() {
            return Ok(Purged::default());
        }
        let Some((clear, (from, to))) = self.clears.unfinished() else {
            let is_changed = self.forget_clears(limits, stage)?;
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

    /// Forgets the clears whose range is clean, that every owner holds, of which nothing can be on
    /// its way any more, and of which the dotlog tells nobody. True if there were any.
    fn forget_clears(
        &mut self,
        limits: &Limits,
        stage: &mut Stage<'_>,
    ) -> Result<bool, SourceError> {
        let bases = self.clock.dots().bases();
        let mut forgotten = Vec::new();
        let is_early = mutants::is_active(Mutant::ClearForgotten);
        for (key, removed) in self.clears.iter() {
            let row = stage.row(key)?;
            let is_done = bases.covers(removed)
                && self.holds_durably(&row)
                && !self.is_clear_logged((key, &row, removed), limits, stage)?;
            if is_early || is_done {
                forgotten.push((key.clone(), row));
            }
        }
        for (key, row) in &mut forgotten {
            // The clock holds the dots: a row that does not show them says that they are gone.
            row.hide(versions_of(row).dots());
            stage.put_row(key, row);
            stage.delete(Family::Meta, cleared_key(self.id, key));
            Arc::make_mut(&mut self.clears).forget(key);
        }
        Ok(!forgotten.is_empty())
    }

    /// The rows of the clears in a range that whoever has seen `have` does not know.
    pub(super) fn clears_lacked(
        &self,
        (from, to): (&[u8], &[u8]),
        have: &Clock,
        stage: &Stage<'_>,
    ) -> Result<Vec<RowKey>, SourceError> {
        let mut lacked = Vec::new();
        for key in self.clears.meeting(from, to) {
            let row = stage.row(key)?;
            if row.versions().keys().any(|&dot| !have.contains(dot)) {
                lacked.push(key.clone());
            }
        }
        Ok(lacked)
    }

    /// Does the dotlog hold an event of a clear's row, as far as one search tells? A clear has
    /// removed those that it took over.
    fn is_clear_logged(
        &self,
        (key, row, removed): (&RowKey, &Row, &DotSet),
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<bool, SourceError> {
        let mut dots = versions_of(row).dots().clone();
        dots.join(removed);
        let logged = dots.difference(self.unlogged.dots());
        let found = self.logged_of(&logged, limits, stage)?;
        Ok(found.cut || found.events.iter().any(|event| event.row == *key))
    }
}

/// The versions in the row of a clear here that must stay though another owner lacks them: that one
/// is done with them, and none of its own has taken them over. In other rows there are none.
pub(super) fn kept(key: &RowKey, here: &Row, there: &Row) -> Row {
    let mut kept = Row::default();
    if key.leaf() == Leaf::Cleared {
        let taken_over = cleared::removed(there).unwrap_or_default();
        for (&dot, version) in here.versions() {
            if !taken_over.contains(dot) {
                kept.join(&Row::write(dot, version.clone(), Context::default()));
            }
        }
    }
    kept
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
