//! The batches that are not on the disk yet, each with what it takes to undo it.

use std::collections::VecDeque;

use crate::store::table::Table;

/// The unsynced end of the log of a [`MemoryEngine`](super::MemoryEngine), oldest batch first.
///
/// It holds at most [`Tail::LIMIT`] bytes: beyond that the oldest batches reach the disk by
/// themselves, as they do on a machine that writes its pages back before anyone asks.
#[derive(Debug, Default)]
pub(super) struct Tail {
    batches: VecDeque<Vec<Undo>>,
    /// How many of the oldest batches the operating system has.
    with_system: usize,
    bytes: usize,
}

/// One row as it was before a batch changed it.
#[derive(Debug)]
pub(super) struct Undo {
    pub(super) table: Table,
    pub(super) key: Vec<u8>,
    pub(super) before: Option<Vec<u8>>,
}

impl Undo {
    fn bytes(&self) -> usize {
        self.key.len() + self.before.as_ref().map_or(0, Vec::len) + size_of::<Self>()
    }
}

impl Tail {
    /// Enough for some seconds of any simulation, small beside the rows of thousands of stores.
    const LIMIT: usize = 4 << 20;

    /// Opens the next batch; [`Tail::note`] adds to it.
    pub(super) fn begin(&mut self) {
        self.batches.push_back(Vec::new());
    }

    /// Notes a row of the newest batch as it was.
    pub(super) fn note(&mut self, table: Table, key: &[u8], before: Option<Vec<u8>>) {
        let undo = Undo {
            table,
            key: key.to_vec(),
            before,
        };
        self.bytes += undo.bytes();
        if let Some(batch) = self.batches.back_mut() {
            batch.push(undo);
        }
    }

    /// Lets the oldest batches reach the disk while there are too many bytes.
    pub(super) fn settle(&mut self) {
        while self.bytes > Self::LIMIT {
            let Some(batch) = self.batches.pop_front() else {
                return;
            };
            self.bytes -= batch.iter().map(Undo::bytes).sum::<usize>();
            self.with_system = self.with_system.saturating_sub(1);
        }
    }

    /// The system has every batch.
    pub(super) fn hand_to_system(&mut self) {
        self.with_system = self.batches.len();
    }

    /// The disk has every batch.
    pub(super) fn sync(&mut self) {
        *self = Self::default();
    }

    /// The newest batch, to be undone from its end; empty when there is none.
    pub(super) fn pop(&mut self) -> Vec<Undo> {
        let batch = self.batches.pop_back().unwrap_or_default();
        self.bytes -= batch.iter().map(Undo::bytes).sum::<usize>();
        self.with_system = self.with_system.min(self.batches.len());
        batch
    }

    /// How many batches are not on the disk.
    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    /// How many of them the operating system has.
    pub(super) fn with_system(&self) -> usize {
        self.with_system
    }
}
