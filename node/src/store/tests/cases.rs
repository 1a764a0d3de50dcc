//! The claims about reading and writing, one function each.

use std::ops::ControlFlow;

use super::{Barrier, Batch, Direction, KeyRange, Subject, Table};
use super::{get, keys, put, rows, rows_towards};

pub(super) fn values_put_are_read<S: Subject>() {
    let subject = S::new();
    put(subject.engine(), Table::Data, b"key", b"first");
    assert_eq!(
        get(subject.engine(), Table::Data, b"key"),
        Some(b"first".to_vec())
    );
    put(subject.engine(), Table::Data, b"key", b"");
    assert_eq!(get(subject.engine(), Table::Data, b"key"), Some(Vec::new()));
    assert_eq!(get(subject.engine(), Table::Data, b"ke"), None);
    assert_eq!(get(subject.engine(), Table::Data, b"key\0"), None);
}

pub(super) fn deleted_keys_are_gone<S: Subject>() {
    let subject = S::new();
    put(subject.engine(), Table::Data, b"key", b"value");
    let mut batch = Batch::new();
    batch.delete(Table::Data, b"key");
    batch.delete(Table::Data, b"never there");
    subject.engine().write(&batch).expect("a write");
    assert_eq!(get(subject.engine(), Table::Data, b"key"), None);
    assert!(rows(subject.engine(), Table::Data, KeyRange::all()).is_empty());
}

pub(super) fn later_changes_of_a_batch_win<S: Subject>() {
    let subject = S::new();
    let mut batch = Batch::new();
    batch.put(Table::Data, b"a", b"1");
    batch.delete(Table::Data, b"a");
    batch.put(Table::Data, b"b", b"1");
    batch.put(Table::Data, b"b", b"2");
    batch.put(Table::Data, b"c", b"1");
    batch.delete_range(Table::Data, b"c", b"d");
    batch.put(Table::Data, b"d", b"1");
    batch.delete_range(Table::Data, b"d", b"e");
    batch.put(Table::Data, b"d", b"2");
    subject.engine().write(&batch).expect("a write");
    let expected = [
        (b"b".to_vec(), b"2".to_vec()),
        (b"d".to_vec(), b"2".to_vec()),
    ];
    assert_eq!(
        rows(subject.engine(), Table::Data, KeyRange::all()),
        expected
    );
}

pub(super) fn deleted_ranges_end_before_their_end<S: Subject>() {
    let subject = S::new();
    for key in ["a", "b", "b1", "c", "d"] {
        put(subject.engine(), Table::Data, key.as_bytes(), b"");
        put(subject.engine(), Table::Dotlog, key.as_bytes(), b"");
    }
    let mut batch = Batch::new();
    batch.delete_range(Table::Data, b"b", b"c");
    batch.delete_range(Table::Data, b"d", b"d");
    batch.delete_range(Table::Data, b"d", b"a");
    subject.engine().write(&batch).expect("a write");
    assert_eq!(
        keys(subject.engine(), Table::Data, KeyRange::all()),
        [b"a", b"c", b"d"]
    );
    assert_eq!(get(subject.engine(), Table::Data, b"b1"), None);
    assert_eq!(
        keys(subject.engine(), Table::Dotlog, KeyRange::all()).len(),
        5
    );
}

pub(super) fn scans_go_in_the_order_of_bytes<S: Subject>() {
    let subject = S::new();
    let sorted: [&[u8]; 7] = [b"", &[0], &[0, 0], &[1], b"a", &[0x80], &[0xff, 0xff]];
    for index in [4, 0, 6, 2, 5, 1, 3] {
        put(subject.engine(), Table::Data, sorted[index], b"");
    }
    let mut found = keys(subject.engine(), Table::Data, KeyRange::all());
    assert_eq!(found, sorted);
    found.reverse();
    let all = KeyRange::all();
    let backward = rows_towards(subject.engine(), Table::Data, all, Direction::Backward);
    assert_eq!(
        backward.into_iter().map(|(key, _)| key).collect::<Vec<_>>(),
        found
    );
}

/// A range and the keys in it.
type Expected<'a> = (KeyRange<'a>, &'a [&'a [u8]]);

pub(super) fn scans_keep_to_their_bounds<S: Subject>() {
    let subject = S::new();
    for key in ["a", "b", "ba", "c", "d"] {
        put(subject.engine(), Table::Data, key.as_bytes(), b"");
    }
    put(subject.engine(), Table::Data, &[0xff], b"");
    put(subject.engine(), Table::Data, &[0xff, 0xff], b"");
    let cases: [Expected<'_>; 8] = [
        (KeyRange::between(b"b", b"d"), &[b"b", b"ba", b"c"]),
        (KeyRange::between(b"aa", b"bb"), &[b"b", b"ba"]),
        (KeyRange::between(b"", b"a"), &[]),
        (KeyRange::between(b"c", b"c"), &[]),
        (KeyRange::between(b"d", b"a"), &[]),
        (KeyRange::starting_at(b"d"), &[b"d", &[0xff], &[0xff, 0xff]]),
        (KeyRange::prefix(b"b"), &[b"b", b"ba"]),
        (KeyRange::prefix(&[0xff]), &[&[0xff], &[0xff, 0xff]]),
    ];
    for (range, expected) in cases {
        assert_eq!(
            keys(subject.engine(), Table::Data, range.clone()),
            expected,
            "{range:?}"
        );
        let backward = rows_towards(
            subject.engine(),
            Table::Data,
            range.clone(),
            Direction::Backward,
        );
        let backward: Vec<_> = backward.into_iter().rev().map(|(key, _)| key).collect();
        assert_eq!(backward, expected, "{range:?} backward");
    }
}

pub(super) fn scans_stop_when_told<S: Subject>() {
    let subject = S::new();
    for key in ["a", "b", "c", "d"] {
        put(subject.engine(), Table::Data, key.as_bytes(), b"");
    }
    for (direction, expected) in [
        (Direction::Forward, ["a", "b"]),
        (Direction::Backward, ["d", "c"]),
    ] {
        let mut seen = Vec::new();
        let mut visit = |key: &[u8], _: &[u8]| {
            seen.push(key.to_vec());
            if seen.len() < 2 {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        subject
            .engine()
            .scan(Table::Data, KeyRange::all(), direction, &mut visit)
            .expect("a scan");
        assert_eq!(seen, expected.map(|key| key.as_bytes().to_vec()));
    }
}

pub(super) fn scans_see_one_state<S: Subject>() {
    let subject = S::new();
    for key in ["a", "b", "c"] {
        put(subject.engine(), Table::Data, key.as_bytes(), b"old");
    }
    let mut seen = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        put(subject.engine(), Table::Data, b"c", b"new");
        put(subject.engine(), Table::Data, b"d", b"new");
        seen.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    let all = KeyRange::all();
    subject
        .engine()
        .scan(Table::Data, all, Direction::Forward, &mut visit)
        .expect("a scan");
    assert_eq!(
        seen,
        ["a", "b", "c"].map(|key| (key.as_bytes().to_vec(), b"old".to_vec()))
    );
}

pub(super) fn tables_are_apart<S: Subject>() {
    let subject = S::new();
    let mut batch = Batch::new();
    for table in Table::ALL {
        batch.put(table, b"key", table.name().as_bytes());
    }
    subject.engine().write(&batch).expect("a write");
    batch.clear();
    batch.delete(Table::Hints, b"key");
    subject.engine().write(&batch).expect("a write");
    for table in Table::ALL {
        let expected = (table != Table::Hints).then(|| table.name().as_bytes().to_vec());
        assert_eq!(get(subject.engine(), table, b"key"), expected);
    }
}

pub(super) fn empty_and_binary_keys_are_keys<S: Subject>() {
    let subject = S::new();
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    for key in [every_byte.as_slice(), &[0, 0xff], &[0], &[]] {
        assert_eq!(get(subject.engine(), Table::Records, key), None);
        put(subject.engine(), Table::Records, key, &every_byte);
        assert_eq!(
            get(subject.engine(), Table::Records, key).as_ref(),
            Some(&every_byte)
        );
        assert_eq!(
            keys(subject.engine(), Table::Records, KeyRange::prefix(key))[0],
            key
        );
    }
    let mut batch = Batch::new();
    batch.delete(Table::Records, b"");
    subject.engine().write(&batch).expect("a write");
    assert_eq!(get(subject.engine(), Table::Records, b""), None);
    assert_eq!(
        keys(subject.engine(), Table::Records, KeyRange::all()).len(),
        3
    );
}

pub(super) fn large_values_come_back_whole<S: Subject>() {
    let mut subject = S::new();
    let large: Vec<u8> = (0..=u8::MAX).cycle().take(3 << 20).collect();
    for key in ["a", "b", "c", "d"] {
        put(subject.engine(), Table::Data, key.as_bytes(), &large);
    }
    subject.barrier(Barrier::Wal);
    let subject = subject.crash_process();
    assert_eq!(
        get(subject.engine(), Table::Data, b"c").as_ref(),
        Some(&large)
    );
    let found = rows(subject.engine(), Table::Data, KeyRange::all());
    assert!(found.len() == 4 && found.iter().all(|(_, value)| *value == large));
}

pub(super) fn empty_batches_change_nothing<S: Subject>() {
    let mut subject = S::new();
    subject
        .engine()
        .write(&Batch::new())
        .expect("a write of nothing");
    for level in [Barrier::Memory, Barrier::Wal, Barrier::Synced] {
        subject.barrier(level);
    }
    for table in Table::ALL {
        assert!(rows(subject.engine(), table, KeyRange::all()).is_empty());
    }
}

pub(super) fn snapshots_do_not_see_later_writes<S: Subject>() {
    let subject = S::new();
    put(subject.engine(), Table::Data, b"kept", b"old");
    put(subject.engine(), Table::Meta, b"clock", b"old");
    let snapshot = subject.engine().snapshot().expect("a snapshot");
    let mut batch = Batch::new();
    batch.put(Table::Data, b"new", b"new");
    batch.delete_range(Table::Data, b"a", b"l");
    batch.put(Table::Meta, b"clock", b"new");
    subject.engine().write(&batch).expect("a write");
    assert_eq!(get(&*snapshot, Table::Data, b"kept"), Some(b"old".to_vec()));
    assert_eq!(get(&*snapshot, Table::Data, b"new"), None);
    assert_eq!(
        get(&*snapshot, Table::Meta, b"clock"),
        Some(b"old".to_vec())
    );
    assert_eq!(keys(&*snapshot, Table::Data, KeyRange::all()), [b"kept"]);
    drop(snapshot);
    assert_eq!(
        get(subject.engine(), Table::Meta, b"clock"),
        Some(b"new".to_vec())
    );
    assert_eq!(
        keys(subject.engine(), Table::Data, KeyRange::all()),
        [b"new"]
    );
}

pub(super) fn statistics_count_rows_and_bytes<S: Subject>() {
    let mut subject = S::new();
    for index in 0..10_u8 {
        put(subject.engine(), Table::Hints, &[index], &[0; 100]);
    }
    subject.barrier(Barrier::Wal);
    let statistics = subject.engine().statistics();
    assert_eq!(statistics.rows_of(Table::Hints), 10);
    assert_eq!(statistics.rows_of(Table::Data), 0);
    assert!(statistics.disk_bytes >= 1000, "{statistics:?}");
}
