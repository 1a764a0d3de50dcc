//! Datagrams: between peers only, and only as large as the path carries.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::support::{
    Authority, assert_still_serves, client, connect, echo, eventually, loopback, patiently, quick,
    server_config,
};
use starling::transport::{Alpn, Connection, Endpoint, TransportError};

/// Two nodes, and the connection from the second one to the first as both see it.
struct Pair {
    dialled: Connection,
    accepted: Connection,
    _endpoints: [Endpoint; 2],
}

async fn pair(authority: &Authority) -> Pair {
    let first = Endpoint::bind(loopback(), server_config(authority, quick())).expect("a port");
    let mut config = server_config(authority, quick());
    config.identity = Some(authority.other_node());
    let second = Endpoint::bind(loopback(), config).expect("a port");
    let address = first.local_addr().expect("a bound socket");
    let dialled = patiently(second.connect(address, Alpn::Peer, None));
    let (dialled, accepted) = tokio::join!(dialled, patiently(first.accept()));
    Pair {
        dialled: dialled.expect("admitted"),
        accepted: accepted.expect("a newcomer"),
        _endpoints: [first, second],
    }
}

#[tokio::test]
async fn peers_send_each_other_datagrams_both_ways() {
    let authority = Authority::new();
    let pair = pair(&authority).await;
    for (from, to) in [
        (&pair.dialled, &pair.accepted),
        (&pair.accepted, &pair.dialled),
    ] {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        to.receive_datagrams(move |datagram| hearing.lock().expect("no panic").push(datagram));
        for byte in 0..3_u8 {
            assert_eq!(from.send_datagram(Bytes::copy_from_slice(&[byte])), Ok(()));
        }
        eventually(|| heard.lock().expect("no panic").len() == 3).await;
    }
}

#[tokio::test]
async fn a_datagram_that_is_too_large_is_refused_and_the_connection_stays() {
    let authority = Authority::new();
    let pair = pair(&authority).await;
    let error = pair.dialled.send_datagram(Bytes::from(vec![0; 20_000]));
    let Err(TransportError::FrameTooLarge { size, limit }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(size, 20_000);
    assert!(limit > 1_000, "{limit}");
    assert_eq!(pair.dialled.send_datagram(Bytes::from_static(b"x")), Ok(()));
    assert!(!pair.dialled.is_closed());
}

#[tokio::test]
async fn a_client_sends_no_datagrams() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, quick());
    let endpoint = client(&authority, quick());
    let connection = connect(&endpoint, address).await;
    let error = connection.send_datagram(Bytes::from_static(b"x"));
    assert!(
        matches!(error, Err(TransportError::Closed { .. })),
        "{error:?}"
    );
    assert_still_serves(&authority, address).await;
}

#[tokio::test]
async fn a_lost_connection_takes_no_datagrams() {
    let authority = Authority::new();
    let pair = pair(&authority).await;
    drop(pair.accepted);
    patiently(pair.dialled.closed()).await;
    let error = pair.dialled.send_datagram(Bytes::from_static(b"x"));
    assert!(
        matches!(error, Err(TransportError::ConnectionLost { .. })),
        "{error:?}"
    );
}
