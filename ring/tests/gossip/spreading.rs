//! How members learn of each other, and what that costs.

use std::time::Duration;

use crate::world::{Node, World, id, record, seconds};
use ring::{Address, Member, MemberMap, MemberState};

/// Bytes and messages of a node in a second, in a cluster where nothing happens.
fn idle_cost(nodes: usize) -> (f64, f64) {
    let mut world = World::new(nodes, 23);
    world.run(seconds(20));
    let before: Vec<_> = world.nodes.iter().map(|node| node.sent).collect();
    let span = 20;
    world.run(seconds(span));
    let of = |sent: usize, before: usize| (sent - before) as f64 / span as f64;
    let nodes = world.nodes.iter().zip(before);
    let costs = nodes.map(|(node, before)| {
        let bytes = of(node.sent.bytes, before.bytes);
        (bytes, of(node.sent.messages, before.messages))
    });
    costs.fold((0.0, 0.0), |(bytes, messages), cost| {
        (cost.0.max(bytes), cost.1.max(messages))
    })
}

#[test]
fn the_cost_of_a_node_does_not_grow_with_the_cluster() {
    let small = idle_cost(10);
    for nodes in [10, 100, 1_000] {
        let (bytes, messages) = idle_cost(nodes);
        println!(
            "{nodes:5} nodes: at most {bytes:.0} B/s and {messages:.1} datagrams/s sent by a node \
             ({:.0} B/s with 60 B for UDP, IP and QUIC each)",
            bytes + 60.0 * messages
        );
        assert!(
            bytes <= small.0 * 1.25 && messages <= small.1 * 1.25,
            "{nodes}"
        );
        assert!(bytes < 1_000.0);
    }
}

#[test]
fn a_word_of_one_node_reaches_all() {
    for nodes in [3, 30, 300] {
        let mut world = World::new(nodes, 29);
        world.run(seconds(10));
        let moved = Address::new("moved.example:7401").unwrap();
        let own = Member {
            addresses: vec![moved.clone()],
            ..record(2, 1)
        };
        let announced = world.with(2, |now, gossip| gossip.announce(now, own));
        assert_eq!(announced, Ok(()));
        let took = world.run_until(seconds(10), |world| {
            let mut running = world.running();
            running.all(|(_, gossip)| {
                let member = gossip.members().member(id(2));
                member.is_some_and(|member| member.addresses.contains(&moved))
            })
        });
        println!("{nodes:5} nodes: an address is known to all after {took:?}");
        assert!(took.is_some_and(|took| took <= seconds(4)), "{took:?}");
        assert_eq!(world.convictions(), []);
    }
}

#[test]
fn a_node_joins_through_one_seed() {
    let mut world = World::new(50, 31);
    world.run(seconds(10));
    world.crash(7);
    world.run(seconds(60));
    world.nodes.push(Node::absent());
    world.start(50, &MemberMap::new());
    world.with(50, |now, gossip| gossip.join(now, id(3)));
    let took = world.run_until(seconds(20), |world| {
        let mut running = world.running();
        let is_known = running.all(|(_, gossip)| gossip.members().len() == 51);
        is_known && world.all_hold(7, MemberState::Down)
    });
    println!("   50 nodes: one that joins knows all, and all know it, after {took:?}");
    assert!(took.is_some_and(|took| took <= seconds(5)), "{took:?}");
    world.run(seconds(60));
    assert!(world.is_at_peace());
    let others = world
        .convictions()
        .into_iter()
        .filter(|(_, _, peer)| *peer != id(7));
    assert_eq!(others.count(), 0);
}

#[test]
fn a_cluster_grows_from_one_seed_under_loss() {
    let mut world = World::empty(37);
    world.loss = 0.2;
    for node in 0..40 {
        world.nodes.push(Node::absent());
        world.start(node, &MemberMap::new());
        if node > 0 {
            world.with(node, |now, gossip| gossip.join(now, id(0)));
        }
        world.run(Duration::from_millis(300));
    }
    let took = world.run_until(seconds(60), |world| {
        world
            .running()
            .all(|(_, gossip)| gossip.members().len() == 40)
    });
    assert!(took.is_some_and(|took| took <= seconds(10)), "{took:?}");
    world.run(seconds(60));
    assert_eq!(world.convictions(), []);
}

#[test]
fn a_removed_member_stays_removed_and_is_told_so() {
    let mut world = World::new(10, 41);
    world.run(seconds(10));
    let known = world.with(9, |_, gossip| gossip.members().clone());
    world.crash(9);
    world.run(seconds(10));
    assert!(world.with(0, |now, gossip| gossip.remove(now, id(9))));
    world.run(seconds(5));
    assert!(world.all_hold(9, MemberState::Removed));
    world.start(9, &known);
    world.run(seconds(10));
    assert!(world.all_hold(9, MemberState::Removed));
    assert!(world.with(9, |_, gossip| gossip.is_removed()));
    let before = world.nodes[9].sent.messages;
    world.run(seconds(10));
    assert_eq!(world.nodes[9].sent.messages, before);
}

#[test]
fn what_pushes_missed_is_pulled() {
    let mut world = World::new(20, 43);
    world.run(seconds(10));
    // Nobody hears the news while it is new.
    world.loss = 1.0;
    let own = Member {
        weight: 7,
        ..record(2, 1)
    };
    let announced = world.with(2, |now, gossip| gossip.announce(now, own));
    assert_eq!(announced, Ok(()));
    world.run(Duration::from_millis(1_500));
    world.loss = 0.0;
    let took = world.run_until(seconds(20), |world| {
        let mut running = world.running();
        running.all(|(_, gossip)| {
            let member = gossip.members().member(id(2));
            member.is_some_and(|member| member.weight == 7)
        })
    });
    println!("   20 nodes: what the pushes missed is known to all after {took:?}");
    assert!(took.is_some_and(|took| took <= seconds(12)), "{took:?}");
}

#[test]
fn the_same_seed_does_the_same() {
    let run = || {
        let mut world = World::new(12, 47);
        world.loss = 0.3;
        world.run(seconds(20));
        world.crash(3);
        world.run(seconds(20));
        let sent: Vec<usize> = world.nodes.iter().map(|node| node.sent.bytes).collect();
        (world.log, sent)
    };
    assert_eq!(run(), run());
}
