//! Bounded counters: the node's own replicas, driven directly, against the operations of clients.
//!
//! Three owners of one counter exchange messages over a network that loses, duplicates, reorders
//! and cuts. Processes end and begin again; machines crash and forget what was not synced; disks
//! are lost, or come back as they once were, one at a time. Clients send every operation as often
//! as they like, through any owner. At every step what was spent by distinct operations is at most
//! what was added; in the end the counter is their difference, and all of it can be spent. Where
//! records expire the counter may end below that: a spend that counts twice may stay.
//!
//! `STARLING_BOUNDED_SEEDS` sets how many schedules each setting runs (default 400).

#[path = "bounded/network.rs"]
mod network;
#[path = "bounded/node.rs"]
mod node;
#[path = "bounded/oracle.rs"]
mod oracle;
#[path = "bounded/setting.rs"]
mod setting;
#[path = "bounded/world.rs"]
mod world;

use setting::{Setting, Tally};
use starling_tests::asked::number;
use world::run;

#[test]
fn nothing_is_spent_that_was_not_added_on_a_bad_network() {
    let tally = passes(Setting {
        restarts: false,
        losses: false,
        absences: false,
    });
    assert!(tally.spent > 0 && tally.refused > 0 && tally.granted > 0);
    assert!(tally.copies > 0 && tally.taken_back > 0 && tally.cuts > 0);
}

#[test]
fn nothing_is_spent_twice_when_processes_end() {
    let tally = passes(Setting {
        restarts: true,
        losses: false,
        absences: false,
    });
    assert!(tally.restarts > 0 && tally.not_whole > 0 && tally.taken_back > 0);
}

#[test]
fn nothing_is_spent_twice_when_disks_are_lost_or_old() {
    let tally = passes(Setting {
        restarts: true,
        losses: true,
        absences: false,
    });
    assert!(tally.lost > 0 && tally.restored > 0 && tally.crashed > 0);
    assert!(tally.not_whole > 0 && tally.taken_back > 0);
}

#[test]
fn nothing_is_spent_twice_when_records_expire_while_owners_are_away() {
    let tally = passes(Setting {
        restarts: true,
        losses: true,
        absences: true,
    });
    assert!(tally.lost > 0 && tally.taken_back > 0 && tally.late > 0);
}

/// Without the rules the model sees what they are for.
#[cfg(feature = "mutants")]
#[test]
fn every_mutant_is_caught() {
    use starling_node::mutants::{Mutant, activate};

    let setting = Setting {
        restarts: true,
        losses: true,
        absences: false,
    };
    for mutant in Mutant::BOUNDED {
        activate(Some(mutant));
        let caught = (0..MUTANT_SEEDS).find_map(|seed| Some((seed, run(seed, setting).err()?)));
        activate(None);
        let (seed, what) = caught.unwrap_or_else(|| panic!("{mutant:?} passed all seeds"));
        println!("{mutant:?} {seed}: {what}");
        run(seed, setting).expect("the same schedule passes without the bug");
    }
}

fn passes(setting: Setting) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..seeds() {
        match run(seed, setting) {
            Ok(run) => tally.add(&run),
            Err(failure) => panic!("seed {seed} of {setting:?}: {failure}"),
        }
    }
    println!("{setting:?}: {tally:?}");
    tally
}

fn seeds() -> u64 {
    number("STARLING_BOUNDED_SEEDS").unwrap_or(400)
}

/// Within how many schedules a mutant must be caught.
#[cfg(feature = "mutants")]
const MUTANT_SEEDS: u64 = 20_000;
