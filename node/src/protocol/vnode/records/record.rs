//! One record: what is known of an operation, and its bytes.

use std::collections::BTreeSet;

use crate::protocol::event::{Application, Effect, Event};
use crate::protocol::keys::RowKey;
use crdt::codec::{DecodeError, Decoder, Encoder};
use crdt::{Applications, Dot, Hlc};

/// What is known of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::protocol::vnode) struct Record {
    /// A hash of what was asked.
    pub(in crate::protocol::vnode) digest: u32,
    pub(in crate::protocol::vnode) hlc: Hlc,
    pub(in crate::protocol::vnode) applied: Applications,
    /// The increments among its events: the place of each in the span, a share of the counter, and
    /// the amount. They follow from what was asked, so every span has the same.
    pub(in crate::protocol::vnode) increments: Vec<Increment>,
    /// The applications that their own nodes took back: those in bounded counters alone.
    pub(in crate::protocol::vnode) taken: BTreeSet<Dot>,
}

/// One increment of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::protocol::vnode) struct Increment {
    /// Which of the operation's events it is.
    pub(in crate::protocol::vnode) place: u64,
    /// Some actor's share of the counter: that of the first application seen here.
    pub(in crate::protocol::vnode) share: RowKey,
    pub(in crate::protocol::vnode) amount: i64,
}

impl Record {
    /// The record of the operation that an event is of, which it begins. `None` if it is of none.
    pub(super) fn new(event: &Event) -> Option<Self> {
        let operation = event.operation?;
        let (first, last) = applied_by(event, operation.effect);
        Some(Self {
            digest: operation.digest,
            hlc: event.hlc,
            applied: Applications::new(first, last),
            increments: Vec::new(),
            taken: BTreeSet::new(),
        })
    }

    /// Enters an event of the operation.
    pub(super) fn enter(&mut self, event: &Event) {
        let Some(operation) = event.operation else {
            return;
        };
        let effect = operation.effect;
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
    pub(super) fn join(&mut self, other: Self) {
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
    pub(super) fn encode(&self) -> Vec<u8> {
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

    pub(in crate::protocol::vnode) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
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

const FORMAT: u8 = 2;
/// With applications that were taken back.
const FORMAT_TAKEN: u8 = 3;
