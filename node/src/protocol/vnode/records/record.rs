//! One record: what is known of an operation, and its bytes.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

use crate::mutants::{self, Mutant};
use crate::protocol::event::{Application, Effect, Event, decode_covers};
use crate::protocol::keys::RowKey;
use crdt::codec::{DecodeError, Decoder, Encoder};
use crdt::dots::DotSet;
use crdt::kinds::rules::Rows;
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
    /// In which row each item of a list was put, as a hash: that depends on what the client had
    /// read of the list, and an application may put it elsewhere than another.
    items: BTreeMap<Dot, u64>,
    /// What each application was written over, as its event says ([`Event::covers`]).
    covers: BTreeMap<Dot, DotSet>,
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
            items: BTreeMap::new(),
            covers: BTreeMap::new(),
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
            Effect::Carried => {
                self.items
                    .extend(item(&event.row).map(|row| (event.dot, row)));
                if !event.covers.is_empty() {
                    self.covers.insert(event.dot, event.covers.clone());
                }
            }
            Effect::Removal => {}
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
        self.items.extend(other.items);
        self.covers.extend(other.covers);
    }

    /// What the application with this dot was written over, of other operations, although its
    /// client had not seen it ([`Event::covers`]).
    pub(in crate::protocol::vnode) fn covered_by(&self, dot: Dot) -> Option<&DotSet> {
        self.covers.get(&dot)
    }

    /// The dots under which a version of the operation was entered in a row, where one of them is
    /// `dot`: the aliases, those at its place of every span.
    ///
    /// An item that another application put into another row is another item. Where nothing is
    /// known of the row of an item, it is taken for one in another row: an item too many does less
    /// harm than one that is lost.
    pub(in crate::protocol::vnode) fn aliases_of(
        &self,
        dot: Dot,
        row: &RowKey,
    ) -> impl Iterator<Item = Dot> {
        let row = item(row).filter(|_| !mutants::is_active(Mutant::AliasElsewhere));
        let is_there = move |dot: &Dot| row.is_none() || self.items.get(dot).copied() == row;
        let place = self.applied.place_of(dot);
        let dots = place.into_iter().flat_map(|place| self.applied.at(place));
        dots.filter(is_there)
    }

    /// ```text
    ///   u8 format = 2 | varint digest | u64 hlc | spans
    ///   | varint increments | each: varint place, bytes row key, zigzag amount
    ///   format 6: the same | varint taken back | each: dot
    ///   | set of the dots of items | each: u64 hash of its row
    ///   | set of the dots that were written over others | each: set of dots, not empty
    /// ```
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(128);
        encoder.u8(if self.has_more() { FORMAT_MORE } else { FORMAT });
        encoder.varint(u64::from(self.digest));
        encoder.u64(self.hlc.to_bits());
        self.applied.encode(&mut encoder);
        encoder.varint(self.increments.len() as u64);
        for increment in &self.increments {
            encoder.varint(increment.place);
            encoder.bytes(increment.share.as_bytes());
            encoder.signed(i128::from(increment.amount));
        }
        if self.has_more() {
            encoder.varint(self.taken.len() as u64);
            self.taken.iter().for_each(|dot| dot.encode(&mut encoder));
            dots_of(&self.items).encode(&mut encoder);
            self.items.values().for_each(|&row| encoder.u64(row));
            dots_of(&self.covers).encode(&mut encoder);
            let covers = self.covers.values();
            covers.for_each(|covered| covered.encode(&mut encoder));
        }
        encoder.finish()
    }

    fn has_more(&self) -> bool {
        !(self.taken.is_empty() && self.items.is_empty() && self.covers.is_empty())
    }

    pub(in crate::protocol::vnode) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let format = decoder.u8("record's format")?;
        match format {
            FORMAT | FORMAT_MORE => {}
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
            items: BTreeMap::new(),
            covers: BTreeMap::new(),
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
        if format == FORMAT_MORE {
            record.decode_more(&mut decoder)?;
        }
        decoder.finish()?;
        Ok(record)
    }

    fn decode_more(&mut self, decoder: &mut Decoder<'_>) -> Result<(), DecodeError> {
        self.taken = decode_taken(decoder)?;
        for dot in DotSet::decode(decoder)?.iter() {
            self.items.insert(dot, decoder.u64("items")?);
        }
        for dot in DotSet::decode(decoder)?.iter() {
            self.covers.insert(dot, decode_covers(decoder)?);
        }
        if !self.has_more() {
            let field = "record's format";
            return Err(DecodeError::Invalid { field });
        }
        Ok(())
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
    Ok(taken)
}

fn dots_of<T>(keyed: &BTreeMap<Dot, T>) -> DotSet {
    let mut dots = DotSet::default();
    keyed.keys().for_each(|&dot| dots.insert(dot));
    dots
}

/// A hash of a row, if it is that of an item in a list.
fn item(row: &RowKey) -> Option<u64> {
    let is_item = matches!(row.leaf().rules().rows, Rows::Items(_));
    is_item.then(|| xxh3_64(row.as_bytes()))
}

const FORMAT: u8 = 2;
/// With what not every record has.
const FORMAT_MORE: u8 = 6;

#[cfg(test)]
mod tests {
    use super::{Increment, Record};
    use crate::protocol::keys::KeyPrefix;
    use crdt::dots::DotSet;
    use crdt::kinds::Leaf;
    use crdt::kinds::map::Path;
    use crdt::{Actor, Applications, Dot, Hlc};
    use ring::{BucketId, Token};

    fn dot(counter: u64) -> Dot {
        Dot::new(Actor { node: 1, nonce: 2 }, counter)
    }

    fn dots(counters: &[u64]) -> DotSet {
        let mut dots = DotSet::default();
        counters.iter().for_each(|&at| dots.insert(dot(at)));
        dots
    }

    fn record(taken: &[u64], items: &[u64], covers: &[u64]) -> Record {
        let prefix = KeyPrefix::new(3, Token(7), BucketId(9), b"k", b"");
        Record {
            digest: 3,
            hlc: Hlc::from_bits(4),
            applied: Applications::new(dot(5), 9),
            increments: vec![Increment {
                place: 1,
                share: prefix.share(&Path::root(), dot(1).actor),
                amount: -5,
            }],
            taken: taken.iter().map(|&counter| dot(counter)).collect(),
            items: items.iter().map(|&at| (dot(at), u64::MAX - at)).collect(),
            covers: covers.iter().map(|&at| (dot(at), dots(&[1, 3]))).collect(),
        }
    }

    #[test]
    fn a_record_comes_back_from_its_bytes_and_from_no_part_of_them() {
        for taken in [&[][..], &[6]] {
            for items in [&[][..], &[5], &[5, 7, 8]] {
                for covers in [&[][..], &[6, 9]] {
                    let record = record(taken, items, covers);
                    let bytes = record.encode();
                    assert_eq!(Record::decode(&bytes), Ok(record));
                    for length in 0..bytes.len() {
                        assert!(Record::decode(&bytes[..length]).is_err());
                    }
                }
            }
        }
    }

    #[test]
    fn an_item_of_which_the_row_is_not_known_is_no_alias() {
        let prefix = KeyPrefix::new(3, Token(7), BucketId(9), b"k", b"");
        let mut record = record(&[], &[], &[]);
        record.applied.insert(dot(15), 19);
        let value = prefix.row(Leaf::Value, b"");
        let aliases: Vec<Dot> = record.aliases_of(dot(16), &value).collect();
        assert_eq!(aliases, [dot(6), dot(16)]);
        let item = prefix.row(Leaf::Item, b"x");
        assert_eq!(record.aliases_of(dot(16), &item).next(), None);
    }
}
