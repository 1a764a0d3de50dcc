//! Three real nodes are killed with SIGKILL, one, two or all at a time, while clients write; then
//! the cluster heals, and the history is checked (`docs/testing.md`, "Histories").
//!
//! `STARLING_KILL_SECONDS` makes the loop longer, `STARLING_KILL_SEED` repeats the choices of one
//! run; the operating system and the network choose as well, so no run repeats exactly.
//!
//! The clients write only what survives `kill -9`: acknowledged at `wal` or better. With
//! `STARLING_KILL_CARELESS=1` the nodes keep their data in memory, which promises nothing of the
//! sort, and the test must fail: that shows that the checker finds what is lost.
#![cfg(feature = "rocksdb")]

use std::env;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinSet;

use starling_tests::asked::number;
use starling_tests::cluster::{Cluster, Engine, Options};
use starling_tests::workload::{BUCKETS, Session, Shared, clients, judge, make_bucket};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_counts_twice_when_nodes_are_killed()
-> anyhow::Result<()> {
    let seconds = number("STARLING_KILL_SECONDS").unwrap_or(40);
    let seed = number("STARLING_KILL_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("STARLING_KILL_SEED={seed}, {seconds} s of kills");
    let mut cluster = Cluster::start(options()).await?;
    let client = cluster.client().await?;
    for (bucket, kind) in BUCKETS {
        make_bucket(&cluster, &client, bucket, *kind).await?;
    }

    let shared = Arc::new(Shared::new(""));
    let mut sessions = JoinSet::new();
    for number in 0..SESSIONS {
        let clients = clients(&cluster).await?;
        let session = Session::new(number, seed, clients, Arc::clone(&shared));
        sessions.spawn(session.run());
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let kills = kill_for(
        &mut cluster,
        &shared,
        Duration::from_secs(seconds),
        &mut random,
    )
    .await?;
    shared.stop();
    while let Some(ended) = sessions.join_next().await {
        ended?;
    }

    let verdict = judge(&cluster, &client, &shared).await?;
    let tally = verdict.tally;
    let (equal, settled) = (verdict.equal_after, verdict.settled_after);
    println!("{kills} kills; {tally}; equal after {equal:.1?}, settled after {settled:.1?}");
    println!("{}", shared.failures());
    verdict.ensure_sound(seed)?;
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

/// Kills and starts nodes until the time is up, then starts all. Gives the number of kills.
async fn kill_for(
    cluster: &mut Cluster,
    shared: &Shared,
    time: Duration,
    random: &mut fastrand::Rng,
) -> anyhow::Result<u64> {
    let start = Instant::now();
    let mut kills = 0;
    while start.elapsed() < time {
        shared
            .attempts_more(random.usize(20..160), LONGEST_PAUSE)
            .await;
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
            shared
                .attempts_more(random.usize(..40), LONGEST_PAUSE)
                .await;
        }
        shared
            .attempts_more(random.usize(10..120), LONGEST_PAUSE)
            .await;
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

/// How long a kill waits for sessions that do not get on.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const SESSIONS: usize = 8;
