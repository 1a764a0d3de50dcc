//! What RocksDB's words mean for a node.
//!
//! The binding hands over one text per error: the kind, then where and what. The texts matched
//! here are those of RocksDB 11 (`env/io_posix.cc`, `env/fs_posix.cc`, `util/status.cc`); one that
//! is not recognised is an [`StoreError::Io`], or [`StoreError::SyncFailed`] where a sync was
//! asked for, which is the safe side of each.

use std::path::{Path, PathBuf};

use crate::store::error::StoreError;

/// An error of RocksDB, to be told in the words of the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure<'a> {
    database: &'a Path,
    message: &'a str,
}

impl<'a> Failure<'a> {
    pub(super) fn new(database: &'a Path, error: &'a rocksdb::Error) -> Self {
        Self {
            database,
            message: error.as_ref(),
        }
    }

    /// Of opening the database.
    pub(super) fn to_open(self) -> StoreError {
        let (database, detail) = (self.database.to_path_buf(), self.message.to_owned());
        if self.says("While lock file") || self.says("lock hold by current process") {
            StoreError::InUse { database, detail }
        } else if self.is_of_newer_version() {
            StoreError::NewerFormat { database, detail }
        } else {
            self.to("open")
        }
    }

    /// Of a sync: everything but a disk that was full before the sync began.
    pub(super) fn to_sync(self) -> StoreError {
        if self.says(NO_SPACE) && self.says("While append") {
            return self.to("write the log of");
        }
        let (database, detail) = (self.database.to_path_buf(), self.message.to_owned());
        StoreError::SyncFailed { database, detail }
    }

    /// Of anything else, called by a verb.
    pub(super) fn to(self, action: &'static str) -> StoreError {
        let (database, detail) = (self.database.to_path_buf(), self.message.to_owned());
        if self.message.starts_with("Corruption") {
            StoreError::Corruption {
                file: self.file(),
                database,
                detail,
            }
        } else if self.says(NO_SPACE) {
            StoreError::DiskFull { database, detail }
        } else {
            StoreError::Io {
                action,
                path: database,
                detail,
            }
        }
    }

    /// A family or a file format that this version does not know.
    fn is_of_newer_version(self) -> bool {
        self.says("Column families not opened")
            || self.says("Unknown Footer version")
            || self.says("Corrupt or unsupported format_version")
            || self.message.starts_with("Not implemented")
    }

    /// The file that the message names, or else the directory.
    fn file(self) -> PathBuf {
        let mut words = self.message.split([' ', ',', '\'', '"', '(', ')']);
        let named = words.find_map(|word| {
            let word = word.trim_end_matches([':', '.', ';']);
            let path = Path::new(word);
            let name = path.file_name()?.to_str()?;
            let is_file = [".sst", ".log", ".blob"]
                .iter()
                .any(|end| name.ends_with(end))
                || name.starts_with("MANIFEST-")
                || name == "CURRENT";
            is_file.then(|| self.database.join(name))
        });
        named.unwrap_or_else(|| self.database.to_path_buf())
    }

    fn says(self, text: &str) -> bool {
        self.message.contains(text)
    }
}

const NO_SPACE: &str = "No space left on device";

#[cfg(test)]
mod tests {
    use super::{Failure, Path, StoreError};

    fn failure(message: &str) -> Failure<'_> {
        Failure {
            database: Path::new("/data/db"),
            message,
        }
    }

    #[test]
    fn damage_names_its_file() {
        let cases = [
            (
                "Corruption: block checksum mismatch: stored = 1, computed = 2  in \
              /data/db/000012.sst offset 0 size 40",
                "/data/db/000012.sst",
            ),
            (
                "Corruption: Sst file size mismatch: /data/db/000007.sst. Size recorded",
                "/data/db/000007.sst",
            ),
            (
                "Corruption: checksum mismatch in file MANIFEST-000005",
                "/data/db/MANIFEST-000005",
            ),
            ("Corruption: bad entry in block", "/data/db"),
        ];
        for (message, expected) in cases {
            match failure(message).to("read from") {
                StoreError::Corruption { file, .. } => assert_eq!(file, Path::new(expected)),
                other => panic!("{other}"),
            }
        }
    }

    #[test]
    fn full_disks_are_told_from_failing_ones() {
        let appending = "IO error: No space left on device: While appending to file: \
                         /data/db/000004.log: No space left on device";
        let syncing = "IO error: No space left on device: While fdatasync: /data/db/000004.log";
        assert!(failure(appending).to("write to").is_disk_full());
        assert!(failure(appending).to_sync().is_disk_full());
        assert!(failure(syncing).to_sync().must_abort());
        assert!(
            failure("IO error: While fdatasync: Input/output error")
                .to_sync()
                .must_abort()
        );
    }

    #[test]
    fn locks_are_told_from_other_reasons_not_to_open() {
        let theirs = "IO error: While lock file: /data/db/LOCK: Resource temporarily unavailable";
        let ours = "IO error: lock hold by current process, acquire time 1 acquiring thread 2: \
                    /data/db/LOCK: No locks available";
        for message in [theirs, ours] {
            assert!(matches!(
                failure(message).to_open(),
                StoreError::InUse { .. }
            ));
        }
        let newer = "Invalid argument: Column families not opened: cells";
        assert!(matches!(
            failure(newer).to_open(),
            StoreError::NewerFormat { .. }
        ));
        let permission = "IO error: While open a file for appending: /data/db/LOCK: Permission";
        assert!(matches!(
            failure(permission).to_open(),
            StoreError::Io { action: "open", .. }
        ));
    }
}
