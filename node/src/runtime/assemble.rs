//! Putting a node together: ports, machines, threads.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::accept::{Closing, accept_all};
use super::clock::Clock;
use super::committer::{Committer, CommitterParts, Probe, Published};
use super::event::Event;
use super::peers::{Dialler, Peers};
use super::seeds::Seeds;
use super::shell::{STATE_FILE, Shell, Turn, own_record, particular};
use super::start::{Opened, StartError};
use super::view::Views;
use super::words::{self, Word};
use crate::admin::{self, Health, Metrics};
use crate::config::{Config, EngineKind};
use crate::protocol::cluster::{Exchange, ExchangeConfig};
use crate::protocol::coordinator::{Coordinator, CoordinatorConfig};
use crate::protocol::hints::HintConfig;
use crate::protocol::replica::{Replica, ReplicaConfig};
use crate::protocol::time::Moment;
use crate::protocol::vnode::Limits;
use crate::server::Desk;
use crate::store::{DataDirectory, free_bytes};
use crdt::Hlc;
use ring::gossip::{Gossip, GossipConfig};
use starling::transport::Endpoint;

/// A node that is ready to run.
pub(super) struct Network {
    pub(super) endpoint: Arc<Endpoint>,
    /// The task that takes newcomers.
    pub(super) accepting: JoinHandle<()>,
    pub(super) closing: watch::Sender<Closing>,
    pub(super) shell: Shell,
    pub(super) inbox: mpsc::UnboundedReceiver<Event>,
    pub(super) words: mpsc::Receiver<Word>,
    pub(super) directory: DataDirectory,
}

/// How to reach a node that runs.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) quic: SocketAddr,
    pub(super) http: SocketAddr,
    pub(super) inbox: mpsc::UnboundedSender<Event>,
}

/// What the parts of a node share.
struct Wiring {
    endpoint: Arc<Endpoint>,
    quic: SocketAddr,
    http: SocketAddr,
    inbox: mpsc::UnboundedSender<Event>,
    metrics: Arc<Metrics>,
    statistics: Published,
    health: Arc<Health>,
}

/// Opens the ports, starts what serves them, and puts the rest together.
pub(super) async fn open(opened: Opened) -> Result<(Network, Ports), StartError> {
    let endpoint = Endpoint::bind(opened.config.listen.quic, opened.endpoint.clone());
    let endpoint = Arc::new(endpoint.map_err(StartError::Transport)?);
    let quic = endpoint.local_addr().map_err(StartError::Transport)?;
    let (listener, http) = listen(opened.config.listen.http).await?;
    let (inbox, events) = mpsc::unbounded_channel();
    let (closing, closed) = watch::channel(Closing::No);
    let metrics = Arc::new(Metrics::new());
    let statistics = Published::default();
    let health = Arc::new(Health::new(statistics.clone()));
    let wiring = Wiring {
        endpoint,
        quic,
        http,
        inbox,
        metrics,
        statistics,
        health,
    };
    let (endpoint, inbox) = (Arc::clone(&wiring.endpoint), wiring.inbox.clone());
    let (metrics, health) = (Arc::clone(&wiring.metrics), Arc::clone(&wiring.health));
    let (shell, directory) = assemble(opened, wiring)?;
    let clock = shell.clock.clone();
    tokio::spawn(admin::serve(listener, health, Arc::clone(&metrics)));
    let (ears, words) = words::queue(Arc::clone(&metrics));
    let accepting = accept_all(
        Arc::clone(&endpoint),
        inbox.clone(),
        ears,
        (metrics, clock),
        closed,
    );
    let accepting = tokio::spawn(accepting);
    let network = Network {
        endpoint,
        accepting,
        closing,
        shell,
        inbox: events,
        words,
        directory,
    };
    Ok((network, Ports { quic, http, inbox }))
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |error: std::io::Error| {
        let reason = error.to_string();
        StartError::Http { address, reason }
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// Makes the machines and starts the committer.
fn assemble(opened: Opened, wiring: Wiring) -> Result<(Shell, DataDirectory), StartError> {
    let clock = Clock::start();
    let now = clock.now();
    let gossip = gossip(&opened, &wiring, now)?;
    let Opened {
        here,
        seed,
        past,
        state,
        ..
    } = opened;
    tracing::info!(node = %here.node, cluster = %here.cluster, quic = %wiring.quic, "started");
    let exchange = Exchange::new(now, here, state, seed, ExchangeConfig::default())
        .map_err(|error| unusable(&opened.directory, &error))?;
    let limits = limits(&opened.config);
    let views = Arc::new(Views::default());
    let config = replica(&opened.config, limits.clone());
    let store = opened.store;
    let behind = opened.last.may_have_lost_wal();
    let parts = CommitterParts {
        replica: Replica::new(here.node, config, behind, seed, past),
        store: store.clone(),
        disk: disk(&opened.config),
        views: Arc::clone(&views),
        clock: clock.clone(),
        metrics: Arc::clone(&wiring.metrics),
        statistics: wiring.statistics,
    };
    let committer = start_committer(parts, wiring.inbox.clone())?;
    let Wiring {
        endpoint, inbox, ..
    } = wiring;
    let dialler = Dialler {
        endpoint,
        inbox,
        cluster: here.cluster,
        node: here.node,
    };
    let shell = Shell {
        clock,
        here,
        directory: opened.directory.path().to_owned(),
        coordinator: Coordinator::new(here.node, coordinator(&opened.config)),
        desk: Desk::new(here.node),
        seeds: Seeds::start(dialler.clone(), opened.config.node.seeds.clone()),
        peers: Peers::new(dialler),
        store,
        config: Arc::new(opened.config),
        turn: Turn::default(),
        limits,
        views,
        committer,
        exchange,
        gossip,
        metrics: wiring.metrics,
        health: wiring.health,
    };
    Ok((shell, opened.directory))
}

/// The gossip of this life, which remembers the members of the last one.
fn gossip(opened: &Opened, wiring: &Wiring, now: Moment) -> Result<Gossip, StartError> {
    let state = opened.state.as_ref();
    let known = state.map(|state| state.members.clone()).unwrap_or_default();
    let id = opened.here.node;
    let boot = opened.past.stamp.max(Hlc::at(now.wall_ms)).to_bits();
    let mut own = own_record(&opened.config, id, boot, known.member(id));
    own.http = particular(wiring.http);
    if own.addresses.is_empty() {
        own.addresses = particular(wiring.quic).into_iter().collect();
    }
    let cluster = opened.here.cluster;
    let config = GossipConfig::default();
    let time = now.time.since_start();
    Gossip::new(time, cluster, own, &known, opened.seed, config)
        .map_err(|error| unusable(&opened.directory, &error))
}

fn unusable(directory: &DataDirectory, error: &dyn Error) -> StartError {
    StartError::ClusterState {
        file: directory.path().join(STATE_FILE),
        reason: error.to_string(),
    }
}

fn start_committer(
    parts: CommitterParts,
    inbox: mpsc::UnboundedSender<Event>,
) -> Result<Committer, StartError> {
    // Without a loop the node is stopping, and nobody waits for them.
    let let_out = move |written| drop(inbox.send(Event::Outputs(written)));
    let failed = |error: std::io::Error| StartError::System {
        reason: error.to_string(),
    };
    Committer::start(parts, let_out).map_err(failed)
}

fn replica(config: &Config, limits: Limits) -> ReplicaConfig {
    ReplicaConfig {
        limits,
        hints: HintConfig {
            events: config.limits.hints.into(),
            ..HintConfig::default()
        },
        ..ReplicaConfig::default()
    }
}

fn coordinator(config: &Config) -> CoordinatorConfig {
    let orders = usize::try_from(config.limits.requests.get()).unwrap_or(usize::MAX);
    CoordinatorConfig {
        orders,
        ..CoordinatorConfig::default()
    }
}

/// How to look at the disk, unless the store is in memory.
fn disk(config: &Config) -> Option<(Probe, u64)> {
    let directory = config.node.data_dir.clone();
    let probe: Probe = Box::new(move || free_bytes(&directory));
    let reserve = u64::try_from(config.storage.reserve.bytes()).unwrap_or(u64::MAX);
    (config.storage.engine == EngineKind::Rocksdb).then_some((probe, reserve))
}

/// What the configuration says of the vnodes' limits.
fn limits(config: &Config) -> Limits {
    let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    Limits {
        siblings: count(config.limits.siblings.get()),
        rows_per_operation: count(config.limits.rows_per_operation.get()),
        retry_window_ms: config.limits.retry_window.milliseconds(),
        ..Limits::default()
    }
}
