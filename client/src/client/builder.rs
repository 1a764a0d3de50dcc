//! From settings to a connected client.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::connections::Connections;
use super::follow::{fetch_map, follow};
use super::race::first;
use super::{Client, Profile, Shared};
use crate::clock::{self, Clock};
use crate::error::{Error, ErrorKind};
use crate::retry::{Budget, Cause, Throttle};
use crate::routing::{ClusterMap, Health, Paces};
use crate::transport::{EndpointConfig, Identity, IdentityError, Limits, TrustRoots};

/// Settings of a client that is not connected yet.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `connect`"]
pub struct ClientBuilder {
    seeds: Vec<String>,
    tls: Option<Tls>,
    app_name: String,
    profile: Profile,
    limits: Limits,
}

/// Whom to believe, and how to prove who we are. TLS is never off.
#[derive(Debug, Clone)]
#[must_use]
pub struct Tls {
    authority: Pem,
    identity: Option<(Pem, Pem)>,
}

/// PEM text, or the file that holds it.
#[derive(Clone)]
enum Pem {
    File(PathBuf),
    Text(Vec<u8>),
}

impl ClientBuilder {
    pub(super) fn new() -> Self {
        // A node that is down must not take all of a call's time.
        let limits = Limits {
            connect_timeout: Duration::from_secs(2),
            ..Limits::default()
        };
        Self {
            seeds: Vec::new(),
            tls: None,
            app_name: String::new(),
            profile: Profile::new(),
            limits,
        }
    }

    /// Nodes to begin with, as `host:port`; the port is 7401 if there is none. One that answers is
    /// enough: it names the others.
    pub fn seeds<S: Into<String>>(mut self, seeds: impl IntoIterator<Item = S>) -> Self {
        self.seeds
            .extend(seeds.into_iter().map(|seed| with_port(seed.into())));
        self
    }

    /// Certificates.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The name of this program, for its logs.
    pub fn app_name(mut self, name: impl Into<String>) -> Self {
        self.app_name = name.into();
        self
    }

    /// Defaults for all operations.
    pub fn default_profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// How long an operation may take by default, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.profile = self.profile.timeout(timeout);
        self
    }

    /// Bounds of each connection.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Connects to the first seed that answers (they are tried in order, the next one a quarter of
    /// a second after the one before) and learns the cluster's map from it. Needs a tokio
    /// runtime with I/O and time, on which the client's background tasks stay.
    ///
    /// # Errors
    /// If the settings or certificates are unusable, or no seed answers with a map; the error
    /// lists what each of them said.
    pub async fn connect(self) -> Result<Client, Error> {
        let setup = |message: &str| Err(Error::local(ErrorKind::Setup, message));
        let Some(tls) = &self.tls else {
            return setup(NO_TLS);
        };
        if self.seeds.is_empty() {
            return setup(NO_SEEDS);
        }
        let bad = |error: IdentityError| Error::local(ErrorKind::Setup, error.to_string());
        let config = EndpointConfig {
            identity: tls.identity().map_err(bad)?,
            roots: tls.roots().map_err(bad)?,
            accept: None,
            limits: self.limits,
        };
        let connections = Arc::new(Connections::new(config));
        let map = first_map(&connections, &self.seeds).await?;
        tracing::debug!(app = self.app_name, cluster = %map.cluster(), "connected");
        self.finish(connections, map)
    }

    fn finish(self, connections: Arc<Connections>, map: ClusterMap) -> Result<Client, Error> {
        let id = clock::random_client_id().map_err(|error| {
            let message = format!("the operating system gives no randomness: {error}");
            Error::local(ErrorKind::Setup, message)
        })?;
        let clock = Clock::new();
        let shared = Arc::new(Shared {
            clock,
            connections,
            map: RwLock::new(Arc::new(map)),
            health: Mutex::new(Health::default()),
            paces: Mutex::new(Paces::new()),
            budget: Mutex::new(Budget::new(clock.now())),
            throttle: Mutex::new(Throttle::default()),
            profile: self.profile,
            app_name: self.app_name,
            seeds: self.seeds,
            refreshed: Mutex::new(None),
            id,
            sequence: AtomicU64::new(0),
            follower: Mutex::new(None),
        });
        let follower = tokio::spawn(follow(Arc::downgrade(&shared)));
        *shared
            .follower
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(follower.abort_handle());
        Ok(Client { shared })
    }
}

impl Tls {
    /// Believes the authorities in this PEM file.
    pub fn ca_file(path: impl Into<PathBuf>) -> Self {
        Self {
            authority: Pem::File(path.into()),
            identity: None,
        }
    }

    /// Believes the authorities in this PEM text.
    pub fn ca_pem(text: impl Into<Vec<u8>>) -> Self {
        Self {
            authority: Pem::Text(text.into()),
            identity: None,
        }
    }

    /// Proves who we are with the certificate chain and the key in these PEM files.
    pub fn identity_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.identity = Some((Pem::File(certificates.into()), Pem::File(key.into())));
        self
    }

    /// Proves who we are with a certificate chain and a key as PEM text.
    pub fn identity_pem(
        mut self,
        certificates: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.identity = Some((Pem::Text(certificates.into()), Pem::Text(key.into())));
        self
    }

    fn roots(&self) -> Result<TrustRoots, IdentityError> {
        TrustRoots::from_pem(&self.authority.read()?)
    }

    fn identity(&self) -> Result<Option<Identity>, IdentityError> {
        let Some((certificates, key)) = &self.identity else {
            return Ok(None);
        };
        Identity::from_pem(&certificates.read()?, &key.read()?).map(Some)
    }
}

impl Pem {
    fn read(&self) -> Result<Vec<u8>, IdentityError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => std::fs::read(path).map_err(|error| IdentityError::Unreadable {
                path: path.clone(),
                reason: error.to_string(),
            }),
        }
    }
}

/// Never shows a key.
impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Text(_) => f.write_str("PEM text"),
        }
    }
}

/// The map from the first seed that has one; they are asked one shortly after the other.
async fn first_map(connections: &Arc<Connections>, seeds: &[String]) -> Result<ClusterMap, Error> {
    let asked = seeds.iter().map(|seed| {
        let (connections, seed) = (Arc::clone(connections), seed.clone());
        async move {
            let (_, connection) = connections.dial_seed(&seed, None).await?;
            let cluster = connection.peer().map(|peer| peer.cluster);
            fetch_map(&connection, cluster).await
        }
    });
    let errors = match first(asked.collect::<Vec<_>>()).await {
        Ok(map) => return Ok(map),
        Err(errors) => errors,
    };
    let mut reasons = Vec::new();
    let mut kind = ErrorKind::Unreachable;
    for error in errors {
        match error.cause {
            Cause::Denied => kind = ErrorKind::Denied,
            Cause::Failed(failure) => kind = failure.into(),
            Cause::Unreadable => kind = ErrorKind::Protocol,
            Cause::Unreachable | Cause::Lost | Cause::Silent | Cause::Full | Cause::TooLarge => {}
        }
        reasons.push(error.message);
    }
    let message = format!("no seed lets us in: {}", reasons.join("; "));
    Err(Error::local(kind, message))
}

fn with_port(seed: String) -> String {
    let has_port = match seed.rsplit_once(':') {
        // The last colon of an IPv6 address in brackets may be inside of them.
        Some((_, port)) => port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty(),
        None => false,
    };
    if has_port {
        seed
    } else {
        format!("{seed}:{DEFAULT_PORT}")
    }
}

const DEFAULT_PORT: u16 = 7401;
const NO_SEEDS: &str = "there are no seeds; nothing was sent: name at least one node";
const NO_TLS: &str =
    "there is no authority to believe; nothing was sent: set `Tls::ca_file`, or `ca` in the URL";

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn a_seed_without_a_port_gets_the_usual_one() {
        for (seed, expected) in [
            ("kv-0", "kv-0:7401"),
            ("kv-0:17401", "kv-0:17401"),
            ("10.0.0.1", "10.0.0.1:7401"),
            ("[::1]", "[::1]:7401"),
            ("[::1]:7", "[::1]:7"),
        ] {
            assert_eq!(with_port(seed.to_owned()), expected);
        }
    }
}
