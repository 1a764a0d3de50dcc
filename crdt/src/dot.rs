//! One event.

use std::fmt;

use crate::actor::Actor;
use crate::codec::{DecodeError, Decoder, Encoder};

/// One event of one actor. The actor's first event has counter 1; an actor's own counters have no
/// gaps. A dot names one row for ever, and one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Whose event.
    pub actor: Actor,
    /// Which of its events, from 1.
    pub counter: u64,
}

impl Dot {
    /// The event `counter` of `actor`.
    #[must_use]
    pub fn new(actor: Actor, counter: u64) -> Self {
        Self { actor, counter }
    }

    /// Appends the actor and the counter as a varint.
    pub fn encode(self, encoder: &mut Encoder) {
        self.actor.encode(encoder);
        encoder.varint(self.counter);
    }

    /// Takes what [`Dot::encode`] wrote.
    ///
    /// # Errors
    /// When the input ends or the counter is 0, which no event has.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let actor = Actor::decode(decoder)?;
        let counter = decoder.varint("dot's counter")?;
        if counter == 0 {
            return Err(DecodeError::Invalid {
                field: "dot's counter",
            });
        }
        Ok(Self { actor, counter })
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}·{}", self.actor, self.counter)
    }
}
