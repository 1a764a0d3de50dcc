//! Notes what sessions do, while they do it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Action, Event, EventId, History, Observed, Outcome, Subject, Tries};
use starling::Error;

/// A history in the making. Sessions on several threads share one, and with it one clock.
#[derive(Debug)]
pub struct Recorder {
    start: Instant,
    events: Mutex<Vec<Event>>,
}

impl Recorder {
    /// An empty history that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            events: Mutex::new(Vec::new()),
        }
    }

    /// Notes that an operation begins. Call it before anything is sent.
    pub fn begin(
        &self,
        session: usize,
        subject: &Subject,
        action: Action,
        context: Option<EventId>,
        tries: Tries,
    ) -> EventId {
        let mut events = self.events();
        let id = EventId(events.len());
        events.push(Event {
            session,
            subject: subject.clone(),
            action,
            context,
            tries,
            // Under the lock, so that the order of events is the order of their instants.
            invoked: self.start.elapsed(),
            completed: None,
            outcome: Outcome::Unknown,
        });
        id
    }

    /// Notes how an operation ended. Call it after its answer has come.
    pub fn finish(&self, id: EventId, outcome: Outcome) {
        let completed = self.now();
        if let Some(event) = self.events().get_mut(id.0) {
            event.completed = Some(completed);
            event.outcome = outcome;
        }
    }

    /// Notes the outcome of a write; gives back whether it was acknowledged.
    pub fn finish_write(&self, id: EventId, result: &Result<starling::Written, Error>) -> bool {
        let outcome = match result {
            Ok(written) => Outcome::Applied {
                acks: written.acks(),
            },
            Err(error) => match error.outcome() {
                starling::Outcome::NotApplied => Outcome::Refused,
                starling::Outcome::MaybeApplied => Outcome::Unknown,
                starling::Outcome::AppliedBelowQuorum { acks, .. } => Outcome::Applied { acks },
            },
        };
        self.finish(id, outcome);
        result.is_ok()
    }

    /// Notes what a read showed, or that it failed.
    pub fn finish_read(&self, id: EventId, observed: Option<Observed>) {
        self.finish(id, observed.map_or(Outcome::Refused, Outcome::Observed));
    }

    /// The clock of this history.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// How many operations have begun.
    pub fn len(&self) -> usize {
        self.events().len()
    }

    /// Whether nothing has begun yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The history so far.
    pub fn history(&self) -> History {
        History {
            events: self.events().clone(),
        }
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}
