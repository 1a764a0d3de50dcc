//! Who may connect to whom. TLS has proven the certificates; here their names are judged.
//!
//! | side | protocol | the other's certificate | outcome |
//! |---|---|---|---|
//! | connecting | either | names no node | closed, `NOT_A_NODE` |
//! | connecting | either | a node of another cluster than expected | closed, `WRONG_CLUSTER` |
//! | connecting | either | another node than expected | closed, `WRONG_NODE` |
//! | accepting | peer | none | closed, `CERTIFICATE_REQUIRED` |
//! | accepting | client | none | closed likewise, unless anonymous clients may connect |
//! | accepting | either | of another cluster | closed, `WRONG_CLUSTER` |
//! | accepting | peer | not of a node | closed, `NOT_A_NODE` |
//! | accepting | client | any of the cluster | admitted |
//!
//! In TLS 1.3 the connecting side is done before the accepting side has judged it. So it waits for
//! the preambles on the streams that the accepting side opens after admitting it, and a refusal
//! arrives as an error of connecting and never as a surprise of the first call.

use std::net::SocketAddr;

use quinn::{ConnectionError, TransportErrorCode, VarInt};
use rustls_pki_types::CertificateDer;

use super::config::{ClientAuth, Limits};
use super::connection::Connection;
use super::error::{CloseCode, TransportError, printable};
use super::frames::{Lane, PREAMBLE};
use super::identity::Principal;
use super::link::{Link, Stream, Streams};
use super::tls::Alpn;
use ring::{ClusterId, NodeId};

/// Who must be at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// The cluster that the node must belong to.
    pub cluster: ClusterId,
    /// The node it must be, if it matters which.
    pub node: Option<NodeId>,
}

/// The connecting side of a handshake.
#[derive(Debug)]
pub(super) struct Connect {
    pub(super) address: SocketAddr,
    pub(super) alpn: Alpn,
    pub(super) expect: Option<Expect>,
    pub(super) ours: Option<Principal>,
    pub(super) limits: Limits,
}

/// The accepting side of handshakes.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) client_auth: ClientAuth,
    pub(super) ours: Principal,
    pub(super) limits: Limits,
}

impl Connect {
    /// Finishes a handshake and waits to be admitted.
    pub(super) async fn run(
        &self,
        connecting: quinn::Connecting,
    ) -> Result<Connection, TransportError> {
        let quinn = connecting
            .await
            .map_err(|error| self.refusal(error, None))?;
        let peer = check(&quinn, self.judge(&quinn))?;
        match exchange_streams(&quinn).await {
            Ok(streams) => {
                let (link, requests) = Link::start(quinn, streams, self.limits);
                Ok(Connection::new(link, requests, self.alpn, Some(peer)))
            }
            Err(error) => match quinn.close_reason() {
                Some(reason) => Err(self.refusal(reason, Some(&peer))),
                None => check(&quinn, Err(error)),
            },
        }
    }

    fn judge(&self, quinn: &quinn::Connection) -> Result<Principal, TransportError> {
        let Some(peer) = principal(quinn)? else {
            let reason = "the node showed none".to_owned();
            return Err(TransportError::Unidentified { reason });
        };
        let Some(found) = peer.node() else {
            return Err(TransportError::NotANode { found: peer });
        };
        let ours = self.cluster();
        if let Some(ours) = ours.filter(|&ours| ours != peer.cluster) {
            return Err(TransportError::WrongCluster {
                ours,
                theirs: peer.cluster,
            });
        }
        match self.expect.and_then(|expect| expect.node) {
            Some(expected) if expected != found => {
                Err(TransportError::WrongNode { expected, found })
            }
            _ => Ok(peer),
        }
    }

    /// The cluster we mean to reach: the one asked for, else the one of our own certificate.
    fn cluster(&self) -> Option<ClusterId> {
        let expected = self.expect.map(|expect| expect.cluster);
        expected.or_else(|| self.ours.as_ref().map(|ours| ours.cluster))
    }

    /// Why the connection did not come about.
    fn refusal(&self, error: ConnectionError, peer: Option<&Principal>) -> TransportError {
        match error {
            ConnectionError::TimedOut => TransportError::ConnectTimeout {
                address: self.address,
                after: self.limits.connect_timeout,
            },
            ConnectionError::VersionMismatch => self.version_mismatch(),
            ConnectionError::ApplicationClosed(close) => {
                let code = u32::try_from(close.error_code.into_inner()).unwrap_or(u32::MAX);
                self.closed_by_peer(CloseCode(code), &close.reason, peer)
            }
            ConnectionError::ConnectionClosed(close) => self
                .alert(close.error_code, "the peer refuses our certificate")
                .unwrap_or_else(|| quic_refusal(close.error_code, &close.reason)),
            ConnectionError::TransportError(error) => self
                .alert(
                    error.code,
                    &format!("the peer's certificate is refused: {}", error.reason),
                )
                .unwrap_or_else(|| quic_refusal(error.code, error.reason.as_bytes())),
            ConnectionError::LocallyClosed => TransportError::Closed {
                reason: "the endpoint was closed".to_owned(),
            },
            ConnectionError::Reset | ConnectionError::CidsExhausted => TransportError::Refused {
                code: CloseCode(0),
                reason: error.to_string(),
            },
        }
    }

    fn closed_by_peer(
        &self,
        code: CloseCode,
        reason: &[u8],
        peer: Option<&Principal>,
    ) -> TransportError {
        let ours = self.ours.as_ref();
        match (code, ours, peer) {
            (CloseCode::CERTIFICATE_REQUIRED, _, _) => TransportError::CertificateRequired,
            (CloseCode::WRONG_CLUSTER, Some(ours), Some(peer)) => TransportError::WrongCluster {
                ours: ours.cluster,
                theirs: peer.cluster,
            },
            (CloseCode::NOT_A_NODE, Some(ours), _) => TransportError::NotANode {
                found: ours.clone(),
            },
            _ => TransportError::Refused {
                code,
                reason: printable(reason),
            },
        }
    }

    /// The TLS alerts (RFC 8446, section 6.2) that have an error of their own.
    fn alert(&self, code: TransportErrorCode, reason: &str) -> Option<TransportError> {
        let alert = u64::from(code).checked_sub(0x100)?;
        let reason = format!("{reason} (TLS alert {alert})");
        match alert {
            120 => Some(self.version_mismatch()),
            // unknown_ca, and decrypt_error when an authority of the same name has another key.
            48 | 51 => Some(TransportError::UntrustedAuthority { reason }),
            42..=46 => Some(TransportError::CertificateRefused { reason }),
            116 => Some(TransportError::CertificateRequired),
            _ => None,
        }
    }

    fn version_mismatch(&self) -> TransportError {
        TransportError::VersionMismatch {
            offered: self.alpn.name().to_owned(),
        }
    }
}

impl Admission {
    /// Finishes a handshake and admits the newcomer, or closes the connection with the reason.
    pub(super) async fn run(
        &self,
        incoming: quinn::Incoming,
    ) -> Result<Connection, TransportError> {
        let quinn = incoming.accept().map_err(ended)?.await.map_err(ended)?;
        let (alpn, peer) = check(&quinn, self.judge(&quinn))?;
        let streams = match (exchange_streams(&quinn).await, quinn.close_reason()) {
            (Err(_broken), Some(reason)) => return Err(ended(reason)),
            (streams, _) => check(&quinn, streams)?,
        };
        let (link, requests) = Link::start(quinn, streams, self.limits);
        Ok(Connection::new(link, requests, alpn, peer))
    }

    fn judge(
        &self,
        quinn: &quinn::Connection,
    ) -> Result<(Alpn, Option<Principal>), TransportError> {
        let alpn = agreed_alpn(quinn)?;
        let Some(peer) = principal(quinn)? else {
            return match (alpn, self.client_auth) {
                (Alpn::Client, ClientAuth::Optional) => Ok((alpn, None)),
                (Alpn::Client, ClientAuth::Required) | (Alpn::Peer, _) => {
                    Err(TransportError::CertificateRequired)
                }
            };
        };
        if peer.cluster != self.ours.cluster {
            let (ours, theirs) = (self.ours.cluster, peer.cluster);
            return Err(TransportError::WrongCluster { ours, theirs });
        }
        match (alpn, peer.node()) {
            (Alpn::Peer, None) => Err(TransportError::NotANode { found: peer }),
            (Alpn::Peer, Some(_)) | (Alpn::Client, _) => Ok((alpn, Some(peer))),
        }
    }
}

/// How a newcomer's handshake ended. One that goes away by itself is not refused; one that does not
/// like our certificate says so by an alert of TLS.
fn ended(error: ConnectionError) -> TransportError {
    let reason = error.to_string();
    match error {
        ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::LocallyClosed => TransportError::ConnectionLost { reason },
        ConnectionError::ConnectionClosed(close) if u64::from(close.error_code) < TLS_ALERTS => {
            TransportError::ConnectionLost { reason }
        }
        _ => TransportError::Refused {
            code: CloseCode(0),
            reason,
        },
    }
}

/// Passes a verdict on, and closes the connection if it is a refusal.
fn check<T>(
    quinn: &quinn::Connection,
    verdict: Result<T, TransportError>,
) -> Result<T, TransportError> {
    if let Err(error) = &verdict {
        let code = VarInt::from_u32(error.close_code().0);
        quinn.close(code, error.to_string().as_bytes());
    }
    verdict
}

/// Opens our two streams and takes the peer's, each with its preamble.
async fn exchange_streams(quinn: &quinn::Connection) -> Result<Streams, TransportError> {
    let our_small = open(quinn, Lane::Small).await?;
    let our_bulk = open(quinn, Lane::Bulk).await?;
    let their_small = take(quinn, Lane::Small).await?;
    let their_bulk = take(quinn, Lane::Bulk).await?;
    Ok(Streams {
        our_small,
        our_bulk,
        their_small,
        their_bulk,
    })
}

async fn open(quinn: &quinn::Connection, lane: Lane) -> Result<Stream, TransportError> {
    let mut stream = quinn.open_bi().await.map_err(broken)?;
    lower(&stream, lane)?;
    stream.0.write_all(&lane.preamble()).await.map_err(broken)?;
    Ok(stream)
}

async fn take(quinn: &quinn::Connection, lane: Lane) -> Result<Stream, TransportError> {
    let mut stream = quinn.accept_bi().await.map_err(broken)?;
    let mut preamble = [0; PREAMBLE];
    stream.1.read_exact(&mut preamble).await.map_err(broken)?;
    lane.check_preamble(preamble)?;
    lower(&stream, lane)?;
    Ok(stream)
}

/// Bulk is sent when nothing small waits.
fn lower(stream: &Stream, lane: Lane) -> Result<(), TransportError> {
    match lane {
        Lane::Small => Ok(()),
        Lane::Bulk => stream.0.set_priority(-1).map_err(broken),
    }
}

fn broken(error: impl std::fmt::Display) -> TransportError {
    TransportError::BadFrame {
        reason: format!("a stream could not be set up ({error})"),
    }
}

fn agreed_alpn(quinn: &quinn::Connection) -> Result<Alpn, TransportError> {
    quinn
        .handshake_data()
        .and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok())
        .and_then(|data| Alpn::from_name(data.protocol.as_deref()?))
        .ok_or_else(|| TransportError::VersionMismatch {
            offered: "no known ALPN".to_owned(),
        })
}

/// The name in the peer's certificate, or `None` if it showed no certificate.
fn principal(quinn: &quinn::Connection) -> Result<Option<Principal>, TransportError> {
    let chain = quinn
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
    let Some(own) = chain.as_ref().and_then(|chain| chain.first()) else {
        return Ok(None);
    };
    Principal::from_certificate(own)
        .map(Some)
        .map_err(|error| TransportError::Unidentified {
            reason: error.to_string(),
        })
}

/// Codes from this one on carry an alert of TLS (RFC 9001, section 4.8).
const TLS_ALERTS: u64 = 0x100;

fn quic_refusal(code: TransportErrorCode, reason: &[u8]) -> TransportError {
    let reason = format!("{code} {}", printable(reason));
    TransportError::Refused {
        code: CloseCode(0),
        reason: reason.trim_end().to_owned(),
    }
}
