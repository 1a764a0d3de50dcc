//! Why no certificate was made.

use std::path::PathBuf;

use thiserror::Error;

/// Why no certificate was made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuthorityError {
    /// The operating system gave no random bytes.
    #[error("the operating system gives no randomness ({reason}); nothing was made: try again")]
    NoRandomness {
        /// What it said.
        reason: String,
    },
    /// Making a key or a signature failed.
    #[error("the certificate could not be signed ({reason}); nothing was made")]
    Signing {
        /// Why.
        reason: String,
    },
    /// The bearer's name cannot stand in a certificate.
    #[error(
        "{name:?} cannot stand in a certificate; nothing was made: use 1 to 64 letters, digits, \
         '.', '_' and '-'"
    )]
    BadName {
        /// The role and the name.
        name: String,
    },
    /// The authority's own files cannot be used.
    #[error(
        "the authority's certificate or key is unusable ({reason}); nothing was made: give the \
         directory that `starling cert ca` wrote"
    )]
    Unusable {
        /// Why.
        reason: String,
    },
    /// A file could not be read.
    #[error("{path} could not be read ({reason}); nothing was made: check path and permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// A file could not be written.
    #[error("{reason}; files written before this one are complete: check the directory, repeat")]
    Unwritable {
        /// What failed, with its path.
        reason: String,
    },
    /// There is something at the place of the new file.
    #[error(
        "{path} is there already and was left as it is: choose another directory or name, or \
         remove it yourself (a lost authority key cannot be made again)"
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

impl From<rcgen::Error> for AuthorityError {
    fn from(error: rcgen::Error) -> Self {
        Self::Signing {
            reason: error.to_string(),
        }
    }
}
