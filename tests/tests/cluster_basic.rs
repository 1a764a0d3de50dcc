//! Three real nodes in everyday situations: one is down, frozen, stopped, restarted, or has a new
//! disk; and what r, w and local reads say then.

use std::time::Duration;

use anyhow::{Context, ensure};
use starling::{Client, Durability, ErrorKind, Kind, Outcome};

use starling_tests::cluster::{Cluster, Engine, Options, Signal, read_local, until};
use starling_tests::history::{Observed, Subject};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quorum_is_enough_and_r_and_w_are_chosen_per_request() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(in_memory()).await?;
    let client = cluster.client().await?;
    client.create_bucket("users").await?;
    let users = client.bucket("users");
    let all = users.put("ada", "1").w(3).await?;
    ensure!(all.acks() == 3, "{} acks", all.acks());
    ensure!(users.get("ada").r(3).await?.answered() == 3);

    cluster.node(2).kill()?;
    let one_down = users.put("ada", "2").context(all.context()).w(2).await?;
    ensure!(users.get("ada").r(2).await?.single()? == Some(&"2".into()));
    ensure!(users.get("ada").r(1).await?.answered() >= 1);
    let short = Duration::from_secs(2);
    let write = users.put("ada", "3").context(one_down.context());
    let error = write.w(3).timeout(short).await.unwrap_err();
    let kinds = [
        ErrorKind::Unavailable,
        ErrorKind::QuorumNotReached,
        ErrorKind::Timeout,
    ];
    ensure!(kinds.contains(&error.kind()), "{error}");
    let error = users.get("ada").r(3).timeout(short).await.unwrap_err();
    ensure!(kinds.contains(&error.kind()), "{error}");
    ensure!(
        error.outcome() == Outcome::NotApplied,
        "reads do nothing: {error}"
    );

    // Without a quorum nothing is confirmed; what one replica has is still there to be read.
    cluster.node(1).kill()?;
    let error = users.put("eve", "1").timeout(short).await.unwrap_err();
    ensure!(kinds.contains(&error.kind()), "{error}");
    let alone = users.put("bob", "1").w(1).await?;
    ensure!(alone.acks() == 1);
    ensure!(users.get("bob").r(1).await?.single()? == Some(&"1".into()));
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_read_shows_one_replica() -> anyhow::Result<()> {
    let cluster = Cluster::start(in_memory()).await?;
    let client = cluster.client().await?;
    for (bucket, kind) in [
        ("values", Kind::Value),
        ("counts", Kind::Counter),
        ("sets", Kind::Set),
    ] {
        client.create_bucket(bucket).kind(kind).await?;
    }
    client.bucket("values").put("k", "v").w(3).await?;
    client.bucket("counts").counter("k").add(7).w(3).await?;
    client
        .bucket("sets")
        .set("k")
        .add("e")
        .add("f")
        .w(3)
        .await?;
    for node in cluster.nodes() {
        for (bucket, kind, expected) in [
            ("values", Kind::Value, Observed::items(["v"])),
            ("counts", Kind::Counter, Observed::Count(7)),
            ("sets", Kind::Set, Observed::items(["e", "f"])),
        ] {
            let subject = Subject::new(bucket, "k");
            let held = read_local(&client, &subject, kind, node.id()).await?;
            ensure!(held == expected, "{} has {held} in {bucket}", node.name());
        }
    }
    let subjects = ["values", "counts", "sets"].map(|bucket| Subject::new(bucket, "k"));
    cluster.wait_equal(&client, &subjects).await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_node_stops_nobody_and_has_everything_later() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(in_memory()).await?;
    let client = cluster.client().await?;
    client.create_bucket("counts").kind(Kind::Counter).await?;
    let counter = client.bucket("counts").counter("k");
    cluster.node(0).signal(Signal::Stop)?;
    for _ in 0..20 {
        counter.add(1).timeout(Duration::from_secs(20)).await?;
    }
    cluster.node(0).signal(Signal::Continue)?;
    let subject = Subject::new("counts", "k");
    cluster
        .wait_equal(&client, std::slice::from_ref(&subject))
        .await?;
    for node in cluster.nodes() {
        let held = read_local(&client, &subject, Kind::Counter, node.id()).await?;
        ensure!(held == Observed::Count(20), "{} counts {held}", node.name());
    }
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_node_ends_in_order_and_starts_clean() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Options::default()).await?;
    let client = cluster.client().await?;
    client.create_bucket("users").await?;
    client.bucket("users").put("ada", "1").w(3).await?;
    let status = cluster.node(1).stop().await?;
    ensure!(
        status.code() == Some(0),
        "{status}: {}",
        cluster.node(1).log()?
    );
    ensure!(is_marked_clean(&mut cluster, 1)?, "not marked");
    if cfg!(feature = "rocksdb") {
        cluster.node(1).start()?;
        cluster.wait_ready().await?;
        ensure!(!is_marked_clean(&mut cluster, 1)?, "still marked");
        let subject = Subject::new("users", "ada");
        let node = cluster.node(1).id();
        let held = read_local(&client, &subject, Kind::Value, node).await?;
        ensure!(held == Observed::items(["1"]), "{held}");
        cluster.node(1).kill()?;
        ensure!(!is_marked_clean(&mut cluster, 1)?, "marked by a kill");
    }
    cluster.finish()
}

#[cfg(feature = "rocksdb")]
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
        let mut writes = tokio::task::JoinSet::new();
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

#[cfg(feature = "rocksdb")]
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

    // Whoever is asked, and however soon: an error, or the value, and never "there is none".
    let fresh = cluster.node(2).id();
    let once = cluster.client_without_retries().await?;
    let mut answers = 0;
    for key in keys.iter().cycle().take(1_500) {
        let read = once.bucket("users").get(key);
        let read = match answers % 2 {
            0 => read.r(1).on_node(fresh),
            _ => read.r(2),
        };
        if let Ok(read) = read.timeout(Duration::from_millis(300)).await {
            answers += 1;
            ensure!(
                read.single()? == Some(&key.clone().into()),
                "{key} is not found"
            );
        }
    }
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

fn in_memory() -> Options {
    Options {
        engine: Engine::Memory,
        ..Options::default()
    }
}

/// What the node's data directory says of its last end.
fn is_marked_clean(cluster: &mut Cluster, node: usize) -> anyhow::Result<bool> {
    let file = cluster.node(node).data_directory().join("boot.toml");
    let text = std::fs::read_to_string(file).context("boot.toml")?;
    Ok(text.contains("clean = true"))
}

/// Reads as soon as the client has found the node again.
#[cfg(feature = "rocksdb")]
async fn read_when_up(client: &Client, bucket: &str, key: &str) -> anyhow::Result<Observed> {
    let read = until("a read is answered", || async {
        client.bucket(bucket).get(key).await.ok()
    });
    Ok(Observed::items(read.await?.siblings()))
}

#[cfg(feature = "rocksdb")]
const SOON: Duration = Duration::from_secs(3);
