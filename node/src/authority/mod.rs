//! A certificate authority for development, tests and small installations.
//!
//! TLS is never off, so the first cluster on a laptop needs certificates too. An [`Authority`]
//! signs three kinds, told apart by the URI that the transport reads (`transport::Principal`):
//!
//! ```text
//!   a node      node.starling  +  starling://<cluster>/node/<random id>
//!   a client                      starling://<cluster>/client/<name>
//!   an admin                      starling://<cluster>/admin/<name>
//! ```
//!
//! The cluster id is drawn with the authority and stands in its own certificate as
//! `starling://<cluster>/admin/authority`: who has the authority's key can make any admin, so the
//! name grants nothing. Keys are Ed25519, and key files are readable by their owner only.
//! Production may bring certificates from elsewhere; only the names matter.

mod error;
mod files;

use std::fmt;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

pub use error::AuthorityError;
pub use files::{CA_CERTIFICATE, CA_KEY, CertificateFiles};
use ring::{ClusterId, NodeId};
use starling::transport::{Principal, Role, SERVER_NAME};

/// Signs the certificates of one cluster.
pub struct Authority {
    cluster: ClusterId,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// From when until when a certificate is valid, as durations since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    from: Duration,
    until: Duration,
}

/// A certificate and its private key, as PEM text.
#[derive(Clone)]
pub struct Issued {
    /// Who it is for.
    pub principal: Principal,
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub private_key: String,
}

impl Authority {
    /// A new authority for a new cluster.
    ///
    /// # Errors
    /// If the operating system gives no randomness, or the key cannot be made.
    pub fn create(validity: Validity) -> Result<Self, AuthorityError> {
        let cluster = ClusterId(u128::from(random()?) << 64 | u128::from(random()?));
        let role = Role::Admin(AUTHORITY.to_owned());
        let name = format!("Starling authority {cluster}");
        let mut params = named(&name, &Principal { cluster, role }, validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = new_key()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self {
            cluster,
            certificate,
            issuer: Issuer::new(params, key),
        })
    }

    /// The authority of this certificate and private key, both PEM text.
    ///
    /// # Errors
    /// If one of them is no PEM, the certificate was not made by [`Authority::create`], or the key
    /// is another's.
    pub fn from_pem(certificate: &str, private_key: &str) -> Result<Self, AuthorityError> {
        let unusable = |reason: String| AuthorityError::Unusable { reason };
        let der = CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|error| unusable(error.to_string()))?;
        let principal =
            Principal::from_certificate(&der).map_err(|error| unusable(error.to_string()))?;
        let key = KeyPair::from_pem(private_key).map_err(|error| unusable(error.to_string()))?;
        if !contains(&der, key.public_key_raw()) {
            return Err(unusable(
                "the key belongs to another certificate".to_owned(),
            ));
        }
        let issuer =
            Issuer::from_ca_cert_der(&der, key).map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            cluster: principal.cluster,
            certificate: certificate.to_owned(),
            issuer,
        })
    }

    /// A certificate for a node with a new random id.
    ///
    /// # Errors
    /// If the operating system gives no randomness, or signing fails.
    pub fn issue_node(&self, validity: Validity) -> Result<Issued, AuthorityError> {
        let node = NodeId(random()?);
        let mut params = self.params(Role::Node(node), validity)?;
        let dns = SERVER_NAME.try_into()?;
        params.subject_alt_names.push(SanType::DnsName(dns));
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.sign(&params, Role::Node(node))
    }

    /// A certificate for a program that reads and writes data.
    ///
    /// # Errors
    /// If the name is not 1 to 64 letters, digits, `.`, `_` or `-`, or signing fails.
    pub fn issue_client(&self, name: &str, validity: Validity) -> Result<Issued, AuthorityError> {
        self.issue_user(Role::Client(name.to_owned()), validity)
    }

    /// A certificate for a person or tool that changes the cluster.
    ///
    /// # Errors
    /// As for [`Authority::issue_client`].
    pub fn issue_admin(&self, name: &str, validity: Validity) -> Result<Issued, AuthorityError> {
        self.issue_user(Role::Admin(name.to_owned()), validity)
    }

    /// The cluster whose certificates this signs.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The authority's own certificate as PEM text, which everybody in the cluster believes.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    fn private_key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    fn issue_user(&self, role: Role, validity: Validity) -> Result<Issued, AuthorityError> {
        let mut params = self.params(role.clone(), validity)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, role)
    }

    /// Beginnings of a certificate whose name reads back as what it was made for.
    fn params(&self, role: Role, validity: Validity) -> Result<CertificateParams, AuthorityError> {
        let principal = Principal {
            cluster: self.cluster,
            role,
        };
        if principal.to_string().parse::<Principal>().is_err() {
            return Err(AuthorityError::BadName {
                name: principal.role.to_string(),
            });
        }
        let mut params = named(&principal.role.to_string(), &principal, validity)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Ok(params)
    }

    fn sign(&self, params: &CertificateParams, role: Role) -> Result<Issued, AuthorityError> {
        let key = new_key()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            principal: Principal {
                cluster: self.cluster,
                role,
            },
            certificate: certificate.pem(),
            private_key: key.serialize_pem(),
        })
    }
}

impl Validity {
    /// From a day before `now`, because clocks differ, for so many days after it.
    pub fn days(now: Duration, days: u32) -> Self {
        Self {
            from: now.saturating_sub(DAY),
            until: now.saturating_add(DAY.saturating_mul(days)),
        }
    }
}

/// Names the cluster and never the key.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// Names the bearer and never the key.
impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

fn named(
    name: &str,
    principal: &Principal,
    validity: Validity,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    let uri = principal.to_string().try_into()?;
    params.subject_alt_names.push(SanType::URI(uri));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + validity.from.min(LATEST);
    params.not_after = epoch + validity.until.min(LATEST);
    Ok(params)
}

fn new_key() -> Result<KeyPair, AuthorityError> {
    Ok(KeyPair::generate_for(&PKCS_ED25519)?)
}

fn random() -> Result<u64, AuthorityError> {
    getrandom::u64().map_err(|error| AuthorityError::NoRandomness {
        reason: error.to_string(),
    })
}

/// An Ed25519 public key is 32 random bytes, so its bytes stand in its own certificate only.
fn contains(certificate: &[u8], public_key: &[u8]) -> bool {
    certificate
        .windows(public_key.len().max(1))
        .any(|window| window == public_key)
}

const AUTHORITY: &str = "authority";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The year 9000, about; certificates cannot name years of five digits.
const LATEST: Duration = Duration::from_secs(DAY.as_secs() * 365 * 7000);

#[cfg(test)]
mod tests;
