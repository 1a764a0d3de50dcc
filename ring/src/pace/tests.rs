//! Patience, dawdling, ranks and the budget of hedges.

use std::time::Duration;

use super::Pace;
use crate::NodeId;

const LONGEST: Duration = Duration::from_millis(50);
const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// After a hundred questions that `peer` answered within a time.
fn answering(pace: &mut Pace, peer: NodeId, from: u64, ms: u64) {
    for number in 0..100 {
        let question = (at(from + number), number);
        pace.handle_asked(peer, question);
        pace.handle_answer(at(from + number + ms), peer, question);
    }
}

fn paced(ms: u64) -> Pace {
    let mut pace = Pace::new(LONGEST);
    answering(&mut pace, A, 0, ms);
    pace
}

#[test]
fn patience_is_what_is_usual_within_bounds() {
    assert_eq!(Pace::new(LONGEST).patience(), LONGEST);
    let usual = paced(10).patience();
    assert!(usual >= at(10) && usual < at(15));
    assert_eq!(paced(0).patience(), at(2));
    assert_eq!(paced(900).patience(), LONGEST);
}

#[test]
fn who_leaves_questions_unanswered_dawdles_until_it_answers() {
    let mut pace = paced(10);
    pace.handle_asked(A, (at(1_000), 500));
    assert!(!pace.is_dawdling(at(1_010), A));
    assert!(pace.is_dawdling(at(1_100), A) && !pace.is_dawdling(at(1_100), B));
    assert!(pace.rank(at(1_100), A) > pace.rank(at(1_100), B));
    pace.handle_answer(at(1_100), A, (at(1_000), 500));
    assert!(!pace.is_dawdling(at(1_100), A));
}

#[test]
fn a_question_that_failed_is_not_open_and_counts_for_nothing() {
    let mut pace = paced(10);
    let usual = pace.patience();
    for number in 0..50 {
        pace.handle_asked(A, (at(1_000), number));
        pace.handle_failure(A, (at(1_000), number));
    }
    assert!(!pace.is_dawdling(at(9_000), A));
    assert_eq!(pace.patience(), usual);
}

#[test]
fn one_question_in_twenty_is_hedged_and_a_few_more_at_once() {
    let mut pace = Pace::new(LONGEST);
    let may_hedge = |pace: &mut Pace| pace.may_hedge(at(0), [A].into_iter(), B);
    let burst = (0..100).filter(|_| may_hedge(&mut pace)).count();
    assert_eq!(burst, 10);
    let mut hedges = 0;
    for _ in 0..1_000 {
        pace.handle_begun();
        hedges += u32::from(may_hedge(&mut pace));
    }
    assert_eq!(hedges, 50);
}

#[test]
fn a_hedge_is_free_from_one_that_dawdles_to_one_that_does_not() {
    let mut pace = paced(10);
    pace.handle_asked(A, (at(1_000), 500));
    let hedges = (0..100).filter(|_| pace.may_hedge(at(2_000), [A].into_iter(), B));
    assert_eq!(hedges.count(), 100);
    pace.handle_asked(B, (at(1_000), 501));
    let hedges = (0..100).filter(|_| pace.may_hedge(at(2_000), [A].into_iter(), B));
    assert_eq!(hedges.count(), 10, "all are slow");
}

#[test]
fn the_quicker_is_asked_first_and_one_that_was_slow_is_tried_again() {
    let mut pace = Pace::new(LONGEST);
    answering(&mut pace, A, 0, 40);
    answering(&mut pace, B, 0, 3);
    assert!(pace.rank(at(200), A) > pace.rank(at(200), B));
    assert_eq!(pace.rank(at(9_000), A), pace.rank(at(9_000), B));
}

#[test]
fn a_little_difference_is_none_and_work_under_way_is_one() {
    let mut pace = Pace::new(LONGEST);
    answering(&mut pace, A, 0, 1);
    answering(&mut pace, B, 0, 0);
    assert_eq!(pace.rank(at(100), A), pace.rank(at(100), B));
    (0..3).for_each(|number| pace.handle_asked(A, (at(100), number)));
    assert!(pace.rank(at(100), A) > pace.rank(at(100), B));
}

#[test]
fn who_usually_takes_several_times_as_long_is_slow_until_it_was_left_alone_for_a_while() {
    let mut pace = Pace::new(LONGEST);
    answering(&mut pace, A, 0, 40);
    assert!(pace.is_slow(at(200), A, [B].into_iter()), "B is tried");
    answering(&mut pace, B, 0, 3);
    let is_slow = |pace: &Pace, ms, peer, other| pace.is_slow(at(ms), peer, [other].into_iter());
    assert!(is_slow(&pace, 200, A, B) && !is_slow(&pace, 200, B, A));
    assert!(is_slow(&pace, 4_000, A, B));
    assert!(!is_slow(&pace, 60_000, A, B), "it is tried again");
    // An answer as late as ever says so at once; many quick ones, that it is over.
    pace.handle_asked(A, (at(12_200), 900));
    pace.handle_answer(at(12_300), A, (at(12_200), 900));
    assert!(is_slow(&pace, 12_300, A, B));
    answering(&mut pace, A, 12_400, 1);
    assert!(!is_slow(&pace, 12_600, A, B));
}

#[test]
fn one_late_answer_makes_nobody_slow_nor_do_all_of_them_if_others_are_as_late() {
    let mut pace = Pace::new(LONGEST);
    answering(&mut pace, A, 0, 1);
    pace.handle_asked(A, (at(100), 900));
    pace.handle_answer(at(120), A, (at(100), 900));
    assert!(!pace.is_slow(at(120), A, [B].into_iter()));
    answering(&mut pace, A, 200, 60);
    answering(&mut pace, B, 200, 80);
    // Nobody has asked B since: it is no quicker for that.
    assert!(!pace.is_slow(at(20_000), A, [B].into_iter()));
    assert!(!pace.is_slow(at(400), A, std::iter::empty()));
}

#[test]
fn what_is_usual_follows_a_change() {
    let mut pace = paced(2);
    (0..40).for_each(|time| answering(&mut pace, A, 100 * time, 30));
    assert!(pace.patience() >= at(30));
}
