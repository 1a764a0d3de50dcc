//! What a node keeps: an ordered key-value engine, and the directory it lives in.
//!
//! Everything above speaks to the [`Engine`] trait and never to RocksDB, so that the simulator
//! can run the same node on a [`MemoryEngine`] whose disk crashes on command. One suite of tests
//! runs over both.
//!
//! ```text
//!            get, scan ─────────────┐
//!  machine ──▶ Batch ──▶ write ──▶ visible      gone after: kill -9      power loss
//!                                   │
//!              barrier(Memory)      │  promises nothing       yes           yes
//!              barrier(Wal)         │  bytes reach the OS     no            yes
//!              barrier(Synced)      ▼  bytes reach the disk   no            no
//! ```
//!
//! Batches are atomic and ordered: whatever a crash takes, what remains is the state after some
//! whole number of batches, in the order in which they were written. Rows, dotlog and clock
//! checkpoint go through the same engine in the same order for exactly this reason.

pub use self::backlog::Backlog;
pub use self::batch::{Batch, Change, Changes};
pub use self::directory::{
    DataDirectory, DirectoryError, FileAccess, Identity, LastShutdown, replace_file,
};
pub use self::engine::{Barrier, Direction, Engine, EngineStatistics, View, Visit};
pub use self::error::StoreError;
pub use self::memory::{Fault, MemoryCounters, MemoryEngine};
pub use self::range::{KeyRange, prefix_end};
#[cfg(feature = "rocksdb")]
pub use self::rocks::{LogRecovery, RocksConfig, RocksEngine};
pub use self::space::free_bytes;
pub use self::table::Table;

mod backlog;
mod batch;
mod directory;
mod engine;
mod error;
mod memory;
mod range;
#[cfg(feature = "rocksdb")]
mod rocks;
mod space;
mod table;

#[cfg(test)]
mod tests;
