//! Single machines: what each message and each moment makes of them. Whole clusters are simulated
//! in `tests/gossip`.

use std::time::Duration;

use super::wire::{Envelope, Item, Message};
use super::{
    AnnounceError, Carriage, Event, Gossip, GossipConfig, MAX_DATAGRAM, MessageError, Transmit,
};
use crate::detector::{Level, Suspicion};
use crate::id::{ClusterId, NodeId};
use crate::membership::{Address, Incarnation, Load, Member, MemberMap, MemberName, MemberState};
use crate::zone::Zone;

const CLUSTER: ClusterId = ClusterId(1);
const HERE: NodeId = NodeId(1);

fn record(id: u64) -> Member {
    Member {
        id: NodeId(id),
        incarnation: Incarnation::at(10),
        state: MemberState::Alive,
        version: 1,
        name: MemberName::new(format!("node-{id}")).unwrap(),
        addresses: vec![Address::new("10.0.0.1:7401").unwrap()],
        http: None,
        zone: Zone::new("a").unwrap(),
        weight: 100,
        layout: None,
        load: Load::default(),
        hlc_offset_ms: 0,
    }
}

/// The machine of node 1 of `nodes`, that has said and heard what there is at the start.
fn gossip(nodes: u64) -> Gossip {
    let mut known = MemberMap::new();
    for id in 1..=nodes {
        known.insert(record(id)).unwrap();
    }
    let own = Member {
        version: 0,
        ..record(1)
    };
    let config = GossipConfig::default();
    let mut gossip = Gossip::new(at(0), CLUSTER, own, &known, 7, config).unwrap();
    gossip.joining = None;
    sent(&mut gossip);
    gossip
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What the machine has sent since, and to whom.
fn sent(gossip: &mut Gossip) -> Vec<(NodeId, Message)> {
    std::iter::from_fn(|| gossip.poll_transmit())
        .map(
            |Transmit {
                 to,
                 bytes,
                 carriage,
             }| {
                assert!(bytes.len() <= MAX_DATAGRAM || carriage == Carriage::Stream);
                (to, Envelope::decode(&bytes, CLUSTER).unwrap().message)
            },
        )
        .collect()
}

fn events(gossip: &mut Gossip) -> Vec<Event> {
    std::iter::from_fn(|| gossip.poll_event()).collect()
}

fn receive(gossip: &mut Gossip, now: Duration, from: u64, message: Message) {
    let envelope = Envelope {
        incarnation: Incarnation::at(10),
        message,
    };
    let bytes = envelope.encode(CLUSTER);
    gossip.handle_message(now, NodeId(from), &bytes).unwrap();
}

fn suspicion(subject: NodeId, observer: u64) -> Item {
    Item::Suspicion(Suspicion {
        subject,
        incarnation: Incarnation::at(10),
        observer: NodeId(observer),
        sequence: 11,
        level: Level::of_phi(9.0),
        age: Duration::ZERO,
    })
}

#[test]
fn a_suspected_node_refutes_at_once_and_tells_whoever_told_it() {
    let mut gossip = gossip(5);
    receive(
        &mut gossip,
        at(1),
        2,
        Message::Push(vec![suspicion(HERE, 3)]),
    );
    let incarnation = Incarnation {
        boot: 10,
        refutations: 1,
    };
    assert!(events(&mut gossip).contains(&Event::Refuted { incarnation }));
    assert_eq!(gossip.own().incarnation, incarnation);
    let own = Item::Member(Box::new(gossip.own().clone()));
    assert_eq!(sent(&mut gossip), [(NodeId(2), Message::Push(vec![own]))]);
    // The same words again are about a former incarnation.
    receive(
        &mut gossip,
        at(2),
        4,
        Message::Push(vec![suspicion(HERE, 3)]),
    );
    assert_eq!((events(&mut gossip), sent(&mut gossip)), (vec![], vec![]));
}

#[test]
fn a_record_of_a_former_life_is_outdone() {
    let mut gossip = gossip(3);
    let former = Member {
        incarnation: Incarnation::at(99),
        ..record(1)
    };
    let push = Message::Push(vec![Item::Member(Box::new(former))]);
    receive(&mut gossip, at(1), 2, push);
    assert!(gossip.own().incarnation > Incarnation::at(99));
    assert_eq!(gossip.members().member(HERE), Some(gossip.own()));
}

#[test]
fn enough_observers_convict_and_a_refutation_acquits() {
    let (mut gossip, victim) = (gossip(20), NodeId(2));
    for observer in 3..=6 {
        let push = Message::Push(vec![suspicion(victim, observer)]);
        receive(&mut gossip, at(1), observer, push);
    }
    let status = gossip.status(at(1), victim).unwrap();
    assert_eq!((status.state, status.suspecting), (MemberState::Suspect, 4));
    assert!(status.phi.is_some());
    for observer in 7..=10 {
        let push = Message::Push(vec![suspicion(victim, observer)]);
        receive(&mut gossip, at(1_100), observer, push);
    }
    assert_eq!(gossip.state(victim), Some(MemberState::Down));
    assert!(!gossip.live().contains(&victim));
    assert_eq!(gossip.status(at(1_100), victim).unwrap().since, at(1_100));
    let refuted = Member {
        incarnation: Incarnation::at(10).refute(Incarnation::at(10)),
        ..record(2)
    };
    let push = Message::Push(vec![Item::Member(Box::new(refuted))]);
    receive(&mut gossip, at(1_200), 9, push);
    assert_eq!(gossip.state(victim), Some(MemberState::Alive));
    assert!(gossip.live().contains(&victim));
    let states: Vec<Event> = events(&mut gossip)
        .into_iter()
        .filter(|event| !matches!(event, Event::Changed(_)))
        .collect();
    let [suspected, down, up] = &states[..] else {
        panic!("{states:?}");
    };
    assert!(matches!(suspected, Event::Suspected { peer, .. } if *peer == victim));
    assert_eq!(
        (down, up),
        (&Event::Down { peer: victim }, &Event::Up { peer: victim })
    );
}

#[test]
fn a_suspect_that_speaks_is_told_what_is_said_of_it() {
    let mut gossip = gossip(20);
    let word = suspicion(NodeId(2), 3);
    receive(&mut gossip, at(1), 3, Message::Push(vec![word.clone()]));
    sent(&mut gossip);
    receive(&mut gossip, at(1), 2, Message::Heartbeat);
    assert_eq!(sent(&mut gossip), [(NodeId(2), Message::Push(vec![word]))]);
}

#[test]
fn a_helper_says_whether_it_reaches_the_subject() {
    let mut gossip = gossip(5);
    let subject = NodeId(4);
    receive(&mut gossip, at(1), 2, Message::Probe { nonce: 77, subject });
    let ping = sent(&mut gossip);
    let [(to, Message::Ping { nonce })] = ping[..] else {
        panic!("{ping:?}");
    };
    assert_eq!(to, subject);
    // Nobody else can answer for it.
    receive(&mut gossip, at(2), 3, Message::Ack { nonce });
    assert_eq!(sent(&mut gossip), []);
    receive(&mut gossip, at(2), 4, Message::Ack { nonce });
    let reached = Message::Probed {
        nonce: 77,
        is_alive: true,
    };
    assert_eq!(sent(&mut gossip), [(NodeId(2), reached)]);
    receive(&mut gossip, at(3), 2, Message::Probe { nonce: 78, subject });
    sent(&mut gossip);
    gossip.give_up_relays(at(300));
    let denied = Message::Probed {
        nonce: 78,
        is_alive: false,
    };
    assert_eq!(sent(&mut gossip), [(NodeId(2), denied)]);
}

#[test]
fn news_is_handed_on_a_few_times_and_in_small_messages() {
    let mut gossip = gossip(9);
    for id in 10..=99 {
        receive(
            &mut gossip,
            at(1),
            2,
            Message::Push(vec![Item::Member(Box::new(record(id)))]),
        );
    }
    sent(&mut gossip);
    let mut told = 0;
    for round in 0..200 {
        gossip.push(at(1 + 200 * round));
        for (_, message) in sent(&mut gossip) {
            let Message::Push(items) = message else {
                panic!("{message:?}");
            };
            told += items.len();
        }
    }
    // Ninety records, eight times each: 4 * ceil(log10(99 + 1)).
    assert_eq!(told, 90 * 8);
}

#[test]
fn strangers_other_clusters_and_the_removed_are_told_apart() {
    let mut gossip = gossip(3);
    let heartbeat = |boot| Envelope {
        incarnation: Incarnation::at(boot),
        message: Message::Heartbeat,
    };
    let foreign = heartbeat(10).encode(ClusterId(2));
    let found = ClusterId(2);
    assert_eq!(
        gossip.handle_message(at(1), NodeId(2), &foreign),
        Err(MessageError::OtherCluster { found })
    );
    // A stranger, and a member in a life that nobody has told of, are asked who they are.
    for (from, boot) in [(50, 10), (2, 11)] {
        let bytes = heartbeat(boot).encode(CLUSTER);
        gossip.handle_message(at(1), NodeId(from), &bytes).unwrap();
        let want = Message::Want(vec![NodeId(from)]);
        assert_eq!(sent(&mut gossip), [(NodeId(from), want)]);
    }
    assert!(gossip.remove(at(2), NodeId(2)) && !gossip.remove(at(2), HERE));
    let from = NodeId(2);
    assert_eq!(
        gossip.handle_message(at(3), from, &heartbeat(10).encode(CLUSTER)),
        Err(MessageError::Removed { from })
    );
    assert_eq!(sent(&mut gossip).len(), 1);
    assert_eq!(gossip.live(), [NodeId(3)]);
}

#[test]
fn a_record_that_does_not_fit_into_a_datagram_is_not_announced() {
    let mut gossip = gossip(3);
    let before = gossip.own().clone();
    let long = Address::new(format!("{}:1", "x".repeat(250))).unwrap();
    let own = Member {
        addresses: vec![long; 5],
        ..record(1)
    };
    let refused = gossip.announce(at(1), own);
    assert!(matches!(refused, Err(AnnounceError::TooLarge { size }) if size > 1_024));
    assert_eq!(gossip.own(), &before);
    assert_eq!(gossip.announce(at(1), before.clone()), Ok(()));
    assert_eq!(gossip.own(), &before);
}

#[test]
fn what_others_concluded_is_not_taken_over() {
    let mut gossip = gossip(3);
    let mut told = MemberMap::new();
    told.insert(Member {
        state: MemberState::Down,
        version: 9,
        ..record(2)
    })
    .unwrap();
    gossip.handle_members(at(1), &told);
    assert_eq!(gossip.members().member(NodeId(2)).unwrap().version, 9);
    assert_eq!(gossip.state(NodeId(2)), Some(MemberState::Alive));
}

#[test]
fn a_node_that_is_alone_needs_no_timer_until_somebody_comes() {
    let mut gossip = gossip(1);
    assert_eq!(gossip.poll_timeout(), None);
    let hour = at(3_600_000);
    let push = Message::Push(vec![Item::Member(Box::new(record(2)))]);
    receive(&mut gossip, hour, 2, push);
    let due = gossip.poll_timeout().unwrap();
    assert!(due >= hour);
    gossip.handle_timeout(due);
    let is_pause = |event: &Event| matches!(event, Event::Paused { .. });
    assert!(!events(&mut gossip).iter().any(is_pause));
}

#[test]
fn a_timeout_that_comes_late_was_a_pause() {
    let mut gossip = gossip(3);
    let due = gossip.poll_timeout().unwrap();
    let late = at(30_000);
    gossip.handle_timeout(due + late);
    assert!(events(&mut gossip).contains(&Event::Paused { late }));
    assert_eq!(gossip.health().score(), 1);
    assert!(
        gossip
            .edges()
            .all(|(_, edge)| edge.phi(due + late, 1, &gossip.config.detector) < 1.0)
    );
}

#[test]
fn a_new_connection_is_told_what_this_node_is_and_asked_what_it_lacks() {
    let mut gossip = gossip(3);
    gossip.handle_reachable(at(10), NodeId(2));
    let sent = sent(&mut gossip);
    let own = gossip.own().clone();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent.contains(&(NodeId(2), Message::Push(vec![Item::Member(Box::new(own))]))));
    let is_pull = |(to, message): &(NodeId, Message)| {
        *to == NodeId(2) && matches!(message, Message::Pull { .. })
    };
    assert!(sent.iter().any(is_pull));
    gossip.handle_reachable(at(10), NodeId(99));
    gossip.handle_reachable(at(10), HERE);
    assert_eq!(gossip.poll_transmit(), None);
}

#[test]
fn a_pause_that_was_noticed_is_not_noticed_again() {
    let mut gossip = gossip(3);
    let due = gossip.poll_timeout().expect("there are others");
    let late = Duration::from_secs(20);
    let now = due + late;
    gossip.handle_late_tick(now, late);
    gossip.handle_timeout(now);
    let paused = |event: &Event| matches!(event, Event::Paused { .. });
    assert_eq!(
        events(&mut gossip)
            .iter()
            .filter(|event| paused(event))
            .count(),
        1
    );
    assert_eq!(gossip.health().score(), 1);
}
