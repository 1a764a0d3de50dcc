//! Listing a bucket when nodes are away: whole, or an error.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::in_memory;
use starling::{Bucket, Client, Outcome};
use starling_tests::cluster::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_is_listed_whole_while_a_node_is_down_and_writes_go_on() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(in_memory()).await?;
    let client = cluster.client().await?;
    client.create_bucket("users").await?;
    let users = client.bucket("users");
    for first in (0..KEYS).step_by(AT_ONCE) {
        let mut puts = JoinSet::new();
        for number in first..first + AT_ONCE {
            puts.spawn(users.put(format!("old-{number}"), "x").into_future());
        }
        for put in puts.join_all().await {
            put?;
        }
    }
    cluster.node(1).kill()?;
    let (told, mut progress) = watch::channel(0);
    let writer = tokio::spawn(write_on(users, told));
    // Others take over what the lost node did before the list begins.
    progress.wait_for(|&written| written > 0).await?;
    let listed = list_by_pieces(&cluster).await?;
    drop(progress);
    let written = writer.await??;

    let (old, new): (Vec<&String>, Vec<&String>) =
        listed.iter().partition(|key| key.starts_with("old-"));
    ensure!(old.len() == KEYS, "{} of {KEYS} keys", old.len());
    ensure!(!new.is_empty(), "nothing was written meanwhile");
    ensure!(new.iter().all(|key| written.contains(*key)), "{new:?}");
    // What is written now was there before this list began.
    let again = list_by_pieces(&cluster).await?;
    ensure!(again.is_superset(&written) && again.is_superset(&listed));

    cluster.node(2).kill()?;
    refuses_to_list(&client).await?;
    cluster.finish()
}

/// With one owner of three nothing is listed: neither a part, nor nothing.
async fn refuses_to_list(client: &Client) -> anyhow::Result<()> {
    let short = Duration::from_secs(1);
    let error = client.bucket("users").keys().timeout(short).collect().await;
    let error = error.unwrap_err();
    ensure!(crate::TOO_FEW.contains(&error.kind()), "{error}");
    ensure!(error.outcome() == Outcome::NotApplied, "{error}");
    Ok(())
}

/// Writes one new key after the other until nobody listens any more, and says which.
async fn write_on(
    users: Bucket,
    told: watch::Sender<usize>,
) -> Result<BTreeSet<String>, starling::Error> {
    let mut written = BTreeSet::new();
    loop {
        let key = format!("new-{}", written.len());
        users.put(&key, "x").await?;
        written.insert(key);
        if told.send(written.len()).is_err() {
            return Ok(written);
        }
    }
}

/// Lists a bucket in several lives of the program: each goes on from the cursor of the one before,
/// in the middle of a page too.
async fn list_by_pieces(cluster: &Cluster) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut place: Option<String> = None;
    loop {
        let users = cluster.client().await?.bucket("users");
        let mut keys = users.keys();
        if let Some(place) = &place {
            keys = keys.resume(place);
        }
        for _ in 0..PIECE {
            let Some(key) = keys.try_next().await? else {
                return Ok(found);
            };
            found.insert(String::from_utf8(key.partition.into_vec())?);
        }
        let Some(next) = keys.cursor() else {
            return Ok(found);
        };
        place = Some(next);
    }
}

const KEYS: usize = 3_000;
/// The puts under way together: fewer than any node takes at once, however slow it is.
const AT_ONCE: usize = 500;
/// The keys that one life reads.
const PIECE: usize = 1_000;
