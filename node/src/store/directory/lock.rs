//! The `LOCK` file: one process per data directory.
//!
//! The lock is the kernel's, on the open file, and ends with the process in whatever way it
//! ends. The pid inside is only a note for the process that is refused.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use super::error::DirectoryError;

/// Held while the directory is open.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock, or says who has it.
    pub(super) fn acquire(directory: &Path) -> Result<Self, DirectoryError> {
        let path = directory.join(NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(DirectoryError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let directory = directory.to_path_buf();
                return Err(DirectoryError::InUse {
                    directory,
                    pid: read_pid(&file),
                });
            }
            Err(TryLockError::Error(error)) => {
                return Err(DirectoryError::io("lock", &path)(error));
            }
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(DirectoryError::io("write", &path))?;
        Ok(Self { _file: file })
    }
}

/// The holder may be about to write its pid, so there may be none.
fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(LONGEST_PID).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

const NAME: &str = "LOCK";

const LONGEST_PID: u64 = 32;
