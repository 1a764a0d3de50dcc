//! Waiting until the replicas are equal, and reading what they hold.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::{Cluster, until};
use crate::history::{FinalState, Observed, Subject};
use ring::NodeId;
use starling::{Client, Error, Kind};

impl Cluster {
    /// Waits until all owners of each of these keys answer and hold the same.
    ///
    /// # Errors
    /// If that does not come about in time; the error names the keys and what is wrong with one.
    pub async fn wait_equal(&self, client: &Client, subjects: &[Subject]) -> anyhow::Result<()> {
        for subject in subjects {
            let Subject { bucket, key } = subject;
            let mut verdict = String::new();
            let waited = until("the replicas are equal", || async {
                client
                    .inspect(bucket.clone(), key)
                    .await
                    .ok()
                    .filter(|seen| seen.equal)
            });
            if let Err(error) = waited.await {
                match client.inspect(bucket.clone(), key).await {
                    Ok(inspection) => verdict.push_str(&inspection.verdict),
                    Err(error) => verdict.push_str(&error.to_string()),
                }
                return Err(error.context(format!("{subject}: {verdict}")));
            }
        }
        Ok(())
    }

    /// Waits until every node by itself holds this of a key.
    ///
    /// # Errors
    /// If that does not come about in time; the error names what a node holds instead.
    pub async fn wait_holding(
        &self,
        client: &Client,
        subject: &Subject,
        kind: Kind,
        expected: &Observed,
    ) -> anyhow::Result<()> {
        for node in self.nodes() {
            let waited = until("a replica has it", || async {
                let held = read_local(client, subject, kind, node.id()).await;
                held.ok().filter(|held| held == expected)
            });
            if let Err(error) = waited.await {
                let held = match read_local(client, subject, kind, node.id()).await {
                    Ok(held) => held.to_string(),
                    Err(error) => error.to_string(),
                };
                let name = node.name();
                let what = format!("{subject}: {name} holds {held}, not {expected}");
                return Err(error.context(what));
            }
        }
        Ok(())
    }

    /// Reads each key at each of its owners alone.
    ///
    /// # Errors
    /// If a node does not answer in time.
    pub async fn read_everywhere(
        &self,
        client: &Client,
        subjects: &BTreeMap<Subject, Kind>,
    ) -> anyhow::Result<FinalState> {
        let mut last = FinalState::default();
        for (subject, kind) in subjects {
            let mut replicas = Vec::new();
            let Subject { bucket, key } = subject;
            let owners = until("a node names the owners", || async {
                let seen = client.inspect(bucket.clone(), key).await.ok()?;
                let owners = seen.replicas.iter().map(|replica| NodeId(replica.node));
                Some(owners.collect::<Vec<NodeId>>())
            });
            let owners = owners.await.with_context(|| subject.to_string())?;
            for node in self.nodes() {
                if !owners.contains(&node.id()) {
                    continue;
                }
                let held = until("a node reads alone", || async {
                    read_local(client, subject, *kind, node.id()).await.ok()
                });
                let held = held.await.with_context(|| subject.to_string())?;
                replicas.push((node.name().to_owned(), held));
            }
            last.replicas.insert(subject.clone(), replicas);
        }
        Ok(last)
    }
}

/// Reads keys that everybody has, each with its own name as its value, while `node` is filling
/// itself: through that node alone, and through any two. An answer must be an error or the value,
/// and never "there is none". Gives the number of answers that were the value.
///
/// # Errors
/// If a read finds nothing, or something else.
pub async fn read_while_filling(
    client: &Client,
    bucket: &str,
    keys: &[String],
    node: NodeId,
) -> anyhow::Result<usize> {
    let mut answers = 0;
    for (number, key) in keys.iter().cycle().take(1_000).enumerate() {
        let read = client.bucket(bucket).get(key).timeout(SOON);
        let read = if number % 2 == 0 {
            read.r(1).on_node(node)
        } else {
            read.r(2)
        };
        if let Ok(read) = read.await {
            answers += 1;
            let held = Observed::items(read.siblings());
            ensure!(held == Observed::items([key]), "{key} is read as {held}");
        }
    }
    Ok(answers)
}

/// What one node holds of a key, whatever the others have.
///
/// # Errors
/// As for every read.
pub async fn read_local(
    client: &Client,
    subject: &Subject,
    kind: Kind,
    node: NodeId,
) -> Result<Observed, Error> {
    let bucket = client.bucket(&subject.bucket);
    let key = &subject.key;
    match kind {
        Kind::Value => {
            let read = bucket.get(key).local().on_node(node).await?;
            Ok(Observed::items(read.siblings()))
        }
        Kind::Counter => {
            let count = bucket.counter(key).read().local().on_node(node).await?;
            Ok(Observed::Count(count.value()))
        }
        // Histories are of three kinds of keys; this is the third.
        _ => {
            let members = bucket.set(key).members().local().on_node(node).await?;
            Ok(Observed::items(members.elements()))
        }
    }
}

/// How long one read of many may take.
const SOON: Duration = Duration::from_millis(300);
