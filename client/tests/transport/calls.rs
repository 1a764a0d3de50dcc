//! Calls: pipelining, coalescing, both directions, deadlines, and the end of a connection.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{
    Authority, LONG, client, connect, echo, eventually, loopback, patiently, quick, serve,
    server_config,
};
use starling::transport::{
    Alpn, ClientAuth, CloseCode, Endpoint, Incoming, Limits, ReplyTo, TransportError,
};

fn number(value: u32) -> Bytes {
    Bytes::copy_from_slice(&value.to_le_bytes())
}

#[tokio::test]
async fn ten_thousand_pipelined_calls_each_get_their_own_reply() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, Limits::default());
    let endpoint = client(&authority, Limits::default());
    let connection = connect(&endpoint, address).await;
    let (sender, mut receiver) = unbounded_channel();
    for value in 0..10_000 {
        let sender = sender.clone();
        connection.submit(number(value), move |outcome| {
            drop(sender.send((value, outcome)));
        });
    }
    for _ in 0..10_000 {
        let (value, outcome) = patiently(receiver.recv()).await.expect("a sender is here");
        assert_eq!(outcome, Ok(number(value)));
    }
    assert_eq!(connection.stats().in_flight, 0);
    assert!(connection.rtt() > Duration::ZERO);
}

#[tokio::test]
async fn calls_made_together_share_one_write() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, Limits::default());
    let endpoint = client(&authority, Limits::default());
    let connection = connect(&endpoint, address).await;
    let done = Arc::new(AtomicUsize::new(0));
    for value in 0..1000 {
        let done = Arc::clone(&done);
        connection.submit(number(value), move |_| {
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    eventually(|| done.load(Ordering::Relaxed) == 1000).await;
    let stats = connection.stats();
    assert_eq!((stats.frames_sent, stats.frames_received), (1000, 1000));
    assert_eq!(stats.writes, 1, "nothing else ran between the calls");
}

#[tokio::test]
async fn large_and_small_bodies_arrive_whole() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, Limits::default());
    let endpoint = client(&authority, Limits::default());
    let connection = connect(&endpoint, address).await;
    for size in [
        0,
        1,
        16 * 1024 + 1,
        64 * 1024,
        64 * 1024 + 1,
        3_000_000,
        8 * 1024 * 1024,
    ] {
        let body = Bytes::from_iter((0_u8..=250).cycle().take(size));
        assert_eq!(
            connection.call(body.clone(), LONG).await,
            Ok(body),
            "{size} bytes"
        );
    }
}

#[tokio::test]
async fn a_small_call_overtakes_a_large_one() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, Limits::default());
    let endpoint = client(&authority, Limits::default());
    let connection = connect(&endpoint, address).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    for body in [
        Bytes::from(vec![0; 8_000_000]),
        Bytes::from_static(b"small"),
    ] {
        let order = Arc::clone(&order);
        connection.submit(body, move |outcome| {
            order
                .lock()
                .expect("unpoisoned")
                .push(outcome.expect("a reply").len());
        });
    }
    eventually(|| order.lock().expect("unpoisoned").len() == 2).await;
    assert_eq!(*order.lock().expect("unpoisoned"), [5, 8_000_000]);
}

#[tokio::test]
async fn one_way_messages_arrive_in_order_and_have_no_reply() {
    let authority = Authority::new();
    let (sender, mut receiver) = unbounded_channel();
    let on_request = move |incoming: Incoming| {
        assert!(!incoming.reply.is_expected());
        sender.send(incoming.body).expect("the receiver waits");
    };
    let config = server_config(&authority, Limits::default());
    let (_server, address) = serve(config, ClientAuth::Required, on_request);
    let endpoint = client(&authority, Limits::default());
    let connection = connect(&endpoint, address).await;
    for value in 0..100 {
        assert_eq!(connection.notify(number(value)), Ok(()));
    }
    for value in 0..100 {
        assert_eq!(patiently(receiver.recv()).await, Some(number(value)));
    }
    assert_eq!(connection.stats().frames_received, 0);
}

#[tokio::test]
async fn both_ends_of_a_connection_may_call() {
    let authority = Authority::new();
    let server = Endpoint::bind(loopback(), server_config(&authority, Limits::default()));
    let server = server.expect("a free port");
    let address = server.local_addr().expect("bound");
    let endpoint = client(&authority, Limits::default());
    let (ours, theirs) = tokio::join!(connect(&endpoint, address), server.accept());
    let theirs = theirs.expect("one connection");
    assert_eq!((ours.alpn(), theirs.alpn()), (Alpn::Client, Alpn::Client));
    assert_eq!(Some(theirs.peer_address()), endpoint.local_addr().ok());
    ours.serve(|incoming| incoming.reply.send(Bytes::from_static(b"from the client")));
    theirs.serve(|incoming| incoming.reply.send(Bytes::from_static(b"from the node")));
    assert_eq!(
        ours.call(Bytes::new(), LONG).await,
        Ok(Bytes::from_static(b"from the node"))
    );
    assert_eq!(
        theirs.call(Bytes::new(), LONG).await,
        Ok(Bytes::from_static(b"from the client"))
    );
}

#[tokio::test]
async fn a_call_past_its_deadline_fails_and_its_late_reply_is_dropped() {
    let authority = Authority::new();
    let (sender, mut receiver) = unbounded_channel::<ReplyTo>();
    let mut first = Some(sender);
    let on_request = move |incoming: Incoming| match first.take() {
        Some(keep) => keep.send(incoming.reply).expect("the receiver waits"),
        None => incoming.reply.send(incoming.body),
    };
    let config = server_config(&authority, Limits::default());
    let (_server, address) = serve(config, ClientAuth::Required, on_request);
    let endpoint = client(&authority, Limits::default());
    let connection = connect(&endpoint, address).await;

    let after = Duration::from_millis(30);
    let error = connection
        .call(Bytes::from_static(b"slow"), after)
        .await
        .unwrap_err();
    assert_eq!(error, TransportError::Deadline { after });
    assert!(error.request_may_have_arrived());
    assert_eq!(connection.stats().in_flight, 0);

    patiently(receiver.recv())
        .await
        .expect("the request arrived")
        .send(Bytes::from_static(b"late"));
    let reply = connection.call(Bytes::from_static(b"fast"), LONG).await;
    assert_eq!(reply, Ok(Bytes::from_static(b"fast")));
}

#[tokio::test]
async fn a_request_that_is_dropped_unanswered_fails_at_once() {
    let authority = Authority::new();
    let config = server_config(&authority, Limits::default());
    let (_server, address) = serve(config, ClientAuth::Required, drop);
    let endpoint = client(&authority, Limits::default());
    let connection = connect(&endpoint, address).await;
    let error = connection.call(Bytes::new(), LONG).await.unwrap_err();
    assert!(matches!(error, TransportError::NoReply { .. }), "{error}");
    assert!(error.request_may_have_arrived());
}

#[tokio::test]
async fn replies_queued_before_a_shutdown_arrive() {
    let authority = Authority::new();
    let server = Endpoint::bind(loopback(), server_config(&authority, Limits::default()));
    let server = server.expect("a free port");
    let address = server.local_addr().expect("bound");
    let endpoint = client(&authority, Limits::default());
    let (ours, theirs) = tokio::join!(connect(&endpoint, address), server.accept());
    let theirs = theirs.expect("one connection");

    let (sender, mut requests) = unbounded_channel();
    theirs.serve(move |incoming| sender.send(incoming).expect("the receiver waits"));
    let (done, mut outcomes) = unbounded_channel();
    for value in 0..100 {
        let done = done.clone();
        ours.submit(Bytes::from(vec![value; 1000]), move |outcome| {
            drop(done.send(outcome));
        });
    }
    for _ in 0..100 {
        let incoming = patiently(requests.recv()).await.expect("a request");
        incoming.reply.send(incoming.body);
    }
    theirs.shut_down(LONG).await;
    for value in 0..100 {
        let outcome = patiently(outcomes.recv()).await.expect("an outcome");
        assert_eq!(outcome, Ok(Bytes::from(vec![value; 1000])));
    }
    patiently(ours.closed()).await;
    let error = ours.call(Bytes::new(), LONG).await.unwrap_err();
    assert!(matches!(error, TransportError::Closed { .. }), "{error}");
    assert!(!error.request_may_have_arrived());
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_connection() {
    let authority = Authority::new();
    let server = Endpoint::bind(loopback(), server_config(&authority, Limits::default()));
    let server = server.expect("a free port");
    let address = server.local_addr().expect("bound");
    let endpoint = client(&authority, Limits::default());
    let (ours, theirs) = tokio::join!(connect(&endpoint, address), server.accept());
    let theirs = theirs.expect("one connection");
    let clone = ours.clone();
    drop(ours);
    assert!(!clone.is_closed());
    drop(clone);
    let error = patiently(theirs.closed()).await;
    assert!(
        matches!(error, TransportError::ConnectionLost { .. }),
        "{error}"
    );
}

/// Runs an endpoint that keeps every request on a runtime that stops turning when told to, as a
/// stopped process does: no packet leaves it any more, not even a goodbye.
fn freezing_server(authority: &Authority) -> (SocketAddr, tokio::sync::oneshot::Sender<()>) {
    let config = server_config(authority, quick());
    let (freeze, frozen) = tokio::sync::oneshot::channel::<()>();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let kept = Arc::new(Mutex::new(Vec::new()));
            let keep = move |incoming| kept.lock().expect("unpoisoned").push(incoming);
            let (server, address) = serve(config, ClientAuth::Required, keep);
            sender.send((address, server)).expect("the test waits");
            frozen.await.ok();
        });
        std::mem::forget(runtime);
    });
    let (address, server) = receiver.recv().expect("the thread sends it");
    std::mem::forget(server);
    (address, freeze)
}

#[tokio::test]
async fn pending_calls_fail_when_the_peer_vanishes() {
    let authority = Authority::new();
    let (address, freeze) = freezing_server(&authority);
    let endpoint = client(&authority, quick());
    let connection = connect(&endpoint, address).await;
    let (sender, mut receiver) = unbounded_channel();
    for value in 0..50 {
        let sender = sender.clone();
        connection.submit(number(value), move |outcome| drop(sender.send(outcome)));
    }
    freeze.send(()).expect("the server runs");
    for _ in 0..50 {
        let error = patiently(receiver.recv())
            .await
            .expect("a sender is here")
            .unwrap_err();
        assert!(
            matches!(error, TransportError::ConnectionLost { .. }),
            "{error}"
        );
        assert!(error.request_may_have_arrived());
    }
    let error = patiently(endpoint.connect(address, Alpn::Client, None))
        .await
        .unwrap_err();
    assert!(
        matches!(error, TransportError::ConnectTimeout { .. }),
        "{error}"
    );
    assert!(!error.request_may_have_arrived());
}

#[tokio::test]
async fn a_close_tells_the_peer_code_and_reason() {
    let authority = Authority::new();
    let (server, address) = echo(&authority, Limits::default());
    let endpoint = client(&authority, Limits::default());
    let connection = connect(&endpoint, address).await;
    server
        .close(CloseCode::SHUTDOWN, "the node is going home")
        .await;
    let error = patiently(connection.closed()).await;
    assert!(error.to_string().contains("going home"), "{error}");
    assert!(server.accept().await.is_none());
}

#[tokio::test]
async fn ipv6_works_where_there_is_ipv6() {
    let authority = Authority::new();
    let any = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    if std::net::UdpSocket::bind(any).is_err() {
        return;
    }
    let server = Endpoint::bind(any, server_config(&authority, Limits::default()));
    let server = server.expect("a free port");
    let endpoint = Endpoint::bind(any, server_config(&authority, Limits::default()));
    let endpoint = endpoint.expect("a free port");
    let address = server.local_addr().expect("bound");
    let (ours, theirs) = tokio::join!(connect(&endpoint, address), server.accept());
    theirs
        .as_ref()
        .expect("one")
        .serve(|incoming| incoming.reply.send(incoming.body));
    assert_eq!(ours.call(number(6), LONG).await, Ok(number(6)));
}

#[tokio::test]
async fn a_handler_that_fails_takes_only_its_connection_along() {
    let authority = Authority::new();
    let on_request = |incoming: Incoming| {
        assert_ne!(incoming.body, "poison", "this is the failure");
        incoming.reply.send(incoming.body);
    };
    let config = server_config(&authority, Limits::default());
    let (_server, address) = serve(config, ClientAuth::Required, on_request);
    let endpoint = client(&authority, Limits::default());
    let (good, bad) = (
        connect(&endpoint, address).await,
        connect(&endpoint, address).await,
    );
    assert!(bad.call(Bytes::from_static(b"poison"), LONG).await.is_err());
    patiently(bad.closed()).await;
    assert_eq!(good.call(Bytes::new(), LONG).await, Ok(Bytes::new()));
}
