//! Disks that run full under real nodes: what makes them fuller is refused, everything else goes
//! on, and nobody has to start anything again.

use anyhow::{Context, ensure};
use tokio::runtime::Builder;

use crate::is_inside;
use crate::nemesis::Nemesis;
use starling::{Client, ErrorKind, Kind, Outcome};
use starling_tests::cluster::{Engine, fetch, until};
use starling_tests::workload::make_bucket;

#[test]
fn on_full_disks_reads_and_deletes_go_on_and_writes_do_again_by_themselves() -> anyhow::Result<()> {
    let name = "full::on_full_disks_reads_and_deletes_go_on_and_writes_do_again_by_themselves";
    if !is_inside(name)? {
        return Ok(());
    }
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let mut nemesis = Nemesis::start(Engine::Rocks).await?;
    let client = nemesis.cluster.client().await?;
    let once = nemesis.cluster.client_without_retries().await?;
    make_bucket(&nemesis.cluster, &client, BUCKET, Kind::Value).await?;
    for number in 0..KEYS {
        client.bucket(BUCKET).put(key(number), "small").await?;
    }

    // Below the reserve, and above a quarter of it.
    nemesis.leave(Some(128 << 10))?;
    wait_until_all_say(&nemesis, NEARLY_FULL).await?;
    refused(&once).await?;
    for number in 0..KEYS / 2 {
        let read = client.bucket(BUCKET).get(key(number)).await?;
        let delete = client.bucket(BUCKET).delete(key(number));
        delete.context(read.context()).await.context("a delete")?;
    }
    check(&client, &[]).await?;

    // Faster than anybody looks at the disks: some nodes meet the end of theirs.
    nemesis.leave(None)?;
    wait_until_all_say(&nemesis, ROOMY).await?;
    let mut acknowledged = Vec::new();
    for number in 0..LARGE {
        if number == LARGE / 4 {
            nemesis.leave(Some(64))?;
        }
        let name = format!("large-{number}");
        let put = once.bucket(BUCKET).put(&name, vec![7; 256 << 10]);
        if put.await.is_ok() {
            acknowledged.push(name);
        }
    }
    wait_until_all_say(&nemesis, FULL).await?;
    refused(&once).await?;
    check(&client, &acknowledged).await?;

    nemesis.leave(None)?;
    nemesis.cluster.wait_ready().await?;
    for at in 0..nemesis.cluster.nodes().len() {
        ensure!(!nemesis.cluster.node(at).has_ended()?, "n{} ended", at + 1);
    }
    let put = client.bucket(BUCKET).put("after", "small");
    put.w(3).await.context("a write after all")?;
    check(&client, &acknowledged).await?;
    nemesis.cluster.finish()
}

/// A write is refused, clearly and before anything is done.
async fn refused(client: &Client) -> anyhow::Result<()> {
    let put = client.bucket(BUCKET).put("refused", "small").await;
    let error = put.err().context("a write on a full disk")?;
    ensure!(error.kind() == ErrorKind::DiskFull, "{error}");
    ensure!(error.outcome() == Outcome::NotApplied, "{error}");
    Ok(())
}

/// Everything acknowledged is there, and everything deleted is gone.
async fn check(client: &Client, large: &[String]) -> anyhow::Result<()> {
    for number in 0..KEYS {
        let read = client.bucket(BUCKET).get(key(number)).await?;
        let is_there = read.single()?.is_some();
        ensure!(is_there == (number >= KEYS / 2), "{number}: {is_there}");
    }
    for name in large {
        let read = client.bucket(BUCKET).get(name).await?;
        ensure!(read.single()?.is_some(), "{name} was acknowledged");
    }
    Ok(())
}

async fn wait_until_all_say(nemesis: &Nemesis, expected: Said) -> anyhow::Result<()> {
    for node in nemesis.cluster.nodes() {
        let what = format!("{} says {expected:?}", node.name());
        let http = node.http();
        let said = || async move {
            let (status, text) = fetch(http, "/readyz").await.ok()?;
            let of_disk = text.split("disk is ").nth(1).unwrap_or_default();
            (status == expected.0 && of_disk.split([':', ';']).next() == Some(expected.1))
                .then_some(())
        };
        until(&what, said).await?;
    }
    Ok(())
}

/// The status of `/readyz`, and what it says of the disk.
type Said = (u16, &'static str);

fn key(number: usize) -> String {
    format!("key-{number}")
}

const ROOMY: Said = (200, "");
const NEARLY_FULL: Said = (200, "nearly full");
const FULL: Said = (503, "full");
const BUCKET: &str = "filling";
const KEYS: usize = 40;
const LARGE: usize = 80;
