//! Spreading what a cluster has agreed on: who is asked next, digest first, then the state.
//!
//! Every five seconds one peer is asked, in turn, and whoever did not answer last time; after a
//! change here, all that can be reached at once, so that a new bucket is known everywhere within a
//! round trip. Joining makes it indifferent what is lost, late or repeated.
//!
//! The member records in the state are none of its business: [`Gossip`](ring::gossip::Gossip) alone
//! spreads them, and speaks for its own node. They travel with the state for a node that has none
//! yet and must know whom to turn to, and they are kept with it in the data directory; the digest
//! leaves them out.
//!
//! ```text
//!   A                                B
//!   |-- Hello ---------------------->|   once per connection
//!   |<- Welcome ---------------------|
//!   |-- Exchange(digest of A) ------>|   equal: Same, and that was all
//!   |<- State(B) --------------------|   A joins; if A still knows more than B:
//!   |-- Exchange(State(A)) --------->|   B joins
//!   |<- Joined ----------------------|
//! ```

mod answer;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use serde_bytes::ByteBuf;

use super::buckets::{BucketError, BucketProperties, BucketRecord, BucketStamp, Creation};
use super::lives::{Alarm, Lives};
use super::messages::{ClusterRefusal, ClusterReply, ClusterRequest, Hello, Offer};
use super::state::{Changed, ClusterState, StateError};
use crate::protocol::time::{Moment, Time};
use ring::{MemberMap, NodeId};

/// How often.
#[derive(Debug, Clone)]
pub struct ExchangeConfig {
    /// Between two rounds, jittered by a quarter. Default 5 s. Each costs one small message while
    /// nothing changes.
    pub every: Duration,
}

impl Default for ExchangeConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5),
        }
    }
}

/// A request to a peer. The shell gives its reply to [`Exchange::handle_reply`], one at a time for
/// each peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Whom to ask.
    pub to: NodeId,
    /// What.
    pub request: ClusterRequest,
}

/// What the shell should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The state changed: persist it, and tell whoever uses it.
    Changed(Changed),
    /// A node was found to run twice: this node or another one. Said once a round while it lasts.
    Alarmed(Alarm),
    /// A peer refused what this node said.
    Refused {
        /// Who.
        peer: NodeId,
        /// Why.
        refusal: ClusterRefusal,
    },
    /// What a peer said was refused here.
    Unusable {
        /// Who.
        peer: NodeId,
        /// Why.
        error: StateError,
    },
}

/// Keeps this node's state equal to its peers'. Feed it with `handle_*`, then drain every `poll_*`.
#[derive(Debug)]
pub struct Exchange {
    here: Hello,
    config: ExchangeConfig,
    random: fastrand::Rng,
    state: Option<Known>,
    peers: BTreeMap<NodeId, Peer>,
    asked_last: NodeId,
    next_round: Time,
    lives: Lives,
    alarm_until: Time,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

/// The state, its canonical bytes, and the digest of all but its members.
#[derive(Debug)]
struct Known {
    state: ClusterState,
    bytes: Vec<u8>,
    digest: u64,
}

/// A peer that can be reached.
#[derive(Debug, Default)]
struct Peer {
    greeted: bool,
    asking: bool,
    /// Something changed here since it was asked.
    due: bool,
}

impl Exchange {
    /// The exchange of one process, which begins with the state in its data directory, if any.
    ///
    /// # Errors
    /// When the state is of another cluster or too large.
    pub fn new(
        now: Moment,
        here: Hello,
        state: Option<ClusterState>,
        seed: u64,
        config: ExchangeConfig,
    ) -> Result<Self, StateError> {
        let state = state.map(|state| Known::of(state, here)).transpose()?;
        Ok(Self {
            here,
            config,
            random: fastrand::Rng::with_seed(seed),
            state,
            peers: BTreeMap::new(),
            asked_last: here.node,
            next_round: now.time,
            lives: Lives::default(),
            alarm_until: Time::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    /// What gossip knows of the members by now, to be kept and sent along with the state. Nobody is
    /// told because of it. Does nothing before there is a state.
    pub fn set_members(&mut self, members: &MemberMap) {
        let Some(known) = &self.state else { return };
        let state = ClusterState {
            members: members.clone(),
            ..known.state.clone()
        };
        match Known::of(state, self.here) {
            Ok(known) => self.state = Some(known),
            Err(error) => self.events.push_back(Event::Unusable {
                peer: self.here.node,
                error,
            }),
        }
    }

    /// A process of a peer was heard in another way than by its requests and replies.
    pub fn handle_heard(&mut self, now: Moment, peer: NodeId, instance: u64) {
        self.lives.heard(now.time, peer, instance);
    }

    /// Makes a bucket, or confirms one with the same properties.
    ///
    /// # Errors
    /// As for [`Buckets::create`](super::Buckets::create), before the node belongs to a cluster,
    /// and when the state would be too large.
    pub fn create_bucket(
        &mut self,
        now: Moment,
        name: &str,
        properties: BucketProperties,
    ) -> Result<(Creation, BucketRecord), BucketError> {
        let stamp = BucketStamp {
            wall_ms: now.wall_ms,
            node: self.here.node,
        };
        let known = self.state.as_ref().ok_or(BucketError::NotInitialised)?;
        let mut state = known.state.clone();
        let creation = state.buckets.create(name, properties, stamp)?;
        let record = state
            .buckets
            .of_name(name)
            .ok_or(BucketError::Malformed)?
            .clone();
        if creation == Creation::Created {
            let buckets = state.buckets.len();
            let grown = Known::of(state, self.here);
            self.state = Some(grown.map_err(|_too_large| BucketError::Full { buckets })?);
            self.handle_changed(
                now,
                Changed {
                    buckets: true,
                    ..Changed::default()
                },
            );
        }
        Ok((creation, record))
    }

    /// A peer can be reached (over a new connection), or no longer.
    pub fn handle_reachable(&mut self, now: Moment, peer: NodeId, reachable: bool) {
        self.peers.remove(&peer);
        if reachable && peer != self.here.node {
            self.peers.insert(
                peer,
                Peer {
                    due: true,
                    ..Peer::default()
                },
            );
            self.ask(peer);
            self.next_round = self.next_round.max(now.time);
        }
    }

    /// A peer's reply to a [`Transmit`]; `None` if it could not be had.
    pub fn handle_reply(&mut self, now: Moment, from: NodeId, reply: Option<ClusterReply>) {
        let go_on = match reply {
            Some(ClusterReply::Welcome { instance, .. }) => {
                self.heard(now, from, instance);
                self.peers.get_mut(&from).is_some_and(|peer| {
                    peer.greeted = true;
                    peer.due
                })
            }
            Some(ClusterReply::State(bytes)) => {
                // Meanwhile the peer counts as being asked, so a change here only marks it as due.
                let theirs = self.take_in(now, from, &bytes);
                let ours = self.state.as_ref().map(|known| known.digest);
                if theirs.is_some() && ours != theirs {
                    return self.offer_state(from);
                }
                false
            }
            Some(ClusterReply::Blank) if self.state.is_some() => return self.offer_state(from),
            Some(ClusterReply::Refused(refusal)) => {
                if refusal == ClusterRefusal::DuplicateNode {
                    self.raise_alarm(now);
                }
                self.events.push_back(Event::Refused {
                    peer: from,
                    refusal,
                });
                // Asked again with its next round, not at once.
                false
            }
            Some(
                ClusterReply::Same
                | ClusterReply::Joined
                | ClusterReply::Blank
                | ClusterReply::Initialised { .. },
            ) => self.peers.get(&from).is_some_and(|peer| peer.due),
            None => {
                // Lost: not waiting for the peer's turn, but asked again with the next round.
                self.peers.entry(from).and_modify(|peer| peer.due = true);
                false
            }
        };
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.asking = false;
        }
        if go_on {
            self.ask(from);
        }
    }

    /// The time that [`Exchange::poll_timeout`] named has come: another round.
    pub fn handle_timeout(&mut self, now: Moment) {
        if now.time < self.next_round {
            return;
        }
        self.next_round = now
            .time
            .after(jittered(self.config.every, &mut self.random));
        let after = self.peers.range((Excluded(self.asked_last), Unbounded));
        let next = after.map(|(&peer, _)| peer).next();
        let next = next.or_else(|| self.peers.keys().next().copied());
        self.asked_last = next.unwrap_or(self.asked_last);
        let due = self.peers.iter().filter(|(_, peer)| peer.due);
        let due: Vec<NodeId> = due.map(|(&peer, _)| peer).collect();
        due.into_iter().chain(next).for_each(|peer| self.ask(peer));
    }

    /// Whom to ask what.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Exchange::handle_timeout`]; never while no peer can be reached.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        (!self.peers.is_empty()).then_some(self.next_round)
    }

    /// What this node knows; `None` before it belongs to a cluster.
    #[must_use]
    pub fn state(&self) -> Option<&ClusterState> {
        self.state.as_ref().map(|known| &known.state)
    }

    /// The state's canonical bytes, for the data directory.
    #[must_use]
    pub fn encoded_state(&self) -> Option<&[u8]> {
        self.state.as_ref().map(|known| &known.bytes[..])
    }

    /// Whether this node must not coordinate because another live process has its id. The alarm
    /// ends ten seconds after the last peer has said so.
    #[must_use]
    pub fn alarm(&self, now: Moment) -> Option<Alarm> {
        let node = self.here.node;
        (now.time < self.alarm_until).then_some(Alarm::DuplicateNode { node })
    }

    /// Asks a peer the next thing, unless it is being asked.
    fn ask(&mut self, to: NodeId) {
        let Some(peer) = self.peers.get_mut(&to) else {
            return;
        };
        let request = if peer.greeted {
            // The digest of no state is none that a state has, so whoever has one sends it.
            let offer = Offer::Digest(self.state.as_ref().map_or(0, |known| known.digest));
            ClusterRequest::Exchange {
                instance: self.here.instance,
                offer,
            }
        } else {
            ClusterRequest::Hello(self.here)
        };
        if !peer.asking {
            peer.asking = true;
            peer.due = !peer.greeted;
            self.transmits.push_back(Transmit { to, request });
        }
    }

    fn offer_state(&mut self, to: NodeId) {
        let (Some(peer), Some(known)) = (self.peers.get_mut(&to), &self.state) else {
            return;
        };
        peer.asking = true;
        peer.due = false;
        let offer = Offer::State(ByteBuf::from(known.bytes.clone()));
        let request = ClusterRequest::Exchange {
            instance: self.here.instance,
            offer,
        };
        self.transmits.push_back(Transmit { to, request });
    }

    /// Tells all peers as soon as each can be asked.
    fn tell_all(&mut self, now: Moment) {
        self.next_round = now
            .time
            .after(jittered(self.config.every, &mut self.random));
        let peers: Vec<NodeId> = self.peers.keys().copied().collect();
        for peer in peers {
            if let Some(peer) = self.peers.get_mut(&peer) {
                peer.due = true;
            }
            self.ask(peer);
        }
    }
}

fn jittered(every: Duration, random: &mut fastrand::Rng) -> Duration {
    every.mul_f64(0.75 + random.f64() / 2.0)
}
