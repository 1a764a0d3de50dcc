//! The connections of a node without its loop, for whoever drives the machines by himself, such as
//! a simulation whose sockets are in memory. Peers are dialled, greeted and accepted, and messages
//! framed, by the code that serves the loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::accept::{Closing, accept_all};
use super::clock::Clock;
use super::envelope::{Answered, Asked};
use super::event::{Caller, Event};
use super::peers::{Dialler, Peers};
use super::shell::answer;
use super::start::connection_limits;
use super::words::{self, Word};
use crate::admin::Metrics;
use crate::protocol::cluster::{ClusterReply, ClusterRequest, Hello};
use crate::protocol::messages::{PeerReply, PeerRequest};
use ring::{Address, NodeId};
use starling::transport::{Endpoint, Limits, ReplyTo};

/// The connections of one process of a node. Dropping it drops them all.
#[derive(Debug)]
pub struct Carrier {
    here: Hello,
    peers: Peers,
    inbox: mpsc::UnboundedReceiver<Event>,
    /// Requests of peers that are not answered yet.
    requests: BTreeMap<u64, ReplyTo>,
    next_call: u64,
    accepting: JoinHandle<()>,
    /// While this is here, the node is not stopping.
    _closing: watch::Sender<Closing>,
    /// Nobody listens to gossip.
    _words: mpsc::Receiver<Word>,
}

/// What comes of it.
#[derive(Debug)]
pub enum Carried {
    /// A peer asks this node's replica.
    Asked {
        /// Which peer.
        from: NodeId,
        /// How to name the request in its [answer](Carrier::answer).
        call: u64,
        /// For how long the peer waits.
        left: Duration,
        /// What it asks.
        request: PeerRequest,
        /// The bytes of the frame.
        bytes: usize,
    },
    /// A call has ended, with a reply or without.
    Answered {
        /// Its name.
        call: u64,
        /// What the peer says, and the bytes of the frame.
        reply: Option<(PeerReply, usize)>,
    },
    /// A peer can be called from now on, or not any more.
    Reachable {
        /// Which.
        peer: NodeId,
        /// Whether it can.
        is_up: bool,
    },
}

impl Carrier {
    /// Accepts peers at the endpoint, and keeps connections to those of `peers`. Must run inside of
    /// a tokio runtime.
    #[must_use]
    pub fn start(endpoint: Endpoint, here: Hello, peers: Vec<(NodeId, Address)>) -> Self {
        let endpoint = Arc::new(endpoint);
        let (sender, inbox) = mpsc::unbounded_channel();
        let (closing, closed) = watch::channel(Closing::No);
        let metrics = Arc::new(Metrics::new());
        let (ears, words) = words::queue(Arc::clone(&metrics));
        let of_clients = (metrics, Clock::start());
        let accepting = accept_all(
            Arc::clone(&endpoint),
            sender.clone(),
            ears,
            of_clients,
            closed,
        );
        let mut kept = Peers::new(Dialler {
            endpoint,
            inbox: sender,
            cluster: here.cluster,
            node: here.node,
        });
        for (peer, address) in peers {
            kept.handle_found(peer, address);
        }
        Self {
            here,
            peers: kept,
            inbox,
            requests: BTreeMap::new(),
            next_call: 0,
            accepting: tokio::spawn(accepting),
            _closing: closing,
            _words: words,
        }
    }

    /// The bounds that a node sets its connections.
    #[must_use]
    pub fn limits() -> Limits {
        connection_limits()
    }

    /// Asks a peer; its answer, or that there is none, comes under the name of the call.
    pub fn ask(&self, to: NodeId, call: u64, left: Duration, request: PeerRequest) {
        let asked = Asked::Replica { left, request };
        self.peers.call(to, &asked, Caller::Replica(call));
    }

    /// Answers a peer. A request that is not known, or not any more, is let be.
    pub fn answer(&mut self, call: u64, reply: PeerReply) {
        if let Some(to) = self.requests.remove(&call) {
            answer(to, &Answered::Replica(reply));
        }
    }

    /// What has come next.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Carried> {
        loop {
            match self.inbox.poll_recv(context) {
                Poll::Ready(Some(event)) => {
                    if let Some(carried) = self.handle(event) {
                        return Poll::Ready(carried);
                    }
                }
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn handle(&mut self, event: Event) -> Option<Carried> {
        match event {
            Event::Peer {
                from,
                asked: Ok(asked),
                bytes,
                reply,
                ..
            } => self.handle_asked(from, asked, bytes, reply),
            Event::Reply {
                caller: Caller::Replica(call),
                frame,
                ..
            } => {
                let reply = frame.and_then(|frame| {
                    let reply = Answered::decode(&frame).ok()?.into_replica()?;
                    Some((reply, frame.len()))
                });
                Some(Carried::Answered { call, reply })
            }
            Event::Reachable { peer, connection } => {
                self.peers.handle_reachable(peer, connection);
                // The first message on a connection must be this.
                let hello = Asked::Cluster(ClusterRequest::Hello(self.here));
                self.peers.call(peer, &hello, Caller::Exchange);
                Some(Carried::Reachable { peer, is_up: true })
            }
            Event::Unreachable { peer, reason } => {
                let was_up = self.peers.handle_unreachable(peer, reason);
                was_up.then_some(Carried::Reachable { peer, is_up: false })
            }
            Event::Reply { .. }
            | Event::Peer { .. }
            | Event::Client { .. }
            | Event::Found { .. }
            | Event::Outputs(_)
            | Event::Stop => None,
        }
    }

    fn handle_asked(
        &mut self,
        from: NodeId,
        asked: Asked,
        bytes: usize,
        reply: ReplyTo,
    ) -> Option<Carried> {
        match asked {
            Asked::Replica { left, request } => {
                self.next_call += 1;
                let call = self.next_call;
                self.requests.insert(call, reply);
                Some(Carried::Asked {
                    from,
                    call,
                    left,
                    request,
                    bytes,
                })
            }
            Asked::Cluster(ClusterRequest::Hello(hello)) => {
                self.peers.handle_hello(from, hello.instance);
                let welcome = ClusterReply::Welcome {
                    instance: self.here.instance,
                    initialised: true,
                };
                answer(reply, &Answered::Cluster(welcome));
                None
            }
            Asked::Cluster(_) | Asked::Report | Asked::Gossip(_) => None,
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
