//! The full sync: for dots whose dotlog entries are trimmed, the whole vnode by pages.
//!
//! It happens to a vnode that lost what it once held durably: a new disk, a restored backup. Each
//! page is joined as a range merge: a row that the page lacks is joined with an empty row filled
//! with the source's clock, so that what the source has seen deleted dies here too. With the rows
//! of a page come their events, as with a pull. When the last page is in, so are all dots that were
//! trimmed at the source when it sent the *first* page: the rows reflect them, and no one else
//! would send them. What the source still logs is pulled as ever. If the source begins anew
//! meanwhile, so does the sync: pages of two incarnations do not make one vnode.

use std::collections::BTreeSet;

use serde_bytes::ByteBuf;

use super::{Limits, Vnode};
use crate::protocol::keys::{RowKey, data_range};
use crate::protocol::messages::{Change, Page, Sync};
use crate::protocol::stage::{Family, SourceError, Stage};
use crdt::{Clock, Hlc, Row};
use ring::NodeId;

/// A full sync under way.
#[derive(Debug, Clone)]
pub(super) struct Syncing {
    source: NodeId,
    after: Option<ByteBuf>,
    first: Option<First>,
}

/// What the first page said: who sent it, and which dots it had trimmed.
#[derive(Debug, Clone)]
struct First {
    sender: u64,
    unlogged: Clock,
}

impl Vnode {
    /// Begins a full sync from `source` unless one is under way.
    pub fn begin_sync(&mut self, source: NodeId) {
        if self.syncing.is_none() {
            self.syncing = Some(Syncing {
                source,
                after: None,
                first: None,
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
            have: self.clock.clone(),
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
        }
        .max(start);
        let found = stage.range(Family::Data, &from, &end, ROWS_PER_PAGE)?;
        let mut keys = Vec::new();
        let mut bytes = 0;
        for (key, stored) in &found {
            bytes += key.len() + stored.len();
            keys.push(RowKey::decode(key).map_err(|error| SourceError::corrupt(key, error))?);
            if bytes > limits.message_bytes {
                break;
            }
        }
        let is_last = found.len() < ROWS_PER_PAGE && keys.len() == found.len();
        let upto = keys
            .last()
            .filter(|_| !is_last)
            .map(|key| ByteBuf::from(key.as_bytes()));
        let others = self.clock.missing_from(&sync.have);
        let others = self.logged_of(&others, limits, stage)?.events;
        // A row that is gone here has no key in the page; what it lacks of its events has.
        let is_inside = |key: &&RowKey| {
            let key = key.as_bytes();
            from[..] <= *key && upto.as_ref().is_none_or(|upto| *key <= upto[..])
        };
        keys.extend(
            others
                .iter()
                .map(|event| &event.row)
                .filter(is_inside)
                .cloned(),
        );
        let mut bundle = self.bundle_rows(keys, others, stage)?;
        bundle.trimmed = self.trimmed_beyond(&sync.have);
        Ok(Page {
            vnode: self.id,
            incarnation: sync.incarnation,
            sender: self.actor.nonce,
            bundle,
            after: sync.after.clone(),
            upto,
            unlogged: self.unlogged.clone(),
        })
    }

    /// Joins a page. Returns the events that this vnode made of its own in answer.
    ///
    /// # Errors
    /// When the store cannot be read: the batch is given up.
    pub fn absorb_page(
        &mut self,
        hlc: Hlc,
        page: &Page,
        stage: &mut Stage<'_>,
    ) -> Result<Vec<Change>, SourceError> {
        let Some(syncing) = &self.syncing else {
            return Ok(Vec::new());
        };
        if page.incarnation != self.actor.nonce || page.after != syncing.after {
            return Ok(Vec::new());
        }
        let source = syncing.source;
        let (sender, unlogged) = (page.sender, page.unlogged.clone());
        let first = syncing.first.clone().unwrap_or(First { sender, unlogged });
        if first.sender != sender {
            self.abandon_sync();
            return Ok(Vec::new());
        }
        self.merge_absences(page, stage)?;
        // Rows that bring no event say what is gone of them.
        let rows = self.join_rows(&page.bundle, |_| true, stage)?;
        let answers = self.enter_rows(hlc, &page.bundle.events, rows, stage)?;
        if let Some(upto) = &page.upto {
            let after = Some(upto.clone());
            self.syncing = Some(Syncing {
                source,
                after,
                first: Some(first),
            });
        } else {
            self.syncing = None;
            self.enter_unlogged(&first.unlogged.missing_from(&self.clock), stage);
            self.settling = Some(Vec::new());
        }
        self.settle_if_covered(source);
        Ok(answers)
    }

    /// Joins the rows of the page's range that the page lacks with what they are at the source.
    fn merge_absences(&self, page: &Page, stage: &mut Stage<'_>) -> Result<(), SourceError> {
        let (start, end) = data_range(self.id, self.bits);
        let from = page
            .after
            .as_ref()
            .map_or(start, |after| [&after[..], &[0]].concat());
        let to = page
            .upto
            .as_ref()
            .map_or(end, |upto| [&upto[..], &[0]].concat());
        let there: BTreeSet<&RowKey> = page.bundle.rows.iter().map(|keyed| &keyed.key).collect();
        let absent = Row::default();
        for (key, _) in stage.range(Family::Data, &from, &to, usize::MAX)? {
            let key = RowKey::decode(&key).map_err(|error| SourceError::corrupt(&key, error))?;
            if !there.contains(&key) {
                let mut joined = self.joined(&key, &absent, &page.bundle, stage)?;
                joined.strip(&self.clock);
                stage.put_row(&key, &joined);
            }
        }
        Ok(())
    }
}

/// Rows of one page at the most.
const ROWS_PER_PAGE: usize = 4_096;
