//! Records of operations: by which a retry is known again, and counts once.
//!
//! A record lists every span of dots under which an operation was entered ([`Applications`]). It
//! is written in the batch of the effect and travels with the dots, so that whoever has the effect
//! has the record. What is done where two spans of one operation meet is in `doubles`.
//!
//! A record is kept for twice the retry window, counted from the coordinator's stamp, and from then
//! on until a pass over the records comes to it; one begins every half a window. It is kept longer
//! while it has an increment that still counts twice, or one of this node's in a bounded counter
//! that not every owner is known to hold. A retry after that is not known again.

use std::collections::BTreeSet;

use super::{Limits, Vnode};
use crate::mutants::{self, Mutant};
use crate::protocol::event::{Application, Effect, Event, Operation};
use crate::protocol::keys::{RowKey, record_key, successor, vnode_end, vnode_prefix};
use crate::protocol::messages::KeyedRecord;
use crate::protocol::stage::{Family, Source, SourceError, Stage};
use crdt::codec::{DecodeError, Decoder, Encoder};
use crdt::{Applications, Dot, Hlc, OpId};

/// What is known of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// A hash of what was asked.
    pub(super) digest: u32,
    pub(super) hlc: Hlc,
    pub(super) applied: Applications,
    /// The increments among its events: the place of each in the span, a share of the counter, and
    /// the amount. They follow from what was asked, so every span has the same.
    pub(super) increments: Vec<Increment>,
    /// The applications that their own nodes took back: those in bounded counters alone.
    pub(super) taken: BTreeSet<Dot>,
}

/// One increment of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Increment {
    /// Which of the operation's events it is.
    pub(super) place: u64,
    /// Some actor's share of the counter: that of the first application seen here.
    pub(super) share: RowKey,
    pub(super) amount: i64,
}

impl Record {
    fn new(event: &Event, operation: Operation) -> Self {
        let (first, last) = applied_by(event, operation.effect);
        Self {
            digest: operation.digest,
            hlc: event.hlc,
            applied: Applications::new(first, last),
            increments: Vec::new(),
            taken: BTreeSet::new(),
        }
    }

    fn enter(&mut self, event: &Event, effect: Effect) {
        let (first, last) = applied_by(event, effect);
        self.applied.insert(first, last);
        self.hlc = self.hlc.min(event.hlc);
        match effect {
            Effect::Carried | Effect::Removal => {}
            Effect::Increment(amount) => self.insert(Increment {
                place: event.dot.counter - event.first,
                share: event.row.clone(),
                amount,
            }),
            Effect::TakenBack(application) => {
                self.taken.insert(application.dot);
            }
        }
    }

    fn insert(&mut self, increment: Increment) {
        let places = &self.increments;
        if let Err(at) = places.binary_search_by_key(&increment.place, |known| known.place) {
            self.increments.insert(at, increment);
        }
    }

    /// Takes over what another replica knows of the same operation.
    fn join(&mut self, other: Self) {
        self.applied.join(&other.applied);
        self.hlc = self.hlc.min(other.hlc);
        other.increments.into_iter().for_each(|i| self.insert(i));
        self.taken.extend(other.taken);
    }

    /// ```text
    ///   u8 format = 2 | varint digest | u64 hlc | spans
    ///   | varint increments | each: varint place, bytes row key, zigzag amount
    ///   format 3: the same | varint taken back, at least 1 | each: dot
    /// ```
    fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(128);
        encoder.u8(if self.taken.is_empty() {
            FORMAT
        } else {
            FORMAT_TAKEN
        });
        encoder.varint(u64::from(self.digest));
        encoder.u64(self.hlc.to_bits());
        self.applied.encode(&mut encoder);
        encoder.varint(self.increments.len() as u64);
        for increment in &self.increments {
            encoder.varint(increment.place);
            encoder.bytes(increment.share.as_bytes());
            encoder.signed(i128::from(increment.amount));
        }
        if !self.taken.is_empty() {
            encoder.varint(self.taken.len() as u64);
            self.taken.iter().for_each(|dot| dot.encode(&mut encoder));
        }
        encoder.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let format = decoder.u8("record's format")?;
        match format {
            FORMAT | FORMAT_TAKEN => {}
            found => {
                return Err(DecodeError::UnknownFormat {
                    field: "record",
                    found,
                });
            }
        }
        let invalid = |field| move |_wide| DecodeError::Invalid { field };
        let digest = decoder.varint("record's digest")?;
        let mut record = Self {
            digest: u32::try_from(digest).map_err(invalid("record's digest"))?,
            hlc: Hlc::from_bits(decoder.u64("record's stamp")?),
            applied: Applications::decode(&mut decoder)?,
            increments: Vec::new(),
            taken: BTreeSet::new(),
        };
        for _ in 0..decoder.count("record's increments")? {
            let place = decoder.varint("record's place")?;
            let share = RowKey::decode(decoder.bytes("record's row")?)?;
            let amount = i64::try_from(decoder.signed("record's amount")?);
            let amount = amount.map_err(invalid("record's amount"))?;
            if record
                .increments
                .last()
                .is_some_and(|last| last.place >= place)
            {
                return Err(DecodeError::Invalid {
                    field: "record's places",
                });
            }
            record.increments.push(Increment {
                place,
                share,
                amount,
            });
        }
        if format == FORMAT_TAKEN {
            record.taken = decode_taken(&mut decoder)?;
        }
        decoder.finish()?;
        Ok(record)
    }
}

/// The span of the application that an event tells of.
fn applied_by(event: &Event, effect: Effect) -> (Dot, u64) {
    match effect {
        Effect::Carried | Effect::Increment(_) | Effect::Removal => {
            (Dot::new(event.dot.actor, event.first), event.last)
        }
        Effect::TakenBack(Application { dot, first, last }) => (Dot::new(dot.actor, first), last),
    }
}

fn decode_taken(decoder: &mut Decoder<'_>) -> Result<BTreeSet<Dot>, DecodeError> {
    let field = "applications taken back";
    let mut taken = BTreeSet::new();
    for _ in 0..decoder.count(field)? {
        let dot = Dot::decode(decoder)?;
        if taken.last().is_some_and(|last| *last >= dot) {
            return Err(DecodeError::Invalid { field });
        }
        taken.insert(dot);
    }
    if taken.is_empty() {
        return Err(DecodeError::Invalid { field });
    }
    Ok(taken)
}

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

    /// Enters an event's operation in its record.
    pub(super) fn note(&mut self, event: &Event, stage: &mut Stage<'_>) -> Result<(), SourceError> {
        let Some(Operation { id, effect, .. }) = event.operation else {
            return Ok(());
        };
        // A span comes whole, so its first event has entered it for those that follow.
        let is_noted = match effect {
            Effect::Carried | Effect::Removal => self.noted == Some(span_of(id, event)),
            Effect::Increment(_) | Effect::TakenBack(_) => false,
        };
        if is_noted {
            return Ok(());
        }
        let record = self.record(id, stage)?;
        self.note_in(record, event, stage);
        Ok(())
    }

    /// As [`Vnode::note`], where it is known that there is no record of the operation.
    pub(super) fn note_first(&mut self, event: &Event, stage: &mut Stage<'_>) {
        self.note_in(None, event, stage);
    }

    fn note_in(&mut self, record: Option<Record>, event: &Event, stage: &mut Stage<'_>) {
        let Some(operation) = event.operation else {
            return;
        };
        let Operation { id, effect, .. } = operation;
        self.note_rights(event);
        if mutants::is_active(Mutant::NoRecord) {
            return;
        }
        self.noted = Some(span_of(id, event));
        let mut record = record.unwrap_or_else(|| {
            self.records += 1;
            Record::new(event, operation)
        });
        record.enter(event, effect);
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
            self.doubled.insert(id, true);
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
        let mut gone = 0;
        for (key, value) in found {
            let corrupt = |error| SourceError::corrupt(&key, error);
            let record = Record::decode(&value).map_err(corrupt)?;
            let id = op_of_record_key(&key).map_err(corrupt)?;
            let counts_twice = self.doubled.get(&id) == Some(&true);
            if is_expired(&record, now_ms, limits)
                && !counts_twice
                && !self.has_open_rights(&record)
            {
                stage.delete(Family::Records, key);
                self.doubled.remove(&id);
                self.records = self.records.saturating_sub(1);
                gone += 1;
            }
        }
        Ok(gone)
    }
}

/// The span of dots that an event of an operation belongs to.
fn span_of(id: OpId, event: &Event) -> (OpId, Dot) {
    (id, Dot::new(event.dot.actor, event.first))
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
const FORMAT: u8 = 2;
/// With applications that were taken back.
const FORMAT_TAKEN: u8 = 3;
