//! Who is convicted, when, and above all who is not.

use std::time::Duration;

use crate::world::{World, asked, id, seconds};
use ring::MemberState;

/// How long it takes until everybody knows of a crash, at the most over some victims.
fn worst_detection(nodes: usize, victims: usize, seed: u64) -> Duration {
    let mut world = World::new(nodes, seed);
    world.run(seconds(8));
    assert!(world.is_at_peace(), "{nodes} nodes at the start");
    let mut worst = Duration::ZERO;
    for victim in 0..victims {
        world.crash(victim);
        let took = world.run_until(seconds(10), |world| {
            world.all_hold(victim, MemberState::Down)
        });
        worst = worst.max(took.expect("everybody learns of a crash"));
    }
    let healthy = |peer| (victims..nodes).any(|node| id(node) == peer);
    let wrong = world
        .convictions()
        .into_iter()
        .find(|(_, _, peer)| healthy(*peer));
    assert_eq!(wrong, None);
    worst
}

#[test]
fn every_node_learns_a_crash_within_five_seconds() {
    for (nodes, victims) in [(2, 1), (3, 2), (5, 2), (10, 3), (100, 3), (1_000, 3)] {
        let worst = worst_detection(nodes, victims, 7 + nodes as u64);
        println!("{nodes:5} nodes: all know of a crash after {worst:?}");
        assert!(worst <= seconds(5), "{nodes} nodes: {worst:?}");
    }
}

#[test]
fn an_hour_of_random_loss_convicts_nobody() {
    let more = asked("STARLING_GOSSIP_NODES");
    for nodes in [2, 3, 5, 16].into_iter().chain(more) {
        let mut world = World::new(nodes, 11);
        world.loss = 0.2;
        world.run(seconds(3_600));
        let suspected = world.suspected();
        println!("{nodes:5} nodes, 20 % loss, 1 h: {suspected} suspicions heard, nobody down");
        assert_eq!(world.convictions(), []);
        world.loss = 0.0;
        world.run(seconds(5));
        assert!(world.is_at_peace());
    }
}

#[test]
fn a_crash_during_loss_is_found() {
    let mut world = World::new(30, 5);
    world.loss = 0.2;
    world.run(seconds(60));
    world.crash(0);
    let took = world.run_until(seconds(60), |world| world.all_hold(0, MemberState::Down));
    println!("   30 nodes, 20 % loss: all know of a crash after {took:?}");
    assert!(took.is_some());
}

#[test]
fn one_way_link_failures_convict_nobody_healthy() {
    for (nodes, cuts) in [(3, 1), (5, 2), (10, 5), (30, 60)] {
        for seed in 0..4 {
            let mut world = World::new(nodes, seed);
            world.run(seconds(10));
            let mut random = fastrand::Rng::with_seed(seed);
            for _ in 0..cuts {
                let from = random.usize(..nodes);
                world
                    .cuts
                    .insert((from, (from + random.usize(1..nodes)) % nodes));
            }
            world.run(seconds(180));
            assert_eq!(world.convictions(), [], "{nodes} {seed}");
        }
    }
}

#[test]
fn a_node_that_hears_nobody_convicts_nobody() {
    for nodes in [3, 10, 30] {
        let mut world = World::new(nodes, 3);
        world.run(seconds(10));
        world.cuts.extend((1..nodes).map(|from| (from, 0)));
        world.run(seconds(120));
        assert_eq!(world.convictions(), [], "{nodes}");
        world.cuts.clear();
        world.run(seconds(10));
        assert!(world.is_at_peace(), "{nodes}");
    }
}

#[test]
fn a_node_that_its_observers_do_not_hear_is_not_convicted_while_others_reach_it() {
    let mut world = World::new(30, 21);
    world.run(seconds(10));
    let observers = world.with(0, |_, gossip| gossip.observers().to_vec());
    for observer in (0..30).filter(|node| observers.contains(&id(*node))) {
        world.cuts.insert((0, observer));
    }
    world.run(seconds(300));
    // Hardly ever are all helpers of an observer among those that do not hear the node either.
    let suspected = world.suspected();
    println!("   30 nodes, one unheard by its observers: suspicions heard {suspected}");
    assert!(suspected < 600);
    assert_eq!(world.convictions(), []);
}

#[test]
fn a_long_pause_of_one_node_convicts_nobody_else_when_it_wakes() {
    for (nodes, seed) in [(2, 1), (3, 1), (3, 2), (10, 3), (10, 4), (50, 5)] {
        let mut world = World::new(nodes, seed);
        world.run(seconds(10));
        world.pause(0);
        world.run(seconds(30));
        assert!(world.all_hold(0, MemberState::Down), "{nodes}");
        world.resume(0, seed % 2 == 0);
        let took = world.run_until(seconds(20), World::is_at_peace);
        println!("{nodes:5} nodes: up again {took:?} after a pause of 30 s");
        assert!(
            took.is_some_and(|took| took <= seconds(5)),
            "{nodes} {took:?}"
        );
        world.run(seconds(60));
        let wrong = world
            .convictions()
            .into_iter()
            .find(|(_, _, peer)| *peer != id(0));
        assert_eq!(wrong, None, "{nodes}");
        assert!(world.is_at_peace());
    }
}

#[test]
fn a_thousand_nodes_bear_cuts_loss_and_a_pause() {
    let mut world = World::new(1_000, 53);
    world.run(seconds(5));
    let mut random = fastrand::Rng::with_seed(53);
    for from in 0..1_000 {
        world.cuts.insert((from, random.usize(..1_000)));
    }
    world.loss = 0.1;
    world.pause(0);
    world.run(seconds(30));
    assert!(world.all_hold(0, MemberState::Down));
    world.resume(0, false);
    let took = world.run_until(seconds(10), World::is_at_peace);
    println!(" 1000 nodes with cuts and loss: up again {took:?} after a pause of 30 s");
    assert!(took.is_some_and(|took| took <= seconds(5)), "{took:?}");
    let wrong = world
        .convictions()
        .into_iter()
        .find(|(_, _, peer)| *peer != id(0));
    assert_eq!(wrong, None);
}

#[test]
fn short_pauses_in_a_loop_convict_nobody_else() {
    let mut world = World::new(5, 77);
    let mut random = fastrand::Rng::with_seed(77);
    for round in 0..40 {
        world.pause(0);
        world.run(Duration::from_millis(random.u64(300..30_000)));
        world.resume(0, round % 2 == 0);
        world.run(Duration::from_millis(random.u64(300..10_000)));
    }
    let wrong = world
        .convictions()
        .into_iter()
        .find(|(_, _, peer)| *peer != id(0));
    assert_eq!(wrong, None);
    world.run(seconds(10));
    assert!(world.is_at_peace());
    // Whoever falls so often is not asked first.
    let is_quarantined = world.with(1, |now, gossip| {
        gossip
            .status(now, id(0))
            .is_some_and(|status| status.is_quarantined)
    });
    assert!(is_quarantined);
}

#[test]
fn a_pause_of_all_nodes_convicts_nobody() {
    let mut world = World::new(10, 9);
    world.run(seconds(10));
    (0..10).for_each(|node| world.pause(node));
    world.run(seconds(30));
    (0..10).for_each(|node| world.resume(node, false));
    world.run(seconds(60));
    assert_eq!(world.convictions(), []);
}

#[test]
fn a_network_partition_heals_without_help() {
    for (nodes, left) in [(3, 1), (10, 3), (10, 5), (40, 10)] {
        let mut world = World::new(nodes, 13);
        world.run(seconds(10));
        for a in 0..left {
            world
                .cuts
                .extend((left..nodes).flat_map(|b| [(a, b), (b, a)]));
        }
        world.run(seconds(300));
        let down = world.convictions().len();
        world.cuts.clear();
        let took = world.run_until(seconds(60), World::is_at_peace);
        println!("{nodes:5} nodes, {left} cut off: {down} convictions, healed after {took:?}");
        assert!(
            took.is_some_and(|took| took <= seconds(10)),
            "{nodes} {left} {took:?}"
        );
    }
}

#[test]
fn a_node_that_restarts_at_once_is_up_at_once() {
    let mut world = World::new(10, 17);
    world.run(seconds(10));
    let known = world.with(4, |_, gossip| gossip.members().clone());
    world.crash(4);
    world.run(seconds(1));
    world.start(4, &known);
    world.run(seconds(60));
    assert_eq!(world.convictions(), []);
    assert!(world.is_at_peace());
    world.crash(4);
    world.run(seconds(10));
    assert!(world.all_hold(4, MemberState::Down));
    world.start(4, &known);
    let took = world.run_until(seconds(10), World::is_at_peace);
    println!("   10 nodes: a restarted node is up for all after {took:?}");
    assert!(took.is_some_and(|took| took <= seconds(3)), "{took:?}");
}

#[test]
fn a_third_of_a_cluster_may_crash_at_once() {
    let mut world = World::new(40, 19);
    world.run(seconds(10));
    (0..12).for_each(|node| world.crash(node));
    let took = world.run_until(seconds(60), |world| {
        (0..12).all(|node| world.all_hold(node, MemberState::Down))
    });
    println!("   40 nodes, 12 crash at once: all know after {took:?}");
    assert!(took.is_some());
    let wrong = world
        .convictions()
        .into_iter()
        .find(|(_, _, peer)| peer.0 > 12);
    assert_eq!(wrong, None);
}
