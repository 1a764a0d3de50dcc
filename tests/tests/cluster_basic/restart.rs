//! What is on disk: it is there after `kill -9`, and when it is gone the node starts over.

use std::time::Duration;

use anyhow::ensure;
use tokio::task::JoinSet;

use starling::{Client, Durability, Kind};
use starling_tests::cluster::{Cluster, Options, read_local, read_while_filling, until};
use starling_tests::history::{Observed, Subject};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_acknowledged_at_wal_is_there_after_kill_9() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Options {
        nodes: 1,
        ..Options::default()
    })
    .await?;
    let client = cluster.client().await?;
    client.create_bucket("users").n(1).await?;
    let users = client.bucket("users");
    for round in 0..3 {
        // The last of the writes are still on their way when the node is killed.
        let mut writes = JoinSet::new();
        for number in 0..200 {
            let write = users.put(format!("{round}-{number}"), "x");
            let write = write.w(1).durability(Durability::Wal).timeout(SOON);
            writes.spawn(async move { write.await.map(|_| number) });
        }
        let mut acknowledged = Vec::new();
        while let Some(written) = writes.join_next().await {
            acknowledged.extend(written?.ok());
            if acknowledged.len() == 50 * (round + 1) {
                cluster.node(0).kill()?;
            }
        }
        cluster.node(0).kill()?;
        cluster.node(0).start()?;
        cluster.wait_ready().await?;
        ensure!(acknowledged.len() >= 50, "{}", acknowledged.len());
        for number in acknowledged {
            let key = format!("{round}-{number}");
            let read = read_when_up(&client, "users", &key).await?;
            ensure!(read == Observed::items(["x"]), "{key} is lost");
        }
    }
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_fresh_disk_fills_itself_and_does_not_count_before() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Options::default()).await?;
    let client = cluster.client().await?;
    client.create_bucket("users").await?;
    let users = client.bucket("users");
    let keys: Vec<String> = (0..300).map(|number| format!("user-{number}")).collect();
    for key in &keys {
        users.put(key, key.clone()).w(3).await?;
    }
    cluster.node(1).kill()?;
    cluster.node(2).kill()?;
    cluster.node(2).wipe()?;
    cluster.node(2).start()?;
    cluster.node(2).wait_alive().await?;

    // It learns the ring and the rows from the one node that is left.
    let fresh = cluster.node(2).id();
    let once = cluster.client_without_retries().await?;
    let answers = read_while_filling(&once, "users", &keys, fresh).await?;
    ensure!(answers > 0, "it never came to count");
    cluster.node(1).start()?;
    cluster.wait_ready().await?;
    let subjects: Vec<Subject> = keys.iter().map(|key| Subject::new("users", key)).collect();
    cluster.wait_equal(&client, &subjects).await?;
    for (key, subject) in keys.iter().zip(&subjects) {
        let held = read_local(&client, subject, Kind::Value, fresh).await?;
        ensure!(held == Observed::items([key]), "{key}: {held}");
    }
    cluster.finish()
}

/// Reads as soon as the client has found the node again.
async fn read_when_up(client: &Client, bucket: &str, key: &str) -> anyhow::Result<Observed> {
    let read = until("a read is answered", || async {
        client.bucket(bucket).get(key).await.ok()
    });
    Ok(Observed::items(read.await?.siblings()))
}

const SOON: Duration = Duration::from_secs(3);
