//! The table's rows and the machine's promises.

mod times;

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, proptest};
use proptest::sample::select;

use super::{Attempt, Budget, Cause, Next, Retry, Verdict, Why, Work, advice};
use crate::transport::TransportError;
use crate::wire::{FailureKind, Outcome};
use ring::NodeId;

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const C: NodeId = NodeId(3);
const OWNERS: [NodeId; 3] = [A, B, C];
const TIMEOUT: Duration = Duration::from_secs(3);

const CAUSES: [Cause; 26] = [
    Cause::Unreachable,
    Cause::Denied,
    Cause::Lost,
    Cause::Silent,
    Cause::Full,
    Cause::TooLarge,
    Cause::Unreadable,
    Cause::Failed(FailureKind::NotInitialised),
    Cause::Failed(FailureKind::NotOwner),
    Cause::Failed(FailureKind::Unavailable),
    Cause::Failed(FailureKind::QuorumNotReached),
    Cause::Failed(FailureKind::Timeout),
    Cause::Failed(FailureKind::Overloaded),
    Cause::Failed(FailureKind::UnknownBucket),
    Cause::Failed(FailureKind::WrongKind),
    Cause::Failed(FailureKind::TooLarge),
    Cause::Failed(FailureKind::BadContext),
    Cause::Failed(FailureKind::BadRequest),
    Cause::Failed(FailureKind::BadOperation),
    Cause::Failed(FailureKind::NotCurrent),
    Cause::Failed(FailureKind::Insufficient),
    Cause::Failed(FailureKind::DiskFull),
    Cause::Failed(FailureKind::Storage),
    Cause::Failed(FailureKind::ShuttingDown),
    Cause::Failed(FailureKind::SessionBehind),
    Cause::Failed(FailureKind::SessionLost),
];

struct Call {
    retry: Retry,
    budget: Budget,
    now: Duration,
}

impl Call {
    fn new(work: Work) -> Self {
        let retry = Retry::new(Duration::ZERO, TIMEOUT, work, 10);
        Self {
            retry,
            budget: Budget::new(Duration::ZERO),
            now: Duration::ZERO,
        }
    }

    fn fail(&mut self, node: NodeId, cause: Cause, outcome: Outcome) -> Verdict {
        let retry_after = Duration::ZERO;
        let attempt = Attempt {
            node,
            cause,
            outcome,
            retry_after,
        };
        let verdict = self
            .retry
            .handle_failure(self.now, &attempt, 3, &mut self.budget, 0.5);
        if let Verdict::Again { at, .. } = verdict {
            self.now = at;
        }
        verdict
    }

    fn choose(&mut self) -> NodeId {
        self.retry.choose(&OWNERS).expect("there are owners")
    }
}

#[test]
fn the_table_is_the_documented_one() {
    let rows = [
        (Cause::Unreachable, Next::Other, Next::Other),
        (Cause::Lost, Next::Other, Next::Same),
        (Cause::Silent, Next::Other, Next::Same),
        (
            Cause::Failed(FailureKind::Overloaded),
            Next::Other,
            Next::Other,
        ),
        (
            Cause::Failed(FailureKind::Unavailable),
            Next::Other,
            Next::Other,
        ),
        (
            Cause::Failed(FailureKind::QuorumNotReached),
            Next::Other,
            Next::Same,
        ),
        (
            Cause::Failed(FailureKind::NotOwner),
            Next::Refreshed,
            Next::Refreshed,
        ),
        (
            Cause::Failed(FailureKind::BadContext),
            Next::Stop,
            Next::Stop,
        ),
        (
            Cause::Failed(FailureKind::WrongKind),
            Next::Stop,
            Next::Stop,
        ),
    ];
    for (cause, read, write) in rows {
        assert_eq!(advice(cause, Work::Read).next, read, "{cause:?}");
        assert_eq!(advice(cause, Work::Write).next, write, "{cause:?}");
    }
}

#[test]
fn only_what_was_never_done_is_retried_for_free() {
    for cause in CAUSES {
        let advice = advice(cause, Work::Write);
        let never_done = !matches!(cause, Cause::Lost | Cause::Silent);
        assert!(advice.is_paid || never_done, "{cause:?}");
    }
}

#[test]
fn a_connection_that_never_was_is_told_from_one_that_was_lost() {
    let lost = TransportError::ConnectionLost {
        reason: String::new(),
    };
    let closed = TransportError::Closed {
        reason: String::new(),
    };
    assert_eq!(Cause::of(&lost), Cause::Lost);
    assert_eq!(Cause::of(&closed), Cause::Unreachable);
    for error in [lost, closed] {
        let is_lost = Cause::of(&error) == Cause::Lost;
        assert_eq!(error.request_may_have_arrived(), is_lost);
    }
}

#[test]
fn a_write_without_an_answer_goes_to_the_same_coordinator_first() {
    let mut call = Call::new(Work::Write);
    for expected in [A, A, B, B, C, C] {
        assert_eq!(call.choose(), expected);
        let verdict = call.fail(expected, Cause::Lost, Outcome::MaybeApplied);
        assert!(matches!(verdict, Verdict::Again { refresh: false, .. }));
    }
    assert_eq!(call.retry.outcome(), Outcome::MaybeApplied);
}

/// The rights that a refused spend asks for arrive where it was refused; gone on to the next owner
/// at once, it had them handed round for ever.
#[test]
fn a_spend_that_was_refused_waits_at_the_owner_that_has_asked_for_rights() {
    let mut call = Call::new(Work::Write);
    for expected in [A, A, B] {
        let node = call.choose();
        assert_eq!(node, expected);
        let attempt = Attempt {
            node,
            cause: Cause::Failed(FailureKind::Insufficient),
            outcome: Outcome::NotApplied,
            retry_after: Duration::from_millis(200),
        };
        let now = call.now;
        let verdict = call
            .retry
            .handle_failure(now, &attempt, 3, &mut call.budget, 0.0);
        let Verdict::Again { at, .. } = verdict else {
            panic!("{verdict:?}")
        };
        assert!(at >= now + Duration::from_millis(200));
    }
}

#[test]
fn a_read_without_an_answer_goes_to_the_next_owner() {
    let mut call = Call::new(Work::Read);
    for expected in [A, B, C, A] {
        assert_eq!(call.choose(), expected);
        call.fail(expected, Cause::Silent, Outcome::MaybeApplied);
    }
    assert_eq!(
        call.retry.outcome(),
        Outcome::NotApplied,
        "reads apply nothing"
    );
}

#[test]
fn another_owner_is_asked_at_once_and_a_second_round_waits() {
    let mut call = Call::new(Work::Read);
    for node in [A, B] {
        call.choose();
        call.fail(node, Cause::Unreachable, Outcome::NotApplied);
        assert_eq!(call.now, Duration::ZERO);
    }
    call.choose();
    call.fail(C, Cause::Unreachable, Outcome::NotApplied);
    assert_eq!(
        call.now,
        Duration::from_millis(10),
        "half of the first backoff"
    );
}

#[test]
fn a_node_may_ask_for_a_longer_pause() {
    let mut call = Call::new(Work::Write);
    let node = call.choose();
    let attempt = Attempt {
        node,
        cause: Cause::Failed(FailureKind::Overloaded),
        outcome: Outcome::NotApplied,
        retry_after: Duration::from_millis(700),
    };
    let verdict = call
        .retry
        .handle_failure(Duration::ZERO, &attempt, 3, &mut call.budget, 0.9);
    assert_eq!(
        verdict,
        Verdict::Again {
            at: Duration::from_millis(700),
            refresh: false
        }
    );
}

#[test]
fn not_owner_asks_for_the_ring_and_begins_with_its_first_owner() {
    let mut call = Call::new(Work::Write);
    let node = call.choose();
    let verdict = call.fail(
        node,
        Cause::Failed(FailureKind::NotOwner),
        Outcome::NotApplied,
    );
    assert_eq!(
        verdict,
        Verdict::Again {
            at: Duration::ZERO,
            refresh: true
        }
    );
    assert_eq!(call.retry.choose(&[C, A]), Some(C));
}

#[test]
fn unavailable_is_retried_once() {
    let mut call = Call::new(Work::Write);
    let unavailable = Cause::Failed(FailureKind::Unavailable);
    let node = call.choose();
    assert!(matches!(
        call.fail(node, unavailable, Outcome::NotApplied),
        Verdict::Again { .. }
    ));
    let node = call.choose();
    let verdict = call.fail(node, unavailable, Outcome::NotApplied);
    assert_eq!(verdict, Verdict::Stop(Why::Attempts));
}

#[test]
fn an_empty_budget_ends_paid_retries_and_not_free_ones() {
    let mut call = Call::new(Work::Read);
    while call.budget.take(Duration::ZERO) {}
    let node = call.choose();
    let verdict = call.fail(node, Cause::Unreachable, Outcome::NotApplied);
    assert!(matches!(verdict, Verdict::Again { .. }));
    let node = call.choose();
    let verdict = call.fail(node, Cause::Silent, Outcome::NotApplied);
    assert_eq!(verdict, Verdict::Stop(Why::Budget));
}

#[test]
fn an_earlier_doubt_outlives_a_later_certainty() {
    let mut call = Call::new(Work::Write);
    let node = call.choose();
    call.fail(node, Cause::Silent, Outcome::MaybeApplied);
    let node = call.choose();
    call.fail(
        node,
        Cause::Failed(FailureKind::Unavailable),
        Outcome::NotApplied,
    );
    assert_eq!(call.retry.outcome(), Outcome::MaybeApplied);
    let node = call.choose();
    let below = Outcome::AppliedBelowQuorum {
        acks: 1,
        required: 2,
    };
    call.fail(node, Cause::Failed(FailureKind::QuorumNotReached), below);
    assert_eq!(call.retry.outcome(), below);
}

#[test]
fn of_two_attempts_at_once_the_doubt_about_either_stays() {
    let mut call = Call::new(Work::Write);
    let first = call.choose();
    call.retry.handle_outcome(&Attempt {
        node: first,
        cause: Cause::Lost,
        outcome: Outcome::MaybeApplied,
        retry_after: Duration::ZERO,
    });
    let refused = Cause::Failed(FailureKind::Unavailable);
    call.fail(B, refused, Outcome::NotApplied);
    assert_eq!(call.retry.outcome(), Outcome::MaybeApplied);
}

#[test]
fn what_a_node_says_weighs_more_than_that_there_was_no_connection() {
    let most = CAUSES.iter().map(|cause| cause.weight()).max();
    let answer = Cause::Failed(FailureKind::QuorumNotReached).weight();
    assert_eq!(Some(answer), most);
    let lighter = CAUSES
        .iter()
        .filter(|cause| !matches!(cause, Cause::Failed(_)));
    assert!(lighter.clone().all(|cause| cause.weight() < answer));
    assert!(
        lighter
            .clone()
            .all(|cause| cause.weight() >= Cause::Unreachable.weight())
    );
}

#[test]
fn without_retries_the_first_failure_is_reported() {
    let mut call = Call::new(Work::Read);
    call.retry = Retry::new(Duration::ZERO, TIMEOUT, Work::Read, 0);
    for cause in CAUSES {
        let node = call.choose();
        assert!(matches!(
            call.fail(node, cause, Outcome::NotApplied),
            Verdict::Stop(_)
        ));
    }
}

proptest! {
    #[test]
    fn every_call_ends_before_its_deadline(
        causes in vec(select(&CAUSES), 200),
        write in any::<bool>(),
        fraction in 0.0..1.0,
    ) {
        let mut call = Call::new(if write { Work::Write } else { Work::Read });
        let mut ended = false;
        for cause in causes {
            let node = call.choose();
            let retry_after = Duration::ZERO;
            let outcome = Outcome::MaybeApplied;
            let attempt = Attempt { node, cause, outcome, retry_after };
            let budget = &mut call.budget;
            match call.retry.handle_failure(call.now, &attempt, 3, budget, fraction) {
                Verdict::Stop(_) => { ended = true; break; }
                Verdict::Again { at, .. } => {
                    prop_assert!(at >= call.now && at < TIMEOUT);
                    call.now = at;
                }
            }
        }
        prop_assert!(ended, "100 attempts are the most");
    }
}
