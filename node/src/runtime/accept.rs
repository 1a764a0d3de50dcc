//! Connections of clients and peers: what they send becomes events.
//!
//! A task for each connection waits for its end; nothing else of it lives here. When the node
//! stops, newcomers are not taken any more, and what is queued for the connected ones is delivered.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::clock::Clock;
use super::envelope::Asked;
use super::event::Event;
use super::words::{Ears, Word};
use crate::admin::Metrics;
use crate::protocol::cluster::ClusterRequest;
use ring::NodeId;
use starling::transport::{Alpn, CloseCode, Connection, Endpoint, Incoming};

/// How far a stopping node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closing {
    /// It is not stopping.
    No,
    /// Newcomers are not taken any more.
    Newcomers,
    /// Connections end when what is queued is delivered.
    All,
}

/// Takes connections until the node stops; returns when all have ended.
pub(crate) async fn accept_all(
    endpoint: Arc<Endpoint>,
    inbox: mpsc::UnboundedSender<Event>,
    ears: Ears,
    (metrics, clock): (Arc<Metrics>, Clock),
    mut closing: watch::Receiver<Closing>,
) {
    let mut connections = JoinSet::new();
    let held = closing.clone();
    loop {
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing > Closing::No) => break,
            Some(_) = connections.join_next() => {}
            connection = endpoint.accept() => {
                let Some(connection) = connection else { break };
                match (connection.alpn(), connection.peer().and_then(|peer| peer.node())) {
                    (Alpn::Client, _) => serve_client(&connection, &inbox, &metrics, &clock),
                    (Alpn::Peer, Some(node)) => {
                        serve_peer(&connection, node, &inbox, &ears, &clock);
                    }
                    (Alpn::Peer, None) => connection.close(CloseCode::NOT_A_NODE, "not a node"),
                }
                connections.spawn(hold(connection, Arc::clone(&metrics), held.clone()));
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Keeps a connection until it ends, or until it must.
async fn hold(
    connection: Connection,
    metrics: Arc<Metrics>,
    mut closing: watch::Receiver<Closing>,
) {
    let is_client = connection.alpn() == Alpn::Client;
    if is_client {
        metrics.client_connections.inc();
    }
    let must_end = tokio::select! {
        biased;
        _ = connection.closed() => false,
        // If the node is gone without a word, so is the connection.
        _ = closing.wait_for(|closing| *closing == Closing::All) => true,
    };
    if must_end {
        connection.shut_down(GOODBYE).await;
    }
    if is_client {
        metrics.client_connections.dec();
    }
}

fn serve_client(
    connection: &Connection,
    inbox: &mpsc::UnboundedSender<Event>,
    metrics: &Arc<Metrics>,
    clock: &Clock,
) {
    let principal = Arc::new(connection.peer().cloned());
    let (inbox, metrics, clock) = (inbox.clone(), Arc::clone(metrics), clock.clone());
    connection.serve(move |incoming| {
        if !incoming.reply.is_expected() {
            metrics.malformed_frames.inc();
            return;
        }
        // Without a loop the node is gone: the request is dropped, which its sender learns.
        inbox
            .send(Event::Client {
                principal: Arc::clone(&principal),
                arrived: clock.now(),
                incoming,
            })
            .ok();
    });
}

fn serve_peer(
    connection: &Connection,
    from: NodeId,
    inbox: &mpsc::UnboundedSender<Event>,
    ears: &Ears,
    clock: &Clock,
) {
    // The process that said hello, which must come first. Datagrams that overtake it are lost.
    let greeted: Arc<OnceLock<u64>> = Arc::default();
    let (listening, known) = (ears.clone(), Arc::clone(&greeted));
    connection.receive_datagrams(move |bytes| {
        if let Some(&instance) = known.get() {
            listening.hear(Word {
                from,
                instance,
                bytes,
            });
        }
    });
    let (inbox, ears, link) = (inbox.clone(), ears.clone(), connection.clone());
    let clock = clock.clone();
    connection.serve(move |incoming| {
        let Incoming { body, reply } = incoming;
        let asked = Asked::decode(&body);
        match (&asked, greeted.get()) {
            (Ok(Asked::Gossip(bytes)), Some(&instance)) => {
                let bytes = bytes.clone();
                return ears.hear(Word {
                    from,
                    instance,
                    bytes,
                });
            }
            (_, Some(_)) | (Ok(Asked::Cluster(ClusterRequest::Init(_))), None) => {}
            (Ok(Asked::Cluster(ClusterRequest::Hello(hello))), None) => {
                greeted.get_or_init(|| hello.instance);
            }
            (Ok(_) | Err(_), None) => {
                tracing::warn!(peer = %from, "a peer that did not say hello was sent away");
                return link.close(CloseCode::BAD_FRAME, "the first message must be a hello");
            }
        }
        let bytes = body.len();
        inbox
            .send(Event::Peer {
                from,
                arrived: clock.time(),
                asked,
                bytes,
                reply,
            })
            .ok();
    });
}

/// How long the last answers may take to be delivered.
const GOODBYE: Duration = Duration::from_secs(1);
