//! The suite on RocksDB, whose crashes are made from copies of its files.
//!
//! What a killed process leaves is what the operating system has: the files of an open database,
//! copied without asking it. What a power loss leaves is the same with the logs cut off somewhere
//! behind the length they had at the last sync.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;

use tempfile::TempDir;

use super::{Barrier, Engine, Subject, suite};
use crate::store::{RocksConfig, RocksEngine};

suite!(Rocks);

struct Rocks {
    engine: RocksEngine,
    directory: TempDir,
    /// The length of each log at the last sync; the disk has nothing of one that is not here.
    synced: BTreeMap<OsString, u64>,
}

impl Rocks {
    fn open(directory: TempDir) -> Self {
        let engine = RocksEngine::open(directory.path(), RocksConfig::default())
            .expect("a database that opens");
        Self {
            engine,
            directory,
            synced: BTreeMap::new(),
        }
    }

    /// The files as the operating system has them now, each log cut to what `length` answers for
    /// its name and its present length.
    fn copy(&self, length: impl Fn(&OsString, u64) -> u64) -> TempDir {
        self.engine.stop_background_work();
        let copy = directory();
        for (name, present) in files(self.directory.path()) {
            let target = copy.path().join(&name);
            fs::copy(self.directory.path().join(&name), &target).expect("a copy");
            if is_log(&name) {
                let file = File::options().write(true).open(&target).expect("a log");
                file.set_len(length(&name, present)).expect("a shorter log");
            }
        }
        copy
    }
}

impl Subject for Rocks {
    fn new() -> Self {
        Self::open(directory())
    }

    fn from_checkpoint(checkpoint: &Path) -> Self {
        let copy = directory();
        for (name, _) in files(checkpoint) {
            fs::copy(checkpoint.join(&name), copy.path().join(&name)).expect("a copy");
        }
        Self::open(copy)
    }

    fn engine(&self) -> &dyn Engine {
        &self.engine
    }

    fn barrier(&mut self, level: Barrier) {
        self.engine.barrier(level).expect("a barrier");
        if level == Barrier::Synced {
            self.synced = files(self.directory.path())
                .filter(|(name, _)| is_log(name))
                .collect();
        }
    }

    fn crash_process(self) -> Self {
        Self::open(self.copy(|_, present| present))
    }

    fn crash_machine(self, kept: u8) -> Self {
        Self::open(self.copy(|name, present| {
            let synced = self.synced.get(name).copied().unwrap_or(0);
            synced + (present - synced) * u64::from(kept) / 256
        }))
    }
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// The names and lengths of the files of a database, without the lock. A file that background
/// work removes meanwhile is not one.
fn files(directory: &Path) -> impl Iterator<Item = (OsString, u64)> {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    entries
        .filter_map(|entry| Some((entry.file_name(), entry.metadata().ok()?.len())))
        .filter(|(name, _)| name != "LOCK")
}

fn is_log(name: &OsString) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "log")
}
