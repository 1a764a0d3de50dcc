//! How opening a data directory fails.

use std::io;
use std::path::{Path, PathBuf};

use super::identity::Identity;

/// A data directory that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another process has it open.
    #[error(
        "the data directory {directory} is in use by {}. Nothing was changed. Stop that process, \
         or give this node a data directory of its own",
        match pid { Some(pid) => format!("process {pid}"), None => "another process".to_owned() }
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The process that says it has it, if it came to say so.
        pid: Option<u32>,
    },

    /// It was written by a newer version.
    #[error(
        "the data directory {directory} has format {found}, and this version knows formats up to \
         {supported}. Nothing was changed. Start this node with the version that wrote it"
    )]
    NewerFormat {
        /// The directory.
        directory: PathBuf,
        /// The format it has.
        found: u64,
        /// The newest format that this version knows.
        supported: u64,
    },

    /// It belongs to another node or another cluster.
    #[error(
        "the data directory {directory} belongs to {found}, and this is {expected}. Nothing was \
         changed. Correct the data directory in the configuration, or the node's certificate"
    )]
    OtherIdentity {
        /// The directory.
        directory: PathBuf,
        /// Whose it is.
        found: Identity,
        /// Who wants to open it.
        expected: Identity,
    },

    /// There is a database in it but nothing that says whose it is.
    #[error(
        "the data directory {directory} holds a database but no VERSION file, so it is not known \
         whose it is. Nothing was changed. Copy data directories whole, or use an empty one"
    )]
    Unnamed {
        /// The directory.
        directory: PathBuf,
    },

    /// A file in it does not say what it should.
    #[error(
        "{file} is damaged: {detail}. Nothing was changed. Restore that file from a backup, or \
         move the data directory away and let this node join as a new one"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        detail: String,
    },

    /// The operating system refused.
    #[error("could not {action} {path}: {source}. Check the disk and the permissions")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
}

impl DirectoryError {
    /// Turns an error of the system into one that says what was being done to what.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
