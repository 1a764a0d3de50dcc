//! Records of operations: by which a retry is known again, and counts once.
//!
//! A record lists every span of dots under which an operation was entered
//! ([`crdt::Applications`]). It is written in the batch of the effect and travels with the dots, so
//! that whoever has the effect has the record. What is done where two spans of one operation meet
//! is in `doubles`.
//!
//! A record is kept for twice the retry window, counted from the coordinator's stamp, and from then
//! on until a pass over the records comes to it; one begins every half a window. It is kept longer
//! while it has an increment that still counts twice, or one of this node's in a bounded counter
//! that not every owner is known to hold. A retry after that is not known again.

mod doubled;
mod record;

use std::collections::BTreeMap;

use super::{Limits, Vnode};
use crate::mutants::{self, Mutant};
use crate::protocol::event::Event;
use crate::protocol::keys::{record_key, successor, vnode_end, vnode_prefix};
use crate::protocol::messages::KeyedRecord;
use crate::protocol::stage::{Family, Source, SourceError, Stage};
use crdt::OpId;
use crdt::codec::{DecodeError, Decoder};

pub(super) use doubled::Doubled;
pub(super) use record::{Increment, Record};

impl Vnode {
    pub(super) fn record(
        &self,
        op: OpId,
        stage: &Stage<'_>,
    ) -> Result<Option<Record>, SourceError> {
        #[cfg(feature = "mutants")]
        if let Some(record) = self.late_records.get(&op) {
            return Ok(Some(record.clone()));
        }
        let key = record_key(self.id, op);
        let stored = stage.get(Family::Records, &key)?;
        let decoded = stored.map(|bytes| Record::decode(&bytes));
        decoded
            .transpose()
            .map_err(|error| SourceError::corrupt(&key, error))
    }

    /// Enters the operations of events in their records, each of which is read and written once.
    pub(super) fn note(
        &mut self,
        events: &[&Event],
        stage: &mut Stage<'_>,
    ) -> Result<(), SourceError> {
        let mut entered: BTreeMap<OpId, Vec<&Event>> = BTreeMap::new();
        for &event in events {
            if let Some(operation) = event.operation {
                entered.entry(operation.id).or_default().push(event);
            }
        }
        for (id, events) in entered {
            let record = self.record(id, stage)?;
            self.note_in(record, (id, &events), stage);
        }
        Ok(())
    }

    /// As [`Vnode::note`] for the events of one operation, of which there is known to be no record.
    pub(super) fn note_first(&mut self, id: OpId, events: &[&Event], stage: &mut Stage<'_>) {
        self.note_in(None, (id, events), stage);
    }

    fn note_in(
        &mut self,
        record: Option<Record>,
        (id, events): (OpId, &[&Event]),
        stage: &mut Stage<'_>,
    ) {
        events.iter().for_each(|event| self.note_rights(event));
        if mutants::is_active(Mutant::NoRecord) {
            return;
        }
        let is_new = record.is_none();
        let begun = || events.first().and_then(|event| Record::new(event));
        let Some(mut record) = record.or_else(begun) else {
            return;
        };
        self.records += u64::from(is_new);
        events.iter().for_each(|event| record.enter(event));
        self.put_record(id, &record, stage);
    }

    /// Takes over records that another owner sent. One that makes no sense to this version is left
    /// out: its operation is not known again, as after the retry window.
    pub(super) fn take_records(
        &mut self,
        records: &[KeyedRecord],
        stage: &mut Stage<'_>,
    ) -> Result<(), SourceError> {
        let prefix = vnode_prefix(self.id);
        let ours = records.iter();
        for KeyedRecord { key, value } in ours.filter(|record| record.key.starts_with(&prefix)) {
            if let (Ok(id), Ok(record)) = (op_of_record_key(key), Record::decode(value)) {
                self.take_record(id, record, stage)?;
            }
        }
        Ok(())
    }

    fn take_record(
        &mut self,
        id: OpId,
        theirs: Record,
        stage: &mut Stage<'_>,
    ) -> Result<(), SourceError> {
        let record = match self.record(id, stage)? {
            Some(mut record) => {
                record.join(theirs);
                record
            }
            None => {
                self.records += 1;
                theirs
            }
        };
        self.put_record(id, &record, stage);
        Ok(())
    }

    pub(super) fn put_record(&mut self, id: OpId, record: &Record, stage: &mut Stage<'_>) {
        if record.applied.is_doubled() {
            self.doubled.enter(id, &record.applied);
            self.reserve_losers(record);
        }
        #[cfg(feature = "mutants")]
        if mutants::is_active(Mutant::RecordOutsideBatch) {
            // The bug: the record is not in the batch of the effect, and a crash parts them.
            self.late_records.insert(id, record.clone());
            return;
        }
        stage.put(Family::Records, record_key(self.id, id), record.encode());
    }

    /// Writes the records that a deliberate bug kept out of the batches of their effects.
    #[cfg(feature = "mutants")]
    pub(super) fn write_late_records(&mut self, stage: &mut Stage<'_>) {
        for (id, record) in std::mem::take(&mut self.late_records) {
            stage.put(Family::Records, record_key(self.id, id), record.encode());
        }
    }

    /// Is it time to look through the records? A pass that has begun goes on, and the next one
    /// begins half a retry window after its end, so that a record is looked at some five times.
    #[must_use]
    pub fn may_sweep_records(&self, now_ms: u64, limits: &Limits) -> bool {
        let is_due = now_ms.saturating_sub(self.records_swept_ms) >= limits.retry_window_ms / 2;
        self.records > 0 && (is_due || !self.records_swept_to.is_empty())
    }

    /// Looks through a stretch of the records and removes those that are expired at a time that has
    /// surely come. The next call goes on where this one ended. Returns how many went.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sweep_records(
        &mut self,
        now_ms: u64,
        limits: &Limits,
        stage: &mut Stage<'_>,
    ) -> Result<usize, SourceError> {
        let from = self
            .records_swept_to
            .clone()
            .max(vnode_prefix(self.id).to_vec());
        let found = stage.range(
            Family::Records,
            &from,
            &vnode_end(self.id),
            RECORDS_PER_SWEEP,
        )?;
        self.records_swept_to = match found.last() {
            Some((key, _)) if found.len() == RECORDS_PER_SWEEP => successor(key),
            _ => {
                self.records_swept_ms = now_ms;
                Vec::new()
            }
        };
        let mut gone = Vec::new();
        for (key, value) in found {
            let corrupt = |error| SourceError::corrupt(&key, error);
            let record = Record::decode(&value).map_err(corrupt)?;
            let id = op_of_record_key(&key).map_err(corrupt)?;
            let counts_twice = self.doubled.counts_twice(id) == Some(true);
            if is_expired(&record, now_ms, limits)
                && !counts_twice
                && !self.has_open_rights(&record)
            {
                stage.delete(Family::Records, key);
                self.records = self.records.saturating_sub(1);
                gone.push((id, record.applied));
            }
        }
        self.doubled.forget(&gone);
        Ok(gone.len())
    }
}

/// The operation in a record's key.
pub(super) fn op_of_record_key(key: &[u8]) -> Result<OpId, DecodeError> {
    let rest = key.get(5..).ok_or(DecodeError::Truncated {
        field: "record key",
    })?;
    let mut decoder = Decoder::new(rest);
    let id = OpId::decode(&mut decoder)?;
    decoder.finish()?;
    Ok(id)
}

fn is_expired(record: &Record, now_ms: u64, limits: &Limits) -> bool {
    let age = now_ms.saturating_sub(record.hlc.milliseconds());
    age > limits.retry_window_ms.saturating_mul(2)
}

/// How many records one sweep looks at.
pub const RECORDS_PER_SWEEP: usize = 512;
