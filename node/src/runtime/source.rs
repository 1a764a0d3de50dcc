//! Between the protocol's view of storage and the store's: families are tables, changes a batch.

use crate::protocol::stage::{Changes, Family, Source, SourceError, Span, Visit};
use crate::store::{Batch, Direction, KeyRange, StoreError, Table, View};

/// A store, or a snapshot of one, as the protocol reads it.
#[derive(Debug)]
pub struct StoreSource<'a> {
    view: &'a dyn View,
}

impl<'a> StoreSource<'a> {
    /// Reads from `view`.
    #[must_use]
    pub fn new(view: &'a dyn View) -> Self {
        Self { view }
    }
}

impl Source for StoreSource<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
        self.view
            .get(table(family), key)
            .map_err(|error| source_error(&error))
    }

    fn walk(
        &self,
        family: Family,
        span: Span<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<(), SourceError> {
        let range = KeyRange::between(span.from, span.to);
        let direction = match span.reverse {
            false => Direction::Forward,
            true => Direction::Backward,
        };
        let walked = self.view.scan(table(family), range, direction, visit);
        walked.map_err(|error| source_error(&error))
    }
}

/// Puts the changes of a commit into a batch.
pub fn fill(batch: &mut Batch, changes: &Changes) {
    for (family, key, value) in changes.iter() {
        match value {
            Some(value) => batch.put(table(family), key, value),
            None => batch.delete(table(family), key),
        }
    }
}

/// The table of a family.
fn table(family: Family) -> Table {
    match family {
        Family::Data => Table::Data,
        Family::Dotlog => Table::Dotlog,
        Family::Records => Table::Records,
        Family::Meta => Table::Meta,
        Family::Hints => Table::Hints,
    }
}

fn source_error(error: &StoreError) -> SourceError {
    if let StoreError::Corruption { file, .. } = error {
        return SourceError::Corrupt {
            vnode: None,
            key: file.display().to_string(),
            reason: error.to_string(),
        };
    }
    SourceError::Unreadable {
        reason: error.to_string(),
    }
}
