//! The causal oracle: each event knows what its client had seen, and that alone decides.
//!
//! A replica's *ghost* is the set of events it reflects of a key. It must show exactly the puts in
//! it that are in the past of no other event in it.

use std::fmt;

/// One put or delete of the run.
pub(crate) type Event = u16;

/// A set of events.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Events([u64; WORDS]);

impl Events {
    /// How many events a run may have.
    pub(crate) const LIMIT: usize = 64 * WORDS;

    pub(crate) fn insert(&mut self, event: Event) {
        self.0[usize::from(event / 64)] |= 1 << (event % 64);
    }

    pub(crate) fn join(&mut self, other: Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    pub(crate) fn without(mut self, other: Self) -> Self {
        for (word, less) in self.0.iter_mut().zip(other.0) {
            *word &= !less;
        }
        self
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Event> {
        (0..)
            .zip(self.0)
            .flat_map(|(index, mut word): (Event, u64)| {
                std::iter::from_fn(move || {
                    let bit = Event::try_from(word.trailing_zeros())
                        .ok()
                        .filter(|_| word != 0)?;
                    word &= word - 1;
                    Some(64 * index + bit)
                })
            })
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Every event of the run, with its past.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    puts: Events,
    pasts: Vec<Events>,
}

impl Oracle {
    /// A new event of a client that had seen `past`.
    pub(crate) fn event(&mut self, is_put: bool, past: Events) -> Event {
        assert!(
            self.pasts.len() < Events::LIMIT,
            "a run has one event a step at most"
        );
        let event = Event::try_from(self.pasts.len()).expect("the limit is far below");
        self.pasts.push(past);
        if is_put {
            self.puts.insert(event);
        }
        event
    }

    /// What a client has seen after reading a replica that reflects `ghost`.
    pub(crate) fn seen(&self, ghost: Events) -> Events {
        let mut seen = ghost;
        for event in ghost.iter() {
            seen.join(self.pasts[usize::from(event)]);
        }
        seen
    }

    /// What a replica that reflects `ghost` must show.
    pub(crate) fn alive(&self, ghost: Events) -> Events {
        let mut overwritten = Events::default();
        for event in ghost.iter() {
            overwritten.join(self.pasts[usize::from(event)]);
        }
        let deletes = ghost.without(self.puts);
        ghost.without(deletes).without(overwritten)
    }
}

const WORDS: usize = 5;
