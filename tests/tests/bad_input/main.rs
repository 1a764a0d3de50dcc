//! Bad input of every sort, to real nodes: each is answered by a clear error that the
//! documentation (`docs/errors.md`) names, no node panics, and nobody else is disturbed.
//!
//! Frames that are cut or garbled below the level of messages (`streams`) are sent by a QUIC of the
//! tests' own, as in `client/tests/transport/garbage.rs`, where the other side is no whole node.

#[cfg(feature = "rocksdb")]
mod damage;
mod documented;
mod frames;
#[cfg(feature = "rocksdb")]
mod log;
mod operations;
mod raw;
mod requests;
mod startup;
mod strangers;
mod streams;

use anyhow::ensure;

use starling::{Client, Context};
use starling_tests::cluster::{Cluster, Engine, Options};

/// A client that minds its own business while others misbehave.
struct Witness {
    client: Client,
    context: Context,
}

impl Witness {
    /// Writes before the bad input.
    async fn of(cluster: &Cluster) -> anyhow::Result<Self> {
        let client = cluster.client().await?;
        client.create_bucket(BUCKET).await?;
        let bucket = client.bucket(BUCKET);
        let before = bucket.get("witness").await?;
        let written = bucket
            .put("witness", "before")
            .context(before.context())
            .w(3)
            .await?;
        let context = written.context().clone();
        Ok(Self { client, context })
    }

    /// Reads and writes after it, on connections that were there all the time.
    async fn assert_undisturbed(self) -> anyhow::Result<()> {
        let bucket = self.client.bucket(BUCKET);
        let read = bucket.get("witness").r(3).await?;
        ensure!(
            read.single()? == Some(&"before".into()),
            "{:?}",
            read.siblings()
        );
        bucket
            .put("witness", "after")
            .context(&self.context)
            .w(3)
            .await?;
        let read = bucket.get("witness").r(3).await?;
        ensure!(
            read.single()? == Some(&"after".into()),
            "{:?}",
            read.siblings()
        );
        Ok(())
    }
}

/// Three nodes that keep nothing; bad input does not need a disk.
async fn cluster() -> anyhow::Result<Cluster> {
    let engine = Engine::Memory;
    Cluster::start(Options {
        engine,
        ..Options::default()
    })
    .await
}

const BUCKET: &str = "witness";
