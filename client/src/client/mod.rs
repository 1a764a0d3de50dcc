//! The client: a cheap handle on connections, the map of the cluster and the retry budget.

mod admin;
mod ask;
mod builder;
mod call;
mod connections;
mod follow;
mod hedge;
mod race;
mod url;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::AbortHandle;

use self::connections::Connections;
use crate::bucket::{Bucket, Bulk};
use crate::clock::Clock;
use crate::error::Error;
use crate::retry::{Budget, Throttle};
use crate::routing::{ClusterMap, Health, NodeInfo, Paces};
use crate::session::Session;
use crate::typed::Typed;
use crate::wire::{Durability, Key, OperationId};

pub use admin::{Ask, NewBucket};
pub use builder::{ClientBuilder, Tls};
pub(crate) use call::{Plan, Route};

/// A connection to a cluster. Clones are cheap and share everything; the last one to go closes the
/// connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// Defaults for all operations of a client. Options of one operation come before them, the
/// bucket's own defaults after.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Profile {
    timeout: Duration,
    max_retries: u32,
    r: Option<u8>,
    w: Option<u8>,
    durability: Option<Durability>,
    blind_puts_are_explicit: bool,
}

pub(crate) struct Shared {
    clock: Clock,
    connections: Arc<Connections>,
    map: RwLock<Arc<ClusterMap>>,
    health: Mutex<Health>,
    paces: Mutex<Paces>,
    budget: Mutex<Budget>,
    throttle: Mutex<Throttle>,
    profile: Profile,
    app_name: String,
    seeds: Vec<String>,
    /// When the map was last asked for.
    refreshed: Mutex<Option<Duration>>,
    /// The upper part of all operation ids.
    id: (u64, u64),
    sequence: AtomicU64,
    /// The task that follows the cluster's changes.
    follower: Mutex<Option<AbortHandle>>,
}

impl Client {
    /// Settings for a new client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// The settings in a URL as [`connect_url`](Client::connect_url) takes it, to which others can
    /// be added.
    ///
    /// # Errors
    /// If the URL is unusable.
    pub fn builder_of_url(url: &str) -> Result<ClientBuilder, Error> {
        url::parse(url)
    }

    /// Connects to the cluster that a URL names:
    /// `starling://host:port,host:port/?ca=FILE&cert=FILE&key=FILE`. The port is 7401 if there is
    /// none; `timeout_ms` and `app` are optional parameters; `%` escapes bytes.
    ///
    /// # Errors
    /// If the URL or a file is unusable, and as for [`ClientBuilder::connect`].
    pub async fn connect_url(url: &str) -> Result<Self, Error> {
        url::parse(url)?.connect().await
    }

    /// A handle on a bucket. Whether it exists shows when it is used.
    pub fn bucket(&self, name: impl Into<String>) -> Bucket {
        Bucket::new(self.clone(), name.into())
    }

    /// A bucket of values of a type of the program's own, as MessagePack.
    pub fn typed<T: Serialize + DeserializeOwned>(&self, bucket: impl Into<String>) -> Typed<T> {
        self.bucket(bucket).typed()
    }

    /// Many writes of any keys and buckets, each with a result of its own: not one atomic write.
    ///
    /// ```no_run
    /// # async fn run(client: starling::Client) {
    /// let (users, hits) = (client.bucket("users"), client.bucket("hits"));
    /// let report = client
    ///     .bulk()
    ///     .write(users.put("ada", "Ada"))
    ///     .write(hits.counter("/home").add(2))
    ///     .await;
    /// for (place, error) in report.failures() {
    ///     println!("write {place}: {error}");
    /// }
    /// # }
    /// ```
    pub fn bulk(&self) -> Bulk {
        Bulk::new()
    }

    /// A new session: operations that build on each other, whichever nodes answer.
    pub fn session(&self) -> Session {
        Session::new(self.clone())
    }

    /// Goes on with a session from its [token](Session::token), in any process.
    ///
    /// # Errors
    /// If the text is damaged. One that was tampered with may pass here; the node refuses it.
    pub fn resume(&self, token: &str) -> Result<Session, Error> {
        Session::resume(self.clone(), token)
    }

    /// The cluster as this client knows it now.
    pub fn topology(&self) -> Arc<ClusterMap> {
        self.shared.map()
    }

    /// The owners of a key in their order, as this client knows them now.
    pub fn owners(&self, bucket: &str, key: impl Into<Key>) -> Vec<NodeInfo> {
        let map = self.shared.map();
        let nameless = |node| NodeInfo {
            node,
            name: String::new(),
            addresses: Vec::new(),
        };
        let owners = map.owners(bucket, &key.into());
        owners
            .iter()
            .map(|node| map.node(node).cloned().unwrap_or_else(|| nameless(node)))
            .collect()
    }

    /// Asks the cluster for its current map. The client does that by itself every ten seconds, and
    /// when it notices a change; a test or a tool may not want to wait.
    ///
    /// # Errors
    /// If no node answers.
    pub async fn refresh(&self) -> Result<(), Error> {
        self.shared.refresh_now(None).await
    }

    /// Says goodbye to the nodes, which otherwise notice by themselves, a little later. Operations
    /// under way fail as connections lost, and those of clones, from now on, as unreachable.
    pub async fn close(self) {
        self.shared.connections.close().await;
    }

    /// A name for an operation, as automatic retries use them: for programs that keep the name, to
    /// send the same operation again later.
    pub fn next_operation(&self) -> OperationId {
        let sequence = self.shared.sequence.fetch_add(1, Ordering::Relaxed);
        OperationId {
            client: self.shared.id,
            sequence,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.shared.profile
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("app_name", &self.shared.app_name)
            .field("cluster", &self.shared.map().cluster())
            .finish_non_exhaustive()
    }
}

impl Profile {
    /// A timeout of 5 seconds, at most 10 retries, and the buckets' own r, w and durability.
    pub fn new() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            max_retries: 10,
            r: None,
            w: None,
            durability: None,
            blind_puts_are_explicit: false,
        }
    }

    /// How long an operation may take, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many paid retries an operation may have; 0 turns automatic retries off.
    pub fn max_retries(mut self, max_retries: u32) -> Self {
        self.max_retries = max_retries;
        self
    }

    /// How many replicas must answer a read.
    pub fn r(mut self, r: u8) -> Self {
        self.r = Some(r);
        self
    }

    /// How many replicas must have a write.
    pub fn w(mut self, w: u8) -> Self {
        self.w = Some(w);
        self
    }

    /// How durable a write must be at each of them.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Refuses, before anything is sent, a put that does not say what it builds on: with a
    /// [`context`](crate::Write::context), with [`only_if_current`](crate::Write::only_if_current),
    /// or in so many words, [`blind`](crate::Write::blind). A context that was forgotten is then an
    /// error while the program is written, and not a sibling in production.
    pub fn explicit_blind_puts(mut self) -> Self {
        self.blind_puts_are_explicit = true;
        self
    }

    pub(crate) fn blind_puts_are_explicit(&self) -> bool {
        self.blind_puts_are_explicit
    }

    pub(crate) fn default_r(&self) -> Option<u8> {
        self.r
    }

    pub(crate) fn default_w(&self) -> Option<u8> {
        self.w
    }

    pub(crate) fn default_durability(&self) -> Option<Durability> {
        self.durability
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    pub(crate) fn map(&self) -> Arc<ClusterMap> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the map by what `change` makes of it.
    fn change_map(&self, change: impl FnOnce(&ClusterMap) -> ClusterMap) {
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        *map = Arc::new(change(&map));
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paces(&self) -> MutexGuard<'_, Paces> {
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let follower = self
            .follower
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(follower) = follower {
            follower.abort();
        }
    }
}
