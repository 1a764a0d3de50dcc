//! The model of blind writes: every write is stored by appending its delta, and no row is read.
//!
//! Three or five replicas of one partition, over a network that loses, duplicates and reorders, are
//! compared with a causal oracle: after every step at one replica, and at the end at all of them.
//! Rows, clocks and contexts are the crate's own types; the model adds what a node does with them.
//! Replicas lose their disk's tail (they restart from a snapshot, up to three restarts old, under a
//! new actor), are replaced by empty ones, are cloned, prune their dotlogs, fold any stretch of the
//! operands of a row as a storage engine would, and settle rows.
//!
//! Clears of whole collections are left out: their headers are not built yet. Last-writer-wins,
//! stand-ins and layout changes are outside of this model too.
//!
//! Each [`Mutant`] breaks one rule. The right design must pass every seed and each mutant must be
//! caught, or the model proves nothing. `STARLING_MODEL_SEEDS` sets how many seeds each
//! setting of the right design runs (default 300).

mod blind;

use blind::{Mutant, Setting, Tally, run};

/// How many seeds the right design must pass in one setting.
fn seeds() -> u64 {
    let asked = std::env::var("STARLING_MODEL_SEEDS").ok();
    asked.and_then(|seeds| seeds.parse().ok()).unwrap_or(300)
}

fn passes(setting: Setting) -> Tally {
    let mut total = Tally::default();
    for seed in 0..seeds() {
        let run = run(seed, setting, None).map_err(|failure| failure.to_string());
        total.add(&run.expect("the right design agrees with the oracle"));
    }
    total
}

/// Asserts that a mutant is caught within `within` seeds of a setting.
fn is_caught(mutant: Mutant, setting: Setting, within: u64) {
    let caught = (0..within).any(|seed| run(seed, setting, Some(mutant)).is_err());
    assert!(caught, "{mutant:?} passed {within} seeds of {setting:?}");
}

#[test]
fn three_replicas_agree_with_the_causal_history() {
    let total = passes(Setting::plain());
    assert!(total.writes > 0 && total.pulls > 0 && total.repairs > 0 && total.folds > 0);
    assert_eq!(total.contexts_left, 0);
}

#[test]
fn pruned_dotlogs_lose_nothing() {
    let total = passes(Setting::plain().pruning());
    assert!(total.pruned > 0);
    assert_eq!(total.contexts_left, 0);
}

#[test]
fn restarts_from_old_snapshots_and_clones_reuse_no_dot() {
    let total = passes(Setting::plain().pruning().restarting());
    assert!(total.restarts > 0 && total.clones > 0 && total.full_syncs > 0);
}

#[test]
fn replaced_replicas_get_everything() {
    let total = passes(Setting::everything());
    assert!(total.restarts > 0 && total.replacements > 0);
}

#[test]
fn five_replicas_on_a_bad_network_agree() {
    let total = passes(Setting::everything().nodes(5).loss(0.6));
    assert!(total.writes > 0 && total.restarts > 0 && total.replacements > 0);
}

#[test]
fn mutants_of_receiving_are_caught() {
    is_caught(Mutant::DuplicateApplied, Setting::plain(), 20);
    is_caught(Mutant::ContextDropped, Setting::plain(), 20);
    is_caught(Mutant::ContextIntoClock, Setting::plain(), 20);
    is_caught(Mutant::StripAtReceipt, Setting::plain(), 20);
}

#[test]
fn mutants_of_contexts_and_tokens_are_caught() {
    is_caught(Mutant::OwnDotAsVector, Setting::plain(), 20);
    is_caught(Mutant::TokenAsVector, Setting::plain(), 100);
    is_caught(Mutant::TokenWithoutVersions, Setting::plain(), 50);
    is_caught(Mutant::ReplyAsVector, Setting::plain(), 50);
    is_caught(Mutant::ClockNewerThanRow, Setting::plain(), 20);
}

#[test]
fn mutants_of_folding_and_settling_are_caught() {
    is_caught(Mutant::StripInPartialFold, Setting::plain(), 100);
    is_caught(Mutant::StripByExactClock, Setting::plain(), 100);
}

#[test]
fn mutants_of_pulling_and_deleting_are_caught() {
    is_caught(Mutant::DeleteWithoutDot, Setting::plain(), 200);
    is_caught(Mutant::PullIsBlind, Setting::plain(), 200);
}

#[test]
fn a_restart_that_keeps_its_actor_is_caught() {
    is_caught(Mutant::ActorKept, Setting::plain().restarting(), 50);
}
