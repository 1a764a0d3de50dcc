//! A set of dots: for each actor the counters it holds, as ranges.
//!
//! Clocks and contexts are both such sets; what differs is what they claim (see [`crate::clock`]
//! and [`crate::context`]). A range that starts at 1 is the actor's *base*, the contiguous history
//! (one entry of a version vector); what lies beyond are exact dots.
//!
//! ```text
//!   counters   1 2 3 4 5 6 7 8 9
//!   held       # # # # . # # . #      ranges (1,4) (6,7) (9,9)      base 4
//! ```

use std::collections::BTreeMap;

use crate::actor::Actor;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::dot::Dot;

/// Sorted, disjoint, non-adjacent ranges of counters from 1, both ends included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    fn contains(&self, counter: u64) -> bool {
        let after = self.0.partition_point(|&(first, _)| first <= counter);
        after
            .checked_sub(1)
            .and_then(|i| self.0.get(i))
            .is_some_and(|&(_, last)| counter <= last)
    }

    fn base(&self) -> u64 {
        match self.0.first() {
            Some(&(1, last)) => last,
            _ => 0,
        }
    }

    fn insert(&mut self, first: u64, last: u64) {
        // Everything that touches or overlaps the new range melts into it.
        let from = self
            .0
            .partition_point(|&(_, end)| end.saturating_add(1) < first);
        let to = self
            .0
            .partition_point(|&(begin, _)| begin <= last.saturating_add(1));
        let merged =
            self.0.get(from..to).unwrap_or_default().iter().fold(
                (first, last),
                |(begin, end), &(other_begin, other_end)| {
                    (begin.min(other_begin), end.max(other_end))
                },
            );
        self.0.splice(from..to.max(from), [merged]);
    }

    /// What is in `self` and not in `other`.
    fn difference(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut others = other.0.iter().copied().peekable();
        for &(first, last) in &self.0 {
            while others.next_if(|&(_, end)| end < first).is_some() {}
            // What of the range is not yet decided; nothing once a range reaches its end.
            let mut rest = Some(first);
            while let Some((from, (begin, end))) = rest.zip(others.peek().copied()) {
                if begin > last {
                    break;
                }
                if from < begin {
                    left.push((from, begin - 1));
                }
                rest = (end < last).then(|| end + 1);
                if rest.is_some() {
                    others.next();
                }
            }
            if let Some(from) = rest {
                left.push((from, last));
            }
        }
        Self(left)
    }

    fn encode(&self, encoder: &mut Encoder) {
        encoder.varint(self.0.len() as u64);
        let mut before = 0;
        for &(first, last) in &self.0 {
            encoder.varint(first - before);
            encoder.varint(last - first);
            before = last;
        }
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let invalid = DecodeError::Invalid {
            field: "range of counters",
        };
        let count = decoder.count("ranges of counters")?;
        let mut ranges = Vec::with_capacity(count);
        let mut before = 0_u64;
        for index in 0..count {
            let gap = decoder.varint("gap before a range")?;
            // Adjacent ranges would be one: only the first may begin right after its floor of 0.
            if gap == 0 || (index > 0 && gap == 1) {
                return Err(invalid);
            }
            let first = before.checked_add(gap).ok_or(invalid)?;
            let length = decoder.varint("length of a range")?;
            before = first.checked_add(length).ok_or(invalid)?;
            ranges.push((first, before));
        }
        if ranges.is_empty() {
            Err(invalid)
        } else {
            Ok(Self(ranges))
        }
    }
}

/// A set of dots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DotSet {
    actors: BTreeMap<Actor, Ranges>,
}

impl DotSet {
    /// Adds one dot.
    pub fn insert(&mut self, dot: Dot) {
        self.insert_range(dot.actor, dot.counter, dot.counter);
    }

    /// Adds the dots `first..=last` of `actor`. Counter 0 names no event and is skipped.
    pub fn insert_range(&mut self, actor: Actor, first: u64, last: u64) {
        let first = first.max(1);
        if first <= last {
            self.actors.entry(actor).or_default().insert(first, last);
        }
    }

    /// Adds every dot of `other`.
    pub fn join(&mut self, other: &Self) {
        for (&actor, ranges) in &other.actors {
            for &(first, last) in &ranges.0 {
                self.insert_range(actor, first, last);
            }
        }
    }

    /// Removes every dot that is at or below the base that `floor` has for its actor.
    pub fn remove_bases(&mut self, floor: &Self) {
        self.actors.retain(|actor, ranges| {
            let base = floor.base(*actor);
            if base > 0 {
                ranges.0.retain_mut(|(first, last)| {
                    *first = (*first).max(base.saturating_add(1));
                    base < *last
                });
            }
            !ranges.0.is_empty()
        });
    }

    /// Is `dot` in the set?
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        self.actors
            .get(&dot.actor)
            .is_some_and(|ranges| ranges.contains(dot.counter))
    }

    /// The greatest counter up to which every event of `actor` is in the set; 0 without the first.
    #[must_use]
    pub fn base(&self, actor: Actor) -> u64 {
        self.actors.get(&actor).map_or(0, Ranges::base)
    }

    /// The greatest counter of `actor` in the set; 0 if there is none.
    #[must_use]
    pub fn last(&self, actor: Actor) -> u64 {
        self.actors
            .get(&actor)
            .and_then(|ranges| ranges.0.last())
            .map_or(0, |&(_, last)| last)
    }

    /// The contiguous histories alone: the set's version vector.
    #[must_use]
    pub fn bases(&self) -> Self {
        let bases = self.actors.iter().filter_map(|(&actor, ranges)| {
            let base = ranges.base();
            (base > 0).then(|| (actor, Ranges(vec![(1, base)])))
        });
        Self {
            actors: bases.collect(),
        }
    }

    /// The dots of this set that `other` lacks.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let none = Ranges::default();
        let left = self.actors.iter().filter_map(|(&actor, ranges)| {
            let left = ranges.difference(other.actors.get(&actor).unwrap_or(&none));
            (!left.0.is_empty()).then_some((actor, left))
        });
        Self {
            actors: left.collect(),
        }
    }

    /// Does this set hold every dot of `other`?
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.difference(self).is_empty()
    }

    /// Is nothing in the set?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actors.is_empty()
    }

    /// How many dots are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        let lengths = self
            .ranges()
            .map(|(_, first, last)| (last - first).saturating_add(1));
        lengths.fold(0, u64::saturating_add)
    }

    /// The actors that have a dot in the set, in order.
    pub fn actors(&self) -> impl Iterator<Item = Actor> + '_ {
        self.actors.keys().copied()
    }

    /// Every dot in order: for sets that are known to be small, since a range may be long.
    pub fn iter(&self) -> impl Iterator<Item = Dot> + '_ {
        let ranges = self.ranges();
        ranges.flat_map(|(actor, first, last)| {
            (first..=last).map(move |counter| Dot::new(actor, counter))
        })
    }

    /// Every range of dots as (actor, first, last), in order.
    pub fn ranges(&self) -> impl Iterator<Item = (Actor, u64, u64)> + '_ {
        self.actors.iter().flat_map(|(&actor, ranges)| {
            ranges
                .0
                .iter()
                .map(move |&(first, last)| (actor, first, last))
        })
    }

    /// Appends the number of actors, then each with its ranges as gaps and lengths.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.varint(self.actors.len() as u64);
        for (actor, ranges) in &self.actors {
            actor.encode(encoder);
            ranges.encode(encoder);
        }
    }

    /// Takes what [`DotSet::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a set.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let count = decoder.count("actors of a set of dots")?;
        let mut actors = BTreeMap::new();
        for _ in 0..count {
            let actor = Actor::decode(decoder)?;
            if actors
                .last_key_value()
                .is_some_and(|(&last, _)| last >= actor)
            {
                return Err(DecodeError::Invalid {
                    field: "order of actors",
                });
            }
            actors.insert(actor, Ranges::decode(decoder)?);
        }
        Ok(Self { actors })
    }
}

#[cfg(test)]
mod tests;
