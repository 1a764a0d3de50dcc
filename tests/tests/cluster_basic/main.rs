//! Three real nodes in everyday situations: one is down, frozen, stopped, restarted, or has a new
//! disk; and what r, w and local reads say then. And one large map.

mod listing;
mod maps;
#[cfg(feature = "rocksdb")]
mod restart;

use std::time::Duration;

use anyhow::{Context, ensure};

use starling::{ErrorKind, Kind, Outcome};
use starling_tests::cluster::{Cluster, Engine, Options, Signal, read_local};
use starling_tests::history::{Observed, Subject};

/// What the last attempt of a request meets where too few owners are there: one that misses the
/// others, or one that is down.
const TOO_FEW: [ErrorKind; 5] = [
    ErrorKind::Unavailable,
    ErrorKind::QuorumNotReached,
    ErrorKind::Timeout,
    ErrorKind::Unreachable,
    ErrorKind::ConnectionLost,
];

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
    ensure!(users.get("ada").r(2).await.context("r=2 of 2")?.single()? == Some(&"2".into()));
    ensure!(users.get("ada").r(1).await.context("r=1 of 2")?.answered() >= 1);
    let short = Duration::from_secs(2);
    let write = users.put("ada", "3").context(one_down.context());
    let error = write.w(3).timeout(short).await.unwrap_err();
    ensure!(TOO_FEW.contains(&error.kind()), "{error}");
    let error = users.get("ada").r(3).timeout(short).await.unwrap_err();
    ensure!(TOO_FEW.contains(&error.kind()), "{error}");
    ensure!(
        error.outcome() == Outcome::NotApplied,
        "reads do nothing: {error}"
    );

    // Without a quorum nothing is confirmed; what one replica has is still there to be read.
    cluster.node(1).kill()?;
    let error = users.put("eve", "1").timeout(short).await.unwrap_err();
    ensure!(TOO_FEW.contains(&error.kind()), "{error}");
    let alone = users.put("bob", "1").w(1).await.context("w=1 of 1")?;
    ensure!(alone.acks() == 1);
    ensure!(users.get("bob").r(1).await.context("r=1 of 1")?.single()? == Some(&"1".into()));
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_reads_its_writes_on_any_node_and_in_another_process() -> anyhow::Result<()> {
    let cluster = Cluster::start(in_memory()).await?;
    let client = cluster.client().await?;
    client.create_bucket("users").await?;
    let nodes: Vec<_> = client.topology().nodes().map(|info| info.node).collect();
    let session = client.session();
    let users = session.bucket("users");
    let mut context = None;
    for round in 0..20_u8 {
        let mut put = users.put("ada", vec![round]).w(1);
        if let Some(context) = &context {
            put = put.context(context);
        }
        context = Some(put.await?.context().clone());
        // Somebody else, whom only the token tells what has happened.
        let resumed = cluster.client().await?.resume(&session.token())?;
        let read = resumed.bucket("users").get("ada").r(1);
        let node = nodes[usize::from(round) % nodes.len()];
        let read = read.on_node(node).await?;
        ensure!(read.single()? == Some(&vec![round].into()), "round {round}");
    }
    let error = client.resume("01ff").unwrap_err();
    ensure!(error.kind() == ErrorKind::BadContext, "{error}");
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
    // What the frozen node found in its socket counts twice, until it is known everywhere.
    let expected = Observed::Count(20);
    cluster
        .wait_holding(&client, &subject, Kind::Counter, &expected)
        .await?;
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
