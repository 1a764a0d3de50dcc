//! Exactly once: retries through two to four coordinators, whatever comes in between.
//!
//! `STARLING_MODEL_SEEDS` sets how many seeds each number of coordinators runs (default 150).

use starling_tests::asked::number;
use starling_tests::once::{self, Setting, Tally};

#[test]
fn two_coordinators_count_once() {
    passes(2);
}

#[test]
fn three_coordinators_count_once() {
    let tally = passes(3);
    assert!(tally.retries > 0 && tally.repeats > 0 && tally.reused > 0);
    assert!(tally.crashes > 0 && tally.returns > 0);
    assert!(tally.answers > 0 && tally.expired > 0 && tally.collected > 0);
}

#[test]
fn four_coordinators_count_once() {
    passes(4);
}

#[test]
fn every_schedule_of_four_steps_after_the_first_try_counts_once() {
    let count = once::every_schedule(5);
    assert_eq!(count, Ok(9_usize.pow(4)));
}

fn passes(owners: u64) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..seeds() {
        let setting = Setting {
            owners,
            loss: [10, 40, 80][usize::try_from(seed % 3).expect("a remainder is small")],
        };
        match once::run(seed, setting) {
            Ok(run) => tally.add(&run),
            Err(what) => panic!("seed {seed} of {setting:?}: {what}"),
        }
    }
    tally
}

fn seeds() -> u64 {
    number("STARLING_MODEL_SEEDS").unwrap_or(150)
}
