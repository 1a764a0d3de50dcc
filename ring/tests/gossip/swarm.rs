//! All faults at once, a random choice of them for each seed: nobody who is healthy goes down, and
//! everything is found out and forgiven in the end.

use std::time::Duration;

use crate::world::{World, asked, id, seconds};
use ring::MemberState;

/// A node that something is done to may be convicted; the others may not.
fn swarm(seed: u64) -> Result<(), String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let nodes = random.usize(4..20);
    let mut world = World::new(nodes, seed);
    let victims = random.usize(1..=nodes / 4);
    let has_loss = random.bool();
    let (has_cuts, has_pauses, has_crashes) = (random.bool(), random.bool(), random.bool());
    world.run(seconds(10));
    world.loss = if has_loss { random.f64() * 0.2 } else { 0.0 };
    for _ in 0..random.usize(1..6) {
        let victim = random.usize(..victims);
        let known = world.with(nodes - 1, |_, gossip| gossip.members().clone());
        if has_cuts {
            // One link of each node at most: its peers can vouch for it.
            let from = random.usize(..nodes);
            world.cuts = [(from, (from + 1) % nodes)].into();
        }
        let is_crash = has_crashes && (!has_pauses || random.bool());
        if is_crash {
            world.crash(victim);
        } else if has_pauses {
            world.pause(victim);
        }
        world.run(Duration::from_millis(random.u64(100..40_000)));
        if is_crash {
            world.start(victim, &known);
        } else if has_pauses {
            world.resume(victim, random.bool());
        }
        world.run(Duration::from_millis(random.u64(100..20_000)));
    }
    let wrong = world
        .convictions()
        .into_iter()
        .find(|(_, _, peer)| (victims..nodes).any(|node| id(node) == *peer));
    if let Some((at, by, peer)) = wrong {
        return Err(format!(
            "seed {seed}: {peer} was down at {at:?} for node {by}"
        ));
    }
    world.loss = 0.0;
    world.cuts.clear();
    world.run(seconds(40));
    if !world.is_at_peace() {
        return Err(format!("seed {seed}: not everybody is held for alive"));
    }
    world.crash(0);
    let is_found = |world: &World| world.all_hold(0, MemberState::Down);
    let found = world.run_until(seconds(6), is_found);
    found
        .map(|_| ())
        .ok_or_else(|| format!("seed {seed}: a crash is not found"))
}

#[test]
fn whatever_happens_to_some_convicts_none_of_the_others() {
    let count = asked("STARLING_GOSSIP_SEEDS").unwrap_or(60);
    let failures: Vec<String> = (0..count).filter_map(|seed| swarm(seed).err()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}
