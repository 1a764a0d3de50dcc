//! How a store fails, in words for the person who has to act.
//!
//! Every message says what failed, what is still true, and what to do next. The docs name each
//! variant; the `detail` is the engine's own text and for support only.

use std::path::PathBuf;

/// An operation of an [`Engine`](super::Engine) that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another engine of this one, holds the database open.
    #[error(
        "the database {database} is in use by another process. Nothing was changed. Stop that \
         process, or give this node another data directory ({detail})"
    )]
    InUse {
        /// The directory of the database.
        database: PathBuf,
        /// The engine's own text.
        detail: String,
    },

    /// The database was written by a version of Starling, or of its engine, that this one does
    /// not understand.
    #[error(
        "the database {database} was written by a newer version. Nothing was changed. Start this \
         node with the version that wrote it, or a newer one ({detail})"
    )]
    NewerFormat {
        /// The directory of the database.
        database: PathBuf,
        /// The engine's own text.
        detail: String,
    },

    /// A file of the database does not hold what was written to it.
    #[error(
        "the database {database} is damaged in {file}: {detail}. The damaged part is never \
         served, and the other owners still have their rows. Stop this node, check its disk, run \
         `mv {database} {database}.damaged` and start it again: it fills itself from the other \
         owners"
    )]
    Corruption {
        /// The directory of the database.
        database: PathBuf,
        /// The damaged file, or the whole directory if the engine did not name one.
        file: PathBuf,
        /// The engine's own text.
        detail: String,
    },

    /// There is no space left for what was to be written. RocksDB writes no more after a log that
    /// it could not write, even once there is space: it has to be opened again, which a running
    /// node does by itself.
    #[error(
        "the disk under {database} is full. Nothing of this write was acknowledged; rows can \
         still be read. Free some space or attach a larger disk: a node that runs goes on by \
         itself, one that did not start is to be started again ({detail})"
    )]
    DiskFull {
        /// The directory of the database.
        database: PathBuf,
        /// The engine's own text.
        detail: String,
    },

    /// The disk did not confirm what it was asked to keep. The caller must abort the process
    /// and not try again: the kernel may have dropped the pages that it could not write, and
    /// would confirm them the next time. What the log still holds is recovered at the start.
    #[error(
        "the disk under {database} did not confirm a sync. Nothing since the last sync was \
         acknowledged as synced. The node must stop now: check the disk, then start it again \
         ({detail})"
    )]
    SyncFailed {
        /// The directory of the database.
        database: PathBuf,
        /// The engine's own text.
        detail: String,
    },

    /// Any other failure of the operating system or the engine.
    #[error(
        "could not {action} {path}. Nothing that depends on it was acknowledged. Check the disk \
         and the permissions of the data directory, then start the node again ({detail})"
    )]
    Io {
        /// What was being done, as a verb and its preposition: `write to`.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// The engine's own text.
        detail: String,
    },
}

impl StoreError {
    /// Whether the process must abort at once, without a second try.
    #[must_use]
    pub const fn must_abort(&self) -> bool {
        matches!(self, Self::SyncFailed { .. })
    }

    /// Whether what is stored is damaged, so that the vnodes in it begin anew.
    #[must_use]
    pub const fn is_corruption(&self) -> bool {
        matches!(self, Self::Corruption { .. })
    }

    /// Whether the store can still be read but takes no more writes until there is space.
    #[must_use]
    pub const fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }
}
