//! What a store must do, and no more: ordered reads, atomic batches, explicit barriers.
//!
//! Writing and making durable are two steps, because the committer writes one
//! batch for everything that waits and then pays for one barrier at the highest level that
//! anyone asked for. Nothing may be acknowledged between the two.

use std::fmt::Debug;
use std::ops::ControlFlow;
use std::path::Path;

use super::backlog::Backlog;
use super::batch::Batch;
use super::error::StoreError;
use super::range::KeyRange;
use super::table::Table;

/// A state of the store to read from: the newest one (an [`Engine`]), or a frozen one (a
/// snapshot).
pub trait View: Debug + Send + Sync {
    /// The value of `key`, if it has one.
    ///
    /// # Errors
    /// The rows could not be read; [`StoreError::Corruption`] if they are damaged.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows `visit` each key and value of `range`, in order, until it breaks off.
    ///
    /// One scan sees one state, even if somebody writes meanwhile.
    ///
    /// # Errors
    /// The rows could not be read; those visited so far were right, but they are not all.
    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError>;
}

/// What a scan shows each key and value to, until it breaks off.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An ordered store with atomic batches, shared by the threads of a node.
///
/// Architecture invariant: after any crash the store holds the state after a whole number of
/// batches, in the order in which they were written.
pub trait Engine: View + 'static {
    /// Makes all changes of `batch`, or none. They are visible at once, and durable only behind
    /// the next [`Engine::barrier`].
    ///
    /// # Errors
    /// Whatever the error, nothing in the batch may be acknowledged. None of it is visible; it
    /// may still appear after a restart, so a caller that goes on must treat the batch as one
    /// that may have been applied.
    fn write(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Makes every batch written so far as durable as `level` says.
    ///
    /// # Errors
    /// Batches since the last barrier may or may not be durable: none may be acknowledged at
    /// this level. After [`StoreError::SyncFailed`] the process must abort, because the kernel
    /// may have dropped the pages it could not write and a second try would report success.
    fn barrier(&self, level: Barrier) -> Result<(), StoreError>;

    /// Freezes the state of now. What a snapshot pins cannot be reclaimed until it is dropped,
    /// so it should live for seconds and not for hours.
    ///
    /// # Errors
    /// No snapshot could be taken; the store is untouched.
    fn snapshot(&self) -> Result<Box<dyn View + '_>, StoreError>;

    /// Writes the state of now to `directory`, which must not exist yet, in the form from which
    /// the same kind of engine opens.
    ///
    /// # Errors
    /// The directory may be there in part and must not be used; the store is untouched.
    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError>;

    /// Sizes, for people and metrics. Cheap, not exact.
    fn statistics(&self) -> EngineStatistics;

    /// How far it is behind with what it puts off. Cheap enough for ten times a second.
    fn backlog(&self) -> Backlog;
}

/// How much must fail before a batch can be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Barrier {
    /// Nothing is awaited: the batch may be lost with the process.
    Memory,
    /// The operating system has the bytes: they survive kill -9, not a power loss.
    #[default]
    Wal,
    /// The disk has the bytes: they survive a power loss.
    Synced,
}

/// Which way a scan goes through its range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the first key to the last.
    #[default]
    Forward,
    /// From the last key to the first.
    Backward,
}

/// How large a store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStatistics {
    /// Bytes of all its files; for the memory engine, of all keys and values.
    pub disk_bytes: u64,
    /// About how many rows each table has, by [`Table::index`].
    pub rows: [u64; Table::COUNT],
}

impl EngineStatistics {
    /// About how many rows `table` has.
    #[must_use]
    pub const fn rows_of(&self, table: Table) -> u64 {
        self.rows[table.index()]
    }
}
