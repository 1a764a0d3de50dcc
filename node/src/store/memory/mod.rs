//! The engine of tests and of the simulator: maps in memory over a disk that crashes on command.
//!
//! The disk has three levels, as the real one has:
//!
//! ```text
//!   oldest batch                                             newest batch
//!   ├── on the disk ──┤├── with the system ──┤├── in the process ──┤
//!                     ▲                      ▲                     ▲
//!               barrier(Synced)        barrier(Wal)              write
//!
//!   crash_process  keeps everything but the last part
//!   crash_machine  keeps the first part and as many batches of the second as the caller likes
//! ```
//!
//! The maps always hold the newest state; behind the last synced batch lies an undo log, which a
//! crash rolls back. A barrier therefore costs nothing and a crash costs what it loses, which
//! suits a simulator that opens thousands of these. Equal calls give equal states: there is no
//! randomness, no clock and no order by hash in here.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::fault::Fault;
use self::fault::{BadStretch, Faults};
use self::tail::Tail;
use super::backlog::Backlog;
use super::batch::{Batch, Change};
use super::engine::{Barrier, Direction, Engine, EngineStatistics, View, Visit};
use super::error::StoreError;
use super::range::KeyRange;
use super::table::Table;

mod fault;
mod image;
mod tail;
#[cfg(test)]
mod tests;

/// A store in memory, with crashes and faults for whoever tests the code above it.
///
/// Its size is bounded by what is put in. Taking a snapshot is free; the first write to a table
/// while one lives copies that table.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    state: Mutex<State>,
}

/// What happened to a [`MemoryEngine`] so far; a simulation that never loses a batch has not
/// tested durability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryCounters {
    /// Batches written.
    pub writes: u64,
    /// Barriers at [`Barrier::Wal`].
    pub wal_barriers: u64,
    /// Barriers at [`Barrier::Synced`].
    pub synced_barriers: u64,
    /// Calls of [`MemoryEngine::crash_process`].
    pub process_crashes: u64,
    /// Calls of [`MemoryEngine::crash_machine`].
    pub machine_crashes: u64,
    /// Batches that crashes took.
    pub batches_lost: u64,
    /// Calls that an injected fault made fail.
    pub faults_hit: u64,
}

impl MemoryEngine {
    /// An empty store without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store with the rows that [`Engine::checkpoint`] wrote to `directory`, all on the disk.
    ///
    /// # Errors
    /// The file is not there ([`StoreError::Io`]), is damaged ([`StoreError::Corruption`]) or
    /// was written by a newer version ([`StoreError::NewerFormat`]).
    pub fn from_checkpoint(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(IMAGE);
        let bytes = fs::read(&path).map_err(|error| StoreError::Io {
            action: "read",
            path: path.clone(),
            detail: error.to_string(),
        })?;
        let tables = image::decode(&bytes).map_err(|error| error.at(directory, &path))?;
        let state = State {
            tables: tables.map(Arc::new),
            ..State::default()
        };
        Ok(Self {
            state: Mutex::new(state),
        })
    }

    /// Kills the process: batches that no barrier covered are gone. The store is then as the
    /// process finds it at its next start; batches with the system are still not on the disk.
    ///
    /// Injected faults stay, since they belong to the disk.
    pub fn crash_process(&self) {
        let mut state = self.lock();
        state.counters.process_crashes += 1;
        let kept = state.tail.with_system();
        state.roll_back_to(kept);
    }

    /// Cuts the power: of the batches that the system has and the disk does not, only the first
    /// few are kept. `keep` is given their number and answers how many (more counts as all);
    /// a batch that was being written at that instant is torn, found to be so, and dropped.
    ///
    /// The store is then as the process finds it at its next start, all of it on the disk.
    /// Injected faults stay, since they belong to the disk.
    pub fn crash_machine(&self, keep: impl FnOnce(usize) -> usize) {
        let mut state = self.lock();
        state.counters.machine_crashes += 1;
        let with_system = state.tail.with_system();
        let kept = keep(with_system).min(with_system);
        state.roll_back_to(kept);
        state.tail.sync();
    }

    /// Makes the next `times` calls that `fault` concerns fail; `u32::MAX` is until
    /// [`MemoryEngine::heal`]. A second injection of the same fault replaces the first.
    pub fn inject(&self, fault: Fault, times: u32) {
        self.lock().faults.inject(fault, times);
    }

    /// Makes the rows of a table from `from` up to but without `to` unreadable until
    /// [`MemoryEngine::heal`], as a bad block does: reading one of them fails, and a scan fails
    /// when it comes to the first.
    pub fn spoil(&self, table: Table, from: &[u8], to: &[u8]) {
        self.lock().faults.spoil(table, from, to);
    }

    /// From now on it says that it is so far behind. It puts nothing off by itself.
    pub fn set_backlog(&self, backlog: Backlog) {
        self.lock().backlog = backlog;
    }

    /// Takes back every injected fault.
    pub fn heal(&self) {
        self.lock().faults = Faults::default();
    }

    /// What happened to this store so far.
    #[must_use]
    pub fn counters(&self) -> MemoryCounters {
        self.lock().counters
    }

    /// No code panics while it holds the lock, so a poisoned one still guards a whole state.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows of one table as they are now, without holding the lock while they are read.
    fn rows_of(&self, table: Table) -> Arc<Rows> {
        Arc::clone(&self.lock().tables[table.index()])
    }

    /// Meets the faults that concern a read. Gives the rows of the table that cannot be read.
    fn meet_in(&self, table: Table) -> Result<Vec<BadStretch>, StoreError> {
        let mut state = self.lock();
        state.meet(&[Fault::ReadError, Fault::Corruption])?;
        Ok(state.faults.bad_in(table))
    }
}

impl View for MemoryEngine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let bad = self.meet_in(table)?;
        BadStretch::check(&bad, key, DATABASE)?;
        Ok(self.rows_of(table).get(key).cloned())
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let bad = self.meet_in(table)?;
        scan_rows((&*self.rows_of(table), &bad), &range, direction, visit)
    }
}

impl Engine for MemoryEngine {
    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.meet(&[Fault::WriteError, Fault::DiskFull])?;
        state.counters.writes += 1;
        state.apply(batch);
        Ok(())
    }

    fn barrier(&self, level: Barrier) -> Result<(), StoreError> {
        let mut state = self.lock();
        match level {
            Barrier::Memory => {}
            Barrier::Wal => {
                state.meet(&[Fault::DiskFull])?;
                state.counters.wal_barriers += 1;
                state.tail.hand_to_system();
            }
            Barrier::Synced => {
                state.meet(&[Fault::DiskFull, Fault::SyncError])?;
                state.counters.synced_barriers += 1;
                state.tail.sync();
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn View + '_>, StoreError> {
        let tables = self.lock().tables.clone();
        Ok(Box::new(MemorySnapshot {
            engine: self,
            tables,
        }))
    }

    fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        let bytes = image::encode(&self.lock().tables);
        let written =
            fs::create_dir(directory).and_then(|()| fs::write(directory.join(IMAGE), bytes));
        written.map_err(|error| StoreError::Io {
            action: "write a checkpoint to",
            path: directory.to_path_buf(),
            detail: error.to_string(),
        })
    }

    fn statistics(&self) -> EngineStatistics {
        let state = self.lock();
        let mut statistics = EngineStatistics::default();
        for (index, rows) in state.tables.iter().enumerate() {
            let bytes: usize = rows
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum();
            statistics.rows[index] = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            statistics.disk_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        }
        statistics
    }

    fn backlog(&self) -> Backlog {
        self.lock().backlog
    }
}

/// The tables as they were; reading them meets the faults of the disk they lie on.
#[derive(Debug)]
struct MemorySnapshot<'a> {
    engine: &'a MemoryEngine,
    tables: [Arc<Rows>; Table::COUNT],
}

impl View for MemorySnapshot<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let bad = self.engine.meet_in(table)?;
        BadStretch::check(&bad, key, DATABASE)?;
        Ok(self.tables[table.index()].get(key).cloned())
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let bad = self.engine.meet_in(table)?;
        let rows = &self.tables[table.index()];
        scan_rows((rows, &bad), &range, direction, visit)
    }
}

/// The rows of one table.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// The newest rows, and the way back to what a crash would leave of them.
#[derive(Debug, Default)]
struct State {
    tables: [Arc<Rows>; Table::COUNT],
    tail: Tail,
    faults: Faults,
    counters: MemoryCounters,
    backlog: Backlog,
}

impl State {
    /// Fails if one of `concerned` was injected for this call.
    fn meet(&mut self, concerned: &[Fault]) -> Result<(), StoreError> {
        for fault in concerned {
            if self.faults.strike(*fault) {
                self.counters.faults_hit += 1;
                return Err(fault.error(PathBuf::from(DATABASE)));
            }
        }
        Ok(())
    }

    fn apply(&mut self, batch: &Batch) {
        self.tail.begin();
        for change in batch.changes() {
            match change {
                Change::Put { table, key, value } => self.set(table, key, Some(value)),
                Change::Delete { table, key } => self.set(table, key, None),
                Change::DeleteRange { table, from, to } => {
                    let inside = (Bound::Included(from), Bound::Excluded(to));
                    let rows = &self.tables[table.index()];
                    let keys = rows.range::<[u8], _>(inside).map(|(key, _)| key.clone());
                    for key in keys.collect::<Vec<_>>() {
                        self.set(table, &key, None);
                    }
                }
            }
        }
        self.tail.settle();
    }

    /// Changes one row and notes what it was.
    fn set(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        let rows = Arc::make_mut(&mut self.tables[table.index()]);
        let before = match value {
            Some(value) => rows.insert(key.to_vec(), value.to_vec()),
            None => rows.remove(key),
        };
        self.tail.note(table, key, before);
    }

    /// Takes back every batch behind the first `kept` that are not on the disk.
    fn roll_back_to(&mut self, kept: usize) {
        while self.tail.len() > kept {
            for undo in self.tail.pop().into_iter().rev() {
                let rows = Arc::make_mut(&mut self.tables[undo.table.index()]);
                match undo.before {
                    Some(value) => rows.insert(undo.key, value),
                    None => rows.remove(&undo.key),
                };
            }
            self.counters.batches_lost += 1;
        }
    }
}

fn scan_rows(
    (rows, bad): (&Rows, &[BadStretch]),
    range: &KeyRange<'_>,
    direction: Direction,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    // A map panics when asked for a range that ends before it begins.
    if range.is_empty() {
        return Ok(());
    }
    let to = range.to().map_or(Bound::Unbounded, Bound::Excluded);
    let mut inside = rows.range::<[u8], _>((Bound::Included(range.from()), to));
    loop {
        let row = match direction {
            Direction::Forward => inside.next(),
            Direction::Backward => inside.next_back(),
        };
        let Some((key, value)) = row else {
            return Ok(());
        };
        BadStretch::check(bad, key, DATABASE)?;
        if visit(key, value).is_break() {
            return Ok(());
        }
    }
}

/// What errors name as the place of the database.
const DATABASE: &str = "(memory)";

/// The file of a checkpoint.
const IMAGE: &str = "memory.image";
