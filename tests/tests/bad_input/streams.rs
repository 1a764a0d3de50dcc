//! Bytes that are no frames, on QUIC streams that TLS has let in, to a real node: each connection
//! ends with the reason that is its own, and nobody else notices.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, RecvStream, SendStream, VarInt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Witness, cluster};
use starling::transport::{Alpn, CloseCode, SERVER_NAME};
use starling::wire;
use starling_node::authority::CertificateFiles;
use starling_tests::cluster::{Cluster, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_on_a_stream_end_its_connection_only() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let mut random = fastrand::Rng::with_seed(4);
    for caller in callers(&cluster)? {
        for preamble in [&b""[..], SMALL] {
            for _ in 0..20 {
                let garbage = (0..random.usize(20..5_000)).map(|_| random.u8(..));
                let bytes = preamble.iter().copied().chain(garbage).collect();
                let (code, reason) = answer_to(&caller, bytes).await?;
                let expected = [CloseCode::BAD_FRAME, CloseCode::FRAME_TOO_LARGE];
                ensure!(expected.contains(&code), "{code:?}: {reason}");
            }
        }
    }
    witness.assert_undisturbed().await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_is_cut_ends_its_connection_only() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let whole = frame(40, 1, &[wire::VERSION; 40]);
    for caller in callers(&cluster)? {
        for length in 1..whole.len() {
            let bytes = [SMALL, &whole[..length]].concat();
            let (code, reason) = answer_to(&caller, bytes).await?;
            ensure!(code == CloseCode::BAD_FRAME, "{length}: {code:?}: {reason}");
            ensure!(reason.contains("into a frame"), "{length}: {reason}");
        }
    }
    witness.assert_undisturbed().await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_beyond_the_limit_ends_its_connection_before_a_body_arrives() -> anyhow::Result<()>
{
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    for caller in callers(&cluster)? {
        for length in [8 * 1024 * 1024 + 1, u32::MAX / 2, u32::MAX] {
            let bytes = [SMALL, &frame(length, 1, b"")].concat();
            // The stream stays open: the length alone must do.
            let connection = connect(&caller).await?;
            let _streams = open(&connection, &bytes).await?;
            let (code, reason) = closed(&connection).await?;
            ensure!(code == CloseCode::FRAME_TOO_LARGE, "{code:?}: {reason}");
            ensure!(reason.contains("exceeds the limit"), "{reason}");
        }
    }
    witness.assert_undisturbed().await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_nobody_expects_and_streams_that_are_reset_end_their_connection_only()
-> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    for caller in callers(&cluster)? {
        // A reply to nothing, and kinds that are none.
        for kind in [0, 2, 4, 5, 255] {
            let bytes = [SMALL, &frame(2, kind, b"hi")].concat();
            let (code, reason) = answer_to(&caller, bytes).await?;
            ensure!(code == CloseCode::BAD_FRAME, "{kind}: {code:?}: {reason}");
        }
        let connection = connect(&caller).await?;
        let mut streams = open(&connection, SMALL).await?;
        let (small, _) = streams.first_mut().context("two streams")?;
        small.reset(VarInt::from_u32(9))?;
        let (code, reason) = closed(&connection).await?;
        ensure!(code == CloseCode::BAD_FRAME, "{code:?}: {reason}");
    }
    witness.assert_undisturbed().await?;
    cluster.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promised_bodies_that_never_come_cost_nobody_else_anything() -> anyhow::Result<()> {
    let cluster = cluster().await?;
    let witness = Witness::of(&cluster).await?;
    let mut held = Vec::new();
    for caller in callers(&cluster)? {
        for _ in 0..30 {
            let connection = connect(&caller).await?;
            // A frame as large as may be, of which the first bytes come and then none.
            let bytes = [SMALL, &frame(8 * 1024 * 1024, 1, &[1; 1_000])].concat();
            let streams = open(&connection, &bytes).await?;
            held.push((connection, streams));
        }
    }
    witness.assert_undisturbed().await?;
    let lost = held
        .iter()
        .filter(|(held, _)| held.close_reason().is_some());
    let lost = lost.count();
    ensure!(lost == 0, "{lost} connections were closed for being slow");
    cluster.finish()
}

/// Who may speak one of the protocols, and which.
struct Caller {
    alpn: Alpn,
    config: quinn::ClientConfig,
    address: SocketAddr,
}

/// A client, and a node that is no member, both with certificates of the cluster.
fn callers(cluster: &Cluster) -> anyhow::Result<[Caller; 2]> {
    let (_, node) = cluster.certificates().node("stranger")?;
    let caller = |alpn: Alpn, files: &CertificateFiles| {
        anyhow::Ok(Caller {
            alpn,
            config: config(cluster, files, alpn)?,
            address: cluster.nodes()[0].quic(),
        })
    };
    Ok([
        caller(Alpn::Client, cluster.certificates().user())?,
        caller(Alpn::Peer, &node)?,
    ])
}

/// QUIC and TLS as Starling speaks them, by other hands.
fn config(
    cluster: &Cluster,
    files: &CertificateFiles,
    alpn: Alpn,
) -> anyhow::Result<quinn::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    let authority = cluster.certificates().authority_file();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let certificate = CertificateDer::from_pem_file(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.private_key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key)?;
    tls.alpn_protocols = vec![alpn.name().as_bytes().to_vec()];
    let tls = QuicClientConfig::try_from(tls)?;
    Ok(quinn::ClientConfig::new(Arc::new(tls)))
}

async fn connect(caller: &Caller) -> anyhow::Result<quinn::Connection> {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let endpoint = quinn::Endpoint::client(here)?;
    let connecting = endpoint.connect_with(caller.config.clone(), caller.address, SERVER_NAME)?;
    let connection = tokio::time::timeout(PATIENCE, connecting).await;
    connection
        .context("no handshake")?
        .with_context(|| format!("{:?}", caller.alpn))
}

/// Opens both streams that a caller has, and writes these bytes on the first.
async fn open(connection: &quinn::Connection, bytes: &[u8]) -> anyhow::Result<Vec<Stream>> {
    let mut streams = Vec::new();
    for bytes in [bytes, BULK] {
        let (mut send, receive) = connection.open_bi().await?;
        // The node may have had enough before it has read everything.
        send.write_all(bytes).await.ok();
        streams.push((send, receive));
    }
    Ok(streams)
}

/// Writes bytes on a stream, ends it, and gives what the node closes the connection with.
async fn answer_to(caller: &Caller, bytes: Vec<u8>) -> anyhow::Result<(CloseCode, String)> {
    let connection = connect(caller).await?;
    let Ok(mut streams) = open(&connection, &bytes).await else {
        // It was closed while the second stream was opened.
        return closed(&connection).await;
    };
    let (small, _) = streams.first_mut().context("two streams")?;
    small.finish().ok();
    closed(&connection).await
}

/// What the node closes a connection with: a code, and a reason in words.
async fn closed(connection: &quinn::Connection) -> anyhow::Result<(CloseCode, String)> {
    let end = tokio::time::timeout(PATIENCE, connection.closed()).await;
    match end.context("the connection goes on")? {
        ConnectionError::ApplicationClosed(close) => {
            let code = u32::try_from(close.error_code.into_inner())?;
            let reason = String::from_utf8_lossy(&close.reason).into_owned();
            ensure!(!reason.is_empty(), "{code:#x} without a reason");
            Ok((CloseCode(code), reason))
        }
        other => bail!("the connection ended otherwise: {other}"),
    }
}

/// A frame as `client/src/transport/frames.rs` draws it; its length may be a lie.
fn frame(length: u32, kind: u8, body: &[u8]) -> Vec<u8> {
    let id = 1_u64.to_le_bytes();
    [&length.to_le_bytes()[..], &id, &[kind], body].concat()
}

type Stream = (SendStream, RecvStream);

/// What the streams of a side begin with.
const SMALL: &[u8] = b"STL\x01\x00";
const BULK: &[u8] = b"STL\x01\x01";
