//! Counters: the value is the sum of the increments, each once.

use super::Story;
use crate::history::{Action, Observed, Subject, Violation};

/// Checks one counter. Where every increment ended definitely, exactly one value is right; each
/// one that did not widens the bounds by its amount.
pub(super) fn check(
    subject: &Subject,
    story: &Story<'_>,
    replicas: &[(String, Observed)],
) -> Vec<Violation> {
    let (mut low, mut high) = (0_i64, 0_i64);
    for event in story.values() {
        let Action::Increment(amount) = event.action else {
            continue;
        };
        if event.is_applied() {
            low = low.saturating_add(amount);
            high = high.saturating_add(amount);
        } else if event.may_be_applied() {
            low = low.saturating_add(amount.min(0));
            high = high.saturating_add(amount.max(0));
        }
    }
    let is_right =
        |held: &Observed| matches!(held, Observed::Count(value) if (low..=high).contains(value));
    let wrong = replicas.iter().filter(|(_, held)| !is_right(held));
    let violation = |(node, found): &(String, Observed)| Violation::Miscounted {
        subject: subject.clone(),
        node: node.clone(),
        found: found.clone(),
        low,
        high,
    };
    wrong.map(violation).collect()
}
