//! The members: gossip is driven here, and what it finds out is handed to everybody who goes by it.
//!
//! ```text
//!   datagrams, one-way messages ──> Gossip ──> datagrams, one-way messages
//!   late turns of the loop ───────>   │
//!                                     ├─ records   ──> connections, clients, the data directory
//!                                     ├─ verdicts  ──> the coordinator's choice of owners, the log
//!                                     └─ phi       ──> status, metrics
//! ```
//!
//! Only gossip speaks for this node's own record, and only it refutes.

use std::net::SocketAddr;
use std::time::Duration;

use super::Shell;
use crate::admin::MemberShown;
use crate::config::Config;
use crate::protocol::coordinator::Standing;
use crate::protocol::time::Time;
use crate::runtime::words::Word;
use ring::gossip::{Event, Status};
use ring::{Address, Incarnation, Layout, Load, Member, MemberState, NodeId};

impl Shell {
    /// The loop comes round again; if that is long after gossip was due, this process was away.
    /// Gossip must hear of that before it hears anything else.
    pub(super) fn notice_pause(&mut self) {
        let now = self.clock.time().since_start();
        let due = self.gossip.poll_timeout().unwrap_or(now);
        let late = now.saturating_sub(due);
        if late > LATE {
            self.gossip.handle_late_tick(now, late);
        }
    }

    /// A peer says something.
    pub(super) fn handle_word(&mut self, word: &Word) {
        let now = self.clock.now();
        self.metrics.gossip.heard(word.bytes.len());
        self.exchange.handle_heard(now, word.from, word.instance);
        let time = now.time.since_start();
        if let Err(error) = self.gossip.handle_message(time, word.from, &word.bytes) {
            self.metrics.malformed_frames.inc();
            tracing::warn!(peer = %word.from, %error, "gossip was dropped");
        }
    }

    /// A connection to a peer is up.
    pub(super) fn greet(&mut self, peer: NodeId, is_seed: bool) {
        let now = self.clock.time().since_start();
        if is_seed {
            self.gossip.join(now, peer);
        }
        self.gossip.handle_reachable(now, peer);
    }

    /// Carries out what gossip wants.
    pub(super) fn drain_gossip(&mut self) {
        let mut is_changed = false;
        while let Some(event) = self.gossip.poll_event() {
            is_changed |= matches!(event, Event::Changed(_));
            self.handle_gossip(event);
        }
        if is_changed {
            self.use_members();
            let keep_by = self.clock.time().after(KEEP_AFTER);
            self.turn.keep_by.get_or_insert(keep_by);
        }
        while let Some(transmit) = self.gossip.poll_transmit() {
            let size = transmit.bytes.len();
            let is_sent = self
                .peers
                .say(transmit.to, transmit.bytes, transmit.carriage);
            if is_sent {
                self.metrics.gossip.said(size);
            }
        }
    }

    fn handle_gossip(&mut self, event: Event) {
        match event {
            Event::Changed(peer) => self.judge(peer),
            Event::Suspected { peer, level } => {
                tracing::info!(%peer, phi = %level, "a member is suspected");
                self.judge(peer);
            }
            Event::Down { peer } => {
                let observers = self.suspecting(peer);
                tracing::warn!(%peer, ?observers, "a member is down; others are asked instead");
                self.metrics.gossip.verdicts.inc();
                self.judge(peer);
            }
            Event::Up { peer } => {
                tracing::info!(%peer, "a member is up again");
                self.judge(peer);
            }
            Event::Refuted { incarnation } => {
                let (boot, count) = (incarnation.boot, incarnation.refutations);
                tracing::info!(
                    boot,
                    count,
                    "this node was suspected, and says that it lives"
                );
                self.metrics.gossip.refutations.inc();
            }
            Event::Paused { late } => {
                tracing::warn!(
                    ?late,
                    "this process was away; it accuses nobody for as long"
                );
                self.metrics.gossip.pauses.inc();
            }
            Event::Removed => {
                tracing::error!(
                    "this node was removed from the cluster for good; what it holds is still on \
                     its disk: stop it, and give it a new certificate and an empty data directory \
                     before it joins again"
                );
            }
            Event::Unusable(error) => tracing::warn!(%error, "a member record was refused"),
        }
    }

    /// Tells the coordinator what to think of a peer.
    fn judge(&mut self, peer: NodeId) {
        let now = self.clock.time().since_start();
        if peer == self.here.node {
            return;
        }
        if let Some(status) = self.gossip.status(now, peer) {
            self.coordinator.handle_standing(peer, standing(&status));
        }
    }

    /// The names of those who suspect a member.
    fn suspecting(&self, peer: NodeId) -> Vec<String> {
        let now = self.clock.time().since_start();
        let suspicions = self.gossip.suspicions(now, peer).into_iter();
        suspicions
            .map(|suspicion| self.name_of(suspicion.observer))
            .collect()
    }

    pub(super) fn name_of(&self, id: NodeId) -> String {
        let member = self.gossip.members().member(id);
        member.map_or_else(|| id.to_string(), |member| member.name.as_str().to_owned())
    }

    /// Hands the members to those who work by their records.
    pub(super) fn use_members(&mut self) {
        self.peers.set_members(self.gossip.members());
        self.exchange.set_members(self.gossip.members());
        if let Some(state) = self.exchange.state() {
            self.desk.refresh(state);
        }
    }

    /// The state that this node has just taken over names members.
    pub(super) fn hear_of_members(&mut self) {
        let now = self.clock.time().since_start();
        if let Some(state) = self.exchange.state() {
            self.gossip.handle_members(now, &state.members);
        }
    }

    /// Says what this node is, as far as it has changed.
    pub(super) fn announce(&mut self) {
        let now = self.clock.time().since_start();
        let state = self.exchange.state();
        let mut own = self.gossip.own().clone();
        own.layout = state.and_then(|state| state.layout.as_ref().map(Layout::id));
        if own.addresses.is_empty() {
            // Listening everywhere says nothing about where others find this node: `init` was told.
            let planned = state.and_then(|state| state.members.member(own.id));
            own.addresses = planned.map_or_else(Vec::new, |member| member.addresses.clone());
        }
        if let Err(error) = self.gossip.announce(now, own) {
            tracing::error!(%error, "what this node is could not be announced");
        }
        self.drain_gossip();
    }

    /// When something is due for the members.
    pub(super) fn members_timeout(&self) -> Option<Time> {
        let gossip = self.gossip.poll_timeout().map(Time::at);
        gossip.into_iter().chain(self.turn.keep_by).min()
    }

    pub(super) fn handle_members_timeout(&mut self, now: Time) {
        let is_due = |time: Option<Time>| time.is_some_and(|time| time <= now);
        if is_due(self.gossip.poll_timeout().map(Time::at)) {
            self.gossip.handle_timeout(now.since_start());
            if self.turn.show_by <= now {
                self.turn.show_by = now.after(SHOW_EVERY);
                self.show_members(now.since_start());
            }
        }
        if is_due(self.turn.keep_by) {
            self.persist();
        }
    }

    /// Shows the members in the metrics, and lets those out of quarantine whose time is up.
    fn show_members(&mut self, now: Duration) {
        let peers: Vec<NodeId> = self.peers_known().collect();
        for id in peers {
            self.judge(id);
            let Some(status) = self.gossip.status(now, id) else {
                continue;
            };
            self.metrics.gossip.show(&MemberShown {
                id,
                name: self.name_of(id),
                state: status.state,
                phi: status.phi.unwrap_or(0.0),
            });
        }
        let score = self.gossip.health().score();
        self.metrics.gossip.health.set(i64::from(score));
    }
}

fn standing(status: &Status) -> Standing {
    match status.state {
        MemberState::Down | MemberState::Removed => Standing::Down,
        MemberState::Suspect => Standing::Doubtful,
        MemberState::Alive if status.is_quarantined => Standing::Doubtful,
        MemberState::Alive => Standing::Good,
    }
}

/// What this node says of itself when it starts at `boot`: what its configuration says, and where
/// that says nothing of its addresses, what it said in its last life.
pub(crate) fn own_record(config: &Config, id: NodeId, boot: u64, last: Option<&Member>) -> Member {
    let (node, advertised) = (&config.node, &config.listen.advertise);
    // The wall clock may have been set back since; what the last life said was numbered from its
    // boot on.
    let above = last.map_or(0, |last| {
        last.incarnation.boot.saturating_add(WORDS_OF_A_LIFE)
    });
    let addresses = match last {
        Some(last) if advertised.is_empty() && config.listen.quic.ip().is_unspecified() => {
            last.addresses.clone()
        }
        Some(_) | None => advertised.clone(),
    };
    Member {
        id,
        incarnation: Incarnation::at(boot.max(above)),
        state: MemberState::Alive,
        version: 0,
        name: node.name.clone(),
        addresses,
        http: None,
        zone: node.zone.clone(),
        weight: node.weight,
        layout: None,
        load: Load::default(),
        hlc_offset_ms: 0,
    }
}

/// The address of a socket, unless it listens everywhere or on any port.
pub(crate) fn particular(address: SocketAddr) -> Option<Address> {
    let anywhere = address.ip().is_unspecified();
    (!anywhere)
        .then(|| Address::new(address.to_string()).ok())
        .flatten()
}

/// More than a node says of others between two starts.
const WORDS_OF_A_LIFE: u64 = 1 << 32;
/// A turn of the loop that comes so much after it was due was a pause of this process.
const LATE: Duration = Duration::from_millis(500);
/// Members that have changed are kept after this long: what comes together is written once.
const KEEP_AFTER: Duration = Duration::from_secs(1);
const SHOW_EVERY: Duration = Duration::from_secs(1);
