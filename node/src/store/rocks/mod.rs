//! The engine of real nodes: RocksDB, one column family per table.
//!
//! ```text
//!   write            batch ──▶ memtables, and the log's buffer in this process
//!   barrier(Wal)     the log's buffer ──▶ the operating system     (flush_wal without sync)
//!   barrier(Synced)  the log's buffer ──▶ the disk                 (flush_wal with sync)
//! ```
//!
//! One log serves all families, so its order is the order of batches, and a start that finds it
//! torn keeps everything before the tear, where a tear is legal ([`LogRecovery`]). When one family
//! is flushed ahead of the others, RocksDB first syncs the logs that the file was made from; so a
//! table never holds a batch whose other half is lost.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rocksdb::checkpoint::Checkpoint;
use rocksdb::properties::{
    ACTUAL_DELAYED_WRITE_RATE, ESTIMATE_NUM_KEYS, ESTIMATE_PENDING_COMPACTION_BYTES,
    IS_WRITE_STOPPED, num_files_at_level,
};
use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DB, DBRawIterator, ReadOptions, WriteBatch};

use self::errors::Failure;
pub use self::options::{LogRecovery, RocksConfig};
use super::backlog::Backlog;
use super::batch::{Batch, Change};
use super::engine::{Barrier, Direction, Engine, EngineStatistics, View, Visit};
use super::error::StoreError;
use super::range::KeyRange;
use super::table::Table;

mod errors;
mod options;
#[cfg(test)]
mod tests;

/// A database on disk, open in this process alone.
///
/// Memory is bounded by [`RocksConfig`]. Dropping it closes the database; whatever no barrier
/// covered may or may not be there at the next start.
#[derive(Debug)]
pub struct RocksEngine {
    database: PathBuf,
    db: DB,
}

impl RocksEngine {
    /// Opens the database in the directory `database`, and makes it if it is not there.
    ///
    /// # Errors
    /// It is in use, damaged, from a newer version, or the operating system refuses.
    pub fn open(database: &Path, config: RocksConfig) -> Result<Self, StoreError> {
        refuse_headless(database)?;
        let cache = config.cache();
        let families = Table::ALL
            .map(|table| ColumnFamilyDescriptor::new(table.name(), config.family(table, &cache)));
        DB::open_cf_descriptors(&config.database(), database, families)
            .map(|db| Self {
                database: database.to_path_buf(),
                db,
            })
            .map_err(|error| Failure::new(database, &error).to_open())
    }

    /// The family of a table. `open` opens one for each, so there is none only if the engine has
    /// dropped it.
    fn family(&self, table: Table) -> Result<&ColumnFamily, StoreError> {
        let family = self.db.cf_handle(table.name());
        family.ok_or_else(|| StoreError::Corruption {
            database: self.database.clone(),
            file: self.database.clone(),
            detail: format!("the engine has no column family {}", table.name()),
        })
    }

    fn failure<'a>(&'a self, error: &'a rocksdb::Error) -> Failure<'a> {
        Failure::new(&self.database, error)
    }

    /// Waits for background work and stops it, so that a test can copy the files of a database
    /// that is open.
    #[cfg(test)]
    pub(in crate::store) fn stop_background_work(&self) {
        self.db.cancel_all_background_work(true);
    }
}

impl View for RocksEngine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.db.get_cf(self.family(table)?, key);
        value.map_err(|error| self.failure(&error).to("read from"))
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let Some(options) = read_options(&range) else {
            return Ok(());
        };
        let iterator = self.db.raw_iterator_cf_opt(self.family(table)?, options);
        walk(iterator, direction, visit).map_err(|error| self.failure(&error).to("read from"))
    }
}

impl Engine for RocksEngine {
    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut writes =
            WriteBatch::with_capacity_bytes(batch.bytes() + batch.len() * CHANGE_OVERHEAD);
        for change in batch.changes() {
            match change {
                Change::Put { table, key, value } => {
                    writes.put_cf(self.family(table)?, key, value);
                }
                Change::Delete { table, key } => writes.delete_cf(self.family(table)?, key),
                Change::DeleteRange { table, from, to } => {
                    writes.delete_range_cf(self.family(table)?, from, to);
                }
            }
        }
        self.db
            .write(writes)
            .map_err(|error| self.failure(&error).to("write to"))
    }

    fn barrier(&self, level: Barrier) -> Result<(), StoreError> {
        match level {
            Barrier::Memory => Ok(()),
            Barrier::Wal => self
                .db
                .flush_wal(false)
                .map_err(|error| self.failure(&error).to("write the log of")),
            Barrier::Synced => self
                .db
                .flush_wal(true)
                .map_err(|error| self.failure(&error).to_sync()),
        }
    }

    fn snapshot(&self) -> Result<Box<dyn View + '_>, StoreError> {
        Ok(Box::new(RocksSnapshot {
            engine: self,
            snapshot: self.db.snapshot(),
        }))
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        Checkpoint::new(&self.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(directory))
            .map_err(|error| self.failure(&error).to("make a checkpoint of"))
    }

    fn statistics(&self) -> EngineStatistics {
        let rows = Table::ALL.map(|table| {
            let family = self.family(table).ok();
            let estimate =
                family.map(|family| self.db.property_int_value_cf(family, ESTIMATE_NUM_KEYS));
            estimate.and_then(Result::ok).flatten().unwrap_or(0)
        });
        EngineStatistics {
            disk_bytes: bytes_of_files(&self.database),
            rows,
        }
    }

    fn backlog(&self) -> Backlog {
        let mut backlog = Backlog::default();
        for family in Table::ALL
            .iter()
            .filter_map(|&table| self.family(table).ok())
        {
            let files = self.db.property_value_cf(family, num_files_at_level(0));
            let files = files.ok().flatten().and_then(|files| files.parse().ok());
            backlog.files = backlog.files.max(files.unwrap_or(0));
            let bytes = ESTIMATE_PENDING_COMPACTION_BYTES;
            let bytes = self.db.property_int_value_cf(family, bytes);
            backlog.bytes = backlog.bytes.max(bytes.ok().flatten().unwrap_or(0));
        }
        // These two are of the whole database.
        backlog.delays = [ACTUAL_DELAYED_WRITE_RATE, IS_WRITE_STOPPED]
            .iter()
            .any(|&name| matches!(self.db.property_int_value(name), Ok(Some(1..))));
        backlog
    }
}

/// The database as it was at one moment.
struct RocksSnapshot<'a> {
    engine: &'a RocksEngine,
    snapshot: rocksdb::Snapshot<'a>,
}

impl std::fmt::Debug for RocksSnapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksSnapshot")
            .field("database", &self.engine.database)
            .field("sequence", &self.snapshot.sequence_number())
            .finish()
    }
}

impl View for RocksSnapshot<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.snapshot.get_cf(self.engine.family(table)?, key);
        value.map_err(|error| self.engine.failure(&error).to("read from"))
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let Some(options) = read_options(&range) else {
            return Ok(());
        };
        let iterator = self
            .snapshot
            .raw_iterator_cf_opt(self.engine.family(table)?, options);
        walk(iterator, direction, visit)
            .map_err(|error| self.engine.failure(&error).to("read from"))
    }
}

/// Options that keep an iterator inside the range, or nothing if no key can be in it.
fn read_options(range: &KeyRange<'_>) -> Option<ReadOptions> {
    if range.is_empty() {
        return None;
    }
    let mut options = ReadOptions::default();
    options.set_iterate_lower_bound(range.from());
    if let Some(to) = range.to() {
        options.set_iterate_upper_bound(to);
    }
    Some(options)
}

fn walk(
    mut iterator: DBRawIterator<'_>,
    direction: Direction,
    visit: &mut Visit<'_>,
) -> Result<(), rocksdb::Error> {
    match direction {
        Direction::Forward => iterator.seek_to_first(),
        Direction::Backward => iterator.seek_to_last(),
    }
    while let Some((key, value)) = iterator.item() {
        if let ControlFlow::Break(()) = visit(key, value) {
            return Ok(());
        }
        match direction {
            Direction::Forward => iterator.next(),
            Direction::Backward => iterator.prev(),
        }
    }
    // An iterator also stops at a row that it cannot read.
    iterator.status()
}

/// RocksDB takes a directory without `CURRENT` for an empty one, and would begin anew among the
/// files of the old database.
fn refuse_headless(database: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(database) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(database, &error)),
    };
    let mut has_content = false;
    for entry in entries {
        let name = entry
            .map_err(|error| unreadable(database, &error))?
            .file_name();
        let name = name.to_string_lossy();
        if name == CURRENT {
            return Ok(());
        }
        has_content |= name.starts_with("MANIFEST") || name.ends_with(".sst");
    }
    if has_content {
        let detail = "it names the newest manifest, and is missing".to_owned();
        let file = database.join(CURRENT);
        return Err(StoreError::Corruption {
            database: database.to_path_buf(),
            file,
            detail,
        });
    }
    Ok(())
}

fn unreadable(database: &Path, error: &io::Error) -> StoreError {
    StoreError::Io {
        action: "list",
        path: database.to_path_buf(),
        detail: error.to_string(),
    }
}

/// Files come and go while they are counted, so those that cannot be asked count as nothing.
fn bytes_of_files(database: &Path) -> u64 {
    let entries = fs::read_dir(database).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

const CURRENT: &str = "CURRENT";

/// What RocksDB adds to the key and value of a change: a tag, a family, two lengths.
const CHANGE_OVERHEAD: usize = 16;
