//! Nodes that exchange their states over a network that loses messages.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::{node, plan};
use crate::protocol::cluster::{
    Alarm, BucketError, BucketProperties, ClusterRefusal, ClusterReply, ClusterRequest,
    ClusterState, Creation, Event, Exchange, ExchangeConfig, Hello, Offer, Secret, Transmit,
};
use crate::protocol::messages::codec;
use crate::protocol::time::{Moment, Time};
use ring::{Address, ClusterId, NodeId, ReplicaCount};
use starling::wire::Kind;

const CLUSTER: ClusterId = ClusterId(7);

/// In milliseconds: a round begins five seconds after the last, or up to a quarter later.
const TWO_ROUNDS: u64 = 12_500;

fn moment(ms: u64) -> Moment {
    Moment {
        time: Time::at(Duration::from_millis(ms)),
        wall_ms: 1_000_000 + ms,
    }
}

fn blank(id: u64, instance: u64) -> Exchange {
    let here = Hello {
        cluster: CLUSTER,
        node: node(id),
        instance,
    };
    Exchange::new(moment(0), here, None, id, ExchangeConfig::default()).unwrap()
}

/// Processes, each the node of its id; calls are answered at once or lost.
struct Net {
    now: u64,
    nodes: BTreeMap<NodeId, Exchange>,
    random: fastrand::Rng,
    loss: f64,
    calls: u64,
}

impl Net {
    fn new(count: u64, seed: u64, loss: f64) -> Self {
        let mut nodes: BTreeMap<_, _> = (1..=count).map(|id| (node(id), blank(id, id))).collect();
        for (here, exchange) in &mut nodes {
            for peer in (1..=count).map(node).filter(|peer| peer != here) {
                exchange.handle_reachable(moment(0), peer, true);
            }
        }
        Self {
            now: 0,
            nodes,
            random: fastrand::Rng::with_seed(seed),
            loss,
            calls: 0,
        }
    }

    fn node(&mut self, id: u64) -> &mut Exchange {
        self.nodes.get_mut(&node(id)).unwrap()
    }

    fn init(&mut self, on: u64) -> ClusterReply {
        let now = moment(self.now);
        let members = 1..=self.nodes.len() as u64;
        self.node(on)
            .handle_request(now, node(on), ClusterRequest::Init(plan(members)))
    }

    /// Carries calls until nobody has one.
    fn settle(&mut self) {
        loop {
            let calls: Vec<(NodeId, Transmit)> = self
                .nodes
                .iter_mut()
                .flat_map(|(&from, node)| {
                    std::iter::from_fn(|| node.poll_transmit()).map(move |call| (from, call))
                })
                .collect();
            if calls.is_empty() {
                return;
            }
            for (from, call) in calls {
                self.carry(from, call);
            }
        }
    }

    fn carry(&mut self, from: NodeId, Transmit { to, request }: Transmit) {
        self.calls += 1;
        let (now, loss) = (moment(self.now), self.loss);
        let request: ClusterRequest = codec::decode(&codec::encode(&request).unwrap()).unwrap();
        let mut reply = None;
        if self.random.f64() >= loss {
            reply = Some(
                self.nodes
                    .get_mut(&to)
                    .unwrap()
                    .handle_request(now, from, request),
            );
        }
        let reply = reply.filter(|_| self.random.f64() >= loss);
        self.nodes
            .get_mut(&from)
            .unwrap()
            .handle_reply(now, to, reply);
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.settle();
            self.now += 10;
            let now = moment(self.now);
            for node in self.nodes.values_mut() {
                if node.poll_timeout().is_some_and(|at| at <= now.time) {
                    node.handle_timeout(now);
                }
            }
        }
        self.settle();
    }

    fn are_equal(&self) -> bool {
        let mut states = self.nodes.values().map(Exchange::encoded_state);
        let first = states.next().flatten();
        first.is_some() && states.all(|state| state == first)
    }
}

fn events(exchange: &mut Exchange) -> Vec<Event> {
    std::iter::from_fn(|| exchange.poll_event()).collect()
}

#[test]
fn one_initialised_node_brings_in_all_the_others_at_once() {
    let mut net = Net::new(3, 1, 0.0);
    net.run(100);
    assert!(net.node(2).state().is_none());
    assert_eq!(net.init(1), ClusterReply::Initialised { already: false });
    net.settle();
    assert!(net.are_equal());
    assert!(matches!(&events(net.node(3))[..], [Event::Changed(changed)] if changed.layout));
    assert_eq!(net.init(2), ClusterReply::Initialised { already: true });
}

#[test]
fn a_bucket_is_known_everywhere_within_a_round_trip() {
    let mut net = Net::new(5, 1, 0.0);
    let (kind, n) = (Kind::Set, ReplicaCount::DEFAULT);
    let early = net
        .node(1)
        .create_bucket(moment(0), "tags", BucketProperties::new(kind, n));
    assert_eq!(early, Err(BucketError::NotInitialised));
    net.init(1);
    net.run(1_000);
    let (creation, record) = net
        .node(2)
        .create_bucket(moment(1_000), "tags", BucketProperties::new(kind, n))
        .unwrap();
    assert_eq!(creation, Creation::Created);
    net.settle();
    assert!(net.are_equal());
    let known = net
        .node(5)
        .state()
        .unwrap()
        .buckets
        .of_name("tags")
        .cloned();
    assert_eq!(known, Some(record));
}

#[test]
fn equal_nodes_say_one_small_thing_every_five_seconds() {
    let mut net = Net::new(3, 1, 0.0);
    net.init(1);
    net.run(1_000);
    net.calls = 0;
    net.run(100_000);
    let expected = 54..=66;
    assert!(
        expected.contains(&net.calls),
        "{} calls in 100 s",
        net.calls
    );
}

#[test]
fn members_are_kept_and_sent_along_and_nobody_is_asked_because_of_them() {
    let mut net = Net::new(3, 1, 0.0);
    net.init(1);
    net.run(1_000);
    let mut members = net.node(2).state().unwrap().members.clone();
    let mut moved = members.member(node(3)).unwrap().clone();
    moved.addresses = vec![Address::new("10.0.9.9:7401").unwrap()];
    moved.version = 9;
    members.insert(moved).unwrap();
    net.node(2).set_members(&members);
    net.calls = 0;
    net.settle();
    assert_eq!(net.calls, 0);
    // Another bucket on another node: the state travels, and the members stay whose they are.
    let (kind, n) = (Kind::Set, ReplicaCount::DEFAULT);
    net.node(1)
        .create_bucket(moment(1_000), "tags", BucketProperties::new(kind, n))
        .unwrap();
    net.run(10_000);
    let of = |node: &mut Exchange| node.state().unwrap().members.clone();
    assert_eq!(of(net.node(2)), members);
    assert_ne!(of(net.node(1)), members);
    let has_tags = |node: &mut Exchange| node.state().unwrap().buckets.of_name("tags").is_some();
    assert!(has_tags(net.node(2)) && has_tags(net.node(3)));
    // A node that begins anew learns them with the state.
    net.nodes.insert(node(1), blank(1, 11));
    net.node(1).handle_reachable(moment(11_000), node(2), true);
    net.settle();
    assert_eq!(of(net.node(1)), members);
    assert!(has_tags(net.node(1)));
}

#[test]
fn of_two_live_processes_with_one_id_both_refuse_to_coordinate() {
    let mut peer = blank(1, 1);
    let state = ClusterState::from_plan(&plan([1, 2, 3])).unwrap();
    let mut alike: Vec<Exchange> = [21, 22]
        .map(|instance| {
            let here = Hello {
                cluster: CLUSTER,
                node: node(2),
                instance,
            };
            // Gossip is heard more often than that.
            let config = ExchangeConfig {
                every: Duration::from_secs(1),
            };
            let mut exchange =
                Exchange::new(moment(0), here, Some(state.clone()), instance, config).unwrap();
            exchange.handle_reachable(moment(0), node(1), true);
            exchange
        })
        .into();
    let mut run = |alike: &mut Vec<Exchange>, from: u64, to: u64| {
        for ms in (from..to).step_by(100) {
            for exchange in alike.iter_mut() {
                exchange.handle_timeout(moment(ms));
                while let Some(Transmit { request, .. }) = exchange.poll_transmit() {
                    let reply = peer.handle_request(moment(ms), node(2), request);
                    exchange.handle_reply(moment(ms), node(1), Some(reply));
                }
            }
        }
        events(&mut peer)
    };
    let alarm = Alarm::DuplicateNode { node: node(2) };
    let noticed = run(&mut alike, 0, 8_000);
    assert!(noticed.contains(&Event::Alarmed(alarm)));
    for exchange in &alike {
        assert_eq!(exchange.alarm(moment(8_000)), Some(alarm));
    }
    // One of them is stopped: the other is believed again.
    alike.pop();
    run(&mut alike, 8_000, 40_000);
    assert_eq!(alike[0].alarm(moment(40_000)), None);
}

#[test]
fn strangers_and_mistaken_plans_are_refused() {
    let mut exchange = blank(1, 1);
    let mut ask = |from: u64, request| exchange.handle_request(moment(0), node(from), request);
    let hello = Hello {
        cluster: ClusterId(8),
        node: node(2),
        instance: 2,
    };
    let other = ClusterReply::Refused(ClusterRefusal::OtherCluster { cluster: CLUSTER });
    assert_eq!(ask(2, ClusterRequest::Hello(hello)), other);
    let hello = Hello {
        cluster: CLUSTER,
        ..hello
    };
    let wrong = ClusterReply::Refused(ClusterRefusal::WrongNode { certified: node(3) });
    assert_eq!(ask(3, ClusterRequest::Hello(hello)), wrong);
    let absent = ClusterReply::Refused(ClusterRefusal::NotInPlan { node: node(1) });
    assert_eq!(ask(2, ClusterRequest::Init(plan([2, 3]))), absent);
    let mut strange = plan([1, 2]);
    strange.cluster = ClusterId(8);
    assert_eq!(ask(2, ClusterRequest::Init(strange)), other);
    let digest = Offer::Digest(0);
    let blank = ask(
        2,
        ClusterRequest::Exchange {
            instance: 2,
            offer: digest,
        },
    );
    assert_eq!(blank, ClusterReply::Blank);
}

#[test]
fn a_second_init_at_the_same_time_is_named_and_changes_nothing() {
    let mut exchange = blank(1, 1);
    exchange.handle_request(moment(0), node(1), ClusterRequest::Init(plan([1, 2])));
    let before = exchange.encoded_state().unwrap().to_vec();
    let mut other = plan([1, 2]);
    other.secret = Secret::new([1; 16]);
    let theirs = ClusterState::from_plan(&other).unwrap().encode().unwrap();
    let offer = Offer::State(theirs.into());
    let request = ClusterRequest::Exchange { instance: 2, offer };
    let reply = exchange.handle_request(moment(0), node(2), request);
    let ClusterReply::Refused(refusal) = reply else {
        panic!("{reply:?}")
    };
    assert!(refusal.to_string().contains("another secret"), "{refusal}");
    assert_eq!(exchange.encoded_state().unwrap(), before);
}

proptest! {
    #[test]
    fn states_become_equal_within_two_rounds_whatever_was_lost(
        seed in any::<u64>(),
        count in 2_u64..6,
    ) {
        let mut net = Net::new(count, seed, 0.4);
        net.init(1 + seed % count);
        net.run(60_000);
        for id in 1..=count {
            let kind = [Kind::Value, Kind::Counter, Kind::Set][net.random.usize(..3)];
            let now = moment(net.now);
            let properties = BucketProperties::new(kind, ReplicaCount::DEFAULT);
            let is_member = net.node(id).state().is_some();
            let created = net.node(id).create_bucket(now, "same", properties);
            prop_assert_eq!(created == Err(BucketError::NotInitialised), !is_member);
        }
        net.run(60_000);
        net.loss = 0.0;
        net.run(TWO_ROUNDS);
        prop_assert!(net.are_equal());
        prop_assert_eq!(net.node(1).state().unwrap().buckets.len(), 1);
    }

    #[test]
    fn any_bytes_give_a_message_or_an_error(bytes in any::<Vec<u8>>()) {
        let bytes = [&[1], &bytes[..]].concat();
        let request = codec::decode::<ClusterRequest>(&bytes);
        if let Ok(request) = request {
            let mut exchange = blank(1, 1);
            exchange.handle_request(moment(0), node(2), request);
        }
        prop_assert!(codec::decode::<ClusterReply>(&bytes).is_ok() || !bytes.is_empty());
    }
}
