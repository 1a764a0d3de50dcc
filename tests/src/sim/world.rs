//! The loop: takes the next event from the queue and hands it to whom it concerns.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use super::clients::Client;
use super::ledger::{Ledger, Subject};
use super::network::{Call, Message};
use super::node::{Node, wall_ms};
use super::orders::Attempt;
use super::plan::{Plan, Strike};
use super::queue::{Instant, MS, Queue, SECOND};
use super::tally::Tally;
use super::trace::Trace;
use super::wire::Wire;
use super::{Failure, Report, bits};
use crate::invariants::{Observation, TABLE};
use crate::rings::of_equal_nodes;
use ring::{BucketId, ClusterId, NodeId, ReplicaCount, Ring, VnodeId};
use starling::wire::Kind;
use starling_node::protocol::coordinator::CoordinatorConfig;
use starling_node::protocol::keys::KeyPrefix;
use starling_node::protocol::replica::ReplicaConfig;

/// A cluster, its clients, and all that happens to them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) random: Rng,
    pub(crate) queue: Queue<Happening>,
    pub(crate) ring: Ring,
    pub(crate) nodes: Vec<Node>,
    pub(crate) clients: Vec<Client>,
    /// How many cuts lie on each link now.
    pub(crate) cuts: BTreeMap<(usize, usize), u32>,
    pub(crate) calls: BTreeMap<u64, Call>,
    pub(crate) attempts: BTreeMap<u64, Attempt>,
    /// Names the next call or attempt.
    pub(crate) next: u64,
    pub(crate) ledger: Ledger,
    pub(crate) tally: Tally,
    pub(crate) trace: Trace,
    /// What carries messages between nodes, if the queue does not.
    pub(crate) wire: Option<Box<dyn Wire>>,
    /// The trouble is over.
    pub(crate) is_healed: bool,
    /// What some step found broken.
    pub(crate) broken: Option<Broken>,
}

/// What happens at some instant.
#[derive(Debug)]
pub(crate) enum Happening {
    /// To a process of a node, if it still runs.
    Process { node: usize, life: u32, step: Step },
    /// A message arrives.
    Arrives(Box<Message>),
    /// A call is given up.
    CallEnds { call: u64 },
    /// A link is cut no more.
    Mended { from: usize, to: usize },
    /// A node starts.
    Starts {
        node: usize,
        life: u32,
        behind: bool,
    },
    /// A client wants something.
    Wants { client: usize },
    /// A client tries again.
    Retries { client: usize, attempt: u64 },
    /// A client waits no longer.
    Gives { client: usize, attempt: u64 },
    /// The nemesis strikes, or lets a turn pass when all is healed.
    Strikes { strike: Strike, mean: Instant },
    /// A backup is made.
    Backup { node: usize },
}

/// What a process does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Takes,
    Writes,
    Secures,
    LetsOut,
    Wakes,
    Notices { peer: usize, reachable: bool },
}

/// An invariant that is broken, and how.
pub(crate) type Broken = (&'static str, String);

impl World {
    pub(crate) fn new(plan: Plan, wire: Option<Box<dyn Wire>>, verbose: bool) -> Self {
        let ring = ring_of(plan.nodes);
        let subjects = subjects_of(&plan, &ring);
        let ids = ring.layout().roles().iter().map(|(id, _)| id);
        let mut world = Self {
            random: Rng::with_seed(plan.seed ^ SALT),
            queue: Queue::new(),
            nodes: ids.map(Node::new).collect(),
            clients: (0..plan.clients).map(Client::new).collect(),
            cuts: BTreeMap::new(),
            calls: BTreeMap::new(),
            attempts: BTreeMap::new(),
            next: 0,
            ledger: Ledger::new(plan.clone(), subjects),
            tally: Tally::default(),
            trace: Trace::new(verbose),
            wire,
            is_healed: false,
            broken: None,
            ring,
            plan,
        };
        world.trace.say(0, format_args!("{}", world.plan));
        for node in 0..world.nodes.len() {
            world.start(node, false);
            world.queue.at(SECOND, Happening::Backup { node });
        }
        for client in 0..world.clients.len() {
            let soon = world.random.u64(500 * MS..=SECOND);
            world.queue.at(soon, Happening::Wants { client });
        }
        for (strike, mean) in world.plan.strikes.clone() {
            let first = SECOND + world.random.u64(0..=mean);
            world.queue.at(first, Happening::Strikes { strike, mean });
        }
        world
    }

    pub(crate) fn run(mut self) -> Result<Report, Box<Failure>> {
        let done = self.go();
        let at = self.queue.now();
        self.tally.count("a run ended");
        let mut processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        if processes.any(|process| process.coordinator.fetched() > 0) {
            self.tally.count("a body was asked for after all");
        }
        for (what, times) in self.wire.iter().flat_map(|wire| wire.counts()) {
            self.tally.add(what, times);
        }
        let trace = self.trace.hash();
        match done {
            Ok(()) => Ok(Report {
                tally: self.tally,
                trace,
            }),
            Err((invariant, what)) => {
                let (plan, lines) = (self.plan, self.trace.into_lines());
                Err(Box::new(Failure {
                    plan,
                    invariant,
                    at,
                    what,
                    trace,
                    lines,
                }))
            }
        }
    }

    fn go(&mut self) -> Result<(), Broken> {
        self.run_until(self.plan.trouble)?;
        self.heal();
        self.rest()
    }

    /// Lets everything happen that happens before `limit`.
    pub(crate) fn run_until(&mut self, limit: Instant) -> Result<(), Broken> {
        while let Some(happening) = self.next_before(limit) {
            self.happen(happening)?;
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Broken> {
        self.ledger.wall_ms = wall_ms(self.queue.now());
        match happening {
            Happening::Process { node, life, step } => {
                if self.nodes[node].life != life {
                    return Ok(());
                }
                let paused_until = self.nodes[node].paused_until;
                if paused_until > self.queue.now() {
                    let later = Happening::Process { node, life, step };
                    self.queue.at(paused_until, later);
                    return Ok(());
                }
                return self.step(node, step);
            }
            Happening::Arrives(message) => self.arrive(*message),
            Happening::CallEnds { call } => self.end_call(call, None),
            Happening::Mended { from, to } => self.mend(from, to),
            Happening::Starts { node, life, behind } => {
                if self.nodes[node].life == life {
                    self.start(node, behind);
                }
            }
            Happening::Wants { client } => self.want(client),
            Happening::Retries { client, attempt } => self.retry(client, attempt),
            Happening::Gives { client, attempt } => self.give_up_waiting(client, attempt),
            Happening::Strikes { strike, mean } => self.strike(strike, mean),
            Happening::Backup { node } => self.back_up(node),
        }
        self.verdict()
    }

    fn step(&mut self, node: usize, step: Step) -> Result<(), Broken> {
        match step {
            Step::Takes => self.take(node)?,
            Step::Writes => self.write(node),
            Step::Secures => self.secure(node),
            Step::LetsOut => self.let_out(node)?,
            Step::Wakes => self.wake(node),
            Step::Notices { peer, reachable } => self.notice(node, peer, reachable),
        }
        self.verdict()
    }

    /// Holds an observation against every invariant.
    pub(crate) fn check(ledger: &Ledger, observation: &Observation<'_>) -> Result<(), Broken> {
        for invariant in TABLE {
            (invariant.check)(observation, ledger).map_err(|what| (invariant.name, what))?;
        }
        Ok(())
    }

    /// What the last happening found, if anything is broken.
    fn verdict(&mut self) -> Result<(), Broken> {
        self.broken.take().map_or(Ok(()), Err)
    }

    /// How the coordinators of this run are set.
    pub(crate) fn coordinator_config(&self) -> CoordinatorConfig {
        let mut config = CoordinatorConfig::default();
        if self.plan.small_messages {
            config.bodies_up_to = 0;
        }
        config
    }

    /// How the replicas of this run are set.
    pub(crate) fn config(&self) -> ReplicaConfig {
        let mut config = ReplicaConfig {
            call_timeout: 2 * Duration::from_micros(self.plan.call_timeout),
            scrub_pause: Duration::ZERO,
            far_behind: 4,
            ..ReplicaConfig::default()
        };
        if self.plan.small_messages {
            config.limits.message_bytes = 600;
        }
        if !self.plan.scrubs {
            config.scrub_rows = 0;
        }
        if self.plan.clears_at_once {
            config.limits.rows_cleared_singly = 1;
        }
        if !self.plan.hints {
            config.hints.events = 0;
        }
        if self.plan.waits_for_all {
            config.patience = Duration::from_secs(1_000_000);
        }
        config
    }

    pub(crate) fn index_of(&self, id: NodeId) -> usize {
        self.nodes
            .iter()
            .position(|node| node.id == id)
            .unwrap_or(0)
    }

    /// A time of up to `most`, seldom zero.
    pub(crate) fn up_to(&mut self, most: Instant) -> Instant {
        self.random.u64(0..=most)
    }

    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.random.f64() < share
    }
}

fn ring_of(nodes: usize) -> Ring {
    let nodes = u64::try_from(nodes).unwrap_or(u64::MAX);
    of_equal_nodes(ClusterId(0x5eed), nodes, bits(), ReplicaCount::DEFAULT)
}

/// The keys of a run: of each kind some, spread over the partitions.
fn subjects_of(plan: &Plan, ring: &Ring) -> Vec<Subject> {
    let n = ring.layout().n();
    let nodes: Vec<NodeId> = ring.layout().roles().iter().map(|(id, _)| id).collect();
    let mut subjects = Vec::new();
    for &kind in &plan.kinds {
        let bucket = BucketId::of_name(&format!("{kind:?}"));
        let count = match kind {
            Kind::Value | Kind::Set => plan.keys,
            Kind::Counter => plan.keys + 2,
            Kind::Map => 2,
            _ => 1,
        };
        for index in 0..count {
            let key = format!("k{index}");
            let token = ring.token(bucket, key.as_bytes());
            let prefix = KeyPrefix::new(u8::from(n), token, bucket, key.as_bytes(), b"");
            let vnode = VnodeId {
                n,
                partition: ring.partition(token),
            };
            let is_reset = kind == Kind::Counter && index % 2 == 1;
            let owners = ring.owners(n, vnode.partition);
            let owners = owners.iter().flat_map(|list| list.iter());
            subjects.push(Subject {
                kind,
                prefix,
                vnode,
                owners: owners
                    .filter_map(|id| nodes.iter().position(|node| *node == id))
                    .collect(),
                is_reset,
            });
        }
    }
    subjects
}

/// Parts the plan's randomness from the run's.
const SALT: u64 = 0x5374_6172_6c69_6e67;
