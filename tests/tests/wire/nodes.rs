//! The connections of all nodes of a run, with their certificates, on one paused runtime.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep_until};

use super::network::{Network, address_of};
use ring::{Address, NodeId};
use starling::transport::{
    AcceptConfig, Endpoint, EndpointConfig, Identity, Principal, TrustRoots,
};
use starling_node::authority::{Authority, Validity};
use starling_node::protocol::cluster::Hello;
use starling_node::protocol::messages::{PeerReply, PeerRequest};
use starling_node::runtime::carrier::{Carried, Carrier};
use starling_tests::sim::{Arrival, Arrived, Links, Wire};

/// The nodes' connections.
#[derive(Debug)]
pub(crate) struct Nodes {
    // Before the runtime, which their tasks run on.
    carriers: Vec<Option<Carrier>>,
    network: Network,
    runtime: Runtime,
    /// When the world began.
    began: Instant,
    /// For what processes draw when they start.
    random: Rng,
    /// Which links there have been.
    linked: BTreeMap<(usize, usize), u32>,
    counts: BTreeMap<&'static str, u64>,
}

impl Nodes {
    pub(crate) fn new(seed: u64, links: Links) -> Self {
        // What the dialler draws for its pauses.
        fastrand::seed(seed);
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing");
        let began = runtime.block_on(async { Instant::now() });
        Self {
            carriers: (0..links.nodes).map(|_| None).collect(),
            network: Network::new(seed, links),
            runtime,
            began,
            random: Rng::with_seed(seed),
            linked: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn instant(&self, time: u64) -> Instant {
        self.began + Duration::from_micros(time)
    }

    /// What the world is told of it.
    fn arrival(&mut self, node: usize, carried: Carried) -> Arrival {
        match carried {
            Carried::Asked {
                from,
                call,
                left,
                request,
                bytes,
            } => {
                self.measure(bytes);
                Arrival::Asked {
                    from: number_of(from),
                    call,
                    left,
                    request,
                }
            }
            Carried::Answered { call, reply } => {
                match &reply {
                    Some((_, bytes)) => self.measure(*bytes),
                    None => self.count("a call found no connection, or lost it"),
                }
                let reply = reply.map(|(reply, _)| reply);
                Arrival::Answered { call, reply }
            }
            Carried::Reachable { peer, is_up } => {
                let peer = number_of(peer);
                let times = self.linked.entry((node, peer)).or_default();
                *times += u32::from(is_up);
                match (is_up, *times) {
                    (false, _) => self.count("a connection was lost"),
                    (true, 1) => {}
                    (true, _) => self.count("a node connected anew"),
                }
                Arrival::Reachable { peer, is_up }
            }
        }
    }

    fn measure(&mut self, bytes: usize) {
        self.count("a message arrived");
        if bytes > self.network.most_bytes().min(ONE_PACKET) {
            self.count("a message took more than one packet");
        }
        if bytes > BULK {
            self.count("a message took the stream of large ones");
        }
    }
}

impl Wire for Nodes {
    fn start(&mut self, node: usize) {
        let socket = Arc::new(self.network.open(node));
        let Party { identity, roots } = &parties()[node];
        let here = Hello {
            cluster: identity.principal().cluster,
            node: id_of(node),
            instance: self.random.u64(..),
        };
        let config = EndpointConfig {
            identity: Some(identity.clone()),
            roots: roots.clone(),
            accept: Some(AcceptConfig::default()),
            limits: Carrier::limits(),
        };
        let mut seed = [0; 32];
        self.random.fill(&mut seed);
        let _inside = self.runtime.enter();
        let endpoint = Endpoint::over(socket, seed, config).expect("our own certificates are good");
        let others = (0..self.carriers.len()).filter(|&other| other != node);
        let peers = others.map(|other| {
            let address = Address::new(address_of(other).to_string());
            (id_of(other), address.expect("a socket's address is one"))
        });
        self.carriers[node] = Some(Carrier::start(endpoint, here, peers.collect()));
    }

    fn stop(&mut self, node: usize) {
        self.network.close(node);
        let _inside = self.runtime.enter();
        self.carriers[node] = None;
    }

    fn stall(&mut self, node: usize, until: u64) {
        self.network.stall(node, self.instant(until));
    }

    fn cut(&mut self, from: usize, to: usize, is_cut: bool) {
        self.network.cut(from, to, is_cut);
    }

    fn heal(&mut self) {
        self.network.heal();
    }

    fn ask(&mut self, from: usize, to: usize, call: u64, left: Duration, request: PeerRequest) {
        if let Some(carrier) = &self.carriers[from] {
            carrier.ask(id_of(to), call, left, request);
        }
    }

    fn answer(&mut self, node: usize, call: u64, reply: PeerReply) {
        if let Some(carrier) = &mut self.carriers[node] {
            carrier.answer(call, reply);
        }
    }

    fn wait(&mut self, until: u64) -> Vec<Arrived> {
        let (until, carriers) = (self.instant(until), &mut self.carriers);
        let (now, carried) = self.runtime.block_on(async {
            let carried = tokio::select! {
                biased;
                carried = poll_fn(|context| poll_all(carriers, context)) => carried,
                () = sleep_until(until) => Vec::new(),
            };
            (Instant::now(), carried)
        });
        let passed = now.duration_since(self.began).as_micros();
        let at = u64::try_from(passed).unwrap_or(u64::MAX);
        let arrived = carried.into_iter().map(|(node, carried)| Arrived {
            at,
            node,
            arrival: self.arrival(node, carried),
        });
        arrived.collect()
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let own = self.counts.iter().map(|(&what, &times)| (what, times));
        own.chain(self.network.counts()).collect()
    }
}

/// Everything that has come to anybody.
fn poll_all(
    carriers: &mut [Option<Carrier>],
    context: &mut Context<'_>,
) -> Poll<Vec<(usize, Carried)>> {
    let mut all = Vec::new();
    for (node, carrier) in carriers.iter_mut().enumerate() {
        let Some(carrier) = carrier else { continue };
        while let Poll::Ready(carried) = carrier.poll_next(context) {
            all.push((node, carried));
        }
    }
    if all.is_empty() {
        Poll::Pending
    } else {
        Poll::Ready(all)
    }
}

/// What a node proves itself with.
#[derive(Debug)]
struct Party {
    identity: Identity,
    roots: TrustRoots,
}

/// The certificates of as many nodes as a plan may have. They are made once: ids are drawn by the
/// operating system, and only their order counts.
fn parties() -> &'static [Party] {
    static PARTIES: OnceLock<Vec<Party>> = OnceLock::new();
    PARTIES.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let valid = Validity::days(now.expect("it is later than 1970"), 2);
        let authority = Authority::create(valid).expect("an authority");
        let roots = TrustRoots::from_pem(authority.certificate().as_bytes());
        let roots = roots.expect("the authority's own certificate");
        let mut parties: Vec<Party> = (0..MOST_NODES)
            .map(|_| {
                let issued = authority.issue_node(valid).expect("a certificate");
                let (chain, key) = (issued.certificate, issued.private_key);
                let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes());
                Party {
                    identity: identity.expect("its own PEM"),
                    roots: roots.clone(),
                }
            })
            .collect();
        parties.sort_by_key(|party| party.identity.principal().node());
        parties
    })
}

/// The node's id, by its certificate.
fn id_of(node: usize) -> NodeId {
    let principal: &Principal = parties()[node].identity.principal();
    principal.node().expect("they were issued to nodes")
}

fn number_of(id: NodeId) -> usize {
    let found = parties()
        .iter()
        .position(|party| party.identity.principal().node() == Some(id));
    found.expect("only they have certificates")
}

/// As many as a plan may have.
const MOST_NODES: usize = 5;
/// What a packet holds at most, whatever the path carries.
const ONE_PACKET: usize = 6_500;
/// Above it, bodies have a stream of their own.
const BULK: usize = 64 * 1024;
