//! The log of a node that was killed is damaged before it starts again. The node by itself then
//! holds a beginning of what it had been told, in the order in which it was told, and never
//! anything else; with the others it has all of it again.
//!
//! The node does not notice that something is missing, for a log that ends early looks as one that
//! was being written when the process ended. Until it has met the others again it answers for what
//! it lost as for what it never had.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use starling::{Client, Kind};
use starling_tests::cluster::{Cluster, Options, read_local, until};
use starling_tests::history::{Observed, Subject};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_behind_the_log_costs_nothing() -> anyhow::Result<()> {
    let mut case = Case::make().await?;
    let log = case.kill_all()?;
    let mut bytes = fs::read(&log)?;
    let mut random = fastrand::Rng::with_seed(5);
    bytes.extend((0..10_000).map(|_| random.u8(..)));
    fs::write(&log, bytes)?;
    let kept = case.start_alone().await?;
    ensure!(kept == KEYS, "{kept} of {KEYS} are left");
    case.heal().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_torn_or_flipped_loses_its_tail_only() -> anyhow::Result<()> {
    for (damage, name) in DAMAGES {
        let mut case = Case::make().await?;
        let log = case.kill_all()?;
        let mut bytes = fs::read(&log)?;
        damage(&mut bytes);
        fs::write(&log, bytes)?;
        let kept = case.start_alone().await.context(*name)?;
        ensure!(kept < KEYS, "{name}: nothing was damaged");
        case.heal().await.context(*name)?;
    }
    Ok(())
}

/// Something that happens to a file.
type Damage = fn(&mut Vec<u8>);

/// In the second half of the log, and far from its end. The keys are in both halves.
const DAMAGES: &[(Damage, &str)] = &[
    (|log| log.truncate(log.len() * 3 / 4), "cut"),
    (
        |log| {
            let at = log.len() * 3 / 4;
            log[at..].fill(0);
        },
        "zeroed",
    ),
    (
        |log| {
            let at = log.len() * 3 / 4;
            log[at] ^= 0x10;
        },
        "one bit flipped",
    ),
    (
        |log| {
            let at = log.len() * 3 / 4;
            let (left, right) = log.split_at_mut(at);
            let length = right.len().min(4_096);
            right[..length].copy_from_slice(&left[left.len() - length..]);
        },
        "an older page in place of another",
    ),
];

/// Three nodes that have all acknowledged the same keys, one after the other.
struct Case {
    cluster: Cluster,
    client: Client,
}

impl Case {
    async fn make() -> anyhow::Result<Self> {
        let cluster = Cluster::start(Options::default()).await?;
        let client = cluster.client().await?;
        client.create_bucket(BUCKET).await?;
        for number in 0..KEYS {
            let put = client.bucket(BUCKET).put(key(number), value(number));
            let written = put.w(3).await?;
            ensure!(written.acks() == 3);
        }
        Ok(Self { cluster, client })
    }

    /// Kills all nodes, and gives the log of the last.
    fn kill_all(&mut self) -> anyhow::Result<PathBuf> {
        for at in 0..self.cluster.nodes().len() {
            self.cluster.node(at).kill()?;
        }
        newest_log(&self.cluster.node(VICTIM).data_directory().join("db"))
    }

    /// Starts the last node without the others, and gives how many keys it holds. They must be the
    /// first ones, with their values.
    async fn start_alone(&mut self) -> anyhow::Result<usize> {
        self.cluster.node(VICTIM).start()?;
        self.cluster.node(VICTIM).wait_alive().await?;
        let node = self.cluster.node(VICTIM).id();
        let mut kept = Vec::new();
        for number in 0..KEYS {
            let subject = Subject::new(BUCKET, &key(number));
            let held = until("the node reads alone", || async {
                let read = read_local(&self.client, &subject, Kind::Value, node);
                read.await.ok()
            });
            let held = held.await.with_context(|| subject.to_string())?;
            let is_kept = held == Observed::items([value(number)]);
            let is_gone = held == Observed::Items(Vec::new());
            ensure!(is_kept || is_gone, "{subject} is read as {held}");
            kept.push(is_kept);
        }
        let first = kept.iter().take_while(|kept| **kept).count();
        ensure!(kept[first..].iter().all(|kept| !kept), "a hole: {kept:?}");
        Ok(first)
    }

    /// Starts the others, and finds every key at every node again.
    async fn heal(mut self) -> anyhow::Result<()> {
        for at in 0..VICTIM {
            self.cluster.node(at).start()?;
        }
        self.cluster.wait_ready().await?;
        for number in 0..KEYS {
            let subject = Subject::new(BUCKET, &key(number));
            let expected = Observed::items([value(number)]);
            self.cluster
                .wait_holding(&self.client, &subject, Kind::Value, &expected)
                .await?;
        }
        self.cluster.finish()
    }
}

/// The log with the highest number, which RocksDB writes to.
fn newest_log(database: &Path) -> anyhow::Result<PathBuf> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(database)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            logs.push(path);
        }
    }
    logs.into_iter().max().context("there is no log")
}

fn key(number: usize) -> String {
    format!("key-{number}")
}

/// Long enough for the log to be made of keys mainly, and different in every part.
fn value(number: usize) -> String {
    format!("value-{number} ").repeat(40)
}

const BUCKET: &str = "logged";
const KEYS: usize = 200;
const VICTIM: usize = 2;
