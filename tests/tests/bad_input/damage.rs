//! Files of RocksDB that were damaged: the node says so, and what it says to do works.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::startup::{contains, refusal};
use starling::{Client, Kind};
use starling_tests::cluster::{Cluster, Options, read_local, read_while_filling};
use starling_tests::history::{Observed, Subject};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_refused_and_the_advice_repairs_it() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(Options::default()).await?;
    let client = cluster.client().await?;
    client.create_bucket("users").await?;
    let once = cluster.client_without_retries().await?;
    let keys = write_all(&client).await?;
    for damage in [remove_current, flip_tables] {
        // What the log held goes into tables at the next start.
        for _ in 0..2 {
            cluster.node(2).stop().await?;
            cluster.node(2).start()?;
            cluster.node(2).wait_ready().await?;
        }
        cluster.node(2).stop().await?;
        damage(&cluster.node(2).data_directory().join("db"))?;
        let config = cluster.node(2).config().clone();
        let said = refusal(cluster.node(2), &config).await?;
        contains(
            &said,
            &["is damaged", "other owners still have their rows", "`mv "],
        )?;

        // The others go on meanwhile, and the advice brings this one back.
        let users = client.bucket("users");
        let seen = users.get("user-0").await?;
        users
            .put("user-0", "user-0")
            .context(seen.context())
            .w(2)
            .await?;
        let command = said.split('`').find(|part| part.starts_with("mv "));
        let command = command.context("there is no command to run")?;
        ensure!(
            Command::new("sh").args(["-c", command]).status()?.success(),
            "{command}"
        );
        let moved = command.split(' ').next_back().map(PathBuf::from);
        cluster.node(2).start()?;
        cluster.node(2).wait_alive().await?;
        let node = cluster.node(2).id();
        read_while_filling(&once, "users", &keys, node).await?;
        cluster.wait_ready().await?;
        let subjects: Vec<Subject> = keys.iter().map(|key| Subject::new("users", key)).collect();
        cluster.wait_equal(&client, &subjects).await?;
        for (key, subject) in keys.iter().zip(&subjects) {
            let held = read_local(&client, subject, Kind::Value, node).await?;
            ensure!(held == Observed::items([key]), "{key}: {held}");
        }
        fs::remove_dir_all(moved.context("a directory")?)?;
    }
    cluster.finish()
}

async fn write_all(client: &Client) -> anyhow::Result<Vec<String>> {
    let keys: Vec<String> = (0..100).map(|number| format!("user-{number}")).collect();
    for key in &keys {
        client.bucket("users").put(key, key.clone()).w(3).await?;
    }
    Ok(keys)
}

fn remove_current(database: &Path) -> anyhow::Result<()> {
    fs::remove_file(database.join("CURRENT")).context("CURRENT")
}

/// Flips bits all over every table file.
fn flip_tables(database: &Path) -> anyhow::Result<()> {
    let mut damaged = 0;
    for entry in fs::read_dir(database)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "sst") {
            continue;
        }
        let mut bytes = fs::read(&path)?;
        bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x55);
        fs::write(&path, bytes)?;
        damaged += 1;
    }
    ensure!(damaged > 0, "there are no tables yet");
    Ok(())
}
