//! Who is there, as real processes find it out: a node that died is known to all, a node that was
//! frozen convicts nobody when it wakes, one that moved is found, one that knows nobody turns to
//! its seeds.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use ring::{MemberState, NodeId};
use starling::Client;
use starling::wire::MemberStatus;
use starling_tests::cluster::{Cluster, Engine, Options, Signal, fetch, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_is_known_to_all_and_up_again_when_it_is_back() -> anyhow::Result<()> {
    for nodes in [3, 5] {
        let mut cluster = Cluster::start(in_memory(nodes)).await?;
        let client = cluster.client().await?;
        let ids = ids(&cluster);
        wait_all_hold(&client, &ids, &ids, MemberState::Alive).await?;
        let (gone, living) = ids.split_last().context("several nodes")?;
        cluster.node(nodes - 1).kill()?;
        let killed = Instant::now();
        wait_all_hold(&client, living, &[*gone], MemberState::Down).await?;
        let took = killed.elapsed();
        println!("{nodes} nodes: all know of a death after {took:?}");
        for &asked in living {
            let member = seen(&client, asked, *gone).await.context("a status")?;
            ensure!(!member.reachable, "{member:?}");
            ensure!(!member.view.suspected_by.is_empty(), "{member:?}");
            ensure!(member.view.phi_hundredths > Some(800), "{member:?}");
            let info = client.member_info(*gone).on_node(asked).await?;
            let edge = info.edge.context("few nodes observe each other")?;
            ensure!(edge.intervals_us.len() > 2, "{edge:?}");
        }
        let text = metrics(&mut cluster, 0).await?;
        ensure!(value(&text, "starling_members_down_total") >= Some(1.0));
        ensure!(text.contains(&format!("starling_member_state{{peer=\"{gone}\"")));
        ensure!(value(&text, "starling_gossip_sent_bytes_total") > Some(0.0));

        cluster.node(nodes - 1).start()?;
        wait_all_hold(&client, &ids, &ids, MemberState::Alive).await?;
        cluster.finish()?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_frozen_convicts_nobody_when_it_wakes() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(in_memory(3)).await?;
    let client = cluster.client().await?;
    let ids = ids(&cluster);
    wait_all_hold(&client, &ids, &ids, MemberState::Alive).await?;
    for _ in 0..2 {
        cluster.node(0).signal(Signal::Stop)?;
        wait_all_hold(&client, &ids[1..], &ids[..1], MemberState::Down).await?;
        cluster.node(0).signal(Signal::Continue)?;
        wait_all_hold(&client, &ids, &ids, MemberState::Alive).await?;
    }
    let text = metrics(&mut cluster, 0).await?;
    ensure!(
        value(&text, "starling_members_down_total") == Some(0.0),
        "{text}"
    );
    ensure!(value(&text, "starling_pauses_total") >= Some(2.0), "{text}");
    ensure!(
        value(&text, "starling_refutations_total") >= Some(2.0),
        "{text}"
    );
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_moved_is_found_without_a_command() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(in_memory(3)).await?;
    let client = cluster.client().await?;
    client.create_bucket("users").await?;
    let ids = ids(&cluster);
    cluster.node(2).stop().await?;
    cluster.node(2).relocate()?;
    cluster.node(2).start()?;
    let address = cluster.node(2).quic().to_string();
    for &asked in &ids[..2] {
        until("the new address is known and reached", || async {
            let member = seen(&client, asked, ids[2]).await?;
            (member.address == address && member.reachable).then_some(())
        })
        .await?;
    }
    until("all three owners take a write", || async {
        client.bucket("users").put("ada", "1").w(3).await.ok()
    })
    .await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_knows_nobody_and_that_nobody_finds_turns_to_its_seeds() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(in_memory(3)).await?;
    let client = cluster.client().await?;
    client.create_bucket("users").await?;
    let ids = ids(&cluster);
    let port = cluster.node(0).quic().port();
    cluster.node(2).stop().await?;
    cluster.node(2).wipe()?;
    cluster.node(2).relocate()?;
    // The first one leads nowhere; the second is a name.
    let seeds = vec!["127.0.0.1:9".to_owned(), format!("localhost:{port}")];
    cluster.node(2).set_seeds(seeds)?;
    cluster.node(2).start()?;
    cluster.wait_ready().await?;
    wait_all_hold(&client, &ids, &ids, MemberState::Alive).await?;
    until("all three owners take a write", || async {
        client.bucket("users").put("ada", "1").w(3).await.ok()
    })
    .await?;
    cluster.finish()
}

fn in_memory(nodes: usize) -> Options {
    Options {
        nodes,
        engine: Engine::Memory,
        ..Options::default()
    }
}

fn ids(cluster: &Cluster) -> Vec<NodeId> {
    cluster.nodes().iter().map(|node| node.id()).collect()
}

/// Waits until each of `asked` holds each of `subjects` for `state`, and reaches it or not.
async fn wait_all_hold(
    client: &Client,
    asked: &[NodeId],
    subjects: &[NodeId],
    state: MemberState,
) -> anyhow::Result<()> {
    for &asked in asked {
        for &subject in subjects.iter().filter(|subject| **subject != asked) {
            let what = format!("{asked} holds {subject} for {state:?}");
            until(&what, || async {
                let member = seen(client, asked, subject).await?;
                let is_there = state == MemberState::Alive;
                (member.view.state == state && member.reachable == is_there).then_some(())
            })
            .await?;
        }
    }
    Ok(())
}

/// What one node says of another.
async fn seen(client: &Client, asked: NodeId, subject: NodeId) -> Option<MemberStatus> {
    let status = client.status().on_node(asked).timeout(SOON).await.ok()?;
    let mut members = status.members.into_iter();
    members.find(|member| member.node == subject.0)
}

async fn metrics(cluster: &mut Cluster, at: usize) -> anyhow::Result<String> {
    let (_, text) = fetch(cluster.node(at).http(), "/metrics").await?;
    Ok(text)
}

/// The value of a metric without labels.
fn value(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

const SOON: Duration = Duration::from_secs(3);
