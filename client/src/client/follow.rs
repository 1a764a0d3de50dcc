//! Following the cluster: the map is asked for when something hints at a change, and every
//! [`EVERY`]; avoided nodes are probed.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use bytes::BytesMut;

use super::Shared;
use super::connections::NotConnected;
use super::race::first;
use crate::error::{Error, ErrorKind};
use crate::retry::Cause;
use crate::routing::ClusterMap;
use crate::transport::Connection;
use crate::wire::{self, Request, Response};
use ring::{ClusterId, NodeId};

/// A question for the map that is under way.
type Asked = Pin<Box<dyn Future<Output = Result<ClusterMap, NotConnected>> + Send>>;

impl Shared {
    /// Refreshes the map unless that has just been done, by whichever call came first.
    pub(super) async fn refresh_soon(self: &Arc<Self>, hint: Option<NodeId>) {
        let now = self.clock.now();
        {
            let mut refreshed = self
                .refreshed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if refreshed.is_some_and(|then| now.saturating_sub(then) < AT_MOST_EVERY) {
                return;
            }
            *refreshed = Some(now);
        }
        if let Err(error) = self.refresh_now(hint).await {
            tracing::debug!(%error, "the map of the cluster stays as it is");
        }
    }

    /// Asks nodes for the map until one answers: the one that hinted at a change, then those in
    /// good health, then the others, and at last the seeds.
    pub(super) async fn refresh_now(self: &Arc<Self>, hint: Option<NodeId>) -> Result<(), Error> {
        let map = self.map();
        let mut nodes: Vec<NodeId> = map.nodes().map(|info| info.node).collect();
        self.health().order(&mut nodes);
        nodes.sort_by_key(|node| Some(*node) != hint);
        let of_nodes = nodes.into_iter().map(|node| {
            let shared = Arc::clone(self);
            let asked: Asked = Box::pin(async move { shared.ask_map(node).await });
            asked
        });
        let of_seeds = self.seeds.iter().map(|seed| {
            let (shared, seed, cluster) = (Arc::clone(self), seed.clone(), map.cluster());
            let asked: Asked = Box::pin(async move {
                let dialled = shared.connections.dial_seed(&seed, Some(cluster)).await?;
                fetch_map(&dialled.1, Some(cluster)).await
            });
            asked
        });
        let asked: Vec<_> = of_nodes.chain(of_seeds).collect();
        match first(asked).await {
            Ok(fresh) => {
                self.change_map(|map| map.joined(fresh));
                Ok(())
            }
            Err(errors) => {
                let reasons: Vec<_> = errors.into_iter().map(|error| error.message).collect();
                Err(Error::local(ErrorKind::Unreachable, reasons.join("; ")))
            }
        }
    }

    /// Stops sending calls to a node while there are others, and begins to probe it.
    pub(super) fn avoid(self: &Arc<Self>, node: NodeId) {
        let Some(pause) = self.health().handle_failure(node) else {
            return;
        };
        tokio::spawn(probe(Arc::downgrade(self), node, pause));
        let shared = Arc::clone(self);
        tokio::spawn(async move { shared.refresh_soon(None).await });
    }

    async fn ask_map(self: &Arc<Self>, node: NodeId) -> Result<ClusterMap, NotConnected> {
        let map = self.map();
        let addresses = map.node(node).map_or(&[][..], |info| &info.addresses);
        let cluster = map.cluster();
        let connection = self
            .connections
            .connection(cluster, node, addresses, PATIENCE)
            .await?;
        fetch_map(&connection, Some(cluster)).await
    }
}

/// Asks for the map on one connection.
pub(super) async fn fetch_map(
    connection: &Connection,
    cluster: Option<ClusterId>,
) -> Result<ClusterMap, NotConnected> {
    let failed = |cause, message: String| NotConnected { cause, message };
    let mut body = BytesMut::new();
    wire::encode(&Request::Topology, &mut body)
        .map_err(|error| failed(Cause::TooLarge, error.to_string()))?;
    let reply = connection
        .call(body.freeze(), PATIENCE)
        .await
        .map_err(|error| failed(Cause::of(&error), error.to_string()))?;
    let topology = match wire::decode(&reply) {
        Ok(Response::Topology(topology)) => topology,
        Ok(Response::Failed(failure)) => {
            return Err(failed(Cause::Failed(failure.kind), failure.message));
        }
        Ok(_) => return Err(failed(Cause::Unreadable, NO_MAP.to_owned())),
        Err(error) => return Err(failed(Cause::Unreadable, error.to_string())),
    };
    let map = ClusterMap::from_topology(topology)
        .map_err(|error| failed(Cause::Unreadable, format!("{NO_MAP}: {}", error.reason)))?;
    match cluster {
        Some(cluster) if cluster != map.cluster() => Err(failed(
            Cause::Denied,
            format!(
                "the node is of cluster {}; nothing was sent: check the address",
                map.cluster()
            ),
        )),
        _ => Ok(map),
    }
}

/// The task that refreshes the map from time to time, for as long as the client exists.
pub(super) async fn follow(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        shared.refresh_soon(None).await;
    }
}

/// The task that probes an avoided node until it answers.
async fn probe(shared: Weak<Shared>, node: NodeId, mut pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let succeeded = match shared.ask_map(node).await {
            Ok(fresh) => {
                shared.change_map(|map| map.joined(fresh));
                true
            }
            Err(error) => {
                tracing::debug!(%node, reason = error.message, "a probe failed");
                shared.connections.forget(node);
                false
            }
        };
        match shared.health().handle_probe(node, succeeded) {
            Some(next) => pause = next,
            None => return,
        }
    }
}

const NO_MAP: &str =
    "the node's answer is no map of a cluster; nothing was sent: check its version";
/// How often the map is asked for without a reason.
const EVERY: Duration = Duration::from_secs(10);
/// How often it is asked for at most, with many reasons.
const AT_MOST_EVERY: Duration = Duration::from_millis(100);
/// How long one node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
