//! The node loop: the one place where events, machines and effects meet.
//!
//! ```text
//!   inbox ──recv_many──> handle each event ──> drain the machines ──> hand over to the committer
//!     ^                                             │                          │
//!     └──── replies, outputs ── connections <───────┴── calls, answers <───────┘
//! ```
//!
//! It takes everything that waits, feeds the [`Coordinator`], the [`Exchange`] and the [`Gossip`],
//! carries out what they want, and hands all inputs for the replica over in one piece. It runs on
//! the only thread of the network, so the tasks that write to connections run after it has yielded
//! and find all frames of the turn queued: one write per connection and turn. There is no task and
//! no lock for a request. What peers gossip has a queue of its own, with a bound.

mod buckets;
mod clients;
mod cluster;
mod info;
mod members;
mod replicas;
mod status;
mod vnodes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::accept::Closing;
use super::clock::Clock;
use super::committer::{Committer, Queued};
use super::event::Event;
use super::peers::Peers;
use super::seeds::Seeds;
use super::store::Store;
use super::view::Views;
use super::words::{MOST_WORDS, Word};
use crate::admin::{Health, Metrics};
use crate::config::Config;
use crate::protocol::cluster::{Exchange, Hello};
use crate::protocol::coordinator::{Coordinator, Effect};
use crate::protocol::time::Time;
use crate::protocol::vnode::Limits;
use crate::server::Desk;
use buckets::Creating;
use clients::Waiting;
use ring::gossip::Gossip;
use starling::transport::ReplyTo;
use status::Gathering;

pub(crate) use cluster::STATE_FILE;
pub(crate) use members::{own_record, particular};
pub(super) use replicas::answer;

/// Everything of a node but its committer thread and its connections.
pub(crate) struct Shell {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Clock,
    /// Who this process is.
    pub(crate) here: Hello,
    /// Where `cluster.state` is.
    pub(crate) directory: PathBuf,
    pub(crate) limits: Limits,
    pub(crate) store: Store,
    pub(crate) views: Arc<Views>,
    pub(crate) committer: Committer,
    pub(crate) coordinator: Coordinator,
    pub(crate) exchange: Exchange,
    pub(crate) gossip: Gossip,
    pub(crate) seeds: Seeds,
    pub(crate) desk: Desk,
    pub(crate) peers: Peers,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
    /// What goes on.
    pub(crate) turn: Turn,
}

/// What is under way in the loop.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Clients' orders by ticket. At most as many as the coordinator takes.
    orders: BTreeMap<u64, Waiting>,
    /// Requests of peers at the committer, by call.
    requests: BTreeMap<u64, ReplyTo>,
    /// Buckets that wait for holders. At most 256.
    creations: BTreeMap<u64, Creating>,
    /// Statuses that wait for peers' reports.
    gatherings: BTreeMap<u64, Gathering>,
    /// For the committer, at the end of the turn.
    queued: Vec<Queued>,
    next_number: u64,
    reads: u64,
    writes: u64,
    /// What this node knows of the cluster is on its disk.
    is_persisted: bool,
    /// When the members are to be kept on disk, if they have changed since.
    keep_by: Option<Time>,
    /// When the members are to be shown in the metrics next.
    show_by: Time,
    draining: bool,
}

impl Shell {
    /// Runs until the node is told to stop, and what is under way is answered or the time for that
    /// is up.
    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Event>,
        mut words: mpsc::Receiver<Word>,
        closing: &watch::Sender<Closing>,
    ) -> Self {
        self.begin();
        let (mut events, mut heard) = (Vec::new(), Vec::new());
        let mut drained_by: Option<Time> = None;
        loop {
            self.drain();
            if self.committer.is_gone() {
                tracing::error!("the committer has failed; nothing can be written: the node ends");
                return self;
            }
            if self.turn.draining {
                let now = self.clock.time();
                let by = *drained_by.get_or_insert_with(|| {
                    closing.send_replace(Closing::Newcomers);
                    now.after(self.config.limits.drain.duration())
                });
                if self.is_idle() || now >= by {
                    return self;
                }
            }
            let timeout = self.poll_timeout().into_iter().chain(drained_by).min();
            tokio::select! {
                biased;
                _ = inbox.recv_many(&mut events, MOST_EVENTS) => {}
                1.. = words.recv_many(&mut heard, MOST_WORDS) => {}
                () = self.clock.sleep_until(timeout) => {}
            }
            // However much there is to do for clients, heartbeats do not wait for it.
            heard.extend(std::iter::from_fn(|| words.try_recv().ok()).take(MOST_WORDS));
            self.notice_pause();
            for word in heard.drain(..) {
                self.handle_word(&word);
            }
            for event in events.drain(..) {
                self.handle(event);
            }
            self.handle_timeouts();
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Client {
                principal,
                arrived,
                incoming,
            } => {
                self.handle_client(principal.as_ref().as_ref(), arrived, incoming);
            }
            Event::Peer {
                from,
                arrived,
                asked,
                bytes,
                reply,
            } => {
                self.handle_peer((from, arrived), asked, bytes, reply);
            }
            Event::Reply {
                caller,
                from,
                frame,
            } => self.handle_reply(caller, from, frame),
            Event::Reachable { peer, connection } => {
                let is_seed = self.peers.handle_reachable(peer, connection);
                // The exchange says hello, which must be first on a connection.
                self.exchange.handle_reachable(self.clock.now(), peer, true);
                self.drain_exchange();
                self.coordinator.handle_reachable(peer, true);
                self.greet(peer, is_seed);
                self.show_reachable();
            }
            Event::Unreachable { peer, reason } => {
                if self.peers.handle_unreachable(peer, reason) {
                    self.exchange
                        .handle_reachable(self.clock.now(), peer, false);
                    self.coordinator.handle_reachable(peer, false);
                    self.show_reachable();
                }
            }
            Event::Found { peer, address } => self.peers.handle_found(peer, address),
            Event::Outputs(outputs) => {
                for output in outputs {
                    self.handle_output(output);
                }
            }
            Event::Stop => {
                tracing::info!("stopping: requests under way are finished, new ones refused");
                self.turn.draining = true;
                self.health.drain();
            }
        }
    }

    fn handle_timeouts(&mut self) {
        let now = self.clock.now();
        let due = |timeout: Option<Time>| timeout.is_some_and(|timeout| timeout <= now.time);
        if due(self.coordinator.poll_timeout()) {
            let hedged = self.coordinator.hedged();
            self.coordinator.handle_timeout(now);
            let hedges = self.coordinator.hedged() - hedged;
            self.metrics.hedges.inc_by(hedges);
        }
        if due(self.exchange.poll_timeout()) {
            self.exchange.handle_timeout(now);
            self.health
                .set_duplicate(self.exchange.alarm(now).is_some());
        }
        self.handle_members_timeout(now.time);
        self.finish_statuses(now.time);
        self.finish_creations(now.time);
    }

    fn poll_timeout(&self) -> Option<Time> {
        let machines = [
            self.coordinator.poll_timeout(),
            self.exchange.poll_timeout(),
            self.members_timeout(),
        ];
        let statuses = self
            .turn
            .gatherings
            .values()
            .map(|gathering| gathering.deadline);
        let others = statuses.chain(self.creations_due());
        machines.into_iter().flatten().chain(others).min()
    }

    /// Carries out what the machines want until they want nothing more, then hands the inputs of
    /// this turn over to the committer.
    fn drain(&mut self) {
        loop {
            self.drain_exchange();
            self.drain_gossip();
            while let Some(effect) = self.coordinator.poll_effect() {
                match effect {
                    Effect::Submit(input) => self.submit(input),
                    Effect::Call {
                        to,
                        call,
                        request,
                        until,
                    } => self.call_for_order((to, call), request, until),
                    Effect::Finished { ticket, outcome } => self.finish(ticket, outcome),
                }
            }
            let fetched = &self.metrics.bodies.fetched;
            fetched.inc_by(self.coordinator.fetched().saturating_sub(fetched.get()));
            let queued = std::mem::take(&mut self.turn.queued);
            let refused = self.hand_over(queued);
            if refused.is_empty() {
                return;
            }
            for output in refused {
                self.handle_output(output);
            }
        }
    }

    /// Whether nobody waits for anything.
    fn is_idle(&self) -> bool {
        let turn = &self.turn;
        turn.orders.is_empty()
            && turn.requests.is_empty()
            && turn.gatherings.is_empty()
            && turn.creations.is_empty()
    }

    fn number(&mut self) -> u64 {
        self.turn.next_number += 1;
        self.turn.next_number
    }

    fn show_reachable(&self) {
        let reachable = self.peers.reachable();
        self.seeds.set_isolated(reachable == 0);
        let reachable = i64::try_from(reachable).unwrap_or(i64::MAX);
        self.metrics.peers_reachable.set(reachable);
    }
}

/// Events of one turn. More would make the first answers wait for the last requests.
const MOST_EVENTS: usize = 256;
/// How long a new bucket waits for its holders: within the first try of a client.
const BUCKETS_WITHIN: Duration = Duration::from_millis(1_500);
/// How long a status waits for peers' reports.
const REPORTS_WITHIN: Duration = Duration::from_millis(500);
