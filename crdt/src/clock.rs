//! What one vnode has seen.

use crate::actor::Actor;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::dot::Dot;
use crate::dots::DotSet;

/// The set of events that a vnode's rows reflect: per actor a contiguous base and the few beyond.
///
/// *Invariant I1*: a dot is in the clock only if the rows reflect its event, that is the version
/// and everything it kills. So the clock grows in the same batch as the rows, never ahead of them,
/// and never by what some client's [`Context`](crate::Context) claims.
///
/// ```
/// use crdt::{Actor, Clock, Dot};
///
/// let actor = Actor { node: 1, nonce: 7 };
/// let mut clock = Clock::default();
/// clock.insert(Dot::new(actor, 1));
/// clock.insert(Dot::new(actor, 3));
/// assert_eq!(clock.base(actor), 1);
/// assert!(clock.contains(Dot::new(actor, 3)) && !clock.contains(Dot::new(actor, 2)));
/// assert_eq!(clock.next(actor), Dot::new(actor, 4));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clock {
    dots: DotSet,
}

impl Clock {
    /// A clock of exactly these dots.
    #[must_use]
    pub fn of(dots: DotSet) -> Self {
        Self { dots }
    }

    /// Adds a dot whose event the rows now reflect.
    pub fn insert(&mut self, dot: Dot) {
        self.dots.insert(dot);
    }

    /// Adds every dot of a set whose events the rows now reflect.
    pub fn join(&mut self, dots: &DotSet) {
        self.dots.join(dots);
    }

    /// The first dot that `actor` has not used, where `actor` is the vnode that owns this clock.
    #[must_use]
    pub fn next(&self, actor: Actor) -> Dot {
        Dot::new(actor, self.dots.last(actor).saturating_add(1))
    }

    /// Has the event been seen?
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        self.dots.contains(dot)
    }

    /// Up to which counter every event of `actor` has been seen.
    #[must_use]
    pub fn base(&self, actor: Actor) -> u64 {
        self.dots.base(actor)
    }

    /// The events in this clock that `other` has not seen.
    #[must_use]
    pub fn missing_from(&self, other: &Self) -> DotSet {
        self.dots.difference(&other.dots)
    }

    /// What it takes to keep it: it grows with actors and with gaps, and not with events.
    #[must_use]
    pub fn size(&self) -> Size {
        let beyond = self.dots.difference(&self.dots.bases());
        Size {
            actors: self.dots.actors().count() as u64,
            beyond_bases: beyond.len(),
        }
    }

    /// Has this clock seen all that `other` has?
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.dots.covers(&other.dots)
    }

    /// The set itself.
    #[must_use]
    pub fn dots(&self) -> &DotSet {
        &self.dots
    }

    /// Canonical bytes: a format byte (1) and the set.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::with_capacity(64);
        encoder.u8(FORMAT);
        self.dots.encode(&mut encoder);
        encoder.finish()
    }

    /// Reads what [`Clock::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a clock.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        match decoder.u8("clock's format")? {
            FORMAT => {}
            found => {
                return Err(DecodeError::UnknownFormat {
                    field: "clock",
                    found,
                });
            }
        }
        let dots = DotSet::decode(&mut decoder)?;
        decoder.finish()?;
        Ok(Self { dots })
    }
}

/// What a clock holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Actors, with a base for each.
    pub actors: u64,
    /// Dots that are above the base of their actor, since one below them is missing.
    pub beyond_bases: u64,
}

const FORMAT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::Clock;
    use crate::{Actor, Dot};

    #[test]
    fn the_bytes_of_format_1_stay() {
        let mut clock = Clock::default();
        let actor = Actor {
            node: 0x0102,
            nonce: 0x0a0b,
        };
        for counter in [1, 2, 3, 300] {
            clock.insert(Dot::new(actor, counter));
        }
        let bytes = [
            1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 10, 11, 2, 1, 2, 0xa9, 2, 0,
        ];
        assert_eq!(clock.encode(), bytes);
        assert_eq!(Clock::decode(&bytes), Ok(clock));
    }
}
