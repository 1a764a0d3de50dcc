//! A node's disk: the memory engine as the protocol reads it, and copies of it.

use std::ops::ControlFlow;

use starling::wire::Durability;
use starling_node::protocol::stage::Changes;
use starling_node::runtime::source::fill;
use starling_node::store::{
    Barrier, Batch, Direction, Engine, KeyRange, MemoryEngine, StoreError, Table, View,
};

/// What a commit changes, as the engine takes it.
#[must_use]
pub fn batch_of(changes: &Changes) -> Batch {
    let mut batch = Batch::new();
    fill(&mut batch, changes);
    batch
}

/// How far the engine must bring what was written.
#[must_use]
pub fn barrier_of(durability: Durability) -> Barrier {
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
