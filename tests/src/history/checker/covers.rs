//! What contexts cover, between two bounds.
//!
//! The client cannot look into a context, and the checker does not have to: what an answer showed,
//! its context covers; and what it did not show was either unseen or covered before by somebody
//! else, who is then an event of this history too.
//!
//! | context of | covers at least | covers at most |
//! |---|---|---|
//! | a read | the items shown | the items shown |
//! | a write | its own items, and what its own context covers | the same |
//! | a removal with a context | what that covers | what that covers |
//! | a removal without one | nothing | all that was written before its end |

use std::collections::{BTreeMap, BTreeSet};

use super::{Rules, Story};
use crate::history::{Action, Event, EventId, Observed, Outcome};

/// Which events can have removed an item, and which must have.
#[derive(Debug, Default)]
pub(super) struct Killers {
    /// Events that may have, whatever became of them.
    pub(super) possible: Vec<EventId>,
    /// Events that have, if they are applied.
    pub(super) certain: Vec<EventId>,
}

#[derive(Debug, Clone, Default)]
struct Cover<'a> {
    least: BTreeSet<&'a str>,
    most: BTreeSet<&'a str>,
}

/// For every item of a key, who removes it.
pub(super) fn killers<'a>(story: &Story<'a>, rules: Rules) -> BTreeMap<&'a str, Killers> {
    let writers = writers(story);
    let mut answers: BTreeMap<EventId, Cover<'a>> = BTreeMap::new();
    let mut killers: BTreeMap<&'a str, Killers> = BTreeMap::new();
    for (id, event) in story {
        let given = event.context.and_then(|context| answers.get(&context));
        let given = given.cloned().unwrap_or_default();
        let killed = killed(event, &given, &writers, rules);
        for item in killed.most {
            killers.entry(item).or_default().possible.push(*id);
        }
        for item in killed.least {
            killers.entry(item).or_default().certain.push(*id);
        }
        answers.insert(*id, answered(event, given, &writers));
    }
    killers
}

/// Who wrote which item.
pub(super) fn writers<'a>(story: &Story<'a>) -> BTreeMap<&'a str, (EventId, &'a Event)> {
    let mut writers = BTreeMap::new();
    for (id, event) in story {
        for item in event.items() {
            writers.insert(item.as_str(), (*id, *event));
        }
    }
    writers
}

type Writers<'a> = BTreeMap<&'a str, (EventId, &'a Event)>;

/// What an operation removes when it is applied.
fn killed<'a>(
    event: &'a Event,
    given: &Cover<'a>,
    writers: &Writers<'a>,
    rules: Rules,
) -> Cover<'a> {
    let mut cover = match (&event.action, event.context) {
        (Action::Put(_), _) | (Action::Delete | Action::Remove(_), Some(_)) => given.clone(),
        (Action::Delete | Action::Remove(_), None) => Cover {
            least: held_by_all(event, writers, rules),
            most: begun_before_end_of(event, writers),
        },
        (Action::Increment(_) | Action::Add(_) | Action::Read, _) => Cover::default(),
    };
    if let Action::Remove(elements) = &event.action {
        let is_named = |item: &&str| elements.iter().any(|element| element == item);
        cover.least.retain(is_named);
        cover.most.retain(is_named);
    }
    cover
}

/// What the context in an operation's answer covers.
fn answered<'a>(event: &'a Event, given: Cover<'a>, writers: &Writers<'a>) -> Cover<'a> {
    let mut cover = given;
    match (&event.action, &event.outcome) {
        (Action::Read, Outcome::Observed(Observed::Items(items))) => {
            cover = Cover::default();
            cover.least.extend(items.iter().map(String::as_str));
        }
        (Action::Put(_) | Action::Add(_), _) => {
            cover.least.extend(event.items().iter().map(String::as_str));
        }
        (Action::Delete | Action::Remove(_), _) if event.context.is_none() => {
            cover.most = begun_before_end_of(event, writers);
        }
        (Action::Delete | Action::Remove(_) | Action::Increment(_) | Action::Read, _) => {}
    }
    let Cover { least, most } = &mut cover;
    most.extend(least.iter());
    cover
}

/// What every replica had before the operation began, so that any coordinator sees it.
fn held_by_all<'a>(event: &Event, writers: &Writers<'a>, rules: Rules) -> BTreeSet<&'a str> {
    let is_held = |writer: &Event| {
        let is_complete = matches!(writer.outcome, Outcome::Applied { acks } if acks >= rules.n);
        is_complete && writer.completed.is_some_and(|end| end < event.invoked)
    };
    let items = writers.iter().filter(|(_, (_, writer))| is_held(writer));
    items.map(|(item, _)| *item).collect()
}

/// What the coordinator can have seen. An operation without an answer may happen at any time.
fn begun_before_end_of<'a>(event: &Event, writers: &Writers<'a>) -> BTreeSet<&'a str> {
    let end = match event.outcome {
        Outcome::Applied { .. } => event.completed,
        Outcome::Unknown | Outcome::Refused | Outcome::Observed(_) => None,
    };
    let can_be_seen = |writer: &Event| end.is_none_or(|end| writer.invoked <= end);
    let items = writers
        .iter()
        .filter(|(_, (_, writer))| can_be_seen(writer));
    items.map(|(item, _)| *item).collect()
}
