//! One event as the dotlog keeps it and as it travels: everything that its dot stands for.

use super::keys::RowKey;
use crdt::codec::{DecodeError, Decoder, Encoder};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::kinds::rules::Twice;
use crdt::{Dot, Hlc, OpId};

/// An event: one dot names one row and one operation, for ever.
///
/// The events of one atomic batch have consecutive dots of one actor, and each names the whole
/// span; pull, repair and transfer send whole spans in one message, applied in one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The dot.
    pub dot: Dot,
    /// The row it changed.
    pub row: RowKey,
    /// The counter of the first dot of its batch.
    pub first: u64,
    /// The counter of the last dot of its batch.
    pub last: u64,
    /// The coordinator's stamp.
    pub hlc: Hlc,
    /// The client's operation and what it does; an event that no client asked for has none.
    pub operation: Option<Operation>,
    /// The versions of other operations that its version was written over only because its
    /// coordinator had them: another try of the operation may have met others.
    pub covers: DotSet,
}

/// What a client asked for, as far as a retry must know it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Its name, the same in every retry.
    pub id: OpId,
    /// A hash of all that was asked: a name that is used again for something else is found out.
    pub digest: u32,
    /// What it does.
    pub effect: Effect,
}

/// What an operation does to its key, by how a retry is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Writes a version, which carries the operation's name.
    Carried,
    /// Adds this amount to a counter.
    Increment(i64),
    /// Removes or resets what was seen.
    Removal,
    /// Takes an earlier application of the same operation back, since another one counts.
    TakenBack(Application),
}

/// One application of an increment, and the span that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Application {
    /// Its dot.
    pub dot: Dot,
    /// The counter of the first dot of its batch.
    pub first: u64,
    /// The counter of the last dot of its batch.
    pub last: u64,
}

impl Event {
    /// Did it write a version? Removals did not, but for those of counters, which write shares.
    #[must_use]
    pub fn has_version(&self) -> bool {
        let is_put = |operation: Operation| operation.effect == Effect::Carried;
        let is_total = self.row.leaf().rules().twice == Twice::Sums;
        is_total || self.operation.is_some_and(is_put)
    }

    /// Did it make the store larger? A removal does not, nor what no client asked for, which cleans
    /// up.
    #[must_use]
    pub fn grows(&self) -> bool {
        let writes = |operation: Operation| operation.effect != Effect::Removal;
        self.row.leaf() != Leaf::Cleared && self.operation.is_some_and(writes)
    }

    /// The dotlog's value: all but the dot, which is the key.
    ///
    /// ```text
    ///   u8 format = 2 | u64 hlc | varint dots before in the span | varint dots after
    ///   | u8 operation: 0 none, 1 carried, 2 increment, 3 removal, 4 taken back, 5 carried over
    ///     others; [24 B id, varint digest]; [zigzag amount]; [dot, varint before, varint after];
    ///     [set of dots, not empty]
    ///   | row key
    /// ```
    #[must_use]
    pub fn encode_value(&self) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(48 + self.row.as_bytes().len());
        self.encode_fields(&mut encoder);
        encoder.finish()
    }

    /// Reads an entry of the dotlog.
    ///
    /// # Errors
    /// When the bytes are not an event.
    pub fn decode_value(dot: Dot, bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_fields(dot, Decoder::new(bytes))
    }

    /// The dot and the rest.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(72 + self.row.as_bytes().len());
        self.dot.encode(&mut encoder);
        self.encode_fields(&mut encoder);
        encoder.finish()
    }

    /// Reads what [`Event::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not an event.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let dot = Dot::decode(&mut decoder)?;
        Self::decode_fields(dot, decoder)
    }

    fn encode_fields(&self, encoder: &mut Encoder) {
        encoder.u8(FORMAT);
        encoder.u64(self.hlc.to_bits());
        encoder.varint(self.dot.counter - self.first);
        encoder.varint(self.last - self.dot.counter);
        encode_operation(self.operation, &self.covers, encoder);
        encoder.raw(self.row.as_bytes());
    }

    fn decode_fields(dot: Dot, mut decoder: Decoder<'_>) -> Result<Self, DecodeError> {
        match decoder.u8("event's format")? {
            FORMAT => {}
            found => {
                return Err(DecodeError::UnknownFormat {
                    field: "event",
                    found,
                });
            }
        }
        let hlc = Hlc::from_bits(decoder.u64("event's stamp")?);
        let (first, last) = decode_span(dot, &mut decoder)?;
        let (operation, covers) = decode_operation(&mut decoder)?;
        let row = RowKey::decode(decoder.rest())?;
        Ok(Self {
            dot,
            row,
            first,
            last,
            hlc,
            operation,
            covers,
        })
    }
}

fn encode_operation(operation: Option<Operation>, covers: &DotSet, encoder: &mut Encoder) {
    let Some(Operation { id, digest, effect }) = operation else {
        return encoder.u8(0);
    };
    encoder.u8(match effect {
        Effect::Carried if covers.is_empty() => 1,
        Effect::Carried => 5,
        Effect::Increment(_) => 2,
        Effect::Removal => 3,
        Effect::TakenBack(_) => 4,
    });
    id.encode(encoder);
    encoder.varint(u64::from(digest));
    match effect {
        Effect::Carried if !covers.is_empty() => covers.encode(encoder),
        Effect::Carried | Effect::Removal => {}
        Effect::Increment(amount) => encoder.signed(i128::from(amount)),
        Effect::TakenBack(Application { dot, first, last }) => {
            dot.encode(encoder);
            encoder.varint(dot.counter - first);
            encoder.varint(last - dot.counter);
        }
    }
}

/// The counters of the first and the last dot of the batch that `dot` is of.
fn decode_span(dot: Dot, decoder: &mut Decoder<'_>) -> Result<(u64, u64), DecodeError> {
    let field = "event's span";
    let first = dot.counter.checked_sub(decoder.varint(field)?);
    let last = dot.counter.checked_add(decoder.varint(field)?);
    match (first, last) {
        (Some(first), Some(last)) if first > 0 && last - first < MAX_SPAN => Ok((first, last)),
        _ => Err(DecodeError::Invalid { field }),
    }
}

/// The operation, and what it was written over.
fn decode_operation(decoder: &mut Decoder<'_>) -> Result<(Option<Operation>, DotSet), DecodeError> {
    let mark = decoder.u8("event's operation mark")?;
    let mut covers = DotSet::default();
    if mark == 0 {
        return Ok((None, covers));
    }
    let id = OpId::decode(decoder)?;
    let digest = u32::try_from(decoder.varint("digest")?)
        .map_err(|_wide| DecodeError::Invalid { field: "digest" })?;
    let effect = match mark {
        1 => Effect::Carried,
        2 => {
            let amount = i64::try_from(decoder.signed("amount")?);
            Effect::Increment(amount.map_err(|_wide| DecodeError::Invalid { field: "amount" })?)
        }
        3 => Effect::Removal,
        4 => {
            let dot = Dot::decode(decoder)?;
            let (first, last) = decode_span(dot, decoder)?;
            Effect::TakenBack(Application { dot, first, last })
        }
        5 => {
            covers = decode_covers(decoder)?;
            Effect::Carried
        }
        _ => {
            return Err(DecodeError::Invalid {
                field: "event's operation mark",
            });
        }
    };
    Ok((Some(Operation { id, digest, effect }), covers))
}

/// What an event was written over: few dots, since they stood in one row.
///
/// # Errors
/// When the bytes are not a set of dots, or of none or of more than any row has.
pub fn decode_covers(decoder: &mut Decoder<'_>) -> Result<DotSet, DecodeError> {
    let covers = DotSet::decode(decoder)?;
    if covers.is_empty() || covers.len() > MAX_SPAN {
        let field = "what an event was written over";
        return Err(DecodeError::Invalid { field });
    }
    Ok(covers)
}

/// Events of one batch at the most. More are no event: whoever sends a batch looks for all of them.
pub const MAX_SPAN: u64 = 1 << 17;

const FORMAT: u8 = 2;

#[cfg(test)]
mod tests {
    use crdt::{Actor, Dot, Hlc, OpId};
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use ring::{BucketId, Token};

    use super::{Application, Effect, Event, MAX_SPAN, Operation};
    use crate::protocol::keys::KeyPrefix;
    use crdt::dots::DotSet;
    use crdt::kinds::Leaf;

    fn event() -> Event {
        let prefix = KeyPrefix::new(3, Token(0x0102), BucketId(0x0304), b"k", b"");
        Event {
            dot: Dot::new(Actor { node: 1, nonce: 2 }, 7),
            row: prefix.row(Leaf::Value, b""),
            first: 6,
            last: 8,
            hlc: Hlc::from_bits(5),
            operation: Some(Operation {
                id: OpId {
                    client: 1,
                    sequence: 2,
                },
                digest: 0x0304_0506,
                effect: Effect::Increment(-3),
            }),
            covers: DotSet::default(),
        }
    }

    #[test]
    fn the_bytes_of_format_2_stay() {
        let bytes = event().encode_value();
        let mut expected = vec![2, 0, 0, 0, 0, 0, 0, 0, 5, 1, 1, 2];
        expected.extend_from_slice(&[0; 15]);
        expected.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 2, 0x86, 0x8a, 0x90, 0x18, 5]);
        expected.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4]);
        expected.extend_from_slice(&[1, b'k', 0, 1, 0]);
        assert_eq!(bytes, expected);
        assert_eq!(Event::decode_value(event().dot, &bytes), Ok(event()));
    }

    #[test]
    fn the_bytes_of_what_is_taken_back_stay() {
        let mut event = event();
        let dot = Dot::new(Actor { node: 1, nonce: 9 }, 5);
        let (first, last) = (4, 5);
        if let Some(operation) = &mut event.operation {
            operation.effect = Effect::TakenBack(Application { dot, first, last });
        }
        let bytes = event.encode_value();
        let mut expected = vec![2, 0, 0, 0, 0, 0, 0, 0, 5, 1, 1, 4];
        expected.extend_from_slice(&[0; 15]);
        expected.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 2, 0x86, 0x8a, 0x90, 0x18]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 5, 1, 0]);
        expected.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4]);
        expected.extend_from_slice(&[1, b'k', 0, 1, 0]);
        assert_eq!(bytes, expected);
        assert_eq!(Event::decode_value(event.dot, &bytes), Ok(event));
    }

    #[test]
    fn what_an_event_was_written_over_comes_back_from_its_bytes() {
        let mut event = event();
        let plain = event.encode_value().len();
        if let Some(operation) = &mut event.operation {
            operation.effect = Effect::Carried;
        }
        event
            .covers
            .insert(Dot::new(Actor { node: 1, nonce: 9 }, 5));
        let bytes = event.encode_value();
        assert!(bytes.len() < plain + 24);
        assert_eq!(Event::decode_value(event.dot, &bytes), Ok(event));
    }

    #[test]
    fn what_no_row_can_show_is_nothing_that_an_event_was_written_over() {
        let mut event = event();
        if let Some(operation) = &mut event.operation {
            operation.effect = Effect::Carried;
        }
        let actor = Actor { node: 1, nonce: 9 };
        event.covers.insert_range(actor, 1, u64::MAX);
        assert!(Event::decode(&event.encode()).is_err());
    }

    #[test]
    fn a_span_that_no_batch_can_have_is_no_event() {
        let span = |last| Event { last, ..event() };
        let longest = span(5 + MAX_SPAN);
        assert_eq!(Event::decode(&longest.encode()), Ok(longest));
        for last in [6 + MAX_SPAN, u64::MAX] {
            assert!(Event::decode(&span(last).encode()).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_event_or_an_error(bytes in any::<Vec<u8>>(), cut in 0_usize..60) {
            if let Ok(event) = Event::decode(&bytes) {
                prop_assert_eq!(event.encode(), &bytes[..]);
            }
            let whole = event().encode();
            let part = whole.get(..cut).unwrap_or(&whole);
            prop_assert_eq!(Event::decode(part).is_ok(), part.len() >= whole.len());
        }
    }
}
