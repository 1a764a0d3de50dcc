//! Bytes that are no frames, from peers that TLS has let in: the connection ends with a reason, and
//! nobody else notices.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ApplicationClose, ConnectionError, SendStream, VarInt};

use crate::support::{
    Authority, LONG, Pems, assert_still_serves, client, connect, echo, loopback, patiently, quick,
};
use starling::transport::{Alpn, CloseCode, SERVER_NAME, TransportError};

const SMALL: &[u8] = b"STL\x01\x00";
const BULK: &[u8] = b"STL\x01\x01";

/// A connection that speaks QUIC and TLS as a node does, and above it whatever a test wants.
pub(crate) struct Raw {
    connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
}

impl Raw {
    pub(crate) async fn connect(authority: &Authority, address: SocketAddr, alpn: Alpn) -> Self {
        let uri = authority.other_node().principal().to_string();
        let config = raw_client(authority, &authority.issue(&[uri], |_| ()), alpn);
        let endpoint = quinn::Endpoint::client(loopback()).expect("a free port");
        let connecting = endpoint.connect_with(config, address, SERVER_NAME);
        let connection = patiently(connecting.expect("an address"))
            .await
            .expect("a handshake");
        Self {
            connection,
            _endpoint: endpoint,
        }
    }

    /// Opens one stream and writes these bytes.
    async fn stream(&self, bytes: &[u8]) -> (SendStream, quinn::RecvStream) {
        let (mut send, receive) = patiently(self.connection.open_bi())
            .await
            .expect("a stream");
        // The node may have had enough before it has read everything.
        send.write_all(bytes).await.ok();
        (send, receive)
    }

    async fn close_code(&self) -> CloseCode {
        let closed = patiently(self.connection.closed()).await;
        assert!(
            matches!(closed, ConnectionError::ApplicationClosed(_)),
            "{closed}"
        );
        let ConnectionError::ApplicationClosed(ApplicationClose { error_code, reason }) = closed
        else {
            return CloseCode::SHUTDOWN;
        };
        assert!(!reason.is_empty(), "a reason is given");
        CloseCode(u32::try_from(error_code.into_inner()).expect("a small code"))
    }
}

fn raw_client(authority: &Authority, pems: &Pems, alpn: Alpn) -> quinn::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate()).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![pems.certificate()], pems.key())
        .expect("a sound certificate");
    tls.alpn_protocols = vec![alpn.name().as_bytes().to_vec()];
    quinn::ClientConfig::new(Arc::new(
        QuicClientConfig::try_from(tls).expect("a QUIC cipher"),
    ))
}

fn frame(length: u32, kind: u8, body: &[u8]) -> Vec<u8> {
    let id = 1_u64.to_le_bytes();
    [&length.to_le_bytes()[..], &id, &[kind], body].concat()
}

/// Sends bytes on the small stream after its preamble, ends it, and gives the code that comes back.
async fn answer_to(bytes: &[u8], alpn: Alpn) -> CloseCode {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, quick());
    let raw = Raw::connect(&authority, address, alpn).await;
    let (mut small, _replies) = raw.stream(&[SMALL, bytes].concat()).await;
    let _bulk = raw.stream(BULK).await;
    small.finish().ok();
    let code = raw.close_code().await;
    assert_still_serves(&authority, address).await;
    code
}

#[tokio::test]
async fn random_bytes_close_the_connection_on_both_protocols() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, quick());
    let mut random = fastrand::Rng::with_seed(7);
    for alpn in [Alpn::Client, Alpn::Peer] {
        for preamble in [&b""[..], SMALL] {
            for _ in 0..8 {
                let raw = Raw::connect(&authority, address, alpn).await;
                let mut bytes = preamble.to_vec();
                bytes.extend((0..random.usize(20..5000)).map(|_| random.u8(..)));
                let (mut small, _replies) = raw.stream(&bytes).await;
                let _bulk = raw.stream(BULK).await;
                small.finish().ok();
                let code = raw.close_code().await;
                let expected = [CloseCode::BAD_FRAME, CloseCode::FRAME_TOO_LARGE];
                assert!(expected.contains(&code), "{code:?}");
            }
        }
    }
    assert_still_serves(&authority, address).await;
}

#[tokio::test]
async fn a_truncated_frame_closes_the_connection() {
    for alpn in [Alpn::Client, Alpn::Peer] {
        let half = frame(10, 1, b"five!");
        assert_eq!(answer_to(&half, alpn).await, CloseCode::BAD_FRAME);
        assert_eq!(answer_to(&half[..7], alpn).await, CloseCode::BAD_FRAME);
    }
}

#[tokio::test]
async fn an_oversized_length_closes_the_connection() {
    for alpn in [Alpn::Client, Alpn::Peer] {
        let code = answer_to(&frame(u32::MAX, 1, b""), alpn).await;
        assert_eq!(code, CloseCode::FRAME_TOO_LARGE);
    }
}

#[tokio::test]
async fn frames_of_a_wrong_kind_close_the_connection() {
    for kind in [0, 2, 4, 5, 255] {
        let code = answer_to(&frame(2, kind, b"hi"), Alpn::Client).await;
        assert_eq!(code, CloseCode::BAD_FRAME, "kind {kind}");
    }
}

#[tokio::test]
async fn a_reset_stream_closes_the_connection() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, quick());
    let raw = Raw::connect(&authority, address, Alpn::Peer).await;
    let (mut small, mut replies) = raw.stream(&[SMALL, &frame(2, 1, b"hi")].concat()).await;
    let _bulk = raw.stream(BULK).await;
    let mut reply = [0; 15];
    patiently(replies.read_exact(&mut reply))
        .await
        .expect("an echo");
    assert_eq!(reply[..], frame(2, 2, b"hi"));
    small.reset(VarInt::from_u32(9)).expect("an open stream");
    assert_eq!(raw.close_code().await, CloseCode::BAD_FRAME);
    assert_still_serves(&authority, address).await;
}

#[tokio::test]
async fn replies_that_nobody_wants_to_read_close_the_connection() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, quick());
    let raw = Raw::connect(&authority, address, Alpn::Client).await;
    let (mut small, mut replies) = raw.stream(SMALL).await;
    let _bulk = raw.stream(BULK).await;
    replies.stop(VarInt::from_u32(9)).expect("an open stream");
    let request = frame(2, 1, b"hi");
    patiently(async {
        while small.write_all(&request).await.is_ok() {
            // Writing never yields while the window is open, and the node needs its turn.
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(raw.close_code().await, CloseCode::BAD_FRAME);
}

#[tokio::test]
async fn a_handshake_without_streams_does_not_last() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, quick());
    let raw = Raw::connect(&authority, address, Alpn::Client).await;
    patiently(raw.connection.closed()).await;
    assert_still_serves(&authority, address).await;
}

#[tokio::test]
async fn packets_that_are_no_quic_disturb_nobody() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, quick());
    let socket = UdpSocket::bind(loopback()).expect("a free port");
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..500 {
        let packet: Vec<u8> = (0..random.usize(0..1400)).map(|_| random.u8(..)).collect();
        socket.send_to(&packet, address).expect("loopback takes it");
    }
    assert_still_serves(&authority, address).await;
}

#[tokio::test]
async fn a_node_that_answers_garbage_loses_its_callers() {
    let authority = Authority::new();
    let server = authority.raw_server(Alpn::Client.name());
    let address = server.local_addr().expect("bound");
    tokio::spawn(async move {
        let incoming = server.accept().await.expect("somebody comes");
        let connection = incoming.await.expect("a handshake");
        let mut streams = Vec::new();
        for preamble in [SMALL, BULK] {
            let (mut send, receive) = connection.open_bi().await.expect("a stream");
            send.write_all(preamble).await.expect("a window");
            streams.push((send, receive));
        }
        let (mut replies, _requests) = connection.accept_bi().await.expect("a stream");
        replies.write_all(&[0xff; 100]).await.expect("a window");
        connection.closed().await;
    });
    let endpoint = client(&authority, quick());
    let connection = connect(&endpoint, address).await;
    let error = connection.call(Bytes::new(), LONG).await.unwrap_err();
    let lost_or_closed = matches!(
        error,
        TransportError::ConnectionLost { .. } | TransportError::Closed { .. }
    );
    assert!(lost_or_closed, "{error}");
    let error = patiently(connection.closed()).await;
    assert!(
        matches!(error, TransportError::FrameTooLarge { .. }),
        "{error}"
    );
}
