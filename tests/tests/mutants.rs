//! Mutants: the simulator must catch each deliberate bug, or it proves nothing.
//!
//! For each of [`Mutant::ALL`] seeds run with the bug switched on until one fails; that seed must
//! pass without it. The table says which seed found it, and which invariant.

#![cfg(feature = "mutants")]

use starling_node::mutants::{self, Mutant};
use starling_tests::sim::{self, Failure};

#[test]
fn every_mutant_is_caught() {
    let mut escaped = Vec::new();
    println!(
        "{:<20} {:>4}  {:<14} what was seen",
        "mutant", "seed", "invariant"
    );
    for mutant in Mutant::ALL {
        match first_failure(mutant) {
            Some(Failure {
                plan,
                invariant,
                what,
                ..
            }) => {
                let (name, seed) = (format!("{mutant:?}"), plan.seed);
                let what: String = what.chars().take(100).collect();
                println!("{name:<20} {seed:>4}  {invariant:<14} {what}");
                let without = sim::run(seed).map_err(|failure| failure.to_string());
                assert!(
                    without.is_ok(),
                    "seed {seed} fails without {mutant:?}: {without:?}"
                );
            }
            None => escaped.push(mutant),
        }
    }
    assert!(escaped.is_empty(), "{escaped:?} passed {WITHIN} seeds");
}

/// The first seed at which the simulator notices the bug.
fn first_failure(mutant: Mutant) -> Option<Failure> {
    mutants::activate(Some(mutant));
    let failure = (0..WITHIN).find_map(|seed| sim::run(seed).err());
    mutants::activate(None);
    failure.map(|failure| *failure)
}

/// Within how many seeds a mutant must be caught. The rarest needs about 300: a node that lost what
/// it acknowledged must be read before it has it again.
const WITHIN: u64 = 2_000;
