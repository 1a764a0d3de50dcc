//! The UDP socket: connections out and connections in.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::VarInt;
use tokio::sync::{Mutex, Semaphore, mpsc};

use super::config::{
    AcceptConfig, EndpointConfig, Limits, MAX_DATAGRAM, SOCKET_BUFFER, quic_transport,
};
use super::connection::Connection;
use super::error::{CloseCode, TransportError};
use super::handshake::{Admission, Connect, Expect};
use super::identity::Principal;
use super::tls::{Alpn, SERVER_NAME, client_config, server_config, setup};

/// One UDP socket with TLS on it. Dropping it closes all of its connections.
#[derive(Debug)]
pub struct Endpoint {
    quinn: quinn::Endpoint,
    client: quinn::ClientConfig,
    peer: quinn::ClientConfig,
    ours: Option<Principal>,
    limits: Limits,
    admitted: Mutex<mpsc::Receiver<Connection>>,
}

impl Endpoint {
    /// Opens the socket (port 0 for any) and starts to accept connections, if configured so. Must
    /// run inside of a tokio runtime.
    ///
    /// # Errors
    /// If the address is in use or cannot be opened, or the certificates are unusable.
    pub fn bind(address: SocketAddr, config: EndpointConfig) -> Result<Self, TransportError> {
        Self::open(config, |server| open_socket(address, server))
    }

    /// The same over a socket that is open already, such as one in memory; `seed` is for what QUIC
    /// draws by itself. Time is that of the tokio runtime around it.
    ///
    /// # Errors
    /// If the certificates are unusable.
    pub fn over(
        socket: Arc<dyn quinn::AsyncUdpSocket>,
        seed: [u8; 32],
        config: EndpointConfig,
    ) -> Result<Self, TransportError> {
        Self::open(config, |server| {
            let mut settings = quic_endpoint()?;
            settings.rng_seed(Some(seed));
            let runtime = Arc::new(quinn::TokioRuntime);
            quinn::Endpoint::new_with_abstract_socket(settings, server, socket, runtime)
                .map_err(setup)
        })
    }

    fn open(
        config: EndpointConfig,
        socket: impl FnOnce(Option<quinn::ServerConfig>) -> Result<quinn::Endpoint, TransportError>,
    ) -> Result<Self, TransportError> {
        let EndpointConfig {
            identity,
            roots,
            accept,
            limits,
        } = config;
        let connector = |alpn| {
            let tls = client_config(identity.as_ref(), &roots, alpn)?;
            let mut config = quinn::ClientConfig::new(Arc::new(tls));
            config.transport_config(quic_transport(&limits, alpn == Alpn::Peer));
            Ok::<_, TransportError>(config)
        };
        let (client, peer) = (connector(Alpn::Client)?, connector(Alpn::Peer)?);
        let ours = identity
            .as_ref()
            .map(|identity| identity.principal().clone());
        let server = match (&accept, &identity) {
            (None, _) => None,
            (Some(_), None) => {
                let reason = "accepting connections takes a node's certificate".to_owned();
                return Err(TransportError::Setup { reason });
            }
            (Some(accept), Some(identity)) => {
                let tls = server_config(identity, &roots)?;
                let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls));
                server
                    .transport_config(quic_transport(&limits, true))
                    .max_incoming(accept.max_handshakes);
                Some(server)
            }
        };
        let quinn = socket(server)?;
        let (sender, admitted) = mpsc::channel(ADMITTED);
        if let (Some(accept), Some(ours)) = (accept, ours.clone()) {
            let admission = Admission {
                client_auth: accept.client_auth,
                ours,
                limits,
            };
            tokio::spawn(accept_all(
                quinn.clone(),
                accept,
                Arc::new(admission),
                sender,
            ));
        }
        Ok(Self {
            quinn,
            client,
            peer,
            ours,
            limits,
            admitted: Mutex::new(admitted),
        })
    }

    /// Connects to a node and waits until it has admitted us. Without an expectation any node of
    /// our own certificate's cluster will do, and without a certificate any node that our
    /// authorities vouch for.
    ///
    /// # Errors
    /// If nobody answers in time, or either side refuses the other; nothing was sent then.
    pub async fn connect(
        &self,
        address: SocketAddr,
        alpn: Alpn,
        expect: Option<Expect>,
    ) -> Result<Connection, TransportError> {
        let config = match alpn {
            Alpn::Client => self.client.clone(),
            Alpn::Peer => self.peer.clone(),
        };
        let connecting = self.quinn.connect_with(config, address, SERVER_NAME);
        let connecting = connecting.map_err(|error| match error {
            quinn::ConnectError::EndpointStopping => TransportError::Closed {
                reason: "the endpoint was closed".to_owned(),
            },
            error => TransportError::Unreachable {
                address,
                reason: error.to_string(),
            },
        })?;
        let (ours, limits) = (self.ours.clone(), self.limits);
        let connect = Connect {
            address,
            alpn,
            expect,
            ours,
            limits,
        };
        let after = limits.connect_timeout;
        match tokio::time::timeout(after, connect.run(connecting)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TransportError::ConnectTimeout { address, after }),
        }
    }

    /// The next admitted connection, or `None` once the endpoint is closed, and at once if it was
    /// not configured to accept. Handshakes go on meanwhile; a newcomer that nobody takes holds one
    /// of [`AcceptConfig::max_handshakes`].
    pub async fn accept(&self) -> Option<Connection> {
        self.admitted.lock().await.recv().await
    }

    /// The address that the socket really has.
    ///
    /// # Errors
    /// If the operating system does not tell.
    pub fn local_addr(&self) -> Result<SocketAddr, TransportError> {
        self.quinn.local_addr().map_err(setup)
    }

    /// Closes all connections and refuses new ones, then waits a moment for the goodbyes to leave.
    pub async fn close(&self, code: CloseCode, reason: &str) {
        self.quinn
            .close(VarInt::from_u32(code.0), reason.as_bytes());
        // A goodbye that does not leave in time is one that the peer notices by itself.
        tokio::time::timeout(GOODBYE, self.quinn.wait_idle())
            .await
            .ok();
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.quinn.close(
            VarInt::from_u32(CloseCode::SHUTDOWN.0),
            b"the endpoint is gone",
        );
    }
}

fn open_socket(
    address: SocketAddr,
    server: Option<quinn::ServerConfig>,
) -> Result<quinn::Endpoint, TransportError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => TransportError::AddressInUse { address },
        _ => TransportError::Bind {
            address,
            reason: error.to_string(),
        },
    };
    let socket = UdpSocket::bind(address).map_err(failed)?;
    raise_buffers(&socket);
    let runtime = Arc::new(quinn::TokioRuntime);
    quinn::Endpoint::new(quic_endpoint()?, server, socket, runtime).map_err(failed)
}

fn quic_endpoint() -> Result<quinn::EndpointConfig, TransportError> {
    let mut settings = quinn::EndpointConfig::default();
    settings.max_udp_payload_size(MAX_DATAGRAM).map_err(setup)?;
    Ok(settings)
}

/// Larger socket buffers lose fewer packets in a burst. The kernel grants what it is configured to;
/// less is slower and not wrong, so a refusal is no error.
fn raise_buffers(socket: &UdpSocket) {
    let raised = quinn::udp::UdpSocketState::new(socket.into()).and_then(|state| {
        state.set_recv_buffer_size(socket.into(), SOCKET_BUFFER)?;
        state.set_send_buffer_size(socket.into(), SOCKET_BUFFER)
    });
    if let Err(error) = raised {
        tracing::debug!(%error, "the socket's buffers stay as they are");
    }
}

/// The task that takes newcomers; each of them gets a task of its own, for its handshake only.
async fn accept_all(
    quinn: quinn::Endpoint,
    config: AcceptConfig,
    admission: Arc<Admission>,
    admitted: mpsc::Sender<Connection>,
) {
    let permits = Arc::new(Semaphore::new(config.max_handshakes));
    while let Some(incoming) = quinn.accept().await {
        let permit = Arc::clone(&permits).try_acquire_owned();
        let (Ok(permit), true) = (permit, quinn.open_connections() < config.max_connections) else {
            incoming.refuse();
            continue;
        };
        let is_busy = permits.available_permits() < config.max_handshakes / 2;
        if is_busy && incoming.may_retry() && !incoming.remote_address_validated() {
            // It may retry, so this cannot be refused; the newcomer comes back with a token.
            incoming.retry().ok();
            continue;
        }
        let (admission, admitted) = (Arc::clone(&admission), admitted.clone());
        tokio::spawn(async move {
            admit(&admission, incoming, &admitted).await;
            drop(permit);
        });
    }
}

async fn admit(
    admission: &Admission,
    incoming: quinn::Incoming,
    admitted: &mpsc::Sender<Connection>,
) {
    let address = incoming.remote_address();
    let after = admission.limits.connect_timeout;
    match tokio::time::timeout(after, admission.run(incoming)).await {
        // If the endpoint was dropped meanwhile, so is the connection.
        Ok(Ok(connection)) => drop(admitted.send(connection).await),
        // Somebody who leaves in the middle was not refused, and there may be many of them.
        Ok(Err(error @ TransportError::ConnectionLost { .. })) => {
            tracing::debug!(%address, %error, "a newcomer went away during the handshake");
        }
        Ok(Err(error)) => tracing::info!(%address, %error, "a connection was refused"),
        Err(_) => tracing::info!(%address, ?after, "a handshake was too slow"),
    }
}

/// Connections that are admitted and not yet taken; more wait in their handshakes' tasks.
const ADMITTED: usize = 64;
/// How long closing waits for the last packets to leave. A connection to somebody who does not
/// answer, and there is one whenever a node is down, would have it wait for seconds.
const GOODBYE: Duration = Duration::from_millis(200);
