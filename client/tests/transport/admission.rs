//! Who is let in, and what those who are not are told.

use std::time::Duration;

use bytes::Bytes;

use crate::support::{
    Authority, CLUSTER, LONG, NODE, OTHER_CLUSTER, assert_still_serves, client, client_config,
    connect, echo, loopback, patiently, quick, refusal, serve, server_config,
};
use ring::NodeId;
use starling::transport::{
    Alpn, ClientAuth, Endpoint, EndpointConfig, Expect, Identity, IdentityError, Limits, Principal,
    Role, TransportError,
};

fn endpoint(config: EndpointConfig) -> Endpoint {
    Endpoint::bind(loopback(), config).expect("a free port")
}

#[tokio::test]
async fn both_sides_know_whom_they_talk_to() {
    let authority = Authority::new();
    let server = endpoint(server_config(&authority, quick()));
    let address = server.local_addr().expect("bound");
    let other = endpoint(client_config(
        Some(authority.other_node()),
        authority.roots(),
        quick(),
    ));
    let expect = Expect {
        cluster: CLUSTER,
        node: Some(NODE),
    };
    let (ours, theirs) = tokio::join!(
        other.connect(address, Alpn::Peer, Some(expect)),
        server.accept()
    );
    let (ours, theirs) = (ours.expect("admitted"), theirs.expect("one connection"));
    assert_eq!(ours.peer().and_then(Principal::node), Some(NODE));
    assert_eq!(theirs.peer().and_then(Principal::node), Some(NodeId(0xb)));
    assert_eq!((ours.alpn(), theirs.alpn()), (Alpn::Peer, Alpn::Peer));
}

#[tokio::test]
async fn a_node_of_an_unknown_authority_is_not_trusted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (_server, address) = echo(&authority, quick());
    for identity in [None, Some(stranger.client()), Some(authority.client())] {
        let ours = endpoint(client_config(identity, stranger.roots(), quick()));
        let error = refusal(&ours, address, Alpn::Client).await;
        assert!(
            matches!(error, TransportError::UntrustedAuthority { .. }),
            "{error}"
        );
        assert!(!error.request_may_have_arrived());
    }
    assert_still_serves(&authority, address).await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_not_trusted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (_server, address) = echo(&authority, quick());
    for alpn in [Alpn::Client, Alpn::Peer] {
        let ours = endpoint(client_config(
            Some(stranger.node()),
            authority.roots(),
            quick(),
        ));
        let error = refusal(&ours, address, alpn).await;
        assert!(
            matches!(error, TransportError::UntrustedAuthority { .. }),
            "{error}"
        );
    }
    assert_still_serves(&authority, address).await;
}

#[tokio::test]
async fn without_a_certificate_nobody_enters_unless_clients_may() {
    let authority = Authority::new();
    let anonymous = endpoint(client_config(None, authority.roots(), quick()));
    let (_server, closed) = echo(&authority, quick());
    let error = refusal(&anonymous, closed, Alpn::Client).await;
    assert_eq!(error, TransportError::CertificateRequired);

    let config = server_config(&authority, quick());
    let (_server, open) = serve(config, ClientAuth::Optional, |incoming| {
        incoming.reply.send(incoming.body);
    });
    let error = refusal(&anonymous, open, Alpn::Peer).await;
    assert_eq!(error, TransportError::CertificateRequired);
    let connection = connect(&anonymous, open).await;
    assert_eq!(connection.call(Bytes::new(), LONG).await, Ok(Bytes::new()));
}

#[tokio::test]
async fn a_client_is_no_peer() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, quick());
    let ours = client(&authority, quick());
    let error = refusal(&ours, address, Alpn::Peer).await;
    let found = authority.client().principal().clone();
    assert_eq!(error, TransportError::NotANode { found });
    assert_still_serves(&authority, address).await;
}

#[tokio::test]
async fn a_client_does_not_serve() {
    let authority = Authority::new();
    let mut config = server_config(&authority, quick());
    config.identity = Some(authority.client());
    let (_server, address) = serve(config, ClientAuth::Required, drop);
    let error = refusal(&client(&authority, quick()), address, Alpn::Client).await;
    assert!(matches!(error, TransportError::NotANode { .. }), "{error}");
}

#[tokio::test]
async fn clusters_stay_apart() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, quick());
    for role in [Role::Client("lost".to_owned()), Role::Node(NodeId(7))] {
        let identity = authority.identity(OTHER_CLUSTER, role);
        let ours = endpoint(client_config(Some(identity), authority.roots(), quick()));
        let wrong = TransportError::WrongCluster {
            ours: OTHER_CLUSTER,
            theirs: CLUSTER,
        };
        assert_eq!(
            refusal(&ours, address, Alpn::Client).await,
            wrong,
            "we notice it ourselves"
        );
        let expect = Some(Expect {
            cluster: CLUSTER,
            node: None,
        });
        let error = patiently(ours.connect(address, Alpn::Client, expect))
            .await
            .unwrap_err();
        assert_eq!(error, wrong, "the node notices it");
    }
    let ours = client(&authority, quick());
    let expect = Some(Expect {
        cluster: OTHER_CLUSTER,
        node: None,
    });
    let error = patiently(ours.connect(address, Alpn::Client, expect))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        TransportError::WrongCluster {
            ours: OTHER_CLUSTER,
            theirs: CLUSTER
        }
    );
    assert_still_serves(&authority, address).await;
}

#[tokio::test]
async fn another_node_than_expected_is_refused() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, quick());
    let ours = client(&authority, quick());
    let expected = NodeId(0xdead);
    let expect = Some(Expect {
        cluster: CLUSTER,
        node: Some(expected),
    });
    let error = patiently(ours.connect(address, Alpn::Client, expect))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        TransportError::WrongNode {
            expected,
            found: NODE
        }
    );
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let (_server, address) = echo(&authority, quick());
    let pems = authority.issue(&[authority.client().principal().to_string()], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 2, 1);
    });
    let ours = endpoint(client_config(
        Some(pems.identity()),
        authority.roots(),
        quick(),
    ));
    let error = refusal(&ours, address, Alpn::Client).await;
    assert!(
        matches!(error, TransportError::CertificateRefused { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_that_names_nobody_is_no_identity() {
    let authority = Authority::new();
    let good = authority.client().principal().to_string();
    for uris in [
        vec![],
        vec!["https://example.org".to_owned()],
        vec![good.clone(), good],
    ] {
        let pems = authority.issue(&uris, |_| ());
        let error = Identity::from_pem(pems.certificate.as_bytes(), pems.private_key.as_bytes());
        assert!(
            matches!(error, Err(IdentityError::BadName { .. })),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn pem_files_that_are_none_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("missing.pem");
    let error = Identity::from_files(&missing, &missing).unwrap_err();
    assert!(error.to_string().contains("missing.pem"), "{error}");

    let pems = Authority::new().issue(&[], |_| ());
    let error = Identity::from_pem(b"no pem", pems.private_key.as_bytes()).unwrap_err();
    assert_eq!(error, IdentityError::NoCertificate);
    let error = Identity::from_pem(pems.certificate.as_bytes(), b"no pem").unwrap_err();
    assert!(matches!(error, IdentityError::BadKey { .. }), "{error}");
}

#[tokio::test]
async fn another_protocol_on_the_port_is_a_version_mismatch() {
    let authority = Authority::new();
    let newer = authority.raw_server("starling-client/2");
    let address = newer.local_addr().expect("bound");
    let accepting = tokio::spawn(async move {
        let incoming = newer.accept().await.expect("somebody comes");
        incoming.await.is_err()
    });
    let error = refusal(&client(&authority, quick()), address, Alpn::Client).await;
    assert!(
        matches!(error, TransportError::VersionMismatch { .. }),
        "{error}"
    );
    assert!(patiently(accepting).await.expect("no panic"));
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let authority = Authority::new();
    let silent = std::net::UdpSocket::bind(loopback()).expect("a free port");
    let address = silent.local_addr().expect("bound");
    let after = Duration::from_millis(200);
    let ours = client(
        &authority,
        Limits {
            connect_timeout: after,
            ..Limits::default()
        },
    );
    let error = refusal(&ours, address, Alpn::Client).await;
    assert_eq!(error, TransportError::ConnectTimeout { address, after });
}
