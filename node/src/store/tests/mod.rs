//! One suite of tests over every engine: what the simulator relies upon in the memory engine
//! holds in RocksDB, crashes included.
//!
//! A [`Subject`] is an engine with a disk under it that can be left behind by a killed process or
//! a machine without power. [`cases`] and [`crashes`] have one function for each claim,
//! [`random`] compares long random histories with a plain model; [`suite`] makes a test of each
//! for one subject.

use std::ops::ControlFlow;
use std::path::Path;

use super::{Barrier, Batch, Direction, Engine, KeyRange, MemoryEngine, Table, View};

mod cases;
mod crashes;
mod random;
#[cfg(feature = "rocksdb")]
mod rocks;

/// An engine under test.
pub(super) trait Subject: Sized {
    /// An empty store on a disk of its own.
    fn new() -> Self;

    /// A store opened from what [`Engine::checkpoint`] wrote.
    fn from_checkpoint(directory: &Path) -> Self;

    /// The engine to be tested.
    fn engine(&self) -> &dyn Engine;

    /// A barrier of the engine; the subject notes how far the disk is.
    fn barrier(&mut self, level: Barrier);

    /// The store after kill -9 and a new start.
    fn crash_process(self) -> Self;

    /// The store after a power loss and a new start. Of what the system had and the disk had
    /// not, about `kept` of 256 parts are there.
    fn crash_machine(self, kept: u8) -> Self;
}

/// The memory engine, which brings its own disk.
struct Memory(MemoryEngine);

impl Subject for Memory {
    fn new() -> Self {
        Self(MemoryEngine::new())
    }

    fn from_checkpoint(directory: &Path) -> Self {
        Self(MemoryEngine::from_checkpoint(directory).expect("a checkpoint"))
    }

    fn engine(&self) -> &dyn Engine {
        &self.0
    }

    fn barrier(&mut self, level: Barrier) {
        self.0.barrier(level).expect("a barrier");
    }

    fn crash_process(self) -> Self {
        self.0.crash_process();
        self
    }

    fn crash_machine(self, kept: u8) -> Self {
        self.0
            .crash_machine(|batches| batches * usize::from(kept) / 256);
        self
    }
}

/// A row as a scan shows it.
type Row = (Vec<u8>, Vec<u8>);

/// Writes one row in a batch of its own.
fn put(engine: &dyn Engine, table: Table, key: &[u8], value: &[u8]) {
    let mut batch = Batch::new();
    batch.put(table, key, value);
    engine.write(&batch).expect("a write");
}

/// The value of one key.
fn get(view: &dyn View, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    view.get(table, key).expect("a read")
}

/// The rows of a range, first to last.
fn rows(view: &dyn View, table: Table, range: KeyRange<'_>) -> Vec<Row> {
    rows_towards(view, table, range, Direction::Forward)
}

/// The rows of a range in a direction.
fn rows_towards(
    view: &dyn View,
    table: Table,
    range: KeyRange<'_>,
    direction: Direction,
) -> Vec<Row> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    view.scan(table, range, direction, &mut visit)
        .expect("a scan");
    found
}

/// The keys of a range, first to last.
fn keys(view: &dyn View, table: Table, range: KeyRange<'_>) -> Vec<Vec<u8>> {
    rows(view, table, range)
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

/// A test for each claim, on one subject.
macro_rules! suite {
    ($subject:ty) => {
        suite! { $subject;
            cases: values_put_are_read, deleted_keys_are_gone, later_changes_of_a_batch_win,
                deleted_ranges_end_before_their_end, scans_go_in_the_order_of_bytes,
                scans_keep_to_their_bounds, scans_stop_when_told, scans_see_one_state,
                tables_are_apart, empty_and_binary_keys_are_keys, large_values_come_back_whole,
                empty_batches_change_nothing, snapshots_do_not_see_later_writes,
                statistics_count_rows_and_bytes;
            crashes: wal_barriers_survive_the_process, synced_barriers_survive_the_machine,
                barriers_cover_every_earlier_batch, crashes_leave_whole_batches_in_order,
                crashed_stores_can_be_written_again, checkpoints_hold_the_state_of_their_moment,
                checkpoints_need_a_new_directory;
            random: random_histories_agree_with_the_model;
        }
    };
    ($subject:ty; $($group:ident: $($claim:ident),*;)*) => {
        $($(
            #[test]
            fn $claim() {
                $crate::store::tests::$group::$claim::<$subject>();
            }
        )*)*
    };
}
#[cfg(feature = "rocksdb")]
use suite;

mod memory {
    //! The suite on the memory engine.

    suite!(super::Memory);
}
