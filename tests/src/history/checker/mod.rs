//! The judge of a history. Pure: it sees the history and the final state, and nothing else.
//!
//! The checks err on the side of the cluster where an outcome is unknown, and on no other side:
//! what a context covers is known between bounds (`covers`), and a violation needs the bound that
//! proves it.

mod counts;
mod covers;
mod items;
#[cfg(test)]
mod tests;
mod violation;

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Event, EventId, FinalState, History, Observed, Subject};
pub use violation::Violation;

/// What the history was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Replicas of each key.
    pub n: u8,
    /// Replicas that every read of the history was joined from.
    pub r: u8,
    /// Acknowledgements from which on a write counts as complete for later reads.
    pub w: u8,
}

/// Everything that is wrong with a history and what came of it; nothing is wrong if this is empty.
///
/// Every replica must have been read when no fault and no operation was left, and no disk may
/// have been lost in between.
#[must_use]
pub fn check(history: &History, last: &FinalState, rules: Rules) -> Vec<Violation> {
    let mut found = Vec::new();
    for (subject, story) in &stories(history) {
        let Some(replicas) = last.replicas.get(subject) else {
            found.push(Violation::Unread {
                subject: subject.clone(),
            });
            continue;
        };
        if has_diverged(replicas) {
            found.push(Violation::Diverged {
                subject: subject.clone(),
                replicas: replicas.clone(),
            });
        }
        let is_count = |event: &Event| matches!(event.action, Action::Increment(_));
        if story.values().any(|event| is_count(event)) {
            found.extend(counts::check(subject, story, replicas));
        } else {
            found.extend(items::check(subject, story, replicas, rules));
        }
    }
    found
}

/// The events of one key, in the order in which they began.
type Story<'a> = BTreeMap<EventId, &'a Event>;

fn stories(history: &History) -> BTreeMap<Subject, Story<'_>> {
    let mut stories: BTreeMap<_, Story<'_>> = BTreeMap::new();
    for (at, event) in history.events.iter().enumerate() {
        let story = stories.entry(event.subject.clone()).or_default();
        story.insert(EventId(at), event);
    }
    stories
}

fn has_diverged(replicas: &[(String, Observed)]) -> bool {
    let distinct: BTreeSet<String> = replicas.iter().map(|(_, held)| held.to_string()).collect();
    distinct.len() > 1
}
