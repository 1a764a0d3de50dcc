//! The full sync: for dots whose dotlog entries are trimmed, the whole vnode by pages.
//!
//! It happens to a vnode that lost what it once held durably (a new disk, a restored backup), and
//! to one that lacks a dot by which another says that it has borrowed (`borrowed`). Each page is
//! joined as a range merge: a row that the page lacks is joined with an empty row filled with the
//! source's clock, so that what the source has seen deleted dies here too. With the rows of a page
//! come their events, as with a pull. When the last page is in, so are all dots that were trimmed
//! at the source when it sent the *first* page: the rows reflect them, and no one else would send
//! them. What the source still logs is pulled as ever. After the rows come the records
//! of operations: without them a retry would count again, and what counts twice would stay. If the
//! source begins anew meanwhile, so does the sync: pages of two incarnations do not make one vnode.

use std::collections::BTreeSet;

use serde_bytes::ByteBuf;

use super::{Limits, Vnode};
use crate::protocol::keys::{RowKey, data_range, successor, vnode_end, vnode_prefix};
use crate::protocol::messages::{Bundle, Change, Cursor, KeyedRecord, KeyedRow, Page, Sync};
use crate::protocol::stage::{Family, SourceError, Stage, decode_keyed};
use crdt::dots::DotSet;
use crdt::{Clock, Dot, Hlc, Row};
use ring::NodeId;

/// A full sync under way.
#[derive(Debug, Clone)]
pub(super) struct Syncing {
    source: NodeId,
    from: Cursor,
    first: Option<First>,
}

/// What the first page said: who sent it, which dots it had trimmed, and the bases of its clock.
#[derive(Debug, Clone)]
struct First {
    sender: u64,
    unlogged: Clock,
    bases: DotSet,
}

impl First {
    fn of(page: &Page) -> Self {
        Self {
            sender: page.sender,
            unlogged: page.unlogged.clone(),
            bases: page.bundle.bases.dots().clone(),
        }
    }
}

impl Vnode {
    /// Begins a full sync from `source` unless one is under way.
    pub fn begin_sync(&mut self, source: NodeId) {
        if self.syncing.is_none() {
            self.syncing = Some(Syncing {
                source,
                from: Cursor::Rows,
                first: None,
            });
        }
    }

    /// Gives up a full sync: its source does not answer. What was joined stays, and is right; what
    /// it owes to events that did not come is written down (`borrowed`).
    pub fn abandon_sync(&mut self) {
        self.syncing = None;
    }

    /// Is this event, which is not here, one that the full sync under way brings? Then it must not
    /// come by another way meanwhile. It may be over since long, and the page that would have said
    /// so by leaving it out may have passed already.
    #[must_use]
    pub fn awaits(&self, dot: Dot) -> bool {
        let first = self.syncing.as_ref().and_then(|sync| sync.first.as_ref());
        let is_brought = first.is_some_and(|first| first.unlogged.contains(dot));
        (is_brought || self.held_back.contains(dot)) && !self.clock.contains(dot)
    }

    /// Is a full sync the way to what a pull from `peer` did not bring, since it is trimmed there?
    /// Not while all of it was brought by one before and waits for what is still to be pulled.
    #[must_use]
    pub fn needs_sync(&self, peer: NodeId, trimmed: &DotSet) -> bool {
        let lacking = trimmed.difference(self.clock.dots());
        let unknown = lacking.difference(&self.held_back);
        let view = self.peers.get(&peer);
        let has_more = view.is_some_and(|view| {
            let missing = view.clock().missing_from(&self.clock);
            !missing.difference(&self.held_back).is_empty()
        });
        !unknown.is_empty() || (!lacking.is_empty() && !has_more)
    }

    /// The next page to ask for, and whom.
    #[must_use]
    pub fn next_page(&self) -> Option<(NodeId, Sync)> {
        let syncing = self.syncing.as_ref()?;
        let sync = Sync {
            vnode: self.id,
            incarnation: self.actor.nonce,
            from: syncing.from.clone(),
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
        let (bundle, records, next) = match &sync.from {
            Cursor::Rows => self.page_of_rows(None, sync, limits, stage)?,
            Cursor::RowsAfter(after) => self.page_of_rows(Some(after), sync, limits, stage)?,
            Cursor::Records => self.page_of_records(None, limits, stage)?,
            Cursor::RecordsAfter(after) => self.page_of_records(Some(after), limits, stage)?,
        };
        Ok(Page {
            vnode: self.id,
            incarnation: sync.incarnation,
            sender: self.actor.nonce,
            bundle,
            records,
            from: sync.from.clone(),
            next,
            unlogged: self.unlogged.clone(),
        })
    }

    fn page_of_rows(
        &self,
        after: Option<&[u8]>,
        sync: &Sync,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Content, SourceError> {
        let (start, end) = data_range(self.id, self.bits);
        let from = after.map_or_else(|| start.clone(), successor).max(start);
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
        let upto = keys.last().filter(|_| !is_last).cloned();
        let others = self.clock.missing_from(&sync.have);
        let others = self.lacked_of(others, limits, stage)?;
        // A row that is gone here has no key in the page; what it lacks of its events has.
        let is_inside = |key: &&RowKey| {
            from[..] <= *key.as_bytes() && upto.as_ref().is_none_or(|upto| *key <= upto)
        };
        let gone = others
            .events
            .iter()
            .map(|event| &event.row)
            .filter(is_inside);
        keys.extend(gone.cloned());
        // And the clears say why rows of the page are gone.
        let to = upto.as_ref().map_or(end, |upto| successor(upto.as_bytes()));
        keys.extend(self.clears_lacked((&from, &to), &sync.have, stage)?);
        let mut bundle = self.bundle_rows(keys, others, stage)?;
        bundle.trimmed = self.trimmed_beyond(&sync.have);
        bundle.lent.join(&self.lent_to(&sync.have));
        let next = upto.map_or(Cursor::Records, |upto| {
            Cursor::RowsAfter(ByteBuf::from(upto.as_bytes()))
        });
        Ok((bundle, Vec::new(), Some(next)))
    }

    fn page_of_records(
        &self,
        after: Option<&[u8]>,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Content, SourceError> {
        let start = vnode_prefix(self.id).to_vec();
        let from = after.map_or_else(|| start.clone(), successor).max(start);
        let found = stage.range(
            Family::Records,
            &from,
            &vnode_end(self.id),
            RECORDS_PER_PAGE,
        )?;
        let is_full = found.len() == RECORDS_PER_PAGE;
        let mut records = Vec::new();
        let (mut bytes, mut is_cut) = (0, is_full);
        for (key, value) in found {
            if bytes > limits.message_bytes {
                is_cut = true;
                break;
            }
            bytes += key.len() + value.len();
            records.push(KeyedRecord {
                key: ByteBuf::from(key),
                value: ByteBuf::from(value),
            });
        }
        let last = records.last().filter(|_| is_cut);
        let next = last.map(|record| Cursor::RecordsAfter(record.key.clone()));
        Ok((Bundle::default(), records, next))
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
        if page.incarnation != self.actor.nonce || page.from != syncing.from {
            return Ok(Vec::new());
        }
        let source = syncing.source;
        let first = syncing.first.clone().unwrap_or_else(|| First::of(page));
        if first.sender != page.sender {
            self.abandon_sync();
            return Ok(Vec::new());
        }
        let mut next = page.next.clone();
        let answers = match &page.from {
            Cursor::Rows | Cursor::RowsAfter(_) => {
                self.borrow(&page.bundle, stage);
                next = self.merge_absences(page, stage)?.or(next);
                // Rows that bring no event say what is gone of them.
                let rows = self.join_rows(&page.bundle, |_| true, stage)?;
                self.take_records(&page.bundle.records, stage)?;
                self.enter_rows(hlc, &page.bundle.events, rows, stage)?
            }
            Cursor::Records | Cursor::RecordsAfter(_) => {
                self.take_records(&page.records, stage)?;
                Vec::new()
            }
        };
        if let Some(from) = next {
            self.syncing = Some(Syncing {
                source,
                from,
                first: Some(first),
            });
        } else {
            self.syncing = None;
            self.enter_brought(&first, stage);
            self.settling = Some(Vec::new());
        }
        self.settle_if_covered(source);
        Ok(answers)
    }

    /// Enters what the source had trimmed. A dot that only the source's base explains there, since
    /// its version is gone and so is all that told of it, has to be explained by the base here, too
    /// (I2): it is held back until what lies below it is pulled.
    fn enter_brought(&mut self, first: &First, stage: &mut Stage<'_>) {
        let brought = first.unlogged.missing_from(&self.clock);
        let beyond = brought.difference(&first.bases);
        self.held_back.join(&brought.difference(&beyond));
        self.enter_unlogged(&beyond, stage);
        self.enter_held_back(stage);
    }

    /// Enters what is held back, as far as all that lies below it is here.
    pub(super) fn enter_held_back(&mut self, stage: &mut Stage<'_>) {
        if self.held_back.is_empty() {
            return;
        }
        let mut all = self.clock.dots().clone();
        all.join(&self.held_back);
        let waiting = self.held_back.difference(&all.bases());
        let explained = self.held_back.difference(&waiting);
        self.enter_unlogged(&explained, stage);
        self.held_back = waiting.difference(self.clock.dots());
    }

    /// Joins the rows of the page's range that the page lacks with what they are at the source.
    /// Where there are very many of them here, it does so as far as the cursor that it gives: the
    /// next page is to begin there.
    fn merge_absences(
        &self,
        page: &Page,
        stage: &mut Stage<'_>,
    ) -> Result<Option<Cursor>, SourceError> {
        let (start, end) = data_range(self.id, self.bits);
        let from = match &page.from {
            Cursor::RowsAfter(after) => successor(after),
            Cursor::Rows | Cursor::Records | Cursor::RecordsAfter(_) => start,
        };
        let to = match &page.next {
            Some(Cursor::RowsAfter(upto)) => successor(upto),
            Some(Cursor::Rows | Cursor::Records | Cursor::RecordsAfter(_)) | None => end,
        };
        let there: BTreeSet<&RowKey> = page.bundle.rows.iter().map(|keyed| &keyed.key).collect();
        let absent = Row::default();
        let found = stage.range(Family::Data, &from, &to, ROWS_MERGED)?;
        for (key, stored) in &found {
            let KeyedRow { key, row: here } = decode_keyed(key, stored)?;
            if !there.contains(&key) {
                let mut joined = self.joined(&key, &absent, &page.bundle, stage)?;
                joined.strip(&self.clock);
                if joined != here {
                    stage.put_row(&key, &joined);
                }
            }
        }
        let last = found.last().filter(|_| found.len() == ROWS_MERGED);
        Ok(last.map(|(key, _)| Cursor::RowsAfter(ByteBuf::from(key.clone()))))
    }
}

/// What a page holds, and where the next one begins.
type Content = (Bundle, Vec<KeyedRecord>, Option<Cursor>);

/// Rows of one page at the most.
const ROWS_PER_PAGE: usize = 4_096;
/// Rows here that one page is merged with at the most.
const ROWS_MERGED: usize = 4 * ROWS_PER_PAGE;
/// Records of one page at the most.
const RECORDS_PER_PAGE: usize = 8_192;
