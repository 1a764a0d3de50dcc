//! A development authority and everything it signs for one test.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use starling_node::authority::{Authority, CA_CERTIFICATE, CertificateFiles, Issued, Validity};

/// The authority of a cluster, with its files in one directory.
#[derive(Debug)]
pub struct Certificates {
    authority: Authority,
    directory: PathBuf,
    user: CertificateFiles,
}

impl Certificates {
    /// Makes an authority, and a certificate for the test itself, below `directory`.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn make(directory: &Path) -> anyhow::Result<Self> {
        let directory = directory.join("certificates");
        let authority = Authority::create(valid())?;
        authority.save(&directory)?;
        let user = authority
            .issue_admin("test", valid())?
            .save(&directory, "test")?;
        Ok(Self {
            authority,
            directory,
            user,
        })
    }

    /// A certificate for one more node.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn node(&self, name: &str) -> anyhow::Result<(Issued, CertificateFiles)> {
        let issued = self.authority.issue_node(valid())?;
        let files = issued.save(&self.directory, name)?;
        Ok((issued, files))
    }

    /// A certificate for a program.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn client(&self, name: &str) -> anyhow::Result<CertificateFiles> {
        let issued = self.authority.issue_client(name, valid())?;
        Ok(issued.save(&self.directory, name)?)
    }

    /// The authority's certificate.
    pub fn authority_file(&self) -> PathBuf {
        self.directory.join(CA_CERTIFICATE)
    }

    /// The authority.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What the test shows to the nodes: an admin's certificate.
    pub fn user(&self) -> &CertificateFiles {
        &self.user
    }
}

/// For as long as a test may take, and more.
fn valid() -> Validity {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Validity::days(now.unwrap_or(Duration::ZERO), 2)
}
