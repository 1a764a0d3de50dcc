//! Connecting: what is refused, and what the error says.

use std::net::UdpSocket;
use std::time::Duration;

use crate::fake::{Action, Authority, Fake};
use starling::transport::Limits;
use starling::{Client, ErrorKind, Outcome, Tls};

fn cluster() -> Fake {
    Fake::start(2, |_, _| Action::Silence)
}

fn quick() -> Limits {
    Limits {
        connect_timeout: Duration::from_millis(200),
        ..Limits::default()
    }
}

#[tokio::test]
async fn one_seed_that_answers_is_enough() {
    let fake = cluster();
    // A port that is taken by nobody who speaks QUIC.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let seeds = [silent, fake.nodes[0].address.to_string()];
    let (certificate, key) = fake.credentials();
    let tls = Tls::ca_pem(fake.authority()).identity_pem(certificate, key);
    let client = Client::builder()
        .seeds(seeds)
        .tls(tls)
        .limits(quick())
        .connect()
        .await
        .unwrap();
    assert_eq!(client.topology().nodes().count(), 2);
}

#[tokio::test]
async fn no_seed_at_all_is_unreachable() {
    let fake = cluster();
    for node in &fake.nodes {
        node.stop().await;
    }
    let error = fake.builder().limits(quick()).connect().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unreachable, Outcome::NotApplied)
    );
    assert!(error.to_string().contains("no seed"), "{error}");
}

#[tokio::test]
async fn an_authority_that_does_not_fit_is_denied() {
    let fake = cluster();
    let seeds = [fake.nodes[0].address.to_string()];
    let (certificate, key) = fake.credentials();
    let tls = Tls::ca_pem(Authority::new().pem()).identity_pem(certificate, key);
    let error = Client::builder()
        .seeds(seeds)
        .tls(tls)
        .connect()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_once() {
    let without_tls = Client::builder().seeds(["localhost"]).connect().await;
    let without_seeds = Client::builder().tls(Tls::ca_pem("")).connect().await;
    let without_file = Client::connect_url("starling://localhost/?ca=/nowhere/ca.pem").await;
    let no_url = Client::connect_url("localhost").await;
    for outcome in [without_tls, without_seeds, without_file, no_url] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Setup);
    }
}

#[tokio::test]
async fn a_cluster_that_is_gone_is_unreachable() {
    let fake = cluster();
    let client = fake.builder().limits(quick()).connect().await.unwrap();
    for node in &fake.nodes {
        node.stop().await;
    }
    let put = client
        .bucket("values")
        .put("ada", "x")
        .timeout(Duration::from_millis(900));
    let error = put.await.unwrap_err();
    assert!(error.is_retryable() && error.attempts() > 1, "{error}");
}

#[tokio::test]
async fn a_closed_client_sends_nothing_any_more() {
    let fake = cluster();
    let client = fake.client().await;
    client.clone().close().await;
    let put = client
        .bucket("values")
        .put("ada", "x")
        .timeout(Duration::from_millis(300));
    let error = put.await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unreachable, Outcome::NotApplied)
    );
    assert!(fake.writes().is_empty());
}
