//! Gossip: how nodes learn of each other, and of each other's troubles.
//!
//! One [`Gossip`] a node. It is fed with messages and with time, and says what to send to whom:
//!
//! ```text
//!   what           how often          to whom                     what for
//!   heartbeat      500 ms             my observers, at most 8     that I live
//!   push           200 ms, if news    3 random live members       news for all in log(n) rounds
//!   pull           1 s                1 random live member        what pushes missed
//!   probe          on silence         3 random helpers            is it you or my link?
//!   join           at the start       a seed or a known member    everything, once
//! ```
//!
//! News are member records, which each node writes about itself, and suspicions. Pushing is rumour
//! mongering with a fixed number of repetitions (Demers et al., *Epidemic Algorithms for Replicated
//! Database Maintenance*, PODC 1987; SWIM, DSN 2002), which reaches all but a few; pulling is
//! anti-entropy by fingerprints, which reaches those too and costs two small messages while there
//! is nothing to find. No message grows with the cluster and no node sends more in a larger one,
//! except to a node that joins.
//!
//! A member is *suspect* or *down* by the [verdict](crate::detector::Verdicts) that each node draws
//! from the suspicions it has heard. A node that hears of its own raises its incarnation and tells
//! everybody; whatever was said of the former incarnation is void.
//!
//! ## Driving it
//!
//! Give every received message to [`Gossip::handle_message`], with the sender's id by its
//! certificate, and call [`Gossip::handle_timeout`] when [`Gossip::poll_timeout`] says; then drain
//! [`Gossip::poll_transmit`] and [`Gossip::poll_event`]. After a pause of the process call
//! [`Gossip::handle_late_tick`] first, then hand in whatever waits in the socket, then the timeout.
//! [`Gossip::handle_reachable`] makes use of a new connection.
//! Times are durations since the process started, from a clock that does not jump.

mod belief;
mod config;
mod digest;
mod hearing;
mod join;
mod outbox;
mod output;
mod probe;
mod repair;
mod spread;
mod status;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::detector::{Flaps, Health, Overlay, Verdicts};
use crate::id::{ClusterId, NodeId};
use crate::membership::{Member, MemberMap, MemberState};
use digest::Digest;
use join::Joining;
use outbox::Outbox;
use probe::{Relay, Watch};
use wire::{Item, Message};

pub use config::GossipConfig;
pub use output::{AnnounceError, Carriage, Event, Transmit};
pub use status::Status;
pub use wire::{MAX_DATAGRAM, MAX_PAGE, MAX_RECORD, Malformed, MessageError};

/// The gossip of one node. See the [module](self) for how to drive it.
#[derive(Debug)]
pub struct Gossip {
    config: GossipConfig,
    cluster: ClusterId,
    own: Member,
    members: MemberMap,
    /// Since when each member is there, or up again.
    since: BTreeMap<NodeId, Duration>,
    random: fastrand::Rng,
    overlay: Overlay,
    /// Who gets this node's heartbeats.
    observers: Vec<NodeId>,
    /// Whom this node observes.
    watches: BTreeMap<NodeId, Watch>,
    /// The other members that are neither down nor removed.
    live: Vec<NodeId>,
    down: Vec<NodeId>,
    /// Who is live has changed, and the four above have not yet.
    is_stale: bool,
    verdicts: Verdicts,
    flaps: Flaps,
    health: Health,
    digest: Digest,
    outbox: Outbox,
    /// Probes for others, by the nonce of the ping.
    relays: BTreeMap<u32, Relay>,
    nonce: u32,
    /// Of this node's last suspicion.
    sequence: u64,
    timers: Timers,
    joining: Option<Joining>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

/// When what is due.
#[derive(Debug)]
struct Timers {
    heartbeat: Duration,
    check: Duration,
    push: Duration,
    pull: Duration,
}

impl Gossip {
    /// The gossip of the node that `own` is about, in an incarnation begun for this process, and
    /// which remembers the members `known` from its last life.
    ///
    /// With the same `seed` it does the same; the caller draws it at random.
    ///
    /// # Errors
    /// When a record breaks its bounds.
    pub fn new(
        now: Duration,
        cluster: ClusterId,
        own: Member,
        known: &MemberMap,
        seed: u64,
        config: GossipConfig,
    ) -> Result<Self, AnnounceError> {
        let mut random = fastrand::Rng::with_seed(seed);
        let overlay = Overlay::new(cluster, config.detector.observers);
        let (nonce, sequence) = (random.u32(..), own.incarnation.boot);
        let timers = Timers::new(now, &config, &mut random);
        let mut gossip = Self {
            config,
            cluster,
            own: own.clone(),
            members: MemberMap::new(),
            since: BTreeMap::new(),
            random,
            overlay,
            observers: Vec::new(),
            watches: BTreeMap::new(),
            live: Vec::new(),
            down: Vec::new(),
            is_stale: true,
            verdicts: Verdicts::default(),
            flaps: Flaps::default(),
            health: Health::new(now),
            digest: Digest::new(),
            outbox: Outbox::default(),
            relays: BTreeMap::new(),
            nonce,
            sequence,
            timers,
            joining: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        };
        gossip.take_up(now, known)?;
        gossip.announce(now, own)?;
        gossip.refresh(now);
        if !gossip.live.is_empty() {
            gossip.joining = Some(Joining::new(now, None));
        }
        gossip.events.clear();
        Ok(gossip)
    }

    /// Says what this node is: its name, addresses, zone. Everybody hears of it within seconds.
    ///
    /// Incarnation and version are this machine's to choose: it raises the version if anything has
    /// changed, and takes over a higher incarnation. In a large cluster do not announce what
    /// changes by the second; every word goes to every node.
    ///
    /// # Errors
    /// When the record would not fit into a datagram or breaks its bounds. Nothing is changed.
    pub fn announce(&mut self, now: Duration, own: Member) -> Result<(), AnnounceError> {
        let incarnation = own.incarnation.max(self.own.incarnation);
        let version = self.own.version;
        let mut own = Member {
            incarnation,
            version,
            state: MemberState::Alive,
            ..own
        };
        own.check()
            .map_err(|error| AnnounceError::Members(error.into()))?;
        let size = wire::encode_member(&own).len();
        if size > MAX_RECORD {
            return Err(AnnounceError::TooLarge { size });
        }
        if self.members.member(own.id) == Some(&own) || self.is_removed() {
            return Ok(());
        }
        own.version += 1;
        self.own = own;
        self.speak_for_itself(now);
        Ok(())
    }

    /// Takes in records that were learnt in another way, for instance from the plan of an `init`
    /// or from a state that the nodes exchange.
    pub fn handle_members(&mut self, now: Duration, members: &MemberMap) {
        for member in members.iter() {
            self.learn(now, member.clone(), true);
        }
        self.refresh(now);
    }

    /// Removes another member for good, as the operator said. Gives whether that was news. A node
    /// does not remove itself: it would be silent before anybody had heard of it.
    pub fn remove(&mut self, now: Duration, id: NodeId) -> bool {
        let other = self.members.member(id).filter(|_| id != self.own.id);
        let Some(member) = other else {
            return false;
        };
        let removed = Member {
            state: MemberState::Removed,
            ..member.clone()
        };
        let is_news = self.learn(now, removed, true);
        self.refresh(now);
        is_news
    }

    /// This process was away: a tick came `late` by so much, or the machine was suspended for so
    /// long. Nobody is suspected because of it.
    pub fn handle_late_tick(&mut self, now: Duration, late: Duration) {
        let config = &self.config.detector;
        let shift = self.health.handle_late_tick(now, late, config);
        for watch in self.watches.values_mut() {
            watch.handle_pause(now, shift);
        }
        self.relays.clear();
        // What was due meanwhile is due now, and is not late a second time.
        self.timers.forgive(now);
        self.events.push_back(Event::Paused { late });
    }

    /// A connection to `peer` has come up, so that it can be told things: what this node is, and
    /// with a pull whatever else the two do not have in common. A node that was restarted or cut
    /// off is up again for its peers in one round trip, and not with its next heartbeat. Both go by
    /// stream, because a datagram may overtake whatever else a connection begins with.
    pub fn handle_reachable(&mut self, now: Duration, peer: NodeId) {
        let is_other = self.members.member(peer).is_some() && peer != self.own.id;
        if !is_other || self.is_removed() {
            return;
        }
        let own = Item::Member(Box::new(self.own.clone()));
        self.send_stream(peer, Message::Push(vec![own]));
        let root = self.digest.root();
        self.send_stream(peer, Message::Pull { root });
        if let Some(joining) = &mut self.joining {
            joining.hurry(now);
        }
    }

    /// The time that [`Gossip::poll_timeout`] named has come. If it came long ago, that is taken as
    /// a pause of this node.
    pub fn handle_timeout(&mut self, now: Duration) {
        let Some(due) = self.poll_timeout() else {
            return;
        };
        let late = now.saturating_sub(due);
        if late > self.config.late {
            self.handle_late_tick(now, late);
        }
        if now >= self.timers.heartbeat {
            let jitter = 0.9 + self.random.f64() / 5.0;
            let interval = self.config.detector.interval().mul_f64(jitter);
            self.timers.heartbeat = now.saturating_add(interval);
            self.send_heartbeats();
        }
        if now >= self.timers.check {
            self.timers.check = now.saturating_add(CHECK_EVERY);
            self.check(now);
        }
        if now >= self.timers.push {
            self.timers.push = now.saturating_add(self.config.push_every.max(SHORTEST));
            self.push(now);
        }
        if now >= self.timers.pull {
            self.timers.pull = now.saturating_add(self.config.pull_every.max(SHORTEST));
            self.pull();
        }
        self.ask_for_everything(now);
        self.refresh(now);
    }

    /// What to send to whom.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Gossip::handle_timeout`]; never while there is nobody to talk to.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let is_alone = self.live.is_empty() && self.down.is_empty() && self.joining.is_none();
        if is_alone || self.is_removed() {
            return None;
        }
        let Timers {
            heartbeat,
            check,
            push,
            pull,
        } = self.timers;
        Some(heartbeat.min(check).min(push).min(pull))
    }

    /// What every tenth of a second is looked at: edges, probes, suspicions.
    fn check(&mut self, now: Duration) {
        let config = self.config.detector.clone();
        self.health.handle_timeout(now, &config);
        self.flaps.handle_timeout(now);
        self.give_up_relays(now);
        self.check_edges(now);
        self.verdicts.expire(now, &config);
        let subjects: Vec<NodeId> = self.verdicts.subjects().collect();
        for subject in subjects {
            self.judge(now, subject);
        }
    }
}

impl Timers {
    /// Everything begins somewhere within its first interval, so that nodes which start together
    /// do not speak together for ever after.
    fn new(now: Duration, config: &GossipConfig, random: &mut fastrand::Rng) -> Self {
        let mut within = |every: Duration| now.saturating_add(every.mul_f64(random.f64()));
        Self {
            heartbeat: within(config.detector.interval()),
            check: within(CHECK_EVERY),
            push: within(config.push_every.max(SHORTEST)),
            pull: within(config.pull_every.max(SHORTEST)),
        }
    }

    /// Nothing was due before `now`.
    fn forgive(&mut self, now: Duration) {
        let Self {
            heartbeat,
            check,
            push,
            pull,
        } = self;
        for due in [heartbeat, check, push, pull] {
            *due = now.max(*due);
        }
    }
}

/// Between two looks at the edges. It adds itself to the time to detection.
const CHECK_EVERY: Duration = Duration::from_millis(100);
const SHORTEST: Duration = Duration::from_millis(1);
