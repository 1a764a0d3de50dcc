//! Suspicions in all orders, and what comes of them.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{prop_assert_eq, proptest};

use super::super::config::DetectorConfig;
use super::super::suspicion::{Level, Suspicion};
use super::{Verdicts, patience, quorum};
use crate::id::NodeId;
use crate::membership::{Incarnation, MemberState};

const SUBJECT: NodeId = NodeId(100);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn suspicion(observer: u64, sequence: u64) -> Suspicion {
    Suspicion {
        subject: SUBJECT,
        incarnation: Incarnation::at(1),
        observer: NodeId(observer),
        sequence,
        level: Level::of_phi(9.0),
        age: Duration::ZERO,
    }
}

/// What is held of the subject after the words were said at their seconds and judged each second.
fn verdict(words: &[(u64, Suspicion)], until: u64) -> (Verdicts, Option<u64>) {
    let config = DetectorConfig::default();
    let mut verdicts = Verdicts::default();
    let mut down = None;
    for second in 0..=until {
        for (_, word) in words.iter().filter(|(when, _)| *when == second) {
            verdicts.handle_suspicion(at(second), word);
        }
        verdicts.expire(at(second), &config);
        let state = verdicts.judge(at(second), SUBJECT, 8, &config);
        if state == Some(MemberState::Down) {
            down = Some(second);
        }
    }
    (verdicts, down)
}

#[test]
fn a_verdict_takes_more_than_half_of_the_observers() {
    assert_eq!([1, 2, 3, 7, 8].map(quorum), [1, 2, 2, 4, 5]);
    let four: Vec<_> = (0..4).map(|observer| (0, suspicion(observer, 1))).collect();
    let (verdicts, down) = verdict(&four, 29);
    assert_eq!(
        (verdicts.state(SUBJECT), down),
        (MemberState::Suspect, None)
    );
    let five: Vec<_> = (0..5).map(|observer| (0, suspicion(observer, 1))).collect();
    assert_eq!(verdict(&five, 29).1, Some(3));
    let all: Vec<_> = (0..8).map(|observer| (0, suspicion(observer, 1))).collect();
    assert_eq!(verdict(&all, 29).1, Some(1));
}

#[test]
fn one_observer_that_repeats_itself_is_one_observer() {
    let words: Vec<_> = (0..60)
        .map(|second| (second, suspicion(1, second)))
        .collect();
    let (verdicts, down) = verdict(&words, 59);
    assert_eq!(
        (verdicts.state(SUBJECT), down),
        (MemberState::Suspect, None)
    );
}

#[test]
fn suspicions_that_are_far_apart_do_not_add_up() {
    let words: Vec<_> = (0..8).map(|n| (n * 31, suspicion(n, 1))).collect();
    assert_eq!(verdict(&words, 300).1, None);
}

#[test]
fn a_suspicion_that_is_taken_back_or_not_repeated_ends() {
    let back = Suspicion {
        level: Level::NONE,
        ..suspicion(1, 2)
    };
    let (verdicts, _) = verdict(&[(0, suspicion(1, 1)), (5, back)], 6);
    assert_eq!(verdicts.state(SUBJECT), MemberState::Alive);
    let (verdicts, _) = verdict(&[(0, suspicion(1, 1))], 29);
    assert_eq!(verdicts.state(SUBJECT), MemberState::Suspect);
    let (verdicts, _) = verdict(&[(0, suspicion(1, 1))], 33);
    assert_eq!(verdicts.state(SUBJECT), MemberState::Alive);
    assert_eq!(verdicts.subjects().count(), 0);
}

#[test]
fn a_verdict_stands_until_a_higher_incarnation_refutes_it() {
    let all: Vec<_> = (0..8).map(|observer| (0, suspicion(observer, 1))).collect();
    let (mut verdicts, _) = verdict(&all, 3_600);
    assert_eq!(verdicts.state(SUBJECT), MemberState::Down);
    assert_eq!(verdicts.evidence(at(3_600), SUBJECT).len(), 8);
    assert_eq!(verdicts.handle_alive(SUBJECT, Incarnation::at(1)), None);
    let refuted = Incarnation::at(1).refute(Incarnation::at(1));
    assert_eq!(
        verdicts.handle_alive(SUBJECT, refuted),
        Some(MemberState::Down)
    );
    assert_eq!(verdicts.state(SUBJECT), MemberState::Alive);
}

#[test]
fn what_is_said_of_a_former_incarnation_is_void() {
    let mut verdicts = Verdicts::default();
    let later = Suspicion {
        incarnation: Incarnation::at(2),
        ..suspicion(1, 1)
    };
    assert!(verdicts.handle_suspicion(at(0), &later));
    assert!(!verdicts.handle_suspicion(at(0), &suspicion(2, 9)));
    assert_eq!(verdicts.evidence(at(0), SUBJECT).len(), 1);
}

#[test]
fn evidence_convinces_whoever_hears_it_late() {
    let all: Vec<_> = (0..8).map(|observer| (0, suspicion(observer, 1))).collect();
    let (verdicts, _) = verdict(&all, 600);
    let config = DetectorConfig::default();
    let mut joiner = Verdicts::default();
    for word in verdicts.evidence(at(600), SUBJECT) {
        joiner.handle_suspicion(at(5), &word);
    }
    let state = joiner.judge(at(5), SUBJECT, 8, &config);
    // The joiner's clock began after the suspicions, so it holds them for their shortest time.
    assert_eq!(state, Some(MemberState::Down));
}

#[test]
fn patience_shrinks_with_every_observer_that_agrees() {
    let config = DetectorConfig::default();
    let waits: Vec<Duration> = (1..=8).map(|n| patience(n, 8, &config)).collect();
    assert_eq!(waits.first(), Some(&config.suspicion_max));
    assert_eq!(waits.last(), Some(&config.suspicion_min));
    assert!(waits.is_sorted_by(|a, b| a > b));
    assert_eq!(patience(1, 1, &config), config.suspicion_min);
    assert_eq!(patience(1, 0, &config), config.suspicion_min);
}

proptest! {
    #[test]
    fn the_order_of_suspicions_does_not_matter(
        words in vec((0_u64..4, 0_u64..4, 0_u64..3, 0_u8..3), 0..20),
        seed in 0_u64..1_000,
    ) {
        // One observer says one thing with one sequence number.
        let words: Vec<Suspicion> = words
            .into_iter()
            .map(|(observer, sequence, boot, _)| Suspicion {
                incarnation: Incarnation::at(boot),
                level: Level::from(u8::from(sequence % 2 == 0) * 18),
                ..suspicion(observer, sequence)
            })
            .collect();
        let mut shuffled = words.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        let all = |words: &[Suspicion]| {
            let mut verdicts = Verdicts::default();
            for word in words.iter().chain(words) {
                verdicts.handle_suspicion(at(50), word);
            }
            verdicts.evidence(at(50), SUBJECT)
        };
        prop_assert_eq!(all(&words), all(&shuffled));
    }
}
