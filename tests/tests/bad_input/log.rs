//! The log of a node is damaged before it starts again. What was acknowledged must be in it after
//! an orderly stop and after a crash of the process alone, so damage there is refused, with the
//! command that repairs it. After a crash of the machine a log may end anywhere: then the node by
//! itself holds a beginning of what it had been told, in the order in which it was told, and never
//! anything else, and it does not count for reads until it has met the others.
//!
//! What no start can notice after a crash of the process is a log that was cut off, for it looks as
//! one that was being written when the process ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::startup::{contains, refusal};
use starling::{Client, Kind};
use starling_tests::cluster::{Cluster, Options, read_local, until};
use starling_tests::history::{Observed, Subject};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_log_is_refused_and_the_advice_repairs_it() -> anyhow::Result<()> {
    for (damage, name) in DAMAGES {
        let mut case = Case::make().await?;
        case.kill_all()?;
        case.damage(*damage)?;
        case.refuse_and_repair().await.context(*name)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_was_begun_behind_the_log_costs_nothing() -> anyhow::Result<()> {
    let mut case = Case::make().await?;
    case.kill_all()?;
    case.damage(|log| log.extend([0xFF; 100]))?;
    let kept = case.start_alone().await?;
    ensure!(kept == KEYS, "{kept} of {KEYS} are left");
    case.heal().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_orderly_stop_not_one_byte_may_be_missing() -> anyhow::Result<()> {
    let mut case = Case::make().await?;
    case.cluster.node(VICTIM).stop().await?;
    case.kill_all()?;
    case.damage(|log| log.truncate(log.len() - 7))?;
    case.refuse_and_repair().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_being_written_loses_its_tail_only() -> anyhow::Result<()> {
    let mut case = Case::make().await?;
    case.kill_all()?;
    case.damage(|log| log.truncate(log.len() * 3 / 4))?;
    let kept = case.start_alone().await?;
    ensure!(kept < KEYS, "nothing was damaged");
    case.heal().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_of_the_machine_a_log_may_end_anywhere() -> anyhow::Result<()> {
    for (damage, name) in DAMAGES {
        let mut case = Case::make().await?;
        case.kill_all()?;
        case.damage(*damage)?;
        case.pretend_that_the_machine_went_down()?;
        let kept = case.start_alone().await.context(*name)?;
        ensure!(kept < KEYS, "{name}: nothing was damaged");
        case.heal().await.context(*name)?;
    }
    Ok(())
}

/// Something that happens to a file.
type Damage = fn(&mut Vec<u8>);

/// In the second half of the log, and far from its end; the keys are in both halves.
const DAMAGES: &[(Damage, &str)] = &[
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

    /// Kills all nodes that still run.
    fn kill_all(&mut self) -> anyhow::Result<()> {
        for at in 0..self.cluster.nodes().len() {
            self.cluster.node(at).kill()?;
        }
        Ok(())
    }

    /// Damages the log of the last node.
    fn damage(&mut self, damage: Damage) -> anyhow::Result<()> {
        let log = newest_log(&self.cluster.node(VICTIM).data_directory().join("db"))?;
        let mut bytes = fs::read(&log)?;
        damage(&mut bytes);
        fs::write(&log, bytes)?;
        Ok(())
    }

    /// Lets the last node find that another kernel runs now.
    fn pretend_that_the_machine_went_down(&mut self) -> anyhow::Result<()> {
        let record = self.cluster.node(VICTIM).data_directory().join("boot.toml");
        fs::write(record, "boot = \"another\"\nclean = false\n").context("the record")
    }

    /// Sees the last node refuse to start, more than once, and does what it says.
    async fn refuse_and_repair(mut self) -> anyhow::Result<()> {
        let config = self.cluster.node(VICTIM).config().clone();
        let mut said = String::new();
        for _ in 0..2 {
            said = refusal(self.cluster.node(VICTIM), &config).await?;
            contains(&said, &["is damaged", "other owners still have their rows"])?;
        }
        let command = said.split('`').find(|part| part.starts_with("mv "));
        let command = command.context("there is no command to run")?;
        let status = Command::new("sh").args(["-c", command]).status()?;
        ensure!(status.success(), "{command}");
        self.cluster.node(VICTIM).start()?;
        self.heal().await
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
