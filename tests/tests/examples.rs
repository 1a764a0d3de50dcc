//! Every example of the client library, run against a real cluster: what the documentation tells
//! people to copy works.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

use starling_tests::cluster::{Cluster, Engine, Options, PATIENCE, example};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_the_client_works() -> anyhow::Result<()> {
    let sources = sources()?;
    ensure!(sources.len() >= 5, "examples are missing: {sources:?}");
    let cluster = Cluster::start(Options {
        engine: Engine::Memory,
        ..Options::default()
    })
    .await?;
    for name in sources {
        let program = example(&name)?;
        // Twice: an example leaves nothing behind that is in its own way.
        for _ in 0..2 {
            let mut command = Command::new(&program);
            command.env("STARLING_URL", cluster.url());
            command.stdin(Stdio::null()).kill_on_drop(true);
            let output = tokio::time::timeout(PATIENCE, command.output()).await;
            let output = output.with_context(|| format!("{name} takes too long"))??;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{name}: {}: {said}", output.status);
            ensure!(!output.stdout.is_empty(), "{name} shows nothing");
        }
    }
    cluster.finish()
}

/// The names of all examples.
fn sources() -> anyhow::Result<Vec<String>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/examples");
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}
