//! The data directory of a node: who it belongs to, who has it open, and how it was left.
//!
//! ```text
//! LOCK           held for as long as the process lives; says its pid, for the one who is refused
//! VERSION        format number, cluster and node; written once
//! boot.toml      kernel boot id of the last start, and whether that start ended in order
//! cluster.state  what the node knew of its cluster; kept by the runtime
//! db/            the engine's own files
//! ```
//!
//! The boot record tells a crash of the process from a crash of the machine: if the node was
//! not closed in order but the kernel is still the same one, everything that reached the
//! operating system is here; if the kernel is another one, what was acknowledged at `wal` may
//! be gone, and the vnodes must catch up before they count for reads.

pub use self::error::DirectoryError;
pub use self::files::{FileAccess, replace_file};
pub use self::identity::Identity;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use self::boot::{BootId, BootRecord};
use self::lock::DirectoryLock;

mod boot;
mod error;
mod files;
mod identity;
mod lock;
#[cfg(test)]
mod tests;

/// The open data directory of one node. No other process can open it until this is dropped.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    identity: Identity,
    boot: BootId,
    /// Released by the kernel, even after kill -9.
    _lock: DirectoryLock,
}

/// How the process that had the directory open before came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastShutdown {
    /// There was none: the directory was made just now.
    Fresh,
    /// In order: everything it wrote is on the disk.
    Clean,
    /// The process ended without notice, the machine went on: everything is here that reached
    /// the operating system.
    ProcessCrash,
    /// The machine may have gone down too, or it cannot be told: only what was synced is sure to
    /// be here.
    MachineCrash,
}

impl LastShutdown {
    /// Whether writes acknowledged at `wal` may be gone, so that every vnode has to catch up.
    #[must_use]
    pub const fn may_have_lost_wal(self) -> bool {
        matches!(self, Self::MachineCrash)
    }
}

impl DataDirectory {
    /// Opens the directory at `path` for the node `identity`, and makes it if it is not there.
    ///
    /// # Errors
    /// Another process has it open, it belongs to another node or cluster, it was written by a
    /// newer version, its files are damaged, or the operating system refuses. In each case
    /// nothing in it was changed.
    ///
    /// After a crash of the machine, or an end in order, the next opening says so again, until
    /// [`mark_begun`](Self::mark_begun).
    pub fn open(path: &Path, identity: Identity) -> Result<(Self, LastShutdown), DirectoryError> {
        Self::open_in(path, identity, BootId::of_this_kernel())
    }

    /// Whose directory is at `path`, if there is one: what a node asks that has to know its own
    /// identity before it can open anything.
    ///
    /// # Errors
    /// The directory was written by a newer version, is damaged, or cannot be read.
    pub fn identity_at(path: &Path) -> Result<Option<Identity>, DirectoryError> {
        identity::read(path)
    }

    /// Notes under which kernel this start is. To be called when the store is open and before
    /// anything is acknowledged, and after a crash of the machine when the store itself says, on
    /// the disk, what that asks for. Only then may it be forgotten how the last process ended: a
    /// store that does not open is looked at as strictly the next time.
    ///
    /// # Errors
    /// The note could not be written. The next start then takes this for a crash of the machine.
    pub fn mark_begun(&self) -> Result<(), DirectoryError> {
        boot::write(
            &self.path,
            &BootRecord {
                boot: self.boot.clone(),
                clean: false,
            },
        )
    }

    /// Notes that everything is on the disk, and closes the directory.
    ///
    /// To be called after the last [`Barrier::Synced`](crate::store::Barrier) of the store, when
    /// nothing writes to it any more: the next start will believe it.
    ///
    /// # Errors
    /// The note could not be written. The next start then takes this for a crash, and is slower
    /// but right.
    pub fn mark_clean(self) -> Result<(), DirectoryError> {
        boot::write(
            &self.path,
            &BootRecord {
                boot: self.boot.clone(),
                clean: true,
            },
        )
    }

    /// Where the directory is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the engine keeps its files.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Whose directory it is.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    fn open_in(
        path: &Path,
        identity: Identity,
        boot: BootId,
    ) -> Result<(Self, LastShutdown), DirectoryError> {
        create(path)?;
        let lock = DirectoryLock::acquire(path)?;
        let last = match identity::read(path)? {
            Some(found) if found == identity => boot::last_shutdown(path, &boot)?,
            Some(found) => {
                let directory = path.to_path_buf();
                return Err(DirectoryError::OtherIdentity {
                    directory,
                    found,
                    expected: identity,
                });
            }
            None => {
                refuse_unnamed_database(path)?;
                identity::write(path, identity)?;
                LastShutdown::Fresh
            }
        };
        let directory = Self {
            path: path.to_path_buf(),
            identity,
            boot,
            _lock: lock,
        };
        if last == LastShutdown::Fresh {
            directory.mark_begun()?;
        }
        Ok((directory, last))
    }
}

/// Makes the directory readable by its owner only, since keys and secrets will lie in it.
fn create(path: &Path) -> Result<(), DirectoryError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(DirectoryError::io("create", path))
}

/// A database without a `VERSION` was copied here without its identity: to claim it would
/// give two nodes the same rows and dots.
fn refuse_unnamed_database(path: &Path) -> Result<(), DirectoryError> {
    let database = path.join(DATABASE);
    match fs::symlink_metadata(&database) {
        Ok(_) => Err(DirectoryError::Unnamed {
            directory: path.to_path_buf(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(DirectoryError::io("look at", &database)(error)),
    }
}

const DATABASE: &str = "db";
