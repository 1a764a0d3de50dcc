//! The claims about what survives a crash or a copy, one function each.

use super::{Barrier, Batch, KeyRange, Subject, Table};
use super::{get, keys, put};

pub(super) fn wal_barriers_survive_the_process<S: Subject>() {
    let mut subject = S::new();
    put(subject.engine(), Table::Data, b"key", b"value");
    subject.barrier(Barrier::Wal);
    let subject = subject.crash_process();
    assert_eq!(
        get(subject.engine(), Table::Data, b"key"),
        Some(b"value".to_vec())
    );
}

pub(super) fn synced_barriers_survive_the_machine<S: Subject>() {
    let mut subject = S::new();
    put(subject.engine(), Table::Data, b"key", b"value");
    subject.barrier(Barrier::Synced);
    put(subject.engine(), Table::Data, b"later", b"value");
    subject.barrier(Barrier::Wal);
    let subject = subject.crash_machine(0);
    assert_eq!(
        get(subject.engine(), Table::Data, b"key"),
        Some(b"value".to_vec())
    );
    assert_eq!(get(subject.engine(), Table::Data, b"later"), None);
}

pub(super) fn barriers_cover_every_earlier_batch<S: Subject>() {
    let mut subject = S::new();
    put(subject.engine(), Table::Data, b"a", b"");
    subject.barrier(Barrier::Memory);
    put(subject.engine(), Table::Meta, b"b", b"");
    subject.barrier(Barrier::Wal);
    put(subject.engine(), Table::Dotlog, b"c", b"");
    subject.barrier(Barrier::Synced);
    let subject = subject.crash_machine(0);
    for (table, key) in [
        (Table::Data, b"a"),
        (Table::Meta, b"b"),
        (Table::Dotlog, b"c"),
    ] {
        assert_eq!(get(subject.engine(), table, key), Some(Vec::new()));
    }
}

pub(super) fn crashes_leave_whole_batches_in_order<S: Subject>() {
    for kept in [0, 40, 100, 128, 200, 255] {
        let mut subject = S::new();
        for index in 0..20_u8 {
            let mut batch = Batch::new();
            batch.put(Table::Data, &[index], &[index; 100]);
            batch.put(Table::Dotlog, &[index], b"dot");
            batch.put(Table::Meta, b"clock", &[index]);
            subject.engine().write(&batch).expect("a write");
            match index {
                4 => subject.barrier(Barrier::Synced),
                _ => subject.barrier(Barrier::Wal),
            }
        }
        let subject = subject.crash_machine(kept);
        let clock = get(subject.engine(), Table::Meta, b"clock").expect("a synced clock")[0];
        assert!(clock >= 4, "lost what was synced: {clock}");
        let expected: Vec<Vec<u8>> = (0..=clock).map(|index| vec![index]).collect();
        for table in [Table::Data, Table::Dotlog] {
            assert_eq!(
                keys(subject.engine(), table, KeyRange::all()),
                expected,
                "{table}"
            );
        }
    }
}

pub(super) fn crashed_stores_can_be_written_again<S: Subject>() {
    let mut subject = S::new();
    for round in 0..6_u8 {
        put(subject.engine(), Table::Data, &[round], &[round]);
        subject.barrier(if round % 2 == 0 {
            Barrier::Wal
        } else {
            Barrier::Synced
        });
        put(subject.engine(), Table::Data, b"lost", &[round]);
        subject = if round % 2 == 0 {
            subject.crash_process()
        } else {
            subject.crash_machine(0)
        };
        for earlier in 0..=round {
            assert_eq!(
                get(subject.engine(), Table::Data, &[earlier]),
                Some(vec![earlier])
            );
        }
    }
}

pub(super) fn checkpoints_hold_the_state_of_their_moment<S: Subject>() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let directory = parent.path().join("checkpoint");
    let subject = S::new();
    put(subject.engine(), Table::Data, b"key", b"value");
    put(subject.engine(), Table::Meta, b"", b"");
    subject
        .engine()
        .checkpoint(&directory)
        .expect("a checkpoint");
    put(subject.engine(), Table::Data, b"later", b"value");
    let copy = S::from_checkpoint(&directory);
    assert_eq!(keys(copy.engine(), Table::Data, KeyRange::all()), [b"key"]);
    assert_eq!(get(copy.engine(), Table::Meta, b""), Some(Vec::new()));
    put(copy.engine(), Table::Data, b"own", b"value");
    assert_eq!(get(subject.engine(), Table::Data, b"own"), None);
}

pub(super) fn checkpoints_need_a_new_directory<S: Subject>() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let subject = S::new();
    subject
        .engine()
        .checkpoint(parent.path())
        .expect_err("an existing directory");
    put(subject.engine(), Table::Data, b"key", b"value");
}
