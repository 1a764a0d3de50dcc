//! How long attempts take, and who is asked meanwhile.

use std::time::Duration;

use super::super::{Cause, HEAD_START, Retry, Work};
use super::{A, B, C, Call, OWNERS, TIMEOUT};
use crate::wire::Outcome;

#[test]
fn an_attempt_leaves_time_for_another() {
    let retry = Retry::new(Duration::ZERO, TIMEOUT, Work::Write, 10);
    assert_eq!(
        retry.attempt_timeout(Duration::ZERO),
        Duration::from_secs(1)
    );
    let late = Duration::from_millis(2_900);
    assert_eq!(retry.attempt_timeout(late), Duration::from_millis(100));
    let single = Retry::new(Duration::ZERO, TIMEOUT, Work::Write, 0);
    assert_eq!(single.attempt_timeout(Duration::ZERO), TIMEOUT);
}

#[test]
fn a_node_that_is_not_the_last_gets_a_head_start_to_connect_and_no_more() {
    let mut call = Call::new(Work::Write);
    let now = call.now;
    for owner in OWNERS {
        assert_eq!(call.choose(), owner);
        let whole = call.retry.attempt_timeout(now);
        let expected = if owner == C { whole } else { HEAD_START };
        assert_eq!(call.retry.connect_timeout(now, OWNERS.len()), expected);
        call.fail(owner, Cause::Unreachable, Outcome::NotApplied);
    }
    // Without retries there is nobody else to ask.
    let mut single = Retry::new(Duration::ZERO, TIMEOUT, Work::Write, 0);
    single.choose(&OWNERS);
    assert_eq!(single.connect_timeout(now, OWNERS.len()), TIMEOUT);
}

#[test]
fn one_more_owner_is_asked_beside_the_first_and_only_if_it_may() {
    let mut call = Call::new(Work::Read);
    assert_eq!(call.choose(), A);
    assert_eq!(call.retry.choose_other(&OWNERS, |_| false), None);
    assert_eq!(call.retry.choose_other(&OWNERS, |_| true), Some(B));
    call.fail(A, Cause::Silent, Outcome::NotApplied);
    assert_eq!(call.choose(), C, "the next one was asked already");
    assert!(!call.retry.has_other(&OWNERS));
}
