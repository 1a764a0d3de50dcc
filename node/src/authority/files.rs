//! Certificates and keys as files: `NAME.pem` for everyone, `NAME.key` for the owner only.
//!
//! Nothing is ever overwritten: a lost key cannot be made again.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Authority, AuthorityError, Issued};
use crate::store::{FileAccess, replace_file};
use starling::transport::{Identity, IdentityError, Principal};

/// The file name of an authority's certificate.
pub const CA_CERTIFICATE: &str = "ca.pem";
/// The file name of an authority's private key.
pub const CA_KEY: &str = "ca.key";

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key.
    pub private_key: PathBuf,
}

impl CertificateFiles {
    /// The files of what is called `name` in a directory.
    pub fn named(directory: &Path, name: &str) -> Self {
        let file = |extension| directory.join(format!("{name}.{extension}"));
        Self {
            certificate: file("pem"),
            private_key: file("key"),
        }
    }

    /// Reads who the certificate is for.
    ///
    /// # Errors
    /// If a file cannot be read or is no certificate or key of a cluster.
    pub fn principal(&self) -> Result<Principal, IdentityError> {
        let identity = Identity::from_files(&self.certificate, &self.private_key)?;
        Ok(identity.principal().clone())
    }

    fn write(&self, certificate: &str, private_key: &str) -> Result<(), AuthorityError> {
        for path in [&self.certificate, &self.private_key] {
            if fs::symlink_metadata(path).is_ok() {
                return Err(AuthorityError::Exists { path: path.clone() });
            }
        }
        let unwritable = |error: &dyn std::error::Error| AuthorityError::Unwritable {
            reason: error.to_string(),
        };
        if let Some(directory) = self.certificate.parent() {
            fs::create_dir_all(directory).map_err(|error| unwritable(&error))?;
        }
        replace_file(&self.private_key, private_key.as_bytes(), FileAccess::Owner)
            .map_err(|error| unwritable(&error))?;
        replace_file(
            &self.certificate,
            certificate.as_bytes(),
            FileAccess::Everyone,
        )
        .map_err(|error| unwritable(&error))
    }
}

impl Authority {
    /// Reads the authority that [`Authority::save`] wrote.
    ///
    /// # Errors
    /// If a file cannot be read, and as for [`Authority::from_pem`].
    pub fn load(directory: &Path) -> Result<Self, AuthorityError> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(|error| AuthorityError::Unreadable {
                path,
                reason: error.to_string(),
            })
        };
        Self::from_pem(&read(CA_CERTIFICATE)?, &read(CA_KEY)?)
    }

    /// Writes [`CA_CERTIFICATE`] and [`CA_KEY`] into a directory, which is made if it is not there.
    ///
    /// # Errors
    /// If one of them is there already, or cannot be written.
    pub fn save(&self, directory: &Path) -> Result<CertificateFiles, AuthorityError> {
        let files = CertificateFiles {
            certificate: directory.join(CA_CERTIFICATE),
            private_key: directory.join(CA_KEY),
        };
        files.write(self.certificate(), &self.private_key())?;
        Ok(files)
    }
}

impl Issued {
    /// Writes `NAME.pem` and `NAME.key` into a directory, which is made if it is not there.
    ///
    /// # Errors
    /// If one of them is there already, or cannot be written.
    pub fn save(&self, directory: &Path, name: &str) -> Result<CertificateFiles, AuthorityError> {
        let files = CertificateFiles::named(directory, name);
        files.write(&self.certificate, &self.private_key)?;
        Ok(files)
    }
}
