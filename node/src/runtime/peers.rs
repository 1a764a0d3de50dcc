//! Connections to the other nodes: one to each, dialled by this node and kept up, for its own
//! calls. The peer's calls come on the connection that the peer dialled.
//!
//! A task for each peer dials its addresses in turn, waits until the connection ends, and dials
//! again after a pause that doubles from 50 ms to 2 s, with jitter; a peer that connects here is
//! dialled at once. Calls on a lost connection, or without one, are answered with nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::envelope::Asked;
use super::event::{Caller, Event};
use ring::gossip::Carriage;
use ring::{Address, ClusterId, MemberMap, MemberState, NodeId};
use starling::transport::{Alpn, CloseCode, Connection, Endpoint, Expect, TransportError};

/// All peers of a node.
#[derive(Debug)]
pub(crate) struct Peers {
    dialler: Dialler,
    peers: BTreeMap<NodeId, Peer>,
    /// Seeds that have answered and are no known members yet: they are connected to all the same,
    /// and asked for all members then.
    found: BTreeSet<NodeId>,
}

/// What dialling takes.
#[derive(Clone, Debug)]
pub(crate) struct Dialler {
    /// The node's socket.
    pub(crate) endpoint: Arc<Endpoint>,
    /// Where to say what happens.
    pub(crate) inbox: mpsc::UnboundedSender<Event>,
    /// The cluster that peers must prove.
    pub(crate) cluster: ClusterId,
    /// This node.
    pub(crate) node: NodeId,
}

#[derive(Debug)]
struct Peer {
    addresses: watch::Sender<Vec<Address>>,
    /// Dial now.
    kick: Arc<Notify>,
    task: JoinHandle<()>,
    connection: Option<Connection>,
    /// Why there is no connection.
    note: String,
    /// The process that said hello last.
    instance: Option<u64>,
}

impl Peers {
    /// Nobody yet.
    pub(crate) fn new(dialler: Dialler) -> Self {
        Self {
            dialler,
            peers: BTreeMap::new(),
            found: BTreeSet::new(),
        }
    }

    /// Keeps connections to all members but the removed ones.
    pub(crate) fn set_members(&mut self, members: &MemberMap) {
        let here = self.dialler.node;
        let wanted = |id: NodeId| {
            members
                .member(id)
                .filter(|member| member.state != MemberState::Removed && id != here)
        };
        self.found.retain(|&id| members.member(id).is_none());
        let found = &self.found;
        self.peers
            .retain(|&id, _| wanted(id).is_some() || found.contains(&id));
        for member in members.iter().filter_map(|member| wanted(member.id)) {
            match self.peers.get(&member.id) {
                Some(peer) => {
                    let differs = |known: &mut Vec<Address>| {
                        let differs = *known != member.addresses;
                        known.clone_from(&member.addresses);
                        differs
                    };
                    peer.addresses.send_if_modified(differs);
                }
                None => {
                    let peer = self.dialler.keep(member.id, member.addresses.clone());
                    self.peers.insert(member.id, peer);
                }
            }
        }
    }

    /// Asks a peer. Its reply, or that there is none, comes as [`Event::Reply`].
    pub(crate) fn call(&self, to: NodeId, asked: &Asked, caller: Caller) {
        let inbox = self.dialler.inbox.clone();
        let reply = move |frame| {
            // Without a loop nobody waits for it.
            inbox
                .send(Event::Reply {
                    caller,
                    from: to,
                    frame,
                })
                .ok();
        };
        let connection = self
            .peers
            .get(&to)
            .and_then(|peer| peer.connection.as_ref());
        match (connection, asked.encode()) {
            (Some(connection), Ok(frame)) => {
                connection.submit(frame, move |outcome| reply(outcome.ok()));
            }
            (None, Ok(_)) => reply(None),
            (_, Err(error)) => {
                tracing::error!(%error, "a request could not be encoded");
                reply(None);
            }
        }
    }

    /// Sends a message of gossip, by datagram if it may and fits into one. Gives whether it is on
    /// its way; gossip does not mind.
    pub(crate) fn say(&self, to: NodeId, bytes: Vec<u8>, carriage: Carriage) -> bool {
        let Some(connection) = self.connection(to) else {
            return false;
        };
        let bytes = Bytes::from(bytes);
        if carriage == Carriage::Datagram {
            match connection.send_datagram(bytes.clone()) {
                Ok(()) => return true,
                // A young connection does not know yet how much its path carries.
                Err(TransportError::FrameTooLarge { .. }) => {}
                Err(_) => return false,
            }
        }
        let frame = Asked::Gossip(bytes).encode();
        frame.is_ok_and(|frame| connection.notify(frame).is_ok())
    }

    /// A seed has answered under this address.
    pub(crate) fn handle_found(&mut self, id: NodeId, address: Address) {
        self.found.insert(id);
        match self.peers.get(&id) {
            Some(peer) => peer.addresses.send_modify(|known| {
                known.retain(|known| *known != address);
                known.insert(0, address);
            }),
            None => {
                let peer = self.dialler.keep(id, vec![address]);
                self.peers.insert(id, peer);
            }
        }
    }

    /// The connection of a peer is up. Gives whether it is a seed that is no known member yet.
    pub(crate) fn handle_reachable(&mut self, id: NodeId, connection: Connection) -> bool {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.connection = Some(connection);
            peer.note.clear();
        }
        self.found.contains(&id)
    }

    /// There is no connection to a peer. True if there was one.
    pub(crate) fn handle_unreachable(&mut self, id: NodeId, reason: String) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else {
            return false;
        };
        peer.note = reason;
        peer.connection.take().is_some()
    }

    /// A process says hello for a peer. If it is another one than before, the connection leads to
    /// one that has ended: QUIC would take seconds to find out.
    pub(crate) fn handle_hello(&mut self, id: NodeId, instance: u64) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let earlier = peer.instance.replace(instance);
        if let (Some(earlier), Some(connection)) = (earlier, &peer.connection)
            && earlier != instance
        {
            connection.close(CloseCode::SHUTDOWN, "the node was started anew");
        }
        peer.kick.notify_one();
    }

    /// How many peers there are whose calls have a connection.
    pub(crate) fn reachable(&self) -> usize {
        self.peers
            .values()
            .filter(|peer| peer.connection.is_some())
            .count()
    }

    /// The connection to a peer, if there is one.
    pub(crate) fn connection(&self, id: NodeId) -> Option<&Connection> {
        self.peers.get(&id)?.connection.as_ref()
    }

    /// Why a peer has no connection; empty if it has.
    pub(crate) fn note(&self, id: NodeId) -> &str {
        self.peers
            .get(&id)
            .map_or("not dialled yet", |peer| &peer.note)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Dialler {
    /// Keeps a connection to a peer from now on.
    fn keep(&self, id: NodeId, addresses: Vec<Address>) -> Peer {
        let (addresses, known) = watch::channel(addresses);
        let kick = Arc::new(Notify::new());
        let task = tokio::spawn(self.clone().keep_connected(id, known, Arc::clone(&kick)));
        let note = "not connected yet".to_owned();
        Peer {
            addresses,
            kick,
            task,
            connection: None,
            note,
            instance: None,
        }
    }

    async fn keep_connected(
        self,
        id: NodeId,
        mut addresses: watch::Receiver<Vec<Address>>,
        kick: Arc<Notify>,
    ) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let known = addresses.borrow_and_update().clone();
            let dialled = tokio::select! {
                biased;
                dialled = self.dial(id, &known) => dialled,
                // Whoever has moved is not waited for where it was.
                Ok(()) = addresses.changed() => {
                    pause = SHORTEST_PAUSE;
                    continue;
                }
            };
            let reason = match dialled {
                Ok(connection) => {
                    let up = Event::Reachable {
                        peer: id,
                        connection: connection.clone(),
                    };
                    if self.inbox.send(up).is_err() {
                        return;
                    }
                    pause = SHORTEST_PAUSE;
                    connection.closed().await.to_string()
                }
                Err(reason) => reason,
            };
            tracing::debug!(peer = %id, %reason, "no connection to a peer");
            if self
                .inbox
                .send(Event::Unreachable { peer: id, reason })
                .is_err()
            {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)) => {}
                () = kick.notified() => {}
                changed = addresses.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Tries the addresses in turn; says why the last one did not do.
    async fn dial(&self, id: NodeId, addresses: &[Address]) -> Result<Connection, String> {
        let mut reason = "it has said no address".to_owned();
        let expect = Expect {
            cluster: self.cluster,
            node: Some(id),
        };
        for address in addresses {
            let socket = match resolve(address).await {
                Ok(socket) => socket,
                Err(error) => {
                    reason = error;
                    continue;
                }
            };
            match self
                .endpoint
                .connect(socket, Alpn::Peer, Some(expect))
                .await
            {
                Ok(connection) => return Ok(connection),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(reason)
    }
}

/// The socket address that a node's address stands for.
pub(crate) async fn resolve(address: &Address) -> Result<SocketAddr, String> {
    match tokio::net::lookup_host(address.as_str()).await {
        Ok(mut found) => found
            .next()
            .ok_or_else(|| format!("{address} has no IP address")),
        Err(error) => Err(format!("{address} cannot be resolved: {error}")),
    }
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
