//! Bytes that are no messages, on both protocols, and beside them.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};

use anyhow::ensure;

use crate::raw::{Raw, encoded};
use crate::{BUCKET, Witness, cluster};
use starling::transport::Alpn;
use starling::wire::{self, FailureKind, Key, Kind, Part, ReadRequest, Request, Response};
use starling_tests::cluster::fetch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bodies_from_a_client_are_answered_by_an_error() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let raw = Raw::client(&cluster).await?;
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..300 {
        let mut body: Vec<u8> = (0..random.usize(..2_000)).map(|_| random.u8(..)).collect();
        if let (true, Some(first)) = (round % 2 == 0, body.first_mut()) {
            // Past the version, so that the decoder has something to chew.
            *first = wire::VERSION;
        }
        let reply = raw.send(body).await?;
        let Response::Failed(failure) = wire::decode(&reply)? else {
            anyhow::bail!("garbage was taken for a request");
        };
        ensure!(failure.kind == FailureKind::BadRequest, "{failure:?}");
        ensure!(failure.message.contains("nothing was done"), "{failure:?}");
    }
    witness.assert_undisturbed().await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_cut_or_too_long_is_answered_by_an_error() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let raw = Raw::client(&cluster).await?;
    let whole = encoded(&Request::Read(ReadRequest {
        bucket: BUCKET.to_owned(),
        kind: Kind::Value,
        key: Key::from("witness"),
        path: Vec::new(),
        part: Part::Whole,
        r: None,
        local: false,
        timeout_ms: 1_000,
        pr: None,
        monotonic: false,
    }))?;
    let longer = [&whole[..], b"!"].concat();
    let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
    for body in cut.chain([longer]) {
        let reply = raw.send(body.clone()).await?;
        let Response::Failed(failure) = wire::decode(&reply)? else {
            anyhow::bail!("{} of {} bytes were taken", body.len(), whole.len());
        };
        ensure!(failure.kind == FailureKind::BadRequest, "{failure:?}");
    }
    ensure!(matches!(
        wire::decode(&raw.send(whole).await?)?,
        Response::Read(_)
    ));
    witness.assert_undisturbed().await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bodies_from_a_node_cost_it_its_connection_at_most() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    // A certificate of the cluster, whose bearer is no member.
    let (_, files) = cluster.certificates().node("stranger")?;
    let mut random = fastrand::Rng::with_seed(2);
    let mut refused = 0;
    for _ in 0..30 {
        let raw = Raw::connect(&cluster, Some(&files), Alpn::Peer).await?;
        for _ in 0..10 {
            let mut body: Vec<u8> = (0..random.usize(..500)).map(|_| random.u8(..)).collect();
            if let Some(first) = body.first_mut() {
                *first = 1;
            }
            if raw.send(body).await.is_err() {
                refused += 1;
                break;
            }
        }
    }
    ensure!(
        refused == 30,
        "garbage was tolerated in {} of 30 connections",
        30 - refused
    );
    witness.assert_undisturbed().await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_beyond_the_limit_ends_its_connection_only() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let (_, node) = cluster.certificates().node("stranger")?;
    for (files, alpn) in [
        (cluster.certificates().user(), Alpn::Client),
        (&node, Alpn::Peer),
    ] {
        let raw = Raw::connect(&cluster, Some(files), alpn).await?;
        let error = raw.send(vec![wire::VERSION; 9 * 1024 * 1024]).await;
        let error = error.unwrap_err();
        ensure!(
            error.to_string().contains("lost") || error.to_string().contains("closed"),
            "{error}"
        );
        let end = raw.connection.closed().await;
        ensure!(end.to_string().contains("exceeds the limit"), "{end}");
    }
    witness.assert_undisturbed().await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_that_are_no_quic_and_requests_that_are_no_http_disturb_nobody()
-> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let mut random = fastrand::Rng::with_seed(3);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    for node in cluster.nodes() {
        for round in 0..500 {
            let mut packet: Vec<u8> = (0..random.usize(1..1_400)).map(|_| random.u8(..)).collect();
            if round % 2 == 0 {
                // The long header of a first packet of QUIC version 1, and then garbage.
                packet.splice(0..1, [0xc3, 0, 0, 0, 1, 8]);
            }
            socket.send_to(&packet, node.quic())?;
        }
        for request in [&b"\x16\x03\x01garbage"[..], b"GET", b"GET / HTTP/9\r\n\r\n"] {
            TcpStream::connect(node.http())?.write_all(request)?;
        }
        ensure!(matches!(
            fetch(node.http(), "/no-such-page").await?,
            (404, _)
        ));
        ensure!(matches!(fetch(node.http(), "/readyz").await?, (200, _)));
    }
    witness.assert_undisturbed().await?;
    cluster.finish()
}
