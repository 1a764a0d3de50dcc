//! What only the memory engine can do: crash to the batch, and fail on command.

use super::{Barrier, Batch, Direction, Engine, Fault, MemoryEngine, StoreError, Table, View};
use crate::store::range::KeyRange;

fn put(engine: &MemoryEngine, key: u8) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(Table::Data, &[key], &[key]);
    engine.write(&batch)
}

fn rows(engine: &MemoryEngine) -> u64 {
    engine.statistics().rows_of(Table::Data)
}

#[test]
fn killed_processes_lose_exactly_what_no_barrier_covered() {
    let engine = MemoryEngine::new();
    put(&engine, 0).expect("a write");
    engine.barrier(Barrier::Wal).expect("a barrier");
    put(&engine, 1).expect("a write");
    engine
        .barrier(Barrier::Memory)
        .expect("a barrier that promises nothing");
    engine.crash_process();
    assert_eq!(engine.get(Table::Data, &[0]), Ok(Some(vec![0])));
    assert_eq!(engine.get(Table::Data, &[1]), Ok(None));
    assert_eq!(engine.counters().batches_lost, 1);
}

#[test]
fn power_losses_keep_as_many_batches_as_the_caller_likes() {
    for kept in 0..=5 {
        let engine = MemoryEngine::new();
        put(&engine, 0).expect("a write");
        engine.barrier(Barrier::Synced).expect("a barrier");
        for key in 1..=3 {
            put(&engine, key).expect("a write");
        }
        engine.barrier(Barrier::Wal).expect("a barrier");
        put(&engine, 4).expect("a write that the system never saw");
        engine.crash_machine(|batches| {
            assert_eq!(batches, 3);
            kept
        });
        let expected = 1 + u64::try_from(kept.min(3)).expect("a small number");
        assert_eq!(rows(&engine), expected, "kept {kept}");
        engine.crash_machine(|batches| batches);
        assert_eq!(rows(&engine), expected, "what survived is on the disk");
    }
}

#[test]
fn written_batches_outlive_the_process_but_not_yet_the_machine() {
    let engine = MemoryEngine::new();
    put(&engine, 0).expect("a write");
    engine.barrier(Barrier::Wal).expect("a barrier");
    engine.crash_process();
    assert_eq!(rows(&engine), 1);
    engine.crash_machine(|_| 0);
    assert_eq!(rows(&engine), 0);
}

#[test]
fn rolled_back_rows_are_as_they_were() {
    let engine = MemoryEngine::new();
    for key in 0..4 {
        put(&engine, key).expect("a write");
    }
    engine.barrier(Barrier::Synced).expect("a barrier");
    let mut batch = Batch::new();
    batch.put(Table::Data, &[0], b"first");
    batch.put(Table::Data, &[0], b"second");
    batch.delete_range(Table::Data, &[0], &[3]);
    batch.put(Table::Data, &[1], b"third");
    batch.put(Table::Data, &[9], b"new");
    engine.write(&batch).expect("a write");
    engine.crash_process();
    for key in 0..4 {
        assert_eq!(engine.get(Table::Data, &[key]), Ok(Some(vec![key])));
    }
    assert_eq!(rows(&engine), 4);
}

#[test]
fn snapshots_outlive_a_crash_of_what_they_show() {
    let engine = MemoryEngine::new();
    put(&engine, 0).expect("a write");
    let snapshot = engine.snapshot().expect("a snapshot");
    engine.crash_process();
    assert_eq!(snapshot.get(Table::Data, &[0]), Ok(Some(vec![0])));
    assert_eq!(engine.get(Table::Data, &[0]), Ok(None));
}

#[test]
fn very_long_tails_reach_the_disk_by_themselves() {
    let engine = MemoryEngine::new();
    let mut batch = Batch::new();
    for round in 0..10_u8 {
        batch.clear();
        batch.put(Table::Data, b"key", &vec![round; 1 << 20]);
        engine.write(&batch).expect("a write");
    }
    engine.crash_machine(|batches| batches);
    let survived = engine
        .get(Table::Data, b"key")
        .expect("a read")
        .expect("a settled row");
    assert!((3..9).contains(&survived[0]), "{}", survived[0]);
}

#[test]
fn failed_writes_change_nothing() {
    let engine = MemoryEngine::new();
    engine.inject(Fault::WriteError, 1);
    assert!(matches!(put(&engine, 0), Err(StoreError::Io { .. })));
    assert_eq!(rows(&engine), 0);
    put(&engine, 0).expect("the fault struck once");
    assert_eq!(engine.counters().faults_hit, 1);
    assert_eq!(engine.counters().writes, 1);
}

#[test]
fn full_disks_refuse_until_there_is_space() {
    let engine = MemoryEngine::new();
    put(&engine, 0).expect("a write");
    engine.inject(Fault::DiskFull, u32::MAX);
    for _ in 0..3 {
        assert!(put(&engine, 1).expect_err("a full disk").is_disk_full());
        assert!(
            engine
                .barrier(Barrier::Wal)
                .expect_err("a full disk")
                .is_disk_full()
        );
    }
    assert_eq!(engine.get(Table::Data, &[0]), Ok(Some(vec![0])));
    engine.heal();
    put(&engine, 1).expect("space");
}

#[test]
fn unconfirmed_syncs_leave_batches_to_the_power_loss() {
    let engine = MemoryEngine::new();
    put(&engine, 0).expect("a write");
    engine.barrier(Barrier::Wal).expect("a barrier");
    engine.inject(Fault::SyncError, 1);
    let error = engine
        .barrier(Barrier::Synced)
        .expect_err("an unconfirmed sync");
    assert!(error.must_abort(), "{error}");
    engine.crash_machine(|_| 0);
    assert_eq!(rows(&engine), 0);
}

#[test]
fn unreadable_disks_fail_reads_scans_and_snapshots() {
    let engine = MemoryEngine::new();
    put(&engine, 0).expect("a write");
    let snapshot = engine.snapshot().expect("a snapshot");
    for fault in [Fault::ReadError, Fault::Corruption] {
        engine.inject(fault, u32::MAX);
        for view in [&engine as &dyn View, &*snapshot] {
            let error = view.get(Table::Data, &[0]).expect_err("an unreadable row");
            assert_eq!(error.is_corruption(), fault == Fault::Corruption);
            let mut visit = |_: &[u8], _: &[u8]| std::ops::ControlFlow::Continue(());
            view.scan(Table::Data, KeyRange::all(), Direction::Forward, &mut visit)
                .expect_err("an unreadable table");
        }
        engine.heal();
    }
}

#[test]
fn a_bad_stretch_fails_who_comes_to_it_and_nobody_else() {
    let engine = MemoryEngine::new();
    (0..4).for_each(|key| put(&engine, key).expect("a write"));
    engine.spoil(Table::Data, &[2], &[3]);
    let snapshot = engine.snapshot().expect("a snapshot");
    for view in [&engine as &dyn View, &*snapshot] {
        assert_eq!(view.get(Table::Data, &[1]), Ok(Some(vec![1])));
        view.get(Table::Data, &[2]).expect_err("an unreadable row");
        let mut seen = Vec::new();
        let mut visit = |key: &[u8], _: &[u8]| {
            seen.push(key[0]);
            std::ops::ControlFlow::Continue(())
        };
        view.scan(Table::Data, KeyRange::all(), Direction::Forward, &mut visit)
            .expect_err("an unreadable row");
        assert_eq!(seen, [0, 1]);
    }
    engine.heal();
    assert_eq!(engine.get(Table::Data, &[2]), Ok(Some(vec![2])));
}
