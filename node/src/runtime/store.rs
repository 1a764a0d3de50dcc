//! The store of a running node: an engine that can be opened again in place.
//!
//! RocksDB writes no more after a log that it could not write. Opening it again is the only way
//! that its binding offers, and the files must be closed before that. So nobody keeps the engine:
//! whoever uses it borrows it for one read or one batch, and the committer exchanges it meanwhile.

use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::store::{
    Backlog, Barrier, Batch, Direction, Engine, EngineStatistics, KeyRange, StoreError, Table,
    View, Visit,
};

/// The store, shared by the threads of a node.
#[derive(Clone)]
pub(crate) struct Store {
    slot: Arc<RwLock<Arc<dyn Engine>>>,
    open: Open,
}

/// Opens the engine, the first time and again.
pub(crate) type Open = Arc<dyn Fn() -> Result<Arc<dyn Engine>, StoreError> + Send + Sync>;

/// An engine in use. It is not exchanged while this lives, so it must be short.
pub(crate) struct InUse<'a>(RwLockReadGuard<'a, Arc<dyn Engine>>);

impl Store {
    /// `engine`, which is opened again by `open`.
    pub(crate) fn new(engine: Arc<dyn Engine>, open: Open) -> Self {
        let slot = Arc::new(RwLock::new(engine));
        Self { slot, open }
    }

    /// An engine that stays as it is.
    pub(crate) fn fixed(engine: Arc<dyn Engine>) -> Self {
        let same = Arc::clone(&engine);
        Self::new(engine, Arc::new(move || Ok(Arc::clone(&same))))
    }

    /// The engine, for one read or one batch.
    pub(crate) fn borrow(&self) -> InUse<'_> {
        InUse(self.slot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes the engine and opens it again. What no barrier covers may be gone.
    ///
    /// # Errors
    /// It does not open. Every use fails with the same error then, until it is tried again with
    /// success.
    pub(crate) fn reopen(&self) -> Result<(), StoreError> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        // The files must be closed before they can be opened.
        *slot = Arc::new(Closed(StoreError::Io {
            action: "use",
            path: "the store".into(),
            detail: "it is being opened again".to_owned(),
        }));
        match (self.open)() {
            Ok(engine) => {
                *slot = engine;
                Ok(())
            }
            Err(error) => {
                *slot = Arc::new(Closed(error.clone()));
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

impl Deref for InUse<'_> {
    type Target = dyn Engine;

    fn deref(&self) -> &Self::Target {
        &**self.0
    }
}

/// An engine that could not be opened again: everything fails for the same reason.
#[derive(Debug)]
struct Closed(StoreError);

impl View for Closed {
    fn get(&self, _: Table, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Err(self.0.clone())
    }

    fn scan(
        &self,
        _: Table,
        _: KeyRange<'_>,
        _: Direction,
        _: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        Err(self.0.clone())
    }
}

impl Engine for Closed {
    fn write(&self, _: &Batch) -> Result<(), StoreError> {
        Err(self.0.clone())
    }

    fn barrier(&self, _: Barrier) -> Result<(), StoreError> {
        Err(self.0.clone())
    }

    fn snapshot(&self) -> Result<Box<dyn View + '_>, StoreError> {
        Err(self.0.clone())
    }

    fn checkpoint(&self, _: &Path) -> Result<(), StoreError> {
        Err(self.0.clone())
    }

    fn statistics(&self) -> EngineStatistics {
        EngineStatistics::default()
    }

    fn backlog(&self) -> Backlog {
        Backlog::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::Store;
    use crate::store::{Engine, MemoryEngine, StoreError, Table};

    #[test]
    fn a_store_that_does_not_open_again_says_why_until_it_does() {
        let is_full = Arc::new(AtomicBool::new(true));
        let full = Arc::clone(&is_full);
        let open = move || {
            if full.load(Ordering::Relaxed) {
                let (database, detail) = ("/db".into(), String::new());
                return Err(StoreError::DiskFull { database, detail });
            }
            Ok(Arc::new(MemoryEngine::new()) as Arc<dyn Engine>)
        };
        let store = Store::new(Arc::new(MemoryEngine::new()), Arc::new(open));
        assert_eq!(store.borrow().get(Table::Meta, b"key"), Ok(None));
        assert!(store.reopen().is_err_and(|error| error.is_disk_full()));
        let read = store.borrow().get(Table::Meta, b"key");
        assert!(read.is_err_and(|error| error.is_disk_full()));
        is_full.store(false, Ordering::Relaxed);
        assert_eq!(store.reopen(), Ok(()));
        assert_eq!(store.borrow().get(Table::Meta, b"key"), Ok(None));
    }
}
