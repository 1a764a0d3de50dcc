//! Clients that use a real cluster while faults go on, and write down all that they do; and what
//! is made of their notes when the faults are over (`docs/testing.md`, "Histories").
//!
//! ```text
//!   Session 0 ..  --\                          /--> Tally, in numbers
//!   Session 1 ..  ----> Shared (one Recorder) ----> Verdict: replicas equal, violations
//!   Session n ..  --/                          \--> failures, by kind
//! ```

mod session;
mod tally;
mod verdict;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use session::Session;
pub use tally::Tally;
pub use verdict::{Verdict, judge};

use crate::cluster::{Cluster, until};
use crate::history::{Recorder, Rules};
use starling::transport::Limits;
use starling::{Client, Error, ErrorKind, Kind, Profile};

/// What all sessions have in common.
#[derive(Debug, Default)]
pub struct Shared {
    /// What they did.
    pub recorder: Recorder,
    prefix: String,
    is_over: AtomicBool,
    attempts: watch::Sender<usize>,
    failures: Mutex<BTreeMap<String, Failures>>,
    refused_retries: AtomicUsize,
}

impl Shared {
    /// Of sessions whose keys begin with `prefix`. A history must begin with keys that nobody has
    /// written yet.
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            ..Self::default()
        }
    }

    /// A session is done with something, whatever came of it.
    pub fn count_attempt(&self) {
        self.attempts.send_modify(|attempts| *attempts += 1);
    }

    /// Waits until the sessions are done with so many things more, or `longest` is over: with all
    /// nodes down they hardly get on.
    pub async fn attempts_more(&self, count: usize, longest: Duration) {
        let mut attempts = self.attempts.subscribe();
        let enough = *attempts.borrow() + count;
        // Either end is as good, and the sender lives as long as this.
        let reached = attempts.wait_for(|attempts| *attempts >= enough);
        drop(tokio::time::timeout(longest, reached).await);
    }

    /// Lets the sessions bring to an end what they are at.
    pub fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether the sessions are to end.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// How many retries were refused in a way that no further retry can change.
    pub fn refused_retries(&self) -> usize {
        self.refused_retries.load(Ordering::Relaxed)
    }

    /// How often operations failed, by kind, with an example of each.
    pub fn failures(&self) -> String {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |(kind, Failures { count, example }): (&String, &Failures)| {
            format!("  {count:5} {kind}, for instance: {example}\n")
        };
        failures.iter().map(line).collect()
    }

    /// Notes that an operation failed.
    pub fn note(&self, error: &Error) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = format!("{:?}", error.kind());
        let entry = failures.entry(kind).or_insert_with(|| Failures {
            count: 0,
            example: error.to_string(),
        });
        entry.count += 1;
    }
}

/// Failures of one kind.
#[derive(Debug)]
struct Failures {
    count: usize,
    example: String,
}

/// The kind of one of the [`BUCKETS`].
pub fn kind_of(bucket: &str) -> Kind {
    let found = BUCKETS.iter().find(|(name, _)| *name == bucket);
    found.map_or(Kind::Value, |(_, kind)| *kind)
}

/// Makes a bucket, and waits until every node knows it: the one that made it must not be the only
/// one when it is frozen or cut off.
///
/// # Errors
/// If the bucket is refused, or a node does not hear of it in time.
pub async fn make_bucket(
    cluster: &Cluster,
    client: &Client,
    name: &str,
    kind: Kind,
) -> anyhow::Result<()> {
    client.create_bucket(name).kind(kind).await?;
    for node in cluster.nodes() {
        let known = until("a node knows the bucket", || async {
            let asked = client.inspect(name, "any").on_node(node.id()).await;
            let error = asked.err().map(|error| error.kind());
            // One that owns no such key knows the bucket all the same.
            matches!(error, None | Some(ErrorKind::NotOwner)).then_some(())
        });
        known.await?;
    }
    Ok(())
}

/// Two clients for a session, one that retries by itself and one that sends everything once. Both
/// give up soon on a node that is gone without a word, as killed and cut nodes are.
///
/// # Errors
/// If no node answers.
pub async fn clients(cluster: &Cluster) -> anyhow::Result<[Client; 2]> {
    let limits = Limits {
        connect_timeout: Duration::from_millis(500),
        idle_timeout: Duration::from_millis(1_000),
        keep_alive: Duration::from_millis(200),
        ..Limits::default()
    };
    let client = |profile: Profile| {
        let builder = cluster.client_builder().limits(limits);
        builder
            .default_profile(profile.timeout(Duration::from_secs(2)))
            .connect()
    };
    Ok([
        client(Profile::new()).await?,
        client(Profile::new().max_retries(0)).await?,
    ])
}

/// The buckets that the sessions use.
pub const BUCKETS: &[(&str, Kind)] = &[
    (VALUES, Kind::Value),
    (COUNTS, Kind::Counter),
    (SETS, Kind::Set),
];
const VALUES: &str = "values";
const COUNTS: &str = "counts";
const SETS: &str = "sets";

/// The default of buckets with three owners.
pub const RULES: Rules = Rules { n: 3, r: 2, w: 2 };
