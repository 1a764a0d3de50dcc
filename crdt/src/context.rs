//! What a client has seen of a key, and so what its next write overwrites.

use crate::clock::Clock;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::dot::Dot;
use crate::dots::DotSet;

/// A version vector plus exact dots: the events that a write covers.
///
/// A read hands out its replicas' contiguous histories as the vector, and the versions that it
/// returned as *exact dots*. A version's own dot is never claimed as a vector entry: that would
/// claim everything below it as seen, and the next write would kill versions nobody has read
/// (mutants `vvdot` and `tokenvv` of the model lose updates in just this way).
///
/// ```
/// use crdt::{Actor, Context, Dot};
///
/// let actor = Actor { node: 1, nonce: 7 };
/// let mut context = Context::default();
/// context.insert(Dot::new(actor, 5));
/// assert!(context.contains(Dot::new(actor, 5)));
/// assert!(!context.contains(Dot::new(actor, 4)));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    dots: DotSet,
}

impl Context {
    /// Covers exactly these dots.
    #[must_use]
    pub fn of(dots: DotSet) -> Self {
        Self { dots }
    }

    /// Covers one more dot, and nothing else of its actor.
    pub fn insert(&mut self, dot: Dot) {
        self.dots.insert(dot);
    }

    /// Covers all that `other` covers.
    pub fn join(&mut self, other: &Self) {
        self.dots.join(&other.dots);
    }

    /// Covers the contiguous histories of `clock`, whose row this context belongs to.
    ///
    /// By bases alone and never by the dots beyond: a row says nothing of a dot above the base
    /// that is neither alive in it nor in its context (invariant I2 of [`crate::row`]).
    pub fn fill(&mut self, clock: &Clock) {
        self.dots.join(&clock.dots().bases());
    }

    /// Drops what the clock already explains: the dots at or below its bases.
    pub fn strip(&mut self, clock: &Clock) {
        self.dots.remove_bases(clock.dots());
    }

    /// Is the event covered?
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        self.dots.contains(dot)
    }

    /// Is nothing covered?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dots.is_empty()
    }

    /// The set itself.
    #[must_use]
    pub fn dots(&self) -> &DotSet {
        &self.dots
    }

    /// Appends the set.
    pub fn encode(&self, encoder: &mut Encoder) {
        self.dots.encode(encoder);
    }

    /// Takes what [`Context::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a context.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        DotSet::decode(decoder).map(Self::of)
    }
}
