//! What happens at each limit: frames, calls in flight, requests served, queued bytes, ports.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::mpsc::unbounded_channel;

use crate::garbage::Raw;
use crate::support::{
    Authority, LONG, assert_still_serves, client, connect, echo, eventually, loopback, patiently,
    quick, refusal, serve, server_config,
};
use starling::transport::{
    AcceptConfig, Alpn, ClientAuth, Endpoint, EndpointConfig, Incoming, Limits, TransportError,
};

#[tokio::test]
async fn a_port_in_use_is_named() {
    let authority = Authority::new();
    let (server, address) = echo(&authority, Limits::default());
    let config = server_config(&authority, Limits::default());
    let error = Endpoint::bind(address, config).unwrap_err();
    assert_eq!(error, TransportError::AddressInUse { address });
    assert!(error.to_string().contains(&address.to_string()));
    drop(server);
}

#[tokio::test]
async fn accepting_takes_a_certificate() {
    let authority = Authority::new();
    let mut config: EndpointConfig = server_config(&authority, Limits::default());
    config.identity = None;
    let error = Endpoint::bind(loopback(), config).unwrap_err();
    assert!(matches!(error, TransportError::Setup { .. }), "{error}");
}

#[tokio::test]
async fn an_oversized_message_is_refused_before_it_leaves() {
    let authority = Authority::new();
    let limits = Limits {
        max_frame: 100,
        ..Limits::default()
    };
    let (_server, address) = echo(&authority, limits);
    let endpoint = client(&authority, limits);
    let connection = connect(&endpoint, address).await;
    let body = Bytes::from(vec![0; 101]);
    let error = connection.call(body.clone(), LONG).await.unwrap_err();
    assert_eq!(
        error,
        TransportError::FrameTooLarge {
            size: 101,
            limit: 100
        }
    );
    assert!(!error.request_may_have_arrived());
    assert_eq!(connection.notify(body.clone()), Err(error));
    assert_eq!(connection.stats().frames_sent, 0);
    assert!(connection.call(body.slice(..100), LONG).await.is_ok());
}

#[tokio::test]
async fn an_oversized_reply_is_an_error_at_the_caller() {
    let authority = Authority::new();
    let config = server_config(
        &authority,
        Limits {
            max_frame: 100,
            ..Limits::default()
        },
    );
    let answer = |incoming: Incoming| incoming.reply.send(Bytes::from(vec![0; 101]));
    let (_server, address) = serve(config, ClientAuth::Required, answer);
    let endpoint = client(&authority, Limits::default());
    let connection = connect(&endpoint, address).await;
    let error = connection.call(Bytes::new(), LONG).await.unwrap_err();
    assert!(matches!(error, TransportError::NoReply { .. }), "{error}");
}

#[tokio::test]
async fn an_oversized_frame_closes_its_connection_and_no_other() {
    let authority = Authority::new();
    let (_server, address) = echo(
        &authority,
        Limits {
            max_frame: 100,
            ..Limits::default()
        },
    );
    let endpoint = client(&authority, Limits::default());
    let (good, bad) = (
        connect(&endpoint, address).await,
        connect(&endpoint, address).await,
    );
    let error = bad.call(Bytes::from(vec![0; 101]), LONG).await.unwrap_err();
    assert!(
        matches!(error, TransportError::ConnectionLost { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("limit of 100"), "{error}");
    assert_eq!(good.call(Bytes::new(), LONG).await, Ok(Bytes::new()));
    assert_still_serves(&authority, address).await;
}

#[tokio::test]
async fn calls_beyond_the_limit_in_flight_are_overload() {
    let authority = Authority::new();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = {
        let kept = Arc::clone(&kept);
        move |incoming: Incoming| kept.lock().expect("unpoisoned").push(incoming)
    };
    let config = server_config(&authority, Limits::default());
    let (_server, address) = serve(config, ClientAuth::Required, keep);
    let endpoint = client(
        &authority,
        Limits {
            max_in_flight: 5,
            ..Limits::default()
        },
    );
    let connection = connect(&endpoint, address).await;
    let failed = Arc::new(AtomicUsize::new(0));
    for _ in 0..5 {
        assert!(connection.submit(Bytes::new(), |_| ()).is_some());
    }
    let count = Arc::clone(&failed);
    let refused = connection.submit(Bytes::new(), move |outcome| {
        assert!(matches!(
            outcome,
            Err(TransportError::Overloaded { limit: 5, .. })
        ));
        count.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!((refused, failed.load(Ordering::Relaxed)), (None, 1));
    eventually(|| kept.lock().expect("unpoisoned").len() == 5).await;
    kept.lock().expect("unpoisoned").clear();
    eventually(|| connection.stats().in_flight == 0).await;
    assert!(connection.submit(Bytes::new(), |_| ()).is_some());
}

#[tokio::test]
async fn bytes_beyond_the_queue_are_overload() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, Limits::default());
    let endpoint = client(
        &authority,
        Limits {
            max_queued_bytes: 10_000,
            ..Limits::default()
        },
    );
    let connection = connect(&endpoint, address).await;
    let body = Bytes::from(vec![1; 4_000]);
    assert_eq!(connection.notify(body.clone()), Ok(()));
    assert_eq!(connection.notify(body.clone()), Ok(()));
    let error = connection.notify(body.clone()).unwrap_err();
    assert!(
        matches!(error, TransportError::Overloaded { limit: 10_000, .. }),
        "{error}"
    );
    eventually(|| connection.notify(body.clone()).is_ok()).await;
}

#[tokio::test]
async fn a_node_reads_no_more_requests_than_it_may_serve() {
    let authority = Authority::new();
    let open = Arc::new(AtomicUsize::new(0));
    let (sender, mut requests) = unbounded_channel();
    let on_request = {
        let open = Arc::clone(&open);
        move |incoming: Incoming| {
            let now = open.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(now <= 4, "{now} requests are under way");
            sender.send(incoming).expect("the receiver waits");
        }
    };
    let config = server_config(
        &authority,
        Limits {
            max_serving: 4,
            ..Limits::default()
        },
    );
    let (_server, address) = serve(config, ClientAuth::Required, on_request);
    let endpoint = client(&authority, Limits::default());
    let connection = connect(&endpoint, address).await;
    let done = Arc::new(AtomicUsize::new(0));
    for value in 0_u8..200 {
        let done = Arc::clone(&done);
        connection.submit(Bytes::from(vec![value; 100]), move |outcome| {
            assert_eq!(outcome, Ok(Bytes::from(vec![value; 100])));
            done.fetch_add(1, Ordering::SeqCst);
        });
    }
    eventually(|| open.load(Ordering::SeqCst) == 4).await;
    for _ in 0..200 {
        let incoming = patiently(requests.recv()).await.expect("a request");
        open.fetch_sub(1, Ordering::SeqCst);
        incoming.reply.send(incoming.body);
    }
    eventually(|| done.load(Ordering::SeqCst) == 200).await;
}

#[tokio::test]
async fn replies_beyond_the_queue_are_errors_at_their_callers() {
    let authority = Authority::new();
    let (sender, mut requests) = unbounded_channel();
    let keep = move |incoming: Incoming| sender.send(incoming.reply).expect("the receiver waits");
    let limits = Limits {
        max_queued_bytes: 10_000,
        ..Limits::default()
    };
    let (_server, address) = serve(
        server_config(&authority, limits),
        ClientAuth::Required,
        keep,
    );
    let endpoint = client(&authority, Limits::default());
    let connection = connect(&endpoint, address).await;
    let (done, mut outcomes) = unbounded_channel();
    for _ in 0..5 {
        let done = done.clone();
        connection.submit(Bytes::new(), move |outcome| {
            done.send(outcome.is_ok()).expect("the test waits");
        });
    }
    let mut replies = Vec::new();
    for _ in 0..5 {
        replies.push(patiently(requests.recv()).await.expect("a request"));
    }
    for reply in replies {
        reply.send(Bytes::from(vec![0; 4_000]));
    }
    let mut answered = Vec::new();
    for _ in 0..5 {
        answered.push(patiently(outcomes.recv()).await.expect("an outcome"));
    }
    assert_eq!(answered, [true, true, false, false, false]);
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn newcomers_beyond_the_limit_of_connections_are_refused() {
    let authority = Authority::new();
    let mut config = server_config(&authority, quick());
    config.accept = Some(AcceptConfig {
        max_connections: 1,
        ..AcceptConfig::default()
    });
    let server = Endpoint::bind(loopback(), config).expect("a free port");
    let address = server.local_addr().expect("bound");
    let endpoint = client(&authority, quick());
    let first = connect(&endpoint, address).await;
    let error = refusal(&endpoint, address, Alpn::Client).await;
    assert!(matches!(error, TransportError::Refused { .. }), "{error}");
    assert!(!first.is_closed());
}

#[tokio::test]
async fn while_handshakes_linger_newcomers_prove_their_address_and_enter() {
    let authority = Authority::new();
    let mut config = server_config(&authority, Limits::default());
    config.accept = Some(AcceptConfig {
        max_handshakes: 3,
        ..AcceptConfig::default()
    });
    let server = Endpoint::bind(loopback(), config).expect("a free port");
    let address = server.local_addr().expect("bound");
    // These two complete TLS and then never open their streams.
    let _lingering = [
        Raw::connect(&authority, address, Alpn::Peer).await,
        Raw::connect(&authority, address, Alpn::Peer).await,
    ];
    let endpoint = client(&authority, Limits::default());
    let (ours, theirs) = tokio::join!(connect(&endpoint, address), server.accept());
    assert_eq!(Some(ours.peer_address()), Some(address));
    assert!(theirs.is_some());
    assert!(endpoint.connect(address, Alpn::Client, None).await.is_ok());
}
