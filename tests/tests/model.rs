//! The model: the node's own vnodes, driven directly, against a causal oracle.
//!
//! Three or five vnodes of one partition exchange deltas, pulls and full syncs over a network that
//! loses, duplicates and reorders. They trim their dotlogs, restart from copies of their disks that
//! are up to several starts old, are cloned (two vnodes from one copied disk) and replaced by empty
//! ones. A *ghost* beside each of them holds the events whose effects have truly reached it; what
//! it shows of a key must be exactly those puts in the ghost that no event in it has seen.
//!
//! This is `blind.py` of the write protocol's model on the real code: what crdt's own port of it
//! does with the crate's types alone, this does with stored rows, dotlogs, checkpoints and
//! messages. `STARLING_MODEL_SEEDS` sets how many seeds each setting runs (default 150).

#[path = "model/faults.rs"]
mod faults;
#[path = "model/oracle.rs"]
mod oracle;
#[path = "model/replica.rs"]
mod replica;
#[path = "model/setting.rs"]
mod setting;
#[path = "model/world.rs"]
mod world;

use setting::{Setting, Tally};
use starling_tests::asked::number;
use world::run;

#[test]
fn three_vnodes_agree_with_the_causal_history() {
    let tally = passes(Setting {
        nodes: 3,
        loss: 0.3,
        restarts: false,
        replaces: false,
    });
    assert!(tally.writes > 0 && tally.pulls > 0 && tally.trimmed > 0);
    assert_eq!(
        tally.contexts_left, 0,
        "where no disk fails, every context is explained"
    );
}

#[test]
fn restarts_from_old_disks_and_clones_reuse_no_dot() {
    let tally = passes(Setting {
        nodes: 3,
        loss: 0.3,
        restarts: true,
        replaces: false,
    });
    assert!(tally.restarts > 0 && tally.old_restarts > 0 && tally.clones > 0);
}

#[test]
fn replaced_vnodes_get_everything() {
    let tally = passes(Setting {
        nodes: 3,
        loss: 0.3,
        restarts: true,
        replaces: true,
    });
    assert!(tally.replacements > 0 && tally.full_syncs > 0 && tally.pages > 0);
}

#[test]
fn five_vnodes_on_a_bad_network_agree() {
    let tally = passes(Setting {
        nodes: 5,
        loss: 0.6,
        restarts: true,
        replaces: true,
    });
    assert!(tally.writes > 0 && tally.restarts > 0 && tally.replacements > 0);
}

fn passes(setting: Setting) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..seeds() {
        match run(seed, setting) {
            Ok(run) => tally.add(&run),
            Err(failure) => panic!("seed {seed} of {setting:?}: {failure}"),
        }
    }
    tally
}

fn seeds() -> u64 {
    number("STARLING_MODEL_SEEDS").unwrap_or(150)
}
