//! Wall clocks that are wrong, by `libfaketime`: the library stands between a node and the kernel
//! and reads from a file by how much. What measures durations, the monotonic clock, is let be.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The wall clocks of nodes, one file for each.
#[derive(Debug)]
pub struct Clocks {
    library: PathBuf,
    directory: PathBuf,
}

impl Clocks {
    /// Right clocks, with their files below `directory`; nothing if the library is not installed.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn find(directory: &Path) -> anyhow::Result<Option<Self>> {
        let directories = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let mut places = directories.map(|entry| entry.path().join(LIBRARY));
        let found = places.find(|library| library.exists());
        let Some(library) = found else {
            return Ok(None);
        };
        fs::create_dir_all(directory).context("the directory of clocks")?;
        let directory = directory.to_owned();
        Ok(Some(Self { library, directory }))
    }

    /// What a node must be started with for its clock to be set here; it is right until then.
    pub fn environment(&self, node: &str) -> Vec<(OsString, OsString)> {
        let variable = |name: &str, value: &str| (name.into(), value.into());
        vec![
            variable("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            // So seldom it reads the file, in seconds.
            variable("FAKETIME_CACHE_DURATION", "1"),
            ("LD_PRELOAD".into(), self.library.clone().into_os_string()),
            (
                "FAKETIME_TIMESTAMP_FILE".into(),
                self.file(node).into_os_string(),
            ),
        ]
    }

    /// Sets a node's clock so many seconds ahead, or behind if they are negative.
    ///
    /// # Errors
    /// If its file cannot be written.
    pub fn set(&self, node: &str, ahead: i64) -> anyhow::Result<()> {
        // A node must not read half of it.
        let (file, new) = (self.file(node), self.directory.join("new"));
        fs::write(&new, format!("{ahead:+}\n"))?;
        fs::rename(new, file).context("a clock")
    }

    /// Removes what processes that have ended left in shared memory, where a new one with the same
    /// number would stumble over it. No process may be starting.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn sweep(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(SHARED)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().contains("faketime_") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn file(&self, node: &str) -> PathBuf {
        self.directory.join(node)
    }
}

/// Below `/usr/lib/ARCHITECTURE`, by Debian's package `libfaketime`; the one for programs with
/// several threads.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
/// The sandbox's own.
const SHARED: &str = "/dev/shm";
