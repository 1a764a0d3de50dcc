//! Three real nodes are killed with SIGKILL, one, two or all at a time, while clients write; then
//! the cluster heals, and the history is checked (`reliability.md`, "Histories").
//!
//! `STARLING_KILL_SECONDS` makes the loop longer, `STARLING_KILL_SEED` repeats the choices of one
//! run; the operating system and the network choose as well, so no run repeats exactly.
//!
//! The clients write only what survives `kill -9`: acknowledged at `wal` or better. With
//! `STARLING_KILL_CARELESS=1` the nodes keep their data in memory, which promises nothing of the
//! sort, and the test must fail: that shows that the checker finds what is lost.
#![cfg(feature = "rocksdb")]

mod session;
mod tally;

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinSet;

use session::{BUCKETS, Session, Shared, kind_of};
use starling::transport::Limits;
use starling::{Client, Kind, Profile};
use starling_tests::cluster::{Cluster, Engine, Options, POLL};
use starling_tests::history::{History, Rules, Subject, Violation, check};
use tally::Tally;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_counts_twice_when_nodes_are_killed()
-> anyhow::Result<()> {
    let seconds = number("STARLING_KILL_SECONDS").unwrap_or(40);
    let seed = number("STARLING_KILL_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("STARLING_KILL_SEED={seed}, {seconds} s of kills");
    let mut cluster = Cluster::start(options()).await?;
    let client = cluster.client().await?;
    for (bucket, kind) in BUCKETS {
        client.create_bucket(*bucket).kind(*kind).await?;
    }

    let shared = Arc::new(Shared::new());
    let mut sessions = JoinSet::new();
    for number in 0..SESSIONS {
        let clients = [
            impatient(&cluster, Profile::new()).await?,
            impatient(&cluster, Profile::new().max_retries(0)).await?,
        ];
        let session = Session::new(number, seed, clients, Arc::clone(&shared));
        sessions.spawn(session.run());
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let kills = kill_for(&mut cluster, Duration::from_secs(seconds), &mut random).await?;
    shared.stop();
    while let Some(ended) = sessions.join_next().await {
        ended?;
    }

    let history = shared.recorder.history();
    let subjects = subjects(&history);
    let keys: Vec<Subject> = subjects.keys().cloned().collect();
    let healed = Instant::now();
    cluster.wait_equal(&client, &keys).await?;
    let equal = healed.elapsed();
    let mut violations = violations(&cluster, &client, &subjects, &history).await?;
    // An increment that two coordinators entered counts twice until every owner has it on its disk.
    while is_settling(&violations) && healed.elapsed() < SETTLED {
        tokio::time::sleep(POLL).await;
        let counters = subjects.iter().filter(|(_, kind)| **kind == Kind::Counter);
        let keys: Vec<Subject> = counters.map(|(subject, _)| subject.clone()).collect();
        cluster.wait_equal(&client, &keys).await?;
        violations = self::violations(&cluster, &client, &subjects, &history).await?;
    }
    let settled = healed.elapsed();
    let tally = Tally::of(&history);
    println!("{kills} kills; {tally}; equal after {equal:.1?}, settled after {settled:.1?}");
    println!("{}", shared.failures());
    let shown: Vec<String> = violations
        .iter()
        .take(20)
        .map(ToString::to_string)
        .collect();
    ensure!(
        violations.is_empty(),
        "{} violations (seed {seed}), first:\n{}",
        violations.len(),
        shown.join("\n")
    );
    ensure!(
        shared.refused_retries() == 0,
        "a retry was refused for good"
    );
    // A run in which nothing went wrong, or nothing went through, shows nothing.
    ensure!(kills >= seconds / 10, "only {kills} kills");
    ensure!(tally.acknowledged > 500, "too few writes: {tally}");
    ensure!(tally.open > 0, "no write was interrupted: {tally}");
    cluster.finish()
}

/// Three nodes on RocksDB, or in memory if the checker is to be seen at work.
fn options() -> Options {
    let mut options = Options::default();
    if env::var_os("STARLING_KILL_CARELESS").is_some() {
        options.engine = Engine::Memory;
    }
    options
}

/// A client that gives up soon on a node that is gone without a word, as killed nodes are.
async fn impatient(cluster: &Cluster, profile: Profile) -> anyhow::Result<Client> {
    let limits = Limits {
        connect_timeout: Duration::from_millis(500),
        idle_timeout: Duration::from_millis(1_000),
        keep_alive: Duration::from_millis(200),
        ..Limits::default()
    };
    let profile = profile.timeout(Duration::from_secs(2));
    let builder = cluster.client_builder().limits(limits);
    Ok(builder.default_profile(profile).connect().await?)
}

/// What is wrong with the history and what every node holds now.
async fn violations(
    cluster: &Cluster,
    client: &Client,
    subjects: &BTreeMap<Subject, Kind>,
    history: &History,
) -> anyhow::Result<Vec<Violation>> {
    let last = cluster.read_everywhere(client, subjects).await?;
    Ok(check(history, &last, RULES))
}

/// Whether nothing is wrong but counters, which may only need time.
fn is_settling(violations: &[Violation]) -> bool {
    let is_count = |violation: &Violation| matches!(violation, Violation::Miscounted { .. });
    !violations.is_empty() && violations.iter().all(is_count)
}

/// Kills and starts nodes until the time is up, then starts all. Gives the number of kills.
async fn kill_for(
    cluster: &mut Cluster,
    time: Duration,
    random: &mut fastrand::Rng,
) -> anyhow::Result<u64> {
    let start = Instant::now();
    let mut kills = 0;
    while start.elapsed() < time {
        pause(random, 200..1_200).await;
        // Now and then there is no quorum left, or nobody.
        let victims = match random.u8(..8) {
            0 => cluster.nodes().len(),
            1 => 2,
            _ => 1,
        };
        let first = random.usize(..cluster.nodes().len());
        for offset in 0..victims {
            let victim = (first + offset) % cluster.nodes().len();
            cluster.node(victim).kill()?;
            kills += 1;
            pause(random, 0..300).await;
        }
        pause(random, 100..1_000).await;
        for offset in 0..victims {
            let victim = (first + offset) % cluster.nodes().len();
            cluster.node(victim).start()?;
        }
        // Mostly they come back before the next one goes, but not always.
        if random.u8(..5) > 0 {
            cluster.wait_ready().await?;
        }
    }
    cluster.wait_ready().await?;
    Ok(kills)
}

async fn pause(random: &mut fastrand::Rng, milliseconds: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.u64(milliseconds))).await;
}

/// Every key of a history, with the kind of its bucket.
fn subjects(history: &History) -> BTreeMap<Subject, Kind> {
    let subjects = history.events.iter().map(|event| event.subject.clone());
    subjects
        .map(|subject| {
            let kind = kind_of(&subject.bucket);
            (subject, kind)
        })
        .collect()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

const SESSIONS: usize = 8;
/// By then every increment counts once: some rounds of comparing and syncing, each of a second.
const SETTLED: Duration = Duration::from_secs(30);
/// The default of buckets with three owners.
const RULES: Rules = Rules { n: 3, r: 2, w: 2 };
