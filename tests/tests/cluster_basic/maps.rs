//! A map of more fields than one message or one write holds: read by pages, counted, cleared.

use anyhow::{Context, ensure};

use super::in_memory;
use starling::{ErrorKind, Kind, Map};
use starling_tests::cluster::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_of_twelve_thousand_fields_is_paged_counted_and_cleared() -> anyhow::Result<()> {
    let cluster = Cluster::start(in_memory()).await?;
    let client = cluster.client().await?;
    client.create_bucket("maps").kind(Kind::Map).await?;
    let map = client.bucket("maps").map("large");
    fill(&map).await?;
    ensure!(map.len().await? == FIELDS + 1);
    ensure!(map.len().page_size(700).r(3).await? == FIELDS + 1);

    let mut scan = map.scan().prefix("f").page_size(3_000);
    for number in 0..FIELDS / 2 {
        let entry = scan.try_next().await?.context("there are more")?;
        ensure!(entry.name == name(number), "{entry:?}");
        ensure!(
            entry.fields.register(&entry.name) == Some(&"x".into()),
            "{entry:?}"
        );
    }
    // Four standard errors: which names are sampled depends on where the map is.
    let estimate = map.approximate_len().await?;
    ensure!(
        estimate.abs_diff(FIELDS + 1) < FIELDS / 6,
        "{estimate} names"
    );
    let cursor = scan.cursor().context("it is not at its end")?;
    let rest = map.scan().prefix("f").resume(&cursor).collect().await?;
    ensure!(rest.len() as u64 == FIELDS - FIELDS / 2);
    let last = map.scan().prefix("f").reverse().try_next().await?;
    ensure!(last.context("the last")?.name == name(FIELDS - 1));

    // The set does not fit into a page, and says so; the fields around it can be read.
    let error = map.scan().collect().await.unwrap_err();
    ensure!(error.kind() == ErrorKind::TooLarge, "{error}");
    ensure!(error.to_string().contains("field crowd "), "{error}");
    let behind = map.scan().range("crowd\0"..).collect().await?;
    ensure!(behind.len() as u64 == FIELDS);

    let url = cluster.url();
    let commands = [
        ("map len maps large", "12001\n"),
        (
            "map scan maps large --from f00000001 --to f00000002",
            "f00000001  register  x\n",
        ),
    ];
    for (command, expected) in commands {
        let words = ["--seed", &url].into_iter().chain(command.split(' '));
        let output = cluster.run(&words.collect::<Vec<_>>()).await?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(said == expected, "{command}: {said}");
    }

    map.counter("hits").add(3).await?;
    map.clear().await?;
    ensure!(map.len().await? == 0);
    ensure!(map.read().await?.value().is_empty());
    map.counter("hits").add(1).await?;
    ensure!(map.read().await?.value().counter("hits") == 1);
    cluster.finish()
}

/// Assigns a register in each field, and adds to one set more than a page holds.
async fn fill(map: &Map) -> anyhow::Result<()> {
    for first in (0..FIELDS).step_by(1_000) {
        let write = map.update(|fields| {
            for number in first..first + 1_000 {
                fields.register(name(number)).set("x");
            }
        });
        write.w(3).await?;
    }
    for first in (0..6_000).step_by(1_000) {
        let elements = (first..first + 1_000).map(name);
        map.set("crowd").add_all(elements).w(3).await?;
    }
    Ok(())
}

fn name(number: u64) -> String {
    format!("f{number:08}")
}

const FIELDS: u64 = 12_000;
