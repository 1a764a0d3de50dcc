//! Who somebody is: certificates, keys, and the name inside of a certificate.
//!
//! The name is a URI in the subject alternative names, signed by the cluster's authority:
//!
//! ```text
//!   starling://<cluster id, 32 hex digits>/node/<node id, 16 hex digits>
//!   starling://<cluster id, 32 hex digits>/client/<name>
//!   starling://<cluster id, 32 hex digits>/admin/<name>
//! ```
//!
//! TLS proves that the peer owns the certificate; what the name allows is decided by our own code
//! after the handshake (`handshake`), because only that code knows cluster, protocol and node.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use x509_parser::extensions::GeneralName;

use ring::{ClusterId, NodeId};

/// A certificate chain with its key: what we show to prove who we are.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    principal: Principal,
}

impl Identity {
    /// Reads a certificate chain (own certificate first) and its private key from PEM text.
    ///
    /// # Errors
    /// If either is no PEM, empty, or the first certificate names no [`Principal`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = parse_certificates(certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| IdentityError::BadKey {
            reason: error.to_string(),
        })?;
        let Some(own) = chain.first() else {
            return Err(IdentityError::NoCertificate);
        };
        let principal = Principal::from_certificate(own)?;
        Ok(Self {
            chain,
            key,
            principal,
        })
    }

    /// Reads a certificate chain and its private key from PEM files.
    ///
    /// # Errors
    /// If a file cannot be read, and as for [`Identity::from_pem`].
    pub fn from_files(certificates: &Path, key: &Path) -> Result<Self, IdentityError> {
        Self::from_pem(&read(certificates)?, &read(key)?)
    }

    /// Who the certificate says we are.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain(),
            key: self.key(),
            principal: self.principal.clone(),
        }
    }
}

/// Names the owner and never the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

/// The authorities whose signatures we believe.
#[derive(Debug, Clone)]
pub struct TrustRoots {
    roots: Arc<RootCertStore>,
}

impl TrustRoots {
    /// Reads one or more authorities' certificates from PEM text.
    ///
    /// # Errors
    /// If the text is no PEM, has no certificate, or one that cannot be an authority.
    pub fn from_pem(certificates: &[u8]) -> Result<Self, IdentityError> {
        let mut roots = RootCertStore::empty();
        for certificate in parse_certificates(certificates)? {
            roots
                .add(certificate)
                .map_err(|error| IdentityError::BadCertificate {
                    reason: error.to_string(),
                })?;
        }
        Ok(Self {
            roots: Arc::new(roots),
        })
    }

    /// Reads one or more authorities' certificates from a PEM file.
    ///
    /// # Errors
    /// If the file cannot be read, and as for [`TrustRoots::from_pem`].
    pub fn from_file(certificates: &Path) -> Result<Self, IdentityError> {
        Self::from_pem(&read(certificates)?)
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.roots)
    }
}

/// A name in a cluster, proven by a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The cluster whose authority signed the name.
    pub cluster: ClusterId,
    /// What the bearer is there.
    pub role: Role,
}

/// What a [`Principal`] is in its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A node; it may use the peer protocol and serves both.
    Node(NodeId),
    /// A program that reads and writes data.
    Client(String),
    /// A person or tool that changes the cluster.
    Admin(String),
}

impl Principal {
    /// Reads the name from a certificate. Exactly one `starling://` URI must be there.
    ///
    /// # Errors
    /// If the bytes are no certificate, or it has no such URI, several, or a malformed one.
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let bad = |reason: String| IdentityError::BadCertificate { reason };
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|error| bad(error.to_string()))?;
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| bad(error.to_string()))?
            .ok_or_else(|| IdentityError::BadName {
                name: "no name at all".to_owned(),
            })?;
        let mut ours = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) if uri.starts_with(SCHEME) => Some(*uri),
                _ => None,
            });
        match (ours.next(), ours.next()) {
            (Some(uri), None) => uri.parse(),
            (None, _) => Err(IdentityError::BadName {
                name: format!("no {SCHEME} URI"),
            }),
            (Some(_), Some(_)) => Err(IdentityError::BadName {
                name: format!("several {SCHEME} URIs"),
            }),
        }
    }

    /// The node's number, if this is a node.
    pub fn node(&self) -> Option<NodeId> {
        match self.role {
            Role::Node(node) => Some(node),
            Role::Client(_) | Role::Admin(_) => None,
        }
    }
}

/// The URI form, as in the certificate.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{:032x}/{}", self.cluster.0, self.role)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "node/{:016x}", node.0),
            Self::Client(name) => write!(f, "client/{name}"),
            Self::Admin(name) => write!(f, "admin/{name}"),
        }
    }
}

impl FromStr for Principal {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = uri.strip_prefix(SCHEME)?.split('/');
            let cluster = ClusterId(parse_hex(parts.next()?, 32)?);
            let (role, name) = (parts.next()?, parts.next()?);
            let role = match (role, parts.next()) {
                ("node", None) => Role::Node(NodeId(u64::try_from(parse_hex(name, 16)?).ok()?)),
                ("client", None) => Role::Client(parse_name(name)?),
                ("admin", None) => Role::Admin(parse_name(name)?),
                _ => return None,
            };
            Some(Self { cluster, role })
        };
        parse().ok_or_else(|| IdentityError::BadName {
            name: uri.chars().take(120).collect(),
        })
    }
}

/// Why a certificate, a key or an authority cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// The file could not be read.
    #[error("{path} could not be read ({reason}); nothing was started: check path and permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The text holds no certificate.
    #[error("there is no PEM certificate in what was given; nothing was started: check the file")]
    NoCertificate,
    /// A certificate cannot be parsed or used.
    #[error("a certificate is unusable ({reason}); nothing was started: reissue it")]
    BadCertificate {
        /// What is wrong with it.
        reason: String,
    },
    /// The private key cannot be parsed.
    #[error("the private key is unusable ({reason}); nothing was started: check the file")]
    BadKey {
        /// What is wrong with it.
        reason: String,
    },
    /// The certificate is well-formed but names nobody in Starling.
    #[error(
        "the certificate must name its bearer once, as starling://CLUSTER/node|client|admin/NAME, \
         but has: {name}; reissue it with `starling cert`"
    )]
    BadName {
        /// What it names instead.
        name: String,
    },
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    std::fs::read(path).map_err(|error| IdentityError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

fn parse_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| IdentityError::BadCertificate {
            reason: error.to_string(),
        })?;
    if certificates.is_empty() {
        Err(IdentityError::NoCertificate)
    } else {
        Ok(certificates)
    }
}

/// Exactly `digits` hex digits; `from_str_radix` alone would take a sign or fewer of them.
fn parse_hex(text: &str, digits: usize) -> Option<u128> {
    let all_hex = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if all_hex {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

/// A name that can stand in a log line or a path as it is.
fn parse_name(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(plain);
    fits.then(|| text.to_owned())
}

const SCHEME: &str = "starling://";
/// Longest client or admin name, in bytes. A longer one makes the certificate unusable.
const MAX_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::{ClusterId, NodeId, Principal, Role};

    const CLUSTER: &str = "starling://000000000000000000000000000000ff";

    #[test]
    fn a_name_survives_its_uri() {
        for role in [
            Role::Node(NodeId(u64::MAX)),
            Role::Client("check-out.1".to_owned()),
            Role::Admin("ada".to_owned()),
        ] {
            let principal = Principal {
                cluster: ClusterId(u128::MAX - 7),
                role,
            };
            assert_eq!(principal.to_string().parse(), Ok(principal));
        }
    }

    #[test]
    fn a_malformed_uri_names_nobody() {
        assert!(format!("{CLUSTER}/client/ada").parse::<Principal>().is_ok());
        for uri in [
            "http://000000000000000000000000000000ff/client/ada".to_owned(),
            "starling://ff/client/ada".to_owned(),
            "starling://+00000000000000000000000000000ff/client/ada".to_owned(),
            format!("{CLUSTER}/client/"),
            format!("{CLUSTER}/client/a da"),
            format!("{CLUSTER}/client/{}", "a".repeat(65)),
            format!("{CLUSTER}/client/ada/more"),
            format!("{CLUSTER}/king/ada"),
            format!("{CLUSTER}/node/1"),
            format!("{CLUSTER}/node/000000000000000g"),
            CLUSTER.to_owned(),
            String::new(),
        ] {
            assert!(uri.parse::<Principal>().is_err(), "{uri}");
        }
    }
}
