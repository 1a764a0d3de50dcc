//! Virtual time: everything that will happen, in order.

use std::collections::BTreeMap;

/// Microseconds since the world began.
pub(crate) type Instant = u64;

/// A millisecond of virtual time.
pub(crate) const MS: Instant = 1_000;
/// A second of virtual time.
pub(crate) const SECOND: Instant = 1_000 * MS;

/// Events by the time at which they happen; events of one instant in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    now: Instant,
    next: u64,
    events: BTreeMap<(Instant, u64), E>,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            next: 0,
            events: BTreeMap::new(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Lets `event` happen at `at`, or now if that has passed.
    pub(crate) fn at(&mut self, at: Instant, event: E) {
        self.events.insert((at.max(self.now), self.next), event);
        self.next += 1;
    }

    /// Lets `event` happen `delay` from now.
    pub(crate) fn after(&mut self, delay: Instant, event: E) {
        self.at(self.now + delay, event);
    }

    /// When the next event happens.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.events.first_key_value().map(|(&(at, _), _)| at)
    }

    /// The next event that happens before `limit`; time moves to it. Without one, to the limit.
    pub(crate) fn next_before(&mut self, limit: Instant) -> Option<E> {
        match self.events.first_key_value() {
            Some((&(at, _), _)) if at < limit => {
                self.now = at;
                self.events.pop_first().map(|(_, event)| event)
            }
            _ => {
                self.now = self.now.max(limit);
                None
            }
        }
    }
}
