//! A node's disk: the memory engine as the protocol reads it, and copies of it.

use std::ops::ControlFlow;

use starling::wire::Durability;
use starling_node::protocol::stage::{Changes, Family, Source, SourceError, Visit};
use starling_node::store::{
    Barrier, Batch, Direction, Engine, KeyRange, MemoryEngine, StoreError, Table, View,
};

/// The engine as the protocol's source of rows.
#[derive(Debug)]
pub struct Disk<'a>(pub &'a MemoryEngine);

impl Source for Disk<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
        self.0.get(table(family), key).map_err(unreadable)
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), SourceError> {
        let range = KeyRange::between(from, to);
        let scanned = self.0.scan(table(family), range, Direction::Forward, visit);
        scanned.map_err(unreadable)
    }
}

/// What a commit changes, as the engine takes it.
#[must_use]
pub fn batch_of(changes: &Changes) -> Batch {
    let mut batch = Batch::new();
    for (family, key, value) in changes.iter() {
        match value {
            Some(value) => batch.put(table(family), key, value),
            None => batch.delete(table(family), key),
        }
    }
    batch
}

/// How far the engine must bring what was written.
pub(crate) fn barrier_of(durability: Durability) -> Barrier {
    match durability {
        Durability::Memory => Barrier::Memory,
        Durability::Wal => Barrier::Wal,
        Durability::Synced => Barrier::Synced,
    }
}

/// Everything on a disk at some moment: a backup.
#[derive(Debug, Clone)]
pub struct Image(Batch);

impl Image {
    /// Copies the rows of an engine.
    ///
    /// # Errors
    /// An injected fault keeps them from being read.
    pub fn of(engine: &MemoryEngine) -> Result<Self, StoreError> {
        let mut batch = Batch::new();
        for table in Table::ALL {
            engine.scan(
                table,
                KeyRange::all(),
                Direction::Forward,
                &mut |key, value| {
                    batch.put(table, key, value);
                    ControlFlow::Continue(())
                },
            )?;
        }
        Ok(Self(batch))
    }

    /// A disk that holds exactly this.
    ///
    /// # Errors
    /// None: a new engine has no faults.
    pub fn restore(&self) -> Result<MemoryEngine, StoreError> {
        let engine = MemoryEngine::new();
        engine.write(&self.0)?;
        engine.barrier(Barrier::Synced)?;
        Ok(engine)
    }
}

fn table(family: Family) -> Table {
    match family {
        Family::Data => Table::Data,
        Family::Dotlog => Table::Dotlog,
        Family::Records => Table::Records,
        Family::Meta => Table::Meta,
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is the argument of map_err"
)]
fn unreadable(error: StoreError) -> SourceError {
    SourceError::Unreadable {
        reason: error.to_string(),
    }
}
