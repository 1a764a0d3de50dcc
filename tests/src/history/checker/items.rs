//! Values and sets: items are written once, and stay until something covers them.

use std::collections::BTreeMap;

use super::covers::{Killers, killers, writers};
use super::{Rules, Story};
use crate::history::{Event, EventId, Observed, Outcome, Subject, Tries, Violation};

/// Checks one key of a value or set bucket.
pub(super) fn check(
    subject: &Subject,
    story: &Story<'_>,
    replicas: &[(String, Observed)],
    rules: Rules,
) -> Vec<Violation> {
    let case = Case {
        subject,
        story,
        writers: writers(story),
        killers: killers(story, rules),
    };
    let mut found = Vec::new();
    for (node, held) in replicas {
        found.extend(case.lost(node, held));
        found.extend(case.phantoms(node, held, None));
        found.extend(case.returned(node, held, None, rules));
    }
    for (id, event) in story {
        if let Outcome::Observed(held) = &event.outcome {
            let reader = format!("the read of {id}");
            found.extend(case.phantoms(&reader, held, Some(event)));
            if rules.r + rules.w > rules.n {
                found.extend(case.stale(*id, event, held, rules));
                found.extend(case.returned(&reader, held, Some(event), rules));
            }
        }
    }
    found
}

struct Case<'a> {
    subject: &'a Subject,
    story: &'a Story<'a>,
    writers: BTreeMap<&'a str, (EventId, &'a Event)>,
    killers: BTreeMap<&'a str, Killers>,
}

impl Case<'_> {
    fn lost(&self, node: &str, held: &Observed) -> Vec<Violation> {
        let mut found = Vec::new();
        for (item, (written, writer)) in &self.writers {
            let is_gone = writer.is_applied() && !held.has(item);
            if is_gone && !self.may_be_killed(item, None) {
                found.push(Violation::Lost {
                    subject: self.subject.clone(),
                    item: (*item).to_owned(),
                    written: *written,
                    node: node.to_owned(),
                });
            }
        }
        found
    }

    /// Items that nobody can have written by the end of the read, and items that are there twice.
    fn phantoms(&self, seen: &str, held: &Observed, reader: Option<&Event>) -> Vec<Violation> {
        let Observed::Items(items) = held else {
            return Vec::new();
        };
        let end = reader.and_then(|reader| reader.completed);
        let mut found = Vec::new();
        for item in items {
            let writer = self.writers.get(item.as_str());
            let is_written = writer.is_some_and(|(_, writer)| {
                writer.may_be_applied() && end.is_none_or(|end| writer.invoked <= end)
            });
            let (subject, item, seen) = (self.subject.clone(), item.clone(), seen.to_owned());
            if !is_written {
                found.push(Violation::Phantom {
                    subject,
                    item,
                    seen,
                });
            } else if items.iter().filter(|other| **other == item).count() > 1 {
                found.push(Violation::Doubled {
                    subject,
                    item,
                    seen,
                });
            }
        }
        found.dedup();
        found
    }

    /// Items that are there although an operation covered them: at the end any that is applied,
    /// for a reader those that a quorum had before it began.
    fn returned(
        &self,
        seen: &str,
        held: &Observed,
        reader: Option<&Event>,
        rules: Rules,
    ) -> Vec<Violation> {
        let Observed::Items(items) = held else {
            return Vec::new();
        };
        let has_killed = |id: &&EventId| {
            let killer = self.story.get(id);
            killer.is_some_and(|killer| match reader {
                None => killer.is_applied(),
                Some(reader) => is_complete_before(killer, reader, rules),
            })
        };
        let mut found = Vec::new();
        for item in items {
            let is_single = |(_, writer): &&(EventId, &Event)| writer.tries == Tries::Once;
            if self.writers.get(item.as_str()).filter(is_single).is_none() {
                continue;
            }
            let killers = self.killers.get(item.as_str());
            let killer = killers.and_then(|killers| killers.certain.iter().find(has_killed));
            if let Some(covered) = killer {
                found.push(Violation::Returned {
                    subject: self.subject.clone(),
                    item: item.clone(),
                    covered: *covered,
                    seen: seen.to_owned(),
                });
            }
        }
        found
    }

    fn stale(&self, id: EventId, reader: &Event, held: &Observed, rules: Rules) -> Vec<Violation> {
        let mut found = Vec::new();
        for (item, (written, writer)) in &self.writers {
            let is_missed = is_complete_before(writer, reader, rules) && !held.has(item);
            if is_missed && !self.may_be_killed(item, Some(reader)) {
                found.push(Violation::Stale {
                    subject: self.subject.clone(),
                    item: (*item).to_owned(),
                    written: *written,
                    reader: id,
                });
            }
        }
        found
    }

    /// Whether anything can have removed the item, by the end of `reader` if there is one.
    fn may_be_killed(&self, item: &str, reader: Option<&Event>) -> bool {
        let end = reader.and_then(|reader| reader.completed);
        let can_kill = |id: &EventId| {
            let killer = self.story.get(id);
            killer.is_some_and(|killer| {
                killer.may_be_applied() && end.is_none_or(|end| killer.invoked <= end)
            })
        };
        let killers = self.killers.get(item);
        killers.is_some_and(|killers| killers.possible.iter().any(can_kill))
    }
}

/// Whether enough replicas had an operation before another began, so that a quorum must show it.
fn is_complete_before(event: &Event, reader: &Event, rules: Rules) -> bool {
    let is_complete = matches!(event.outcome, Outcome::Applied { acks } if acks >= rules.w);
    is_complete && event.completed.is_some_and(|end| end < reader.invoked)
}
