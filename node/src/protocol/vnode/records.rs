//! Records of operations: by which a retry is known again, and increments count once.
//!
//! A record lists every dot under which an operation was entered. It is written in the batch of
//! the effect and travels with the dot, so that whoever has the effect has the record. When two
//! dots of one increment meet, all but the smallest are made void in their shares, by an event of
//! whoever noticed: a void is a fact, so two who notice do no harm ([`crdt::kinds::counter`]).
//!
//! A loser is made void only when *every owner holds the winner durably*. Before that the disk that
//! alone has the winner may be lost, and the loser is the copy that was acknowledged. Until then
//! both count, and the counter reads too high for a moment.
//!
//! A record is kept for twice the retry window, counted from the coordinator's stamp, and longer
//! while it has a loser that still counts. A retry after that is not known again.

use super::write::share_of;
use super::{Limits, Vnode, versions_of};
use crate::mutants::{self, Mutant};
use crate::protocol::event::{Effect, Event, Operation};
use crate::protocol::keys::{KeyPrefix, record_key, vnode_end, vnode_prefix};
use crate::protocol::messages::Change;
use crate::protocol::stage::{Family, Source, SourceError, Stage};
use crdt::codec::{DecodeError, Decoder, Encoder};
use crdt::kinds::counter::{self, Applications};
use crdt::{Hlc, OpId};

/// What is known of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    prefix: KeyPrefix,
    removal: bool,
    hlc: Hlc,
    pub(super) applications: Applications,
}

impl Record {
    fn new(event: &Event, amount: Option<i64>) -> Self {
        Self {
            prefix: event.row.prefix(),
            removal: amount.is_none(),
            hlc: event.hlc,
            applications: Applications::new(event.dot, amount.unwrap_or(0)),
        }
    }

    /// Is it the record of this effect on this key?
    pub(super) fn is_of(&self, prefix: &KeyPrefix, effect: Effect) -> bool {
        let same = match effect {
            Effect::Increment(amount) => !self.removal && self.applications.amount() == amount,
            Effect::Removal => self.removal,
            Effect::Carried => false,
        };
        same && self.prefix == *prefix
    }

    fn has_losers(&self) -> bool {
        self.applications.losers().next().is_some()
    }

    /// ```text
    ///   u8 format = 1 | u8 is-removal | u64 hlc | bytes key prefix | applications
    /// ```
    fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(96);
        encoder.u8(FORMAT);
        encoder.u8(u8::from(self.removal));
        encoder.u64(self.hlc.to_bits());
        encoder.bytes(self.prefix.as_bytes());
        self.applications.encode(&mut encoder);
        encoder.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        match decoder.u8("record's format")? {
            FORMAT => {}
            found => {
                return Err(DecodeError::UnknownFormat {
                    field: "record",
                    found,
                });
            }
        }
        let removal = decoder.u8("record's removal mark")? != 0;
        let hlc = Hlc::from_bits(decoder.u64("record's stamp")?);
        let prefix = KeyPrefix::decode(decoder.bytes("record's key")?)?;
        let applications = Applications::decode(&mut decoder)?;
        decoder.finish()?;
        Ok(Self {
            prefix,
            removal,
            hlc,
            applications,
        })
    }
}

impl Vnode {
    pub(super) fn record(
        &self,
        op: OpId,
        stage: &Stage<'_>,
    ) -> Result<Option<Record>, SourceError> {
        let key = record_key(self.id, op);
        let stored = stage.get(Family::Records, &key)?;
        let decoded = stored.map(|bytes| Record::decode(&bytes));
        decoded
            .transpose()
            .map_err(|error| SourceError::corrupt(&key, error))
    }

    /// Enters an event's operation in its record.
    pub(super) fn note(&mut self, event: &Event, stage: &mut Stage<'_>) -> Result<(), SourceError> {
        let Some(operation) = event.operation else {
            return Ok(());
        };
        let amount = match operation.effect {
            Effect::Carried => return Ok(()),
            Effect::Increment(amount) => Some(amount),
            Effect::Removal => None,
        };
        if mutants::is_active(Mutant::RecordOutsideBatch) {
            // The bug: the record is not in the batch of the effect, and a crash parts them.
            return Ok(());
        }
        let record = match self.record(operation.id, stage)? {
            None => {
                self.records += 1;
                Record::new(event, amount)
            }
            Some(mut record) => {
                record.applications.insert(event.dot);
                record.hlc = record.hlc.min(event.hlc);
                record
            }
        };
        stage.put(
            Family::Records,
            record_key(self.id, operation.id),
            record.encode(),
        );
        Ok(())
    }

    /// Makes void what an event's operation counts twice. `hlc` stamps the events that say so.
    pub(super) fn void_losers(
        &mut self,
        hlc: Hlc,
        event: &Event,
        stage: &mut Stage<'_>,
    ) -> Result<Vec<Change>, SourceError> {
        let Some(operation) = event.operation else {
            return Ok(Vec::new());
        };
        let Effect::Increment(amount) = operation.effect else {
            return Ok(Vec::new());
        };
        let Some(record) = self.record(operation.id, stage)? else {
            return Ok(Vec::new());
        };
        if !record.has_losers() || !self.is_winner_safe(&record) {
            return Ok(Vec::new());
        }
        let prefix = event.row.prefix();
        let mut changes = Vec::new();
        for loser in record.applications.losers() {
            let row = prefix.share(loser.actor);
            let current = stage.row(&row)?;
            let mut share = share_of(&row, &current)?;
            if share.is_settled(loser.counter) || share.added().upto < loser.counter {
                continue;
            }
            share.void(loser.counter, amount);
            let version = counter::version(&share, hlc, None);
            changes.push(self.own_change(hlc, &row, version, versions_of(&current), stage)?);
        }
        Ok(changes)
    }

    /// Is the event one of several of its increment, the chosen one of which some owner may lack?
    pub(super) fn awaits_winner(
        &self,
        event: &Event,
        stage: &Stage<'_>,
    ) -> Result<bool, SourceError> {
        let Some(Operation {
            id,
            effect: Effect::Increment(_),
        }) = event.operation
        else {
            return Ok(false);
        };
        let record = self.record(id, stage)?;
        Ok(record.is_some_and(|record| record.has_losers() && !self.is_winner_safe(&record)))
    }

    fn is_winner_safe(&self, record: &Record) -> bool {
        record
            .applications
            .winner()
            .is_some_and(|winner| self.is_durable_everywhere(winner))
    }

    /// Looks through a stretch of the records and removes the expired ones. The next call goes on
    /// where this one ended. Returns how many went.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sweep_records(
        &mut self,
        now: Hlc,
        limits: &Limits,
        stage: &mut Stage<'_>,
    ) -> Result<usize, SourceError> {
        if self.records == 0 {
            return Ok(0);
        }
        let from = self
            .records_swept_to
            .clone()
            .max(vnode_prefix(self.id).to_vec());
        let found = stage.range(Family::Records, &from, &vnode_end(self.id), SWEEP)?;
        self.records_swept_to = match found.last() {
            Some((key, _)) if found.len() == SWEEP => [&key[..], &[0]].concat(),
            _ => Vec::new(),
        };
        let mut gone = 0;
        for (key, value) in found {
            let record =
                Record::decode(&value).map_err(|error| SourceError::corrupt(&key, error))?;
            if is_expired(&record, now, limits) && self.is_settled(&record, stage)? {
                stage.delete(Family::Records, key);
                self.records = self.records.saturating_sub(1);
                gone += 1;
            }
        }
        Ok(gone)
    }
}

impl Vnode {
    /// Does no loser of the record count any more?
    fn is_settled(&self, record: &Record, stage: &Stage<'_>) -> Result<bool, SourceError> {
        for loser in record.applications.losers().filter(|_| !record.removal) {
            let row = record.prefix.share(loser.actor);
            if !share_of(&row, &stage.row(&row)?)?.is_settled(loser.counter) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_expired(record: &Record, now: Hlc, limits: &Limits) -> bool {
    let age = now.milliseconds().saturating_sub(record.hlc.milliseconds());
    age > limits.retry_window_ms.saturating_mul(2)
}

/// How many records one sweep looks at.
const SWEEP: usize = 512;
const FORMAT: u8 = 1;
