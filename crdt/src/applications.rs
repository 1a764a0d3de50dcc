//! Every span of dots under which one operation was applied: what makes a retry count once.
//!
//! An operation is one atomic batch, so each application of it is a *span*: consecutive dots of one
//! actor. What an operation writes follows from what was asked and not from who coordinates it, so
//! the events of two applications correspond by their *place* in the span: the third increment of
//! one is the third of the other. (Removals depend on what the coordinator sees. They come last in
//! a span, and their places mean nothing. And where in a list an item goes is what a retry may say
//! otherwise: the items at one place of two spans are one only if both are in the same row.)
//!
//! ```text
//!   coordinator A   A·7 A·8 A·9        place 0: A·7 and B·3 are one increment, applied twice
//!   coordinator B   B·3 B·4            place 1: A·8 and B·4
//! ```
//!
//! Where a place has several dots the smallest is the *winner*: every replica chooses alike.

use std::collections::BTreeMap;

use crate::actor::Actor;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::dot::Dot;

/// The spans of one operation. There is always at least one.
///
/// ```
/// use crdt::{Actor, Applications, Dot};
///
/// let dot = |node, n| Dot::new(Actor { node, nonce: 0 }, n);
/// let mut applied = Applications::new(dot(2, 8), 9);
/// assert!(!applied.is_doubled());
/// applied.insert(dot(1, 3), 4);
/// assert_eq!(applied.place_of(dot(2, 9)), Some(1));
/// assert_eq!(applied.at(1).collect::<Vec<_>>(), [dot(1, 4), dot(2, 9)]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applications {
    /// The first dot of each span, and the counter of its last.
    spans: BTreeMap<Dot, u64>,
}

impl Applications {
    /// Applied once, from `first` up to the counter `last` of the same actor.
    #[must_use]
    pub fn new(first: Dot, last: u64) -> Self {
        Self {
            spans: BTreeMap::from([(first, last)]),
        }
    }

    /// Applied under this span too. False if that was known.
    pub fn insert(&mut self, first: Dot, last: u64) -> bool {
        self.spans.insert(first, last).is_none()
    }

    /// Takes over what `other` knows of the same operation. False if it knows nothing more.
    pub fn join(&mut self, other: &Self) -> bool {
        let before = self.spans.len();
        self.spans.extend(&other.spans);
        self.spans.len() > before
    }

    /// Was it applied more than once?
    #[must_use]
    pub fn is_doubled(&self) -> bool {
        self.spans.len() > 1
    }

    /// The spans in order: the first dot of each, and the counter of its last one.
    pub fn spans(&self) -> impl Iterator<Item = (Dot, u64)> + '_ {
        self.spans.iter().map(|(&first, &last)| (first, last))
    }

    /// Every dot of every span, in order.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.spans.iter().flat_map(|(first, &last)| {
            let actor = first.actor;
            (first.counter..=last).map(move |counter| Dot::new(actor, counter))
        })
    }

    /// Which place in its span a dot has; `None` if it is of no span.
    #[must_use]
    pub fn place_of(&self, dot: Dot) -> Option<u64> {
        self.span_of(dot).map(|(first, _)| dot.counter - first)
    }

    /// The counters of the first and the last dot of the span that a dot is of; `None` if it is of
    /// none.
    #[must_use]
    pub fn span_of(&self, dot: Dot) -> Option<(u64, u64)> {
        let (first, &last) = self.spans.range(..=dot).next_back()?;
        (first.actor == dot.actor && dot.counter <= last).then_some((first.counter, last))
    }

    /// The dots at one place of every span that reaches it, the winner first.
    pub fn at(&self, place: u64) -> impl Iterator<Item = Dot> + '_ {
        self.spans.iter().filter_map(move |(first, &last)| {
            let counter = first.counter.checked_add(place)?;
            (counter <= last).then(|| Dot::new(first.actor, counter))
        })
    }

    /// Appends the spans: a count, and for each the first dot and the varint length less one.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.varint(self.spans.len() as u64);
        for (first, &last) in &self.spans {
            first.encode(encoder);
            encoder.varint(last.saturating_sub(first.counter));
        }
    }

    /// Takes what [`Applications::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of at least one span.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let invalid = DecodeError::Invalid {
            field: "spans of an operation",
        };
        let mut spans = BTreeMap::new();
        let mut before: Option<(Actor, u64)> = None;
        for _ in 0..decoder.count("spans of an operation")? {
            let first = Dot::decode(decoder)?;
            let length = decoder.varint("span of an operation")?;
            let last = first.counter.checked_add(length).ok_or(invalid)?;
            // In order, and no dot in two spans: one dot names one event.
            if before.is_some_and(|(actor, last)| (actor, last) >= (first.actor, first.counter)) {
                return Err(invalid);
            }
            before = Some((first.actor, last));
            spans.insert(first, last);
        }
        if spans.is_empty() {
            Err(invalid)
        } else {
            Ok(Self { spans })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::Applications;
    use crate::actor::Actor;
    use crate::codec::{Decoder, Encoder};
    use crate::dot::Dot;

    fn dot(node: u64, counter: u64) -> Dot {
        Dot::new(Actor { node, nonce: 0 }, counter)
    }

    fn bytes(applied: &Applications) -> Vec<u8> {
        let mut encoder = Encoder::default();
        applied.encode(&mut encoder);
        encoder.finish()
    }

    /// Spans of length up to 3 that start at multiples of 3, so that none overlap.
    fn applied(spans: &[(u64, u64, u64)]) -> Applications {
        let mut built: Option<Applications> = None;
        for &(node, start, length) in spans {
            let (first, last) = (dot(node, 3 * start), 3 * start + length);
            match &mut built {
                None => built = Some(Applications::new(first, last)),
                Some(built) => {
                    // The same start twice is the same span in a cluster.
                    if built.place_of(first).is_none() {
                        built.insert(first, last);
                    }
                }
            }
        }
        built.unwrap()
    }

    proptest! {
        #[test]
        fn every_place_has_one_winner_and_it_is_the_smallest_dot(
            spans in vec((0_u64..4, 1_u64..9, 0_u64..3), 1..8),
        ) {
            let applied = applied(&spans);
            for dot in applied.dots() {
                let place = applied.place_of(dot).unwrap();
                let mates: Vec<Dot> = applied.at(place).collect();
                prop_assert!(mates.contains(&dot));
                prop_assert_eq!(mates.first(), mates.iter().min());
            }
            prop_assert_eq!(applied.is_doubled(), applied.at(0).count() > 1);
        }

        #[test]
        fn equal_spans_have_equal_bytes_and_come_back(
            spans in vec((0_u64..4, 1_u64..9, 0_u64..3), 1..8),
        ) {
            let applied = applied(&spans);
            let bytes = bytes(&applied);
            let mut decoder = Decoder::new(&bytes);
            prop_assert_eq!(Applications::decode(&mut decoder), Ok(applied));
            prop_assert_eq!(decoder.finish(), Ok(()));
            for length in 0..bytes.len() {
                prop_assert!(Applications::decode(&mut Decoder::new(&bytes[..length])).is_err());
            }
        }

        #[test]
        fn any_bytes_give_canonical_spans_or_an_error(input in any::<Vec<u8>>()) {
            let mut decoder = Decoder::new(&input);
            if let Ok(applied) = Applications::decode(&mut decoder) {
                prop_assert_eq!(bytes(&applied), &input[..input.len() - decoder.rest().len()]);
            }
        }
    }

    #[test]
    fn the_bytes_of_the_spans_stay() {
        let mut applied = Applications::new(dot(2, 8), 10);
        applied.insert(dot(1, 3), 3);
        let expected = [
            &[2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0][..],
            &[0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 8, 2],
        ]
        .concat();
        assert_eq!(bytes(&applied), expected);
    }

    #[test]
    fn joining_takes_over_what_the_other_knows() {
        let mut applied = Applications::new(dot(1, 1), 2);
        let other = Applications::new(dot(2, 5), 6);
        assert!(applied.join(&other));
        assert!(applied.is_doubled() && !applied.join(&other));
        assert_eq!(applied.place_of(dot(2, 7)), None);
    }
}
