//! Watching the nodes that this one observes, and probing those that fall silent.
//!
//! ```text
//!   observer o            helpers a, b, c            subject x
//!      |  phi of x reaches 3                            |
//!      |--ping----------------------------------------->|  is the link o-x all right again?
//!      |--probe x-->|--ping---------------------------->|  or does somebody else reach it?
//!      |            |<------------------------------ack-|
//!      |<--alive----|                                      then the link is at fault: no suspicion
//!      |<--not------|  after half of the timeout           then the helper is all right, and o
//! ```
//!
//! The negative answer is Lifeguard's: an observer whose helpers do not answer at all has reason to
//! doubt itself. Only if a whole round has passed without a sign of x, and phi has reached 8, does
//! the observer say that it suspects x, to x first of all.

use std::time::Duration;

use super::outbox::Topic;
use super::wire::{Item, Message};
use super::{Gossip, GossipConfig};
use crate::detector::{DetectorConfig, Edge, Level, Suspicion};
use crate::id::NodeId;
use crate::membership::{Incarnation, MemberState};

/// An edge, and what is being done about its silence.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) edge: Edge,
    probe: Option<Probe>,
    /// When somebody else last said that it reaches the node.
    vouched: Option<Duration>,
    /// When the last probe began that brought no sign of it, with nothing heard since.
    failed: Option<Duration>,
    /// When this node last said that it suspects it.
    accused: Option<Duration>,
}

/// A question that is out.
#[derive(Debug)]
struct Probe {
    nonce: u32,
    sent: Duration,
    helpers: usize,
    /// How many of them have answered that they do not reach it.
    denials: usize,
}

/// A ping for somebody else.
#[derive(Debug)]
pub(super) struct Relay {
    asker: NodeId,
    /// The asker's nonce.
    nonce: u32,
    subject: NodeId,
    until: Duration,
}

impl Watch {
    /// A message came from the node.
    pub(super) fn handle_heard(
        &mut self,
        now: Duration,
        is_heartbeat: bool,
        config: &DetectorConfig,
    ) {
        if is_heartbeat {
            self.edge.handle_heartbeat(now, config);
        } else {
            self.edge.handle_message(now);
        }
        self.probe = None;
        self.failed = None;
    }

    /// This node was away.
    pub(super) fn handle_pause(&mut self, now: Duration, pause: Duration) {
        self.edge.handle_pause(now, pause);
        self.probe = None;
        self.failed = None;
    }

    /// Whether a new round of probes is due.
    fn is_probe_due(&self, now: Duration, config: &GossipConfig) -> bool {
        let last = self.vouched.max(self.failed);
        let every = config.detector.interval().saturating_mul(2);
        self.probe.is_none() && last.is_none_or(|last| now.saturating_sub(last) >= every)
    }

    /// Whether the last round of probes brought no sign of the node.
    fn is_given_up(&self) -> bool {
        self.failed.is_some() && self.failed >= self.vouched
    }
}

impl Gossip {
    /// Observes exactly `subjects`.
    pub(super) fn watch(&mut self, now: Duration, subjects: &[NodeId]) {
        self.watches
            .retain(|id, _| subjects.binary_search(id).is_ok());
        let grace = self.grace();
        for subject in subjects {
            let config = &self.config.detector;
            self.watches.entry(*subject).or_insert_with(|| Watch {
                edge: Edge::new(now, grace, config),
                probe: None,
                vouched: None,
                failed: None,
                accused: None,
            });
        }
    }

    /// A member has a new incarnation or address: its former intervals say nothing.
    pub(super) fn forget_silence(&mut self, now: Duration, id: NodeId) {
        let grace = self.grace();
        if let Some(watch) = self.watches.get_mut(&id) {
            watch.edge.reset(now, grace, &self.config.detector);
            watch.probe = None;
            watch.vouched = None;
            watch.failed = None;
            watch.accused = None;
        }
    }

    /// How long news takes to everyone, about: until then a node need not know who observes it.
    fn grace(&self) -> Duration {
        let rounds = (self.members.len() + 1).ilog2() + 1;
        self.config.push_every.saturating_mul(rounds)
    }

    /// Looks at all edges.
    pub(super) fn check_edges(&mut self, now: Duration) {
        let subjects: Vec<NodeId> = self.watches.keys().copied().collect();
        for subject in subjects {
            if self.verdicts.state(subject) != MemberState::Down {
                self.check_edge(now, subject);
            }
        }
    }

    fn check_edge(&mut self, now: Duration, subject: NodeId) {
        let patience = self.health.patience();
        let (detector, timeout) = (&self.config.detector, self.config.probe_timeout);
        let Some(watch) = self.watches.get_mut(&subject) else {
            return;
        };
        let phi = watch.edge.phi(now, patience, detector);
        if phi < detector.phi_probe {
            return;
        }
        let timeout = timeout.saturating_mul(patience);
        let is_over = |probe: &mut Probe| now.saturating_sub(probe.sent) >= timeout;
        if let Some(probe) = watch.probe.take_if(is_over) {
            watch.failed = Some(probe.sent);
            if probe.denials < probe.helpers {
                self.health.worsen(now);
            }
        }
        let repeat = detector.suspicion_life / 3;
        let is_said = watch
            .accused
            .is_some_and(|said| now.saturating_sub(said) < repeat);
        let is_suspect = phi >= detector.phi_suspect && watch.is_given_up();
        if is_suspect && !is_said && self.health.may_accuse(now) {
            watch.accused = Some(now);
            self.say(now, subject, Level::of_phi(phi));
        }
        self.probe(now, subject);
    }

    /// Begins a round of probes, if one is due.
    fn probe(&mut self, now: Duration, subject: NodeId) {
        let watch = self.watches.get(&subject);
        if !watch.is_some_and(|watch| watch.is_probe_due(now, &self.config)) {
            return;
        }
        let helpers = self.choose(self.config.helpers, |id| id != subject);
        self.nonce = self.nonce.wrapping_add(1);
        let nonce = self.nonce;
        let Some(watch) = self.watches.get_mut(&subject) else {
            return;
        };
        watch.probe = Some(Probe {
            nonce,
            sent: now,
            helpers: helpers.len(),
            denials: 0,
        });
        self.send(subject, Message::Ping { nonce });
        for helper in helpers {
            self.send(helper, Message::Probe { nonce, subject });
        }
    }

    /// Says what this node thinks of another one, to it and to everybody.
    fn say(&mut self, now: Duration, subject: NodeId, level: Level) {
        let Some(incarnation) = self.suspected_incarnation(subject) else {
            return;
        };
        self.sequence += 1;
        let suspicion = Suspicion {
            subject,
            incarnation,
            observer: self.own.id,
            sequence: self.sequence,
            level,
            age: Duration::ZERO,
        };
        self.verdicts.handle_suspicion(now, &suspicion);
        let observer = self.own.id;
        self.outbox.push(Topic::Suspicion { subject, observer });
        self.send(subject, Message::Push(vec![Item::Suspicion(suspicion)]));
        self.judge(now, subject);
    }

    /// The highest incarnation of a member that was heard of.
    fn suspected_incarnation(&self, subject: NodeId) -> Option<Incarnation> {
        let member = self.members.member(subject)?;
        let case = self.verdicts.case(subject);
        Some(case.map_or(member.incarnation, |(incarnation, _)| {
            incarnation.max(member.incarnation)
        }))
    }

    /// A member that this node suspects was heard after all. A verdict stands all the same, until
    /// the member refutes it.
    pub(super) fn take_back(&mut self, now: Duration, from: NodeId, incarnation: Incarnation) {
        let is_suspect = self.verdicts.state(from) == MemberState::Suspect;
        let is_same_life = self.suspected_incarnation(from) <= Some(incarnation);
        let Some(watch) = self.watches.get_mut(&from) else {
            return;
        };
        if is_suspect && is_same_life && watch.accused.take().is_some() {
            self.say(now, from, Level::NONE);
        }
    }

    /// A peer asks whether this node reaches another one.
    pub(super) fn handle_probe(
        &mut self,
        now: Duration,
        asker: NodeId,
        nonce: u32,
        subject: NodeId,
    ) {
        let member = self.members.member(subject);
        let is_known = member.is_some_and(|member| member.state != MemberState::Removed);
        if !is_known || self.relays.len() >= MAX_RELAYS {
            let is_alive = false;
            return self.send(asker, Message::Probed { nonce, is_alive });
        }
        self.nonce = self.nonce.wrapping_add(1);
        let relay = Relay {
            asker,
            nonce,
            subject,
            until: now.saturating_add(self.config.probe_timeout / 2),
        };
        self.relays.insert(self.nonce, relay);
        self.send(subject, Message::Ping { nonce: self.nonce });
    }

    /// A peer answers a ping. One for this node itself needs nothing more: it was heard.
    pub(super) fn handle_ack(&mut self, now: Duration, from: NodeId, nonce: u32) {
        let is_relayed = self.relays.get(&nonce);
        if is_relayed.is_some_and(|relay| relay.subject == from)
            && let Some(relay) = self.relays.remove(&nonce)
        {
            let (nonce, is_alive) = (relay.nonce, true);
            self.send(relay.asker, Message::Probed { nonce, is_alive });
        } else {
            self.health.improve(now);
        }
    }

    /// A helper says whether it reaches the node that was asked for.
    pub(super) fn handle_probed(&mut self, now: Duration, nonce: u32, is_alive: bool) {
        let is_meant = |watch: &&mut Watch| {
            let probe = watch.probe.as_ref();
            probe.is_some_and(|probe| probe.nonce == nonce)
        };
        let Some(watch) = self.watches.values_mut().find(is_meant) else {
            return;
        };
        if is_alive {
            watch.vouched = Some(now);
            watch.probe = None;
            watch.failed = None;
            self.health.improve(now);
        } else if let Some(probe) = &mut watch.probe {
            probe.denials += 1;
        }
    }

    /// Tells the askers whose subjects have not answered.
    pub(super) fn give_up_relays(&mut self, now: Duration) {
        let is_over = |_: &u32, relay: &mut Relay| relay.until <= now;
        let over: Vec<_> = self.relays.extract_if(.., is_over).collect();
        for (_, relay) in over {
            let (nonce, is_alive) = (relay.nonce, false);
            self.send(relay.asker, Message::Probed { nonce, is_alive });
        }
    }
}

/// Most pings for others at a time. Whoever asks beyond is told at once that it was not reached.
const MAX_RELAYS: usize = 64;
