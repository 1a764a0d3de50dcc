//! Deliberate bugs that these simulations must catch, or they prove nothing.
//!
//! Each test does what a test of this folder does, with the bug switched on, and must see what that
//! test excludes; then once more without it.

use std::time::Duration;

use crate::world::{World, seconds};
use ring::MemberState;
use ring::mutants::{self, Mutant};

/// What a run shows with the bug, and what without.
fn with_and_without<T>(mutant: Mutant, run: impl Fn() -> T) -> (T, T) {
    mutants::activate(Some(mutant));
    let with = run();
    mutants::activate(None);
    (with, run())
}

#[test]
fn without_a_floor_of_sigma_regular_heartbeats_make_the_first_late_one_a_suspicion() {
    // Each node is away once, for longer than the pause that is forgiven and for less than a tenth
    // of a second of deviation more.
    let suspected = || {
        let mut world = World::new(16, 11);
        world.run(seconds(80));
        for node in 0..16 {
            world.pause(node);
            world.run(Duration::from_millis(1_700));
            world.resume(node, true);
            world.run(seconds(5));
        }
        world.suspected()
    };
    let (with, without) = with_and_without(Mutant::PhiWithoutSigmaFloor, suspected);
    println!("   16 nodes, each away for 1.7 s: {with} suspicions with the bug, {without} without");
    assert!(with > 0 && without == 0, "{with} {without}");
}

#[test]
fn a_node_that_does_not_refute_stays_down_after_a_pause() {
    let is_at_peace = || {
        let mut world = World::new(10, 3);
        world.run(seconds(10));
        world.pause(0);
        world.run(seconds(30));
        assert!(world.all_hold(0, MemberState::Down));
        world.resume(0, true);
        world.run(seconds(60));
        world.is_at_peace()
    };
    let (with, without) = with_and_without(Mutant::RefutationIgnored, is_at_peace);
    assert!(!with && without);
}
