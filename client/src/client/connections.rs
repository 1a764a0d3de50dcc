//! One connection per node, made when first needed and made again after it was lost.
//!
//! Dialling happens on a task of its own, which goes on when the caller that wanted the connection
//! stops waiting: the next one finds it done, or further along. There is at most one per node.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::retry::Cause;
use crate::transport::{
    Alpn, CloseCode, Connection, Endpoint, EndpointConfig, Expect, TransportError,
};
use ring::{ClusterId, NodeId};

/// The connections of one client.
#[derive(Debug)]
pub(super) struct Connections {
    config: EndpointConfig,
    endpoints: Mutex<Endpoints>,
    nodes: Mutex<BTreeMap<NodeId, watch::Receiver<State>>>,
}

#[derive(Debug, Default)]
struct Endpoints {
    v4: Option<Arc<Endpoint>>,
    v6: Option<Arc<Endpoint>>,
    is_closed: bool,
}

#[derive(Debug, Clone)]
enum State {
    Dialling,
    Ready(Connection),
    Failed(NotConnected),
}

/// Why there is no connection. Nothing was sent.
#[derive(Debug, Clone)]
pub(crate) struct NotConnected {
    pub(crate) cause: Cause,
    pub(crate) message: String,
}

impl Connections {
    pub(super) fn new(config: EndpointConfig) -> Self {
        Self {
            config,
            endpoints: Mutex::default(),
            nodes: Mutex::default(),
        }
    }

    /// The connection to a node, which is dialled if there is none.
    pub(super) async fn connection(
        self: &Arc<Self>,
        cluster: ClusterId,
        node: NodeId,
        addresses: &[String],
        wait: Duration,
    ) -> Result<Connection, NotConnected> {
        let mut state = match self.ready_or_dialling(cluster, node, addresses) {
            Ok(connection) => return Ok(connection),
            Err(state) => state,
        };
        let settled = state.wait_for(|state| !matches!(state, State::Dialling));
        match tokio::time::timeout(wait, settled).await {
            Ok(Ok(state)) => match &*state {
                State::Ready(connection) => Ok(connection.clone()),
                State::Failed(error) => Err(error.clone()),
                State::Dialling => Err(NotConnected::interrupted(node)),
            },
            Ok(Err(_)) => Err(NotConnected::interrupted(node)),
            Err(_) => Err(NotConnected {
                cause: Cause::Unreachable,
                message: format!(
                    "no connection to node {node} within {} ms; nothing was sent: check that it \
                     is running",
                    wait.as_millis()
                ),
            }),
        }
    }

    /// Connects to whoever answers at an address, as a client does that knows only its seeds.
    pub(super) async fn dial_seed(
        &self,
        seed: &str,
        cluster: Option<ClusterId>,
    ) -> Result<(NodeId, Connection), NotConnected> {
        let expect = cluster.map(|cluster| Expect {
            cluster,
            node: None,
        });
        let connection = self.dial(seed, expect).await?;
        match connection.peer().and_then(|peer| peer.node()) {
            Some(node) => {
                let (_, receiver) = watch::channel(State::Ready(connection.clone()));
                self.nodes().insert(node, receiver);
                Ok((node, connection))
            }
            None => Err(NotConnected {
                cause: Cause::Denied,
                message: format!("{seed} is no node; nothing was sent: check the seeds"),
            }),
        }
    }

    /// Dials again at the next opportunity. Calls under way keep the old connection until they end.
    ///
    /// A node that was killed and started again does not know its old connections, and their loss
    /// is noticed only after the idle timeout; a new one works at once.
    pub(super) fn forget(&self, node: NodeId) {
        let mut nodes = self.nodes();
        let is_settled = |state: &State| !matches!(state, State::Dialling);
        if nodes
            .get(&node)
            .is_some_and(|state| is_settled(&state.borrow()))
        {
            nodes.remove(&node);
        }
    }

    /// Closes all connections, and makes no others.
    pub(super) async fn close(&self) {
        let closed = Endpoints {
            is_closed: true,
            ..Endpoints::default()
        };
        let endpoints = std::mem::replace(&mut *self.endpoints(), closed);
        for endpoint in [endpoints.v4, endpoints.v6].into_iter().flatten() {
            endpoint
                .close(CloseCode::SHUTDOWN, "the client stops")
                .await;
        }
    }

    fn ready_or_dialling(
        self: &Arc<Self>,
        cluster: ClusterId,
        node: NodeId,
        addresses: &[String],
    ) -> Result<Connection, watch::Receiver<State>> {
        let mut nodes = self.nodes();
        if let Some(receiver) = nodes.get(&node) {
            match &*receiver.borrow() {
                State::Ready(connection) if !connection.is_closed() => {
                    return Ok(connection.clone());
                }
                State::Dialling if receiver.has_changed().is_ok() => return Err(receiver.clone()),
                State::Ready(_) | State::Failed(_) | State::Dialling => {}
            }
        }
        let (sender, receiver) = watch::channel(State::Dialling);
        nodes.insert(node, receiver.clone());
        drop(nodes);
        let (connections, addresses) = (Arc::downgrade(self), addresses.to_vec());
        tokio::spawn(async move {
            let expect = Expect {
                cluster,
                node: Some(node),
            };
            let Some(connections) = connections.upgrade() else {
                return;
            };
            let dialled = connections.dial_all(node, &addresses, expect).await;
            sender.send_replace(dialled.map_or_else(State::Failed, State::Ready));
        });
        Err(receiver)
    }

    async fn dial_all(
        &self,
        node: NodeId,
        addresses: &[String],
        expect: Expect,
    ) -> Result<Connection, NotConnected> {
        let mut outcome = Err(NotConnected {
            cause: Cause::Unreachable,
            message: format!("node {node} has no known address; nothing was sent: try later"),
        });
        for address in addresses {
            outcome = self.dial(address, Some(expect)).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn dial(
        &self,
        address: &str,
        expect: Option<Expect>,
    ) -> Result<Connection, NotConnected> {
        let unknown = |reason: String| NotConnected {
            cause: Cause::Unreachable,
            message: format!(
                "{address} cannot be resolved ({reason}); nothing was sent: check the name"
            ),
        };
        let resolved = tokio::net::lookup_host(address)
            .await
            .map_err(|error| unknown(error.to_string()))?;
        let mut outcome = Err(unknown("it has no address".to_owned()));
        for socket in resolved {
            outcome = self
                .dial_socket(socket, expect)
                .await
                .map_err(|error| NotConnected {
                    cause: Cause::of(&error),
                    message: format!("{address}: {error}"),
                });
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn dial_socket(
        &self,
        address: SocketAddr,
        expect: Option<Expect>,
    ) -> Result<Connection, TransportError> {
        let endpoint = self.endpoint(address)?;
        endpoint.connect(address, Alpn::Client, expect).await
    }

    /// The endpoint that can reach an address of this family.
    fn endpoint(&self, address: SocketAddr) -> Result<Arc<Endpoint>, TransportError> {
        let mut endpoints = self.endpoints();
        if endpoints.is_closed {
            return Err(TransportError::Closed {
                reason: "the client was closed".to_owned(),
            });
        }
        let (slot, any) = match address {
            SocketAddr::V4(_) => (&mut endpoints.v4, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
            SocketAddr::V6(_) => (&mut endpoints.v6, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
        };
        if let Some(endpoint) = slot {
            return Ok(Arc::clone(endpoint));
        }
        let endpoint = Arc::new(Endpoint::bind(
            SocketAddr::new(any, 0),
            self.config.clone(),
        )?);
        Ok(Arc::clone(slot.insert(endpoint)))
    }

    /// Nothing panics while a lock is held, so poisoned contents are as good as any.
    fn nodes(&self) -> MutexGuard<'_, BTreeMap<NodeId, watch::Receiver<State>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn endpoints(&self) -> MutexGuard<'_, Endpoints> {
        self.endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl NotConnected {
    fn interrupted(node: NodeId) -> Self {
        Self {
            cause: Cause::Unreachable,
            message: format!("connecting to node {node} was interrupted; nothing was sent: retry"),
        }
    }
}
