//! A batch: changes to any tables that happen together or not at all.
//!
//! The committer fills one batch for everything that waits, hundreds of times a second, so keys
//! and values are copied into one buffer that [`Batch::clear`] keeps for the next round. Later
//! changes of a batch act upon the result of earlier ones.

use std::ops::Range;

use super::table::Table;

/// Changes that a store makes atomically, in the order in which they were added.
///
/// A batch has no limit of its own; the committer stops filling one when [`Batch::bytes`] says
/// that it is large enough.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    changes: Vec<Recorded>,
    buffer: Vec<u8>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of `key`.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.record(Kind::Put, table, key, value);
    }

    /// Removes `key`; nothing happens if it is not there.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.record(Kind::Delete, table, key, &[]);
    }

    /// Removes every key `from <= key < to`; nothing is recorded when `to <= from`.
    ///
    /// Meant for whole vnodes: in RocksDB each such change slows reads until it is compacted
    /// away, so a few keys are cheaper deleted one by one.
    pub fn delete_range(&mut self, table: Table, from: &[u8], to: &[u8]) {
        if from < to {
            self.record(Kind::DeleteRange, table, from, to);
        }
    }

    /// Forgets every change and keeps the memory for the next ones.
    pub fn clear(&mut self) {
        self.changes.clear();
        self.buffer.clear();
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The number of changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// The bytes of all keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The changes, in order.
    #[must_use]
    pub fn changes(&self) -> Changes<'_> {
        Changes {
            changes: self.changes.iter(),
            buffer: &self.buffer,
        }
    }

    fn record(&mut self, kind: Kind, table: Table, first: &[u8], second: &[u8]) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(first);
        let middle = self.buffer.len();
        self.buffer.extend_from_slice(second);
        let end = self.buffer.len();
        self.changes.push(Recorded {
            kind,
            table,
            first: start..middle,
            second: middle..end,
        });
    }
}

/// One change of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The key has this value from now on.
    Put {
        /// Where.
        table: Table,
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// The key is gone.
    Delete {
        /// Where.
        table: Table,
        /// The key.
        key: &'a [u8],
    },
    /// Every key `from <= key < to` is gone; `from < to` holds.
    DeleteRange {
        /// Where.
        table: Table,
        /// The first key to go.
        from: &'a [u8],
        /// The first key to stay.
        to: &'a [u8],
    },
}

/// The changes of a [`Batch`], in order.
#[derive(Clone, Debug)]
pub struct Changes<'a> {
    changes: std::slice::Iter<'a, Recorded>,
    buffer: &'a [u8],
}

impl<'a> Iterator for Changes<'a> {
    type Item = Change<'a>;

    fn next(&mut self) -> Option<Change<'a>> {
        let Recorded {
            kind,
            table,
            first,
            second,
        } = self.changes.next()?;
        let (first, second) = (&self.buffer[first.clone()], &self.buffer[second.clone()]);
        Some(match kind {
            Kind::Put => Change::Put {
                table: *table,
                key: first,
                value: second,
            },
            Kind::Delete => Change::Delete {
                table: *table,
                key: first,
            },
            Kind::DeleteRange => Change::DeleteRange {
                table: *table,
                from: first,
                to: second,
            },
        })
    }
}

/// A change whose bytes lie in the buffer of its batch.
#[derive(Clone, Debug)]
struct Recorded {
    kind: Kind,
    table: Table,
    /// The key, or where a range begins.
    first: Range<usize>,
    /// The value, or where a range ends.
    second: Range<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put,
    Delete,
    DeleteRange,
}

#[cfg(test)]
mod tests {
    use super::{Batch, Change, Table};

    #[test]
    fn changes_come_back_in_the_order_they_were_added() {
        let mut batch = Batch::new();
        batch.put(Table::Data, b"key", b"value");
        batch.delete(Table::Meta, b"");
        batch.delete_range(Table::Dotlog, b"a", b"c");
        let changes: Vec<Change<'_>> = batch.changes().collect();
        assert_eq!(
            changes,
            [
                Change::Put {
                    table: Table::Data,
                    key: b"key",
                    value: b"value"
                },
                Change::Delete {
                    table: Table::Meta,
                    key: b""
                },
                Change::DeleteRange {
                    table: Table::Dotlog,
                    from: b"a",
                    to: b"c"
                },
            ]
        );
        assert_eq!((batch.len(), batch.bytes()), (3, 10));
    }

    #[test]
    fn empty_ranges_are_not_recorded() {
        let mut batch = Batch::new();
        batch.delete_range(Table::Data, b"b", b"b");
        batch.delete_range(Table::Data, b"c", b"b");
        assert!(batch.is_empty());
    }

    #[test]
    fn cleared_batches_hold_nothing() {
        let mut batch = Batch::new();
        batch.put(Table::Data, b"key", b"value");
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!(batch.bytes(), 0);
    }
}
