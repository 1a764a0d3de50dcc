//! The full sync: for dots whose dotlog entries are trimmed, the whole vnode by pages.
//!
//! It happens to a vnode that lost what it once held durably: a new disk, a restored backup. Each
//! page is joined as a range merge: a row that the page lacks is joined with an empty row filled
//! with the source's clock, so that what the source has seen deleted dies here too. The clock of
//! the *first* page is entered when the last page is in: later events of the source are still in
//! its dotlog, because nobody trims what this vnode has not durably seen.

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use super::{Limits, Vnode};
use crate::protocol::keys::{RowKey, data_range};
use crate::protocol::messages::{Bundle, KeyedRow, Page, Sync};
use crate::protocol::stage::{Family, SourceError, Stage, decode_row};
use crdt::{Clock, Row};
use ring::NodeId;

/// A full sync under way.
#[derive(Debug, Clone)]
pub(super) struct Syncing {
    source: NodeId,
    after: Option<ByteBuf>,
    first_clock: Option<Clock>,
}

impl Vnode {
    /// Begins a full sync from `source` unless one is under way.
    pub fn begin_sync(&mut self, source: NodeId) {
        if self.syncing.is_none() {
            self.syncing = Some(Syncing {
                source,
                after: None,
                first_clock: None,
            });
        }
    }

    /// Gives up a full sync: its source does not answer. What was joined stays, and is right.
    pub fn abandon_sync(&mut self) {
        self.syncing = None;
    }

    /// The next page to ask for, and whom.
    #[must_use]
    pub fn next_page(&self) -> Option<(NodeId, Sync)> {
        let syncing = self.syncing.as_ref()?;
        let sync = Sync {
            vnode: self.id,
            incarnation: self.actor.nonce,
            after: syncing.after.clone(),
        };
        Some((syncing.source, sync))
    }

    /// A page of this vnode for another owner.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn answer_sync(
        &self,
        sync: &Sync,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Page, SourceError> {
        let (start, end) = data_range(self.id, self.bits);
        let from = match &sync.after {
            Some(after) => [&after[..], &[0]].concat(),
            None => start.clone(),
        };
        let found = stage.range(Family::Data, &from.max(start), &end, ROWS_PER_PAGE)?;
        let whole = found.len() < ROWS_PER_PAGE;
        let mut rows = Vec::new();
        let mut bytes = 0;
        let mut upto = None;
        for (key, stored) in &found {
            bytes += key.len() + stored.len();
            let row = decode_row(key, stored)?;
            let key = RowKey::decode(key).map_err(|error| SourceError::corrupt(key, error))?;
            upto = Some(ByteBuf::from(key.as_bytes()));
            rows.push(KeyedRow { key, row });
            if bytes > limits.message_bytes {
                break;
            }
        }
        if whole && rows.len() == found.len() {
            upto = None;
        }
        let bases = Clock::of(self.clock.dots().bases());
        Ok(Page {
            vnode: self.id,
            incarnation: sync.incarnation,
            bundle: Bundle {
                events: Vec::new(),
                rows,
                bases,
            },
            after: sync.after.clone(),
            upto,
            clock: self.clock.clone(),
        })
    }

    /// Joins a page. True when it was the last one.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub fn absorb_page(&mut self, page: &Page, stage: &mut Stage<'_>) -> Result<bool, SourceError> {
        let Some(syncing) = &self.syncing else {
            return Ok(false);
        };
        if page.incarnation != self.actor.nonce || page.after != syncing.after {
            return Ok(false);
        }
        self.merge_range(page, stage)?;
        let source = syncing.source;
        let first = syncing
            .first_clock
            .clone()
            .unwrap_or_else(|| page.clock.clone());
        let Some(upto) = &page.upto else {
            let news = first.missing_from(&self.clock);
            self.clock.join(&news);
            self.unlogged.join(&news);
            self.checkpoint(stage);
            self.syncing = None;
            self.settle_if_covered(source);
            return Ok(true);
        };
        let after = Some(upto.clone());
        self.syncing = Some(Syncing {
            source,
            after,
            first_clock: Some(first),
        });
        Ok(false)
    }

    fn merge_range(&self, page: &Page, stage: &mut Stage<'_>) -> Result<(), SourceError> {
        let (start, end) = data_range(self.id, self.bits);
        let from = page
            .after
            .as_ref()
            .map_or(start, |after| [&after[..], &[0]].concat());
        let to = page
            .upto
            .as_ref()
            .map_or(end, |upto| [&upto[..], &[0]].concat());
        let mut theirs: BTreeMap<RowKey, Row> = BTreeMap::new();
        for (key, _) in stage.range(Family::Data, &from, &to, usize::MAX)? {
            let key = RowKey::decode(&key).map_err(|error| SourceError::corrupt(&key, error))?;
            theirs.insert(key, Row::default());
        }
        for keyed in &page.bundle.rows {
            let key = keyed.key.as_bytes();
            if *key >= from[..] && *key < to[..] {
                theirs.insert(keyed.key.clone(), keyed.row.clone());
            }
        }
        for (key, mut row) in theirs {
            row.fill(&page.bundle.bases);
            let mut joined = self.joined(&key, &row, stage)?;
            joined.strip(&self.clock);
            stage.put_row(&key, &joined);
        }
        Ok(())
    }
}

/// Rows of one page at the most.
const ROWS_PER_PAGE: usize = 4_096;
