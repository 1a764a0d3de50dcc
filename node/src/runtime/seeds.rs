//! Looking for the cluster through its seeds, while this node reaches nobody.
//!
//! Seeds are for first contact, and for the case that every address which this node knew has
//! changed. One task resolves their names anew each time, so that a name may lead to whatever nodes
//! there are now, and dials what it finds. It rests for a second first and then twice as long each
//! time, up to about a minute, with jitter; and it does nothing while any peer can be reached.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::event::Event;
use super::peers::Dialler;
use ring::{Address, NodeId};
use starling::transport::{Alpn, Expect};

/// The task, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Seeds {
    is_isolated: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Seeds {
    /// Begins to look, if there are any seeds. Must run inside of a tokio runtime.
    pub(crate) fn start(dialler: Dialler, seeds: Vec<Address>) -> Self {
        let (is_isolated, watched) = watch::channel(true);
        let task = tokio::spawn(seek(dialler, seeds, watched));
        Self { is_isolated, task }
    }

    /// Whether this node reaches nobody.
    pub(crate) fn set_isolated(&self, is_isolated: bool) {
        self.is_isolated.send_replace(is_isolated);
    }
}

impl Drop for Seeds {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn seek(dialler: Dialler, mut seeds: Vec<Address>, mut isolated: watch::Receiver<bool>) {
    if seeds.is_empty() {
        return;
    }
    let mut rest = SHORTEST_REST;
    loop {
        if !*isolated.borrow_and_update() {
            rest = SHORTEST_REST;
        }
        if isolated.wait_for(|isolated| *isolated).await.is_err() {
            return;
        }
        // So that nodes which start together do not all turn to the first one.
        fastrand::shuffle(&mut seeds);
        if let Some((peer, address)) = find(&dialler, &seeds).await {
            tracing::info!(%peer, %address, "a seed has answered");
            if dialler.inbox.send(Event::Found { peer, address }).is_err() {
                return;
            }
        }
        tokio::time::sleep(rest.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        rest = (rest * 2).min(LONGEST_REST);
    }
}

/// The first seed that answers and is another node of this cluster.
async fn find(dialler: &Dialler, seeds: &[Address]) -> Option<(NodeId, Address)> {
    for seed in seeds {
        let sockets: Vec<SocketAddr> = match tokio::net::lookup_host(seed.as_str()).await {
            Ok(sockets) => sockets.collect(),
            Err(error) => {
                tracing::warn!(%seed, %error, "a seed's name cannot be resolved; trying again");
                continue;
            }
        };
        for socket in sockets {
            match ask(dialler, socket).await {
                Ok(node) if node == dialler.node => {}
                Ok(node) => {
                    // An address as text has all that its socket has.
                    let address = Address::new(socket.to_string()).ok();
                    return address.map(|address| (node, address));
                }
                Err(reason) => tracing::info!(%seed, %socket, reason, "a seed does not answer"),
            }
        }
    }
    None
}

/// Which node of this cluster answers there.
async fn ask(dialler: &Dialler, socket: SocketAddr) -> Result<NodeId, String> {
    let expect = Expect {
        cluster: dialler.cluster,
        node: None,
    };
    let connecting = dialler.endpoint.connect(socket, Alpn::Peer, Some(expect));
    let connection = connecting.await.map_err(|error| error.to_string())?;
    let node = connection.peer().and_then(|peer| peer.node());
    node.ok_or_else(|| "it is no node".to_owned())
}

const SHORTEST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
