//! The comparison: what every single replica has, against what must be there.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::task::JoinSet;

use super::packages::{PACKAGES, Packages, SECTIONS, SIZES};
use super::steps::Steps;
use super::words::{WORDS, Words};
use crate::cli::clock::Stopwatch;
use crate::cli::status::Picture;
use crate::cli::text::{excerpt, grouped};
use starling::{Client, Error};

/// What was not as it must be.
#[derive(Debug, Default)]
pub(super) struct Differences {
    count: u64,
    first: Vec<String>,
}

/// What one key must hold.
#[derive(Debug, Clone)]
enum Expected {
    Record(String),
    Members(BTreeSet<String>),
    Count(i64),
}

/// How many replicas were read, and in what they differ from what must be there.
type Checked = Result<(u64, Vec<String>), Error>;

/// Reads a key from each of its owners' own replicas, and compares their rows.
struct Checks {
    client: Client,
    running: JoinSet<Checked>,
    reads: u64,
    differences: Differences,
}

/// Waits until no replica lacks anything that another has.
pub(super) async fn settle(client: &Client, steps: &Steps) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    while watch.elapsed() < PATIENCE {
        if Picture::take(client)
            .await
            .is_ok_and(|picture| picture.is_well())
        {
            return steps.done(
                "no replica lacks anything that another has",
                watch.elapsed(),
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Whatever is wrong shows in the comparison, key by key.
    steps.event(format_args!(
        "after {} s some replicas still lack something: see starling status",
        PATIENCE.as_secs()
    ))
}

/// Compares everything.
pub(super) async fn compare(
    client: &Client,
    packages: &Packages,
    words: &Words,
    steps: &Steps,
) -> anyhow::Result<Differences> {
    let mut all = Differences::default();
    let records = packages.records.iter();
    let records = records.map(|(key, text)| (key, Expected::Record(text.clone())));
    all.add(part(client, PACKAGES, "records", records, steps).await?);
    let sections = packages.sections.iter();
    let sections = sections.map(|(key, keys)| (key, Expected::Members(keys.clone())));
    all.add(part(client, SECTIONS, "sets", sections, steps).await?);
    let sizes = packages
        .sizes
        .iter()
        .map(|(key, size)| (key, Expected::Count(*size)));
    all.add(part(client, SIZES, "sizes", sizes, steps).await?);
    let counts = words
        .iter()
        .map(|(word, count)| (word, Expected::Count(*count)));
    all.add(part(client, WORDS, "words' counters", counts, steps).await?);
    Ok(all)
}

/// Compares the keys of a bucket, again and again until all are equal or patience ends: an
/// increment that was entered by two coordinators counts twice until every node has it on its disk.
async fn part(
    client: &Client,
    bucket: &'static str,
    what: &str,
    keys: impl Iterator<Item = (&String, Expected)>,
    steps: &Steps,
) -> anyhow::Result<Differences> {
    let keys: Vec<(&String, Expected)> = keys.collect();
    if keys.is_empty() {
        bail!("there is nothing to check in {bucket}");
    }
    let watch = Stopwatch::start();
    let mut checks = check_all(client, bucket, &keys).await?;
    while !checks.differences.is_empty() && watch.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(250)).await;
        checks = check_all(client, bucket, &keys).await?;
    }
    let count = grouped(keys.len() as u64);
    if checks.differences.is_empty() {
        let reads = grouped(checks.reads);
        steps.done(
            format_args!("{count} {what} equal in {reads} local reads; replicas equal by dots"),
            watch.elapsed(),
        )?;
    } else {
        let differing = checks.differences.count;
        steps.event(format_args!("{differing} differences in {count} {what}"))?;
    }
    Ok(checks.differences)
}

async fn check_all(
    client: &Client,
    bucket: &'static str,
    keys: &[(&String, Expected)],
) -> anyhow::Result<Checks> {
    let mut checks = Checks {
        client: client.clone(),
        running: JoinSet::new(),
        reads: 0,
        differences: Differences::default(),
    };
    for (key, expected) in keys {
        let (key, expected) = ((*key).clone(), expected.clone());
        let check = check_key(checks.client.clone(), bucket, key, expected);
        checks.start(check).await?;
    }
    checks.finish().await
}

impl Checks {
    async fn start(
        &mut self,
        check: impl Future<Output = Checked> + Send + 'static,
    ) -> anyhow::Result<()> {
        self.running.spawn(check);
        while self.running.len() >= CONCURRENCY {
            self.settle_one().await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> anyhow::Result<Self> {
        while !self.running.is_empty() {
            self.settle_one().await?;
        }
        Ok(self)
    }

    async fn settle_one(&mut self) -> anyhow::Result<()> {
        let Some(ended) = self.running.join_next().await else {
            return Ok(());
        };
        let (reads, differences) = ended.context("a check was interrupted")??;
        self.reads += reads;
        for difference in differences {
            self.differences.push(difference);
        }
        Ok(())
    }
}

impl Differences {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The first of them.
    pub(super) fn first(&self) -> &[String] {
        &self.first
    }

    fn push(&mut self, difference: String) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(difference);
        }
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        let room = SHOWN.saturating_sub(self.first.len());
        self.first.extend(other.first.into_iter().take(room));
    }
}

async fn check_key(
    client: Client,
    bucket: &'static str,
    key: String,
    expected: Expected,
) -> Checked {
    let (mut reads, mut differences) = (0, Vec::new());
    for owner in client.owners(bucket, &key) {
        let handle = client.bucket(bucket);
        let found = match &expected {
            Expected::Record(text) => {
                let read = handle.get(&key).local().on_node(owner.node).await?;
                let is_equal = matches!(read.siblings(), [one] if one.as_ref() == text.as_bytes());
                (!is_equal).then(|| {
                    format!("{} values: {}", read.siblings().len(), {
                        let all = read.siblings().concat();
                        excerpt(&all, 60)
                    })
                })
            }
            Expected::Members(members) => {
                let read = handle
                    .set(&key)
                    .members()
                    .local()
                    .on_node(owner.node)
                    .await?;
                let is_equal = read
                    .elements()
                    .iter()
                    .eq(members.iter().map(String::as_bytes));
                (!is_equal).then(|| format!("{} of {} members", read.len(), members.len()))
            }
            Expected::Count(count) => {
                let read = handle
                    .counter(&key)
                    .read()
                    .local()
                    .on_node(owner.node)
                    .await?;
                (read.value() != *count).then(|| format!("{} instead of {count}", read.value()))
            }
        };
        reads += 1;
        if let Some(found) = found {
            differences.push(format!("{bucket} {key} at {}: {found}", owner.name));
        }
    }
    let inspection = client.inspect(bucket, &key).await?;
    if !inspection.equal {
        differences.push(format!("{bucket} {key}: {}", inspection.verdict));
    }
    Ok((reads, differences))
}

const PATIENCE: Duration = Duration::from_secs(60);
const CONCURRENCY: usize = 64;
/// How many differences are shown.
const SHOWN: usize = 10;
