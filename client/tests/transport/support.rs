//! Authorities, endpoints and an echo server for the transport's tests.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::crypto::rustls::QuicServerConfig;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use ring::{ClusterId, NodeId};
use starling::transport::{
    AcceptConfig, Alpn, ClientAuth, Connection, Endpoint, EndpointConfig, Identity, Incoming,
    Limits, Principal, Role, SERVER_NAME, TransportError, TrustRoots,
};

pub(crate) const CLUSTER: ClusterId = ClusterId(0xc1);
pub(crate) const OTHER_CLUSTER: ClusterId = ClusterId(0xc2);
pub(crate) const NODE: NodeId = NodeId(0xa);

/// A certificate authority in memory.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key as PEM text.
pub(crate) struct Pems {
    pub(crate) certificate: String,
    pub(crate) private_key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names to be wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Starling test authority");
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a sound certificate");
        Self { issuer }
    }

    pub(crate) fn roots(&self) -> TrustRoots {
        TrustRoots::from_pem(self.issuer.pem().as_bytes()).expect("our own PEM")
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A raw QUIC server with a node's certificate and a protocol of the test's choice.
    pub(crate) fn raw_server(&self, protocol: &str) -> quinn::Endpoint {
        let pems = self.issue(&[self.node().principal().to_string()], |_| ());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![pems.certificate()], pems.key())
            .expect("a sound certificate");
        tls.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let tls = QuicServerConfig::try_from(tls).expect("a QUIC cipher");
        let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        quinn::Endpoint::server(config, loopback()).expect("a free port")
    }

    /// A certificate with the node's DNS name and these URIs.
    pub(crate) fn issue(
        &self,
        uris: &[String],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pems {
        let names = vec![SERVER_NAME.to_owned()];
        let mut params = CertificateParams::new(names).expect("a DNS name");
        for uri in uris {
            let uri = uri.as_str().try_into().expect("an ASCII URI");
            params.subject_alt_names.push(SanType::URI(uri));
        }
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("a sound certificate");
        Pems {
            certificate: certificate.pem(),
            private_key: key.serialize_pem(),
        }
    }

    pub(crate) fn identity(&self, cluster: ClusterId, role: Role) -> Identity {
        let uri = Principal { cluster, role }.to_string();
        self.issue(&[uri], |_| ()).identity()
    }

    pub(crate) fn node(&self) -> Identity {
        self.identity(CLUSTER, Role::Node(NODE))
    }

    pub(crate) fn other_node(&self) -> Identity {
        self.identity(CLUSTER, Role::Node(NodeId(0xb)))
    }

    pub(crate) fn client(&self) -> Identity {
        self.identity(CLUSTER, Role::Client("tester".to_owned()))
    }
}

impl Pems {
    pub(crate) fn identity(&self) -> Identity {
        let identity = Identity::from_pem(self.certificate.as_bytes(), self.private_key.as_bytes());
        identity.expect("our own PEM")
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("our own PEM")
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.private_key.as_bytes()).expect("our own PEM")
    }
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Bounds that make a lost connection be noticed soon.
pub(crate) fn quick() -> Limits {
    Limits {
        connect_timeout: Duration::from_millis(1500),
        idle_timeout: Duration::from_millis(800),
        keep_alive: Duration::from_millis(100),
        ..Limits::default()
    }
}

pub(crate) fn server_config(authority: &Authority, limits: Limits) -> EndpointConfig {
    EndpointConfig {
        identity: Some(authority.node()),
        roots: authority.roots(),
        accept: Some(AcceptConfig::default()),
        limits,
    }
}

pub(crate) fn client_config(
    identity: Option<Identity>,
    roots: TrustRoots,
    limits: Limits,
) -> EndpointConfig {
    EndpointConfig {
        identity,
        roots,
        accept: None,
        limits,
    }
}

/// A node that serves every connection with `on_request`.
pub(crate) fn serve(
    mut config: EndpointConfig,
    client_auth: ClientAuth,
    on_request: impl FnMut(Incoming) + Clone + Send + 'static,
) -> (Arc<Endpoint>, SocketAddr) {
    config.accept = Some(AcceptConfig {
        client_auth,
        ..AcceptConfig::default()
    });
    let endpoint = Arc::new(Endpoint::bind(loopback(), config).expect("a free port"));
    let address = endpoint.local_addr().expect("a bound socket");
    let accepting = Arc::clone(&endpoint);
    tokio::spawn(async move {
        while let Some(connection) = accepting.accept().await {
            connection.serve(on_request.clone());
            tokio::spawn(async move { connection.closed().await });
        }
    });
    (endpoint, address)
}

/// A node that echoes.
pub(crate) fn echo(authority: &Authority, limits: Limits) -> (Arc<Endpoint>, SocketAddr) {
    let config = server_config(authority, limits);
    serve(config, ClientAuth::Required, |incoming| {
        incoming.reply.send(incoming.body);
    })
}

pub(crate) fn client(authority: &Authority, limits: Limits) -> Endpoint {
    let config = client_config(Some(authority.client()), authority.roots(), limits);
    Endpoint::bind(loopback(), config).expect("a free port")
}

/// A client's connection to `address`. The endpoint must outlive it.
pub(crate) async fn connect(endpoint: &Endpoint, address: SocketAddr) -> Connection {
    patiently(endpoint.connect(address, Alpn::Client, None))
        .await
        .expect("admitted")
}

/// Why a connection cannot be made.
pub(crate) async fn refusal(
    endpoint: &Endpoint,
    address: SocketAddr,
    alpn: Alpn,
) -> TransportError {
    patiently(endpoint.connect(address, alpn, None))
        .await
        .expect_err("this must be refused")
}

pub(crate) async fn assert_still_serves(authority: &Authority, address: SocketAddr) {
    let endpoint = client(authority, quick());
    let connection = connect(&endpoint, address).await;
    let reply = connection
        .call(Bytes::from_static(b"still there"), LONG)
        .await;
    assert_eq!(reply, Ok(Bytes::from_static(b"still there")));
}

/// A future that must end soon.
pub(crate) async fn patiently<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future)
        .await
        .expect("it should not take that long")
}

/// Waits for a condition that must become true soon.
pub(crate) async fn eventually(mut condition: impl FnMut() -> bool) {
    patiently(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

pub(crate) const LONG: Duration = Duration::from_secs(20);
