//! Requests that the client library would not send.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};

use starling::transport::{
    Alpn, Connection, Endpoint, EndpointConfig, Identity, Limits, TransportError, TrustRoots,
};
use starling::wire::{self, Failure, Request, Response};
use starling_node::authority::CertificateFiles;
use starling_tests::cluster::Cluster;

/// A connection to a node below the client library.
pub struct Raw {
    pub connection: Connection,
    _endpoint: Endpoint,
}

impl Raw {
    /// Connects as a client with the test's own certificate.
    pub async fn client(cluster: &Cluster) -> anyhow::Result<Self> {
        let user = cluster.certificates().user();
        Ok(Self::connect(cluster, Some(user), Alpn::Client).await?)
    }

    /// Connects to the first node, as whom these files say.
    pub async fn connect(
        cluster: &Cluster,
        files: Option<&CertificateFiles>,
        alpn: Alpn,
    ) -> Result<Self, TransportError> {
        let address = cluster.nodes()[0].quic();
        let identity = files
            .map(|files| Identity::from_files(&files.certificate, &files.private_key))
            .transpose()?;
        let config = EndpointConfig {
            identity,
            roots: TrustRoots::from_file(&cluster.certificates().authority_file())?,
            accept: None,
            limits: Limits {
                // More than a node takes, so that too large a body leaves at all.
                max_frame: 64 * 1024 * 1024,
                ..Limits::default()
            },
        };
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let endpoint = Endpoint::bind(here, config)?;
        let connection = endpoint.connect(address, alpn, None).await?;
        Ok(Self {
            connection,
            _endpoint: endpoint,
        })
    }

    /// Sends bytes as one request.
    pub async fn send(&self, body: impl Into<Bytes>) -> Result<Bytes, TransportError> {
        self.connection.call(body.into(), ANSWER).await
    }

    /// Sends a request and reads the response.
    pub async fn ask(&self, request: &Request) -> anyhow::Result<Response> {
        let reply = self.send(encoded(request)?).await?;
        Ok(wire::decode(&reply)?)
    }

    /// Sends a request that must fail.
    pub async fn failure(&self, request: &Request) -> anyhow::Result<Failure> {
        match self.ask(request).await? {
            Response::Failed(failure) => Ok(failure),
            other => bail!("this was answered by {other:?}"),
        }
    }
}

/// A request as bytes.
pub fn encoded(request: &Request) -> anyhow::Result<Bytes> {
    let mut body = BytesMut::new();
    wire::encode(request, &mut body).context("a request has a form")?;
    Ok(body.freeze())
}

const ANSWER: Duration = Duration::from_secs(10);
