//! What a node needs before it can run: its certificate, its data directory, its store. Opened in
//! this order, each only if the former is sound, so that a wrong configuration changes nothing.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::committer;
use super::shell::STATE_FILE;
use super::source::{StoreSource, fill};
use super::store::Store;
use crate::config::{self, Config, EngineKind};
use crate::protocol::cluster::{ClusterState, Hello, MAX_STATE, StateError};
use crate::protocol::replica::Past;
use crate::protocol::vnode::mark_all_behind;
use crate::store::{
    Barrier, Batch, DataDirectory, DirectoryError, Engine, Identity as Owner, LastShutdown,
    MemoryEngine, StoreError,
};
use ring::NodeId;
use starling::transport::{
    AcceptConfig, ClientAuth, EndpointConfig, Identity, IdentityError, Limits, Principal,
    TransportError, TrustRoots,
};

/// Why a node did not start. Nothing of it runs, and nothing in its data directory was changed
/// that a later start would not find as it must be.
#[derive(Debug)]
pub enum StartError {
    /// A certificate, a key or an authority cannot be used.
    Identity(IdentityError),
    /// The certificate is not that of a node.
    NotANode {
        /// Whose it is.
        found: Principal,
        /// The certificate's file.
        file: PathBuf,
    },
    /// The data directory cannot be used.
    Directory(DirectoryError),
    /// The store cannot be opened, or cannot be read.
    Store(StoreError),
    /// What the store holds of vnodes cannot be read.
    Marks {
        /// Why not.
        reason: String,
    },
    /// The engine is not part of this build.
    NoSuchEngine {
        /// Its name.
        engine: &'static str,
    },
    /// The kept state of the cluster cannot be used.
    ClusterState {
        /// Its file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The QUIC port cannot be opened, or TLS cannot be set up.
    Transport(TransportError),
    /// The HTTP port cannot be opened.
    Http {
        /// Its address.
        address: SocketAddr,
        /// What the operating system says.
        reason: String,
    },
    /// The operating system gives no thread or no random numbers.
    System {
        /// What it says.
        reason: String,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(error) => error.fmt(f),
            Self::NotANode { found, file } => write!(
                f,
                "the certificate {} is that of {found}, which is no node; nothing was started: \
                 make one with `starling cert node`",
                file.display()
            ),
            Self::Directory(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Marks { reason } => write!(
                f,
                "the store's vnodes cannot be marked as catching up ({reason}); nothing was \
                 started: try again"
            ),
            Self::NoSuchEngine { engine } => write!(
                f,
                "this build has no engine `{engine}`; nothing was started: use one that was built \
                 with the cargo feature `{engine}`, or set storage.engine to \"memory\" for a test"
            ),
            Self::ClusterState { file, reason } => write!(
                f,
                "{} cannot be used ({reason}); nothing was started and no data is lost: restore it \
                 from a backup, or remove it, and this node learns it from its peers",
                file.display()
            ),
            Self::Transport(error) => error.fmt(f),
            Self::Http { address, reason } => write!(
                f,
                "the HTTP address {address} cannot be opened ({reason}); nothing was started: stop \
                 the process that uses it, or choose another in listen.http"
            ),
            Self::System { reason } => {
                write!(
                    f,
                    "the operating system refuses ({reason}); nothing was started: try again"
                )
            }
        }
    }
}

// It has no source: its words hold those of the error within, and reports would say them twice.
impl std::error::Error for StartError {}

/// Everything that is opened before the threads start.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) config: Config,
    pub(super) here: Hello,
    pub(super) endpoint: EndpointConfig,
    pub(super) directory: DataDirectory,
    pub(super) last: LastShutdown,
    pub(super) store: Store,
    pub(super) state: Option<ClusterState>,
    /// What an earlier life knew of time.
    pub(super) past: Past,
    /// For actors' nonces, and jitter.
    pub(super) seed: u64,
}

impl Opened {
    /// Opens what `config` names.
    pub(super) fn new(config: Config) -> Result<Self, StartError> {
        let endpoint = endpoint(&config)?;
        let (identity, file) = (endpoint.identity.as_ref(), config.tls.cert.clone());
        let principal = identity.map(|identity| identity.principal().clone());
        let principal = principal.ok_or(StartError::Identity(IdentityError::NoCertificate))?;
        let Some(node) = principal.node() else {
            return Err(StartError::NotANode {
                found: principal,
                file,
            });
        };
        let here = Hello {
            cluster: principal.cluster,
            node,
            instance: random()?,
        };
        let owner = Owner {
            cluster: here.cluster,
            node,
        };
        let opened = DataDirectory::open(&config.node.data_dir, owner);
        let (directory, last) = opened.map_err(StartError::Directory)?;
        let store = open_store(&config, &directory, last)?;
        let engine = store.borrow();
        // What recovery finds it takes for durable.
        engine.barrier(Barrier::Synced).map_err(StartError::Store)?;
        let past = committer::past(&*engine).map_err(StartError::Store)?;
        let state = read_state(&directory)?;
        let seed = random()?;
        if last.may_have_lost_wal() {
            mark_behind(&*engine)?;
        }
        directory.mark_begun().map_err(StartError::Directory)?;
        drop(engine);
        Ok(Self {
            config,
            here,
            endpoint,
            directory,
            last,
            store,
            state,
            past,
            seed,
        })
    }

    /// Which node.
    pub(super) fn node(&self) -> NodeId {
        self.here.node
    }
}

/// How the node's socket is to be, from the files of certificates.
pub(super) fn endpoint(config: &Config) -> Result<EndpointConfig, StartError> {
    let tls = &config.tls;
    let identity = Identity::from_files(&tls.cert, &tls.key).map_err(StartError::Identity)?;
    let roots = TrustRoots::from_file(&tls.ca).map_err(StartError::Identity)?;
    let connections = config.limits.connections.get();
    let accept = AcceptConfig {
        client_auth: match tls.client_auth {
            config::ClientAuth::Required => ClientAuth::Required,
            config::ClientAuth::Optional => ClientAuth::Optional,
        },
        max_connections: usize::try_from(connections).unwrap_or(usize::MAX),
        ..AcceptConfig::default()
    };
    Ok(EndpointConfig {
        identity: Some(identity),
        roots,
        accept: Some(accept),
        limits: connection_limits(),
    })
}

/// The bounds that a node sets its connections.
pub(super) fn connection_limits() -> Limits {
    Limits {
        idle_timeout: IDLE,
        keep_alive: KEEP_ALIVE,
        ..Limits::default()
    }
}

fn open_store(
    config: &Config,
    directory: &DataDirectory,
    last: LastShutdown,
) -> Result<Store, StartError> {
    match config.storage.engine {
        EngineKind::Memory => Ok(Store::fixed(Arc::new(MemoryEngine::new()))),
        EngineKind::Rocksdb => open_rocksdb(config, directory, last),
    }
}

#[cfg(feature = "rocksdb")]
fn open_rocksdb(
    config: &Config,
    directory: &DataDirectory,
    last: LastShutdown,
) -> Result<Store, StartError> {
    use crate::store::{LogRecovery, RocksConfig, RocksEngine};

    let database = directory.database();
    let (cache_bytes, write_buffer_bytes) = (
        config.storage.cache.bytes(),
        config.storage.write_buffer.bytes(),
    );
    let open = move |recovery| -> Result<Arc<dyn Engine>, StoreError> {
        let rocks = RocksConfig {
            cache_bytes,
            write_buffer_bytes,
            recovery,
        };
        Ok(Arc::new(RocksEngine::open(&database, rocks)?))
    };
    let engine = open(match last {
        LastShutdown::Fresh | LastShutdown::Clean => LogRecovery::Whole,
        LastShutdown::ProcessCrash => LogRecovery::Interrupted,
        LastShutdown::MachineCrash => LogRecovery::Beginning,
    });
    let engine = engine.map_err(StartError::Store)?;
    // A log that met a full disk ends with a record that is cut short.
    let again = Arc::new(move || open(LogRecovery::Interrupted));
    Ok(Store::new(engine, again))
}

#[cfg(not(feature = "rocksdb"))]
fn open_rocksdb(_: &Config, _: &DataDirectory, _: LastShutdown) -> Result<Store, StartError> {
    Err(StartError::NoSuchEngine { engine: "rocksdb" })
}

/// Says in the store that every vnode there has to catch up.
fn mark_behind(engine: &dyn Engine) -> Result<(), StartError> {
    let marks = mark_all_behind(&StoreSource::new(engine));
    let marks = marks.map_err(|error| StartError::Marks {
        reason: error.to_string(),
    })?;
    let mut batch = Batch::new();
    fill(&mut batch, &marks);
    engine.write(&batch).map_err(StartError::Store)?;
    engine.barrier(Barrier::Synced).map_err(StartError::Store)
}

/// What the node knew of its cluster when it was last up.
fn read_state(directory: &DataDirectory) -> Result<Option<ClusterState>, StartError> {
    let file = directory.path().join(STATE_FILE);
    let failed = |reason: String| StartError::ClusterState {
        file: file.clone(),
        reason,
    };
    let length = match std::fs::metadata(&file) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    if usize::try_from(length).is_ok_and(|length| length > MAX_STATE) {
        return Err(failed(format!("it has {length} bytes")));
    }
    let bytes = std::fs::read(&file).map_err(|error| failed(error.to_string()))?;
    let state = ClusterState::decode(&bytes);
    let state = state.map_err(|error: StateError| failed(error.to_string()))?;
    if state.cluster != directory.identity().cluster {
        return Err(failed(format!("it is of cluster {}", state.cluster)));
    }
    Ok(Some(state))
}

fn random() -> Result<u64, StartError> {
    getrandom::u64().map_err(|error| StartError::System {
        reason: error.to_string(),
    })
}

/// A node that is gone without a word is noticed after this long.
const IDLE: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_millis(1500);
