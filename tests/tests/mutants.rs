//! Mutants: the suite must catch each deliberate bug, or it proves nothing.
//!
//! For each of [`Mutant::ALL`] seeds run with the bug switched on until one fails; that seed must
//! pass without it. Most are for the simulator; one shows only when a minute passes while owners
//! are apart, one is to be caught by a sum, and two where one write has several names, so these are
//! for the model of exactly-once. The table says which seed of which found it, and what was seen.
//! Those of gossip are caught by its own simulation, in `ring/tests/gossip/mutants.rs`.

#![cfg(feature = "mutants")]

use starling_node::mutants::{self, Mutant};
use starling_tests::once::{self, Setting};
use starling_tests::sim;

#[test]
fn every_mutant_is_caught() {
    let mut escaped = Vec::new();
    println!(
        "{:<20} {:<10} {:>4}  what was seen",
        "mutant", "suite", "seed"
    );
    for mutant in Mutant::ALL {
        let suite = Suite::of(mutant);
        let seeds = 0..within(mutant);
        mutants::activate(Some(mutant));
        let caught = seeds
            .clone()
            .find_map(|seed| Some((seed, suite.run(seed).err()?)));
        mutants::activate(None);
        let Some((seed, what)) = caught else {
            escaped.push((mutant, seeds));
            continue;
        };
        let what: String = what.chars().take(100).collect();
        println!(
            "{:<20} {:<10} {seed:>4}  {what}",
            format!("{mutant:?}"),
            format!("{suite:?}")
        );
        let without = suite.run(seed);
        assert!(
            without.is_ok(),
            "seed {seed} fails without {mutant:?}: {without:?}"
        );
    }
    assert!(escaped.is_empty(), "nothing noticed {escaped:?}");
}

/// Who is to notice.
#[derive(Debug, Clone, Copy)]
enum Suite {
    Simulator,
    Model,
}

impl Suite {
    fn of(mutant: Mutant) -> Self {
        match mutant {
            Mutant::ExpiryDropsContext
            | Mutant::ShareCollectedEarly
            | Mutant::AliasForgotten
            | Mutant::AliasElsewhere
            | Mutant::AliasTakesAll
            | Mutant::RetryCovers => Self::Model,
            _ => Self::Simulator,
        }
    }

    /// Runs one seed. The error is what was seen.
    fn run(self, seed: u64) -> Result<(), String> {
        match self {
            Self::Simulator => {
                let run = sim::run(seed);
                run.map(|_| ()).map_err(|failure| {
                    let invariant = failure.invariant;
                    format!("{invariant}: {}", failure.what)
                })
            }
            Self::Model => {
                let setting = Setting {
                    owners: 3,
                    loss: 40,
                };
                once::run(seed, setting).map(|_| ())
            }
        }
    }
}

/// Within how many seeds a mutant must be caught. For the rarest of all a node that lost what it
/// acknowledged must be read before it has it again.
fn within(mutant: Mutant) -> u64 {
    match mutant {
        Mutant::CatchingUpCounts => 2_000,
        Mutant::HintUnderNewDot
        | Mutant::HintDroppedEarly
        | Mutant::HintToWrongNode
        | Mutant::SessionUnchecked
        | Mutant::AnsweredUnconfirmed
        | Mutant::BareContainer
        | Mutant::TrimmedBeforeDurable
        | Mutant::RepairOverwrites
        | Mutant::LeftOutTakenForEmpty
        | Mutant::DeadlineIgnored
        | Mutant::QuarantineSkipped
        | Mutant::ShareCollectedEarly
        | Mutant::RestoredUnchecked => 200,
        _ => 300,
    }
}
