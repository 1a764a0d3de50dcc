//! Hand-made histories: good ones that must pass, and for each violation one that has it.

use std::time::Duration;

use super::{Rules, Violation, check};
use crate::history::{
    Action, Event, EventId, FinalState, History, Observed, Outcome, Subject, Tries,
};

const RULES: Rules = Rules { n: 3, r: 2, w: 2 };

/// A history of one key, told one operation after the other; every step takes one second.
#[derive(Default)]
struct Tale {
    history: History,
}

impl Tale {
    fn step(&mut self, action: Action, context: Option<EventId>, outcome: Outcome) -> EventId {
        let at = self.history.events.len();
        let second = |second: usize| Duration::from_secs(u64::try_from(second).expect("small"));
        let completed = (outcome != Outcome::Unknown).then(|| second(2 * at + 1));
        self.history.events.push(Event {
            session: 0,
            subject: subject(),
            action,
            context,
            tries: Tries::Once,
            invoked: second(2 * at),
            completed,
            outcome,
        });
        EventId(at)
    }

    fn put(&mut self, value: &str, context: Option<EventId>) -> EventId {
        self.step(Action::Put(value.to_owned()), context, ACKED)
    }

    fn read(&mut self, values: &[&str]) -> EventId {
        self.step(Action::Read, None, Outcome::Observed(items(values)))
    }

    /// Makes the last operation overlap with everything since `first`.
    fn since(&mut self, first: EventId) {
        let invoked = self.history.events[first.0].invoked;
        self.history
            .events
            .last_mut()
            .expect("there is one")
            .invoked = invoked;
    }

    fn ends_as(&self, held: [Observed; 3]) -> Vec<Violation> {
        let nodes = ["n1", "n2", "n3"].map(str::to_owned);
        let mut last = FinalState::default();
        last.replicas
            .insert(subject(), nodes.into_iter().zip(held).collect());
        check(&self.history, &last, RULES)
    }

    /// The violations if all replicas hold these items at the end.
    fn ends_with(&self, values: &[&str]) -> Vec<Violation> {
        self.ends_as([items(values), items(values), items(values)])
    }
}

fn subject() -> Subject {
    Subject::new("carts", "ada")
}

fn items(values: &[&str]) -> Observed {
    Observed::items(values)
}

const ACKED: Outcome = Outcome::Applied { acks: 2 };
const EVERYWHERE: Outcome = Outcome::Applied { acks: 3 };
const BELOW: Outcome = Outcome::Applied { acks: 1 };

#[test]
fn an_orderly_history_is_right() {
    let mut tale = Tale::default();
    let a = tale.put("a", None);
    let b = tale.put("b", Some(a));
    let seen = tale.read(&["b"]);
    tale.put("c", Some(seen));
    tale.put("sibling", Some(b));
    assert_eq!(tale.ends_with(&["c", "sibling"]), []);
}

#[test]
fn a_lost_value_is_found_unless_somebody_may_have_removed_it() {
    let mut tale = Tale::default();
    tale.put("a", None);
    let found = tale.ends_with(&[]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(matches!(
        &found[0],
        Violation::Lost {
            written: EventId(0),
            ..
        }
    ));
    tale.step(Action::Delete, None, Outcome::Unknown);
    assert_eq!(tale.ends_with(&[]), []);
    assert_eq!(tale.ends_with(&["a"]), []);
}

#[test]
fn a_write_below_its_quorum_stays_as_well() {
    let mut tale = Tale::default();
    tale.step(Action::Put("a".to_owned()), None, BELOW);
    assert!(matches!(tale.ends_with(&[])[0], Violation::Lost { .. }));
    assert_eq!(tale.ends_with(&["a"]), []);
}

#[test]
fn a_blind_write_removes_nothing() {
    let mut tale = Tale::default();
    tale.put("a", None);
    tale.put("b", None);
    assert!(matches!(&tale.ends_with(&["b"])[0], Violation::Lost { item, .. } if item == "a"));
    assert_eq!(tale.ends_with(&["a", "b"]), []);
}

#[test]
fn a_value_that_nobody_wrote_is_found() {
    let mut tale = Tale::default();
    let a = tale.put("a", None);
    tale.step(Action::Put("no".to_owned()), Some(a), Outcome::Refused);
    for phantom in ["x", "no"] {
        let found = tale.ends_with(&["a", phantom]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(matches!(&found[0], Violation::Phantom { item, .. } if item == phantom));
    }
    tale.read(&["a", "later"]);
    tale.put("later", None);
    let found = tale.ends_with(&["a", "later"]);
    assert!(
        matches!(&found[..], [Violation::Phantom { .. }]),
        "{found:?}"
    );
}

#[test]
fn a_value_whose_outcome_is_unknown_may_be_there_or_not() {
    let mut tale = Tale::default();
    tale.step(Action::Put("a".to_owned()), None, Outcome::Unknown);
    assert_eq!(tale.ends_with(&["a"]), []);
    assert_eq!(tale.ends_with(&[]), []);
}

#[test]
fn a_deleted_value_that_is_back_is_found() {
    let mut tale = Tale::default();
    let a = tale.put("a", None);
    let delete = tale.step(Action::Delete, Some(a), ACKED);
    let found = tale.ends_with(&["a"]);
    assert!(
        matches!(&found[0], Violation::Returned { covered, .. } if *covered == delete),
        "{found:?}"
    );
    assert_eq!(tale.ends_with(&[]), []);
}

#[test]
fn a_sibling_that_a_later_context_covered_is_found() {
    let mut tale = Tale::default();
    let a = tale.put("a", None);
    let b = tale.put("b", None);
    let both = tale.read(&["a", "b"]);
    tale.put("merged", Some(both));
    assert!(matches!(
        tale.ends_with(&["merged", "b"])[0],
        Violation::Returned { .. }
    ));
    // A chain of replies covers what its first context covered.
    let mut chain = Tale::default();
    let a_again = chain.put("a", None);
    let second = chain.put("b", Some(a_again));
    chain.put("c", Some(second));
    assert!(matches!(
        chain.ends_with(&["a", "c"])[0],
        Violation::Returned { .. }
    ));
    assert_ne!(a, b);
}

#[test]
fn a_delete_without_a_context_covers_what_every_replica_had() {
    let mut tale = Tale::default();
    tale.step(Action::Put("all".to_owned()), None, EVERYWHERE);
    tale.step(Action::Put("two".to_owned()), None, ACKED);
    tale.step(Action::Delete, None, ACKED);
    assert_eq!(tale.ends_with(&["two"]), []);
    assert_eq!(tale.ends_with(&[]), []);
    assert!(matches!(
        tale.ends_with(&["all"])[0],
        Violation::Returned { .. }
    ));
}

#[test]
fn a_version_that_a_retry_made_may_come_back() {
    let mut tale = Tale::default();
    let a = tale.put("a", None);
    tale.history.events[a.0].tries = Tries::Many;
    tale.step(Action::Delete, Some(a), ACKED);
    assert_eq!(tale.ends_with(&["a"]), []);
}

#[test]
fn an_item_that_is_there_twice_is_found() {
    let mut tale = Tale::default();
    tale.put("a", None);
    let found = tale.ends_with(&["a", "a"]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(matches!(found[0], Violation::Doubled { .. }));
}

#[test]
fn a_read_that_misses_a_complete_write_is_found() {
    let mut tale = Tale::default();
    tale.put("a", None);
    tale.read(&[]);
    let found = tale.ends_with(&["a"]);
    assert!(matches!(found[..], [Violation::Stale { .. }]), "{found:?}");
    // A read that overlaps with the write may see either.
    let mut racing = Tale::default();
    let a = racing.put("a", None);
    racing.read(&[]);
    racing.since(a);
    assert_eq!(racing.ends_with(&["a"]), []);
}

#[test]
fn a_read_that_shows_what_was_covered_before_is_found() {
    let mut tale = Tale::default();
    let a = tale.put("a", None);
    tale.put("b", Some(a));
    tale.read(&["a", "b"]);
    let found = tale.ends_with(&["b"]);
    assert!(
        matches!(&found[..], [Violation::Returned { seen, .. }] if seen.contains("read")),
        "{found:?}"
    );
}

#[test]
fn elements_are_removed_by_name() {
    let mut tale = Tale::default();
    let both = ["x", "y"].map(str::to_owned).to_vec();
    let added = tale.step(Action::Add(both), None, ACKED);
    tale.step(Action::Remove(vec!["x".to_owned()]), Some(added), ACKED);
    assert_eq!(tale.ends_with(&["y"]), []);
    assert!(matches!(&tale.ends_with(&[])[0], Violation::Lost { item, .. } if item == "y"));
    assert!(
        matches!(&tale.ends_with(&["x", "y"])[0], Violation::Returned { item, .. } if item == "x")
    );
}

#[test]
fn a_counter_is_the_sum_of_its_increments() {
    let mut tale = Tale::default();
    let count = |value| [const { Observed::Count(0) }; 3].map(|_| Observed::Count(value));
    tale.step(Action::Increment(5), None, ACKED);
    tale.step(Action::Increment(-2), None, BELOW);
    tale.step(Action::Increment(100), None, Outcome::Refused);
    assert_eq!(tale.ends_as(count(3)), []);
    for wrong in [2, 4, 8, 103] {
        let found = tale.ends_as(count(wrong));
        assert!(
            matches!(
                found[0],
                Violation::Miscounted {
                    low: 3,
                    high: 3,
                    ..
                }
            ),
            "{found:?}"
        );
    }
    tale.step(Action::Increment(2), None, Outcome::Unknown);
    assert_eq!(tale.ends_as(count(3)), []);
    assert_eq!(tale.ends_as(count(5)), []);
    assert!(matches!(
        tale.ends_as(count(6))[0],
        Violation::Miscounted { .. }
    ));
}

#[test]
fn replicas_that_differ_are_found() {
    let mut tale = Tale::default();
    tale.step(Action::Put("a".to_owned()), None, Outcome::Unknown);
    let found = tale.ends_as([items(&["a"]), items(&[]), items(&["a"])]);
    assert!(
        matches!(found[..], [Violation::Diverged { .. }]),
        "{found:?}"
    );
}

#[test]
fn a_key_that_was_not_read_at_the_end_is_found() {
    let mut tale = Tale::default();
    tale.put("a", None);
    let found = check(&tale.history, &FinalState::default(), RULES);
    assert_eq!(found, [Violation::Unread { subject: subject() }]);
}
