//! The model of counters: increments under operation ids, retries at other coordinators, observed
//! resets and voids, over a bad network, against the operations that were truly applied.
//!
//! A coordinator ships its share whole, either from its own memory (no read, as the blind path
//! will) or from the row it read. When replicas learn that one operation was applied under several
//! dots, all but the smallest are made void.
//!
//! *The rule that the oracle holds*: an operation counts once if it was applied, unless a reset
//! observed its winning dot. A void cancels itself if a reset covered the loser.
//!
//! *A void waits for its winner*: it is written only when the winner is known to be on a second
//! replica. Otherwise a client is told that its retry is on two replicas, the retry is made void
//! for the sake of a winner that one replica alone holds, and that replica's disk fails: nothing is
//! left of the increment (mutant [`Mutant::VoidBeforeWinnerIsSafe`] finds just that).
//!
//! `STARLING_MODEL_SEEDS` sets how many seeds each setting of the right design runs (default 150).

mod common;
mod counters;

use counters::{History, Mutant, Node, Setting, Tally, run};

fn seeds() -> u64 {
    let asked = std::env::var("STARLING_MODEL_SEEDS").ok();
    asked.and_then(|seeds| seeds.parse().ok()).unwrap_or(150)
}

fn passes(setting: Setting) -> Tally {
    let mut total = Tally::default();
    for seed in 0..seeds() {
        let run = run(seed, setting, None).map_err(|failure| failure.to_string());
        total.add(&run.expect("the right design agrees with the oracle"));
    }
    total
}

fn is_caught(mutant: Mutant, setting: Setting, within: u64) {
    let caught = (0..within).any(|seed| run(seed, setting, Some(mutant)).is_err());
    assert!(caught, "{mutant:?} passed {within} seeds of {setting:?}");
}

#[test]
fn operations_count_once_whatever_is_retried_reset_and_lost_on_the_way() {
    let total = passes(Setting::default());
    assert!(total.retries > 0 && total.resets > 0 && total.voids > 0);
}

#[test]
fn five_coordinators_count_once() {
    let total = passes(Setting {
        nodes: 5,
        ..Setting::default()
    });
    assert!(total.voids > 0);
}

#[test]
fn nothing_that_two_replicas_held_is_lost_with_one_disk() {
    let total = passes(Setting::losing());
    assert!(total.voids > 0);
}

#[test]
fn mutants_are_caught() {
    is_caught(Mutant::ShipsLastAmount, Setting::default(), 20);
    is_caught(Mutant::NoVoid, Setting::default(), 20);
    is_caught(Mutant::VoidIgnoresReset, Setting::default(), 100);
}

#[test]
fn a_void_before_its_winner_is_safe_is_caught() {
    is_caught(Mutant::VoidBeforeWinnerIsSafe, Setting::losing(), 200);
}

/// The trace behind that mutant. Coordinator a applies an operation that reaches nobody; its retry
/// at b reaches c, and the client is answered; a learns of the retry and makes it void; then a's
/// disk fails.
fn left_after_the_loss(mutant: Option<Mutant>) -> i128 {
    let [mut a, mut b, mut c] = [1, 2, 3].map(|node| Node::new(node, mutant));
    let operation = History::default().begin(0, 7);
    assert!(a.increment(operation, true).is_some());
    let retried = b.increment(operation, true).map(|(_, batch)| batch);
    c.handle(&retried.expect("b has no record of it"));
    a.pull(&b, None);
    let voids = a.make_voids();
    b.handle(&voids);
    c.handle(&voids);
    drop(a);
    b.pull(&c, None);
    b.counter(0).0
}

#[test]
fn an_increment_on_two_replicas_outlives_the_disk_of_its_winner() {
    assert_eq!(left_after_the_loss(None), 7);
    assert_eq!(left_after_the_loss(Some(Mutant::VoidBeforeWinnerIsSafe)), 0);
}

#[test]
fn a_winner_that_a_peer_has_pulled_lets_the_loser_be_void() {
    let [mut a, mut b] = [1, 2].map(|node| Node::new(node, None));
    let operation = History::default().begin(0, 7);
    assert!(a.increment(operation, false).is_some() && b.increment(operation, false).is_some());
    b.pull(&a, None);
    assert_eq!(b.counter(0).0, 14);
    assert!(!b.make_voids().is_empty());
    assert_eq!(b.counter(0).0, 7);
    assert!(b.make_voids().is_empty());
}
