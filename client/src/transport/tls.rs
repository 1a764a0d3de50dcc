//! TLS 1.3 for QUIC, and the two protocols that share a port.
//!
//! The name that TLS verifies is always [`SERVER_NAME`], which every node's certificate carries:
//! addresses change and are only hints. Who exactly answers is in the certificate's URI and checked
//! by `handshake`. Session tickets are off, so every connection proves its certificates anew.

use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;

use super::error::TransportError;
use super::identity::{Identity, TrustRoots};

/// The DNS name in the certificate of every node.
pub const SERVER_NAME: &str = "node.starling";

/// Which protocol a connection speaks, agreed in the TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// `starling-client/1`: a program and a node.
    Client,
    /// `starling-peer/1`: two nodes.
    Peer,
}

impl Alpn {
    /// The protocol's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "starling-client/1",
            Self::Peer => "starling-peer/1",
        }
    }

    pub(super) fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Client, Self::Peer]
            .into_iter()
            .find(|alpn| alpn.name().as_bytes() == name)
    }
}

/// How nodes accept: both protocols; a certificate is verified if one is shown, and whether there
/// must be one is decided when the protocol is known.
pub(super) fn server_config(
    identity: &Identity,
    roots: &TrustRoots,
) -> Result<QuicServerConfig, TransportError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.store(), provider())
        .allow_unauthenticated()
        .build()
        .map_err(setup)?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain(), identity.key())
        .map_err(setup)?;
    config.alpn_protocols = [Alpn::Client, Alpn::Peer].map(alpn_bytes).to_vec();
    config.send_tls13_tickets = 0;
    QuicServerConfig::try_from(config).map_err(setup)
}

/// How anybody connects with one protocol.
pub(super) fn client_config(
    identity: Option<&Identity>,
    roots: &TrustRoots,
    alpn: Alpn,
) -> Result<QuicClientConfig, TransportError> {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(setup)?
        .with_root_certificates(roots.store());
    let mut config = match identity {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain(), identity.key())
            .map_err(setup)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn_bytes(alpn)];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(setup)
}

fn alpn_bytes(alpn: Alpn) -> Vec<u8> {
    alpn.name().as_bytes().to_vec()
}

/// Named explicitly, so that no process-wide default is needed or touched.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(super) fn setup(error: impl std::fmt::Display) -> TransportError {
    TransportError::Setup {
        reason: error.to_string(),
    }
}
