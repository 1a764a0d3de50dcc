//! What only a database on disk can meet: a second process, damaged files, a newer version.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{
    Backlog, Barrier, Batch, Direction, Engine, KeyRange, RocksConfig, RocksEngine, StoreError,
    Table, View,
};

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn open(path: &Path) -> Result<RocksEngine, StoreError> {
    RocksEngine::open(
        path,
        RocksConfig {
            cache_bytes: 0,
            write_buffer_bytes: 0,
            ..RocksConfig::default()
        },
    )
}

fn put(engine: &RocksEngine, key: u16) {
    let mut batch = Batch::new();
    batch.put(Table::Data, &key.to_be_bytes(), &[7; 100]);
    batch.put(Table::Dotlog, &key.to_be_bytes(), &[]);
    engine.write(&batch).expect("a write");
}

/// A closed database with a thousand rows, those of each table in a file of their own.
fn filled() -> TempDir {
    let directory = directory();
    let engine = open(directory.path()).expect("a new database");
    for key in 0..1000 {
        put(&engine, key);
    }
    for table in Table::ALL {
        let family = engine.family(table).expect("a family");
        engine.db.flush_cf(family).expect("a flush");
    }
    directory
}

fn files_that(directory: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(&wanted))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn flip_bits(file: &Path, at: usize) {
    let mut bytes = fs::read(file).expect("a file");
    for byte in &mut bytes[at..at + 16] {
        *byte ^= 0x55;
    }
    fs::write(file, bytes).expect("a damaged file");
}

#[test]
fn databases_open_once() {
    let directory = directory();
    let first = open(directory.path()).expect("a new database");
    let error = open(directory.path()).expect_err("a second opening");
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(first);
    open(directory.path()).expect("a database that was closed");
}

#[test]
fn closed_databases_keep_a_prefix_of_what_no_barrier_covered() {
    let directory = directory();
    let engine = open(directory.path()).expect("a new database");
    for key in 0..50 {
        put(&engine, key);
    }
    engine.barrier(Barrier::Wal).expect("a barrier");
    for key in 50..100 {
        put(&engine, key);
    }
    drop(engine);
    let engine = open(directory.path()).expect("a database");
    let kept: Vec<bool> = (0..100_u16)
        .map(|key| {
            engine
                .get(Table::Data, &key.to_be_bytes())
                .expect("a read")
                .is_some()
        })
        .collect();
    let length = kept.iter().take_while(|kept| **kept).count();
    assert!(
        length >= 50 && kept[length..].iter().all(|kept| !kept),
        "{kept:?}"
    );
}

#[test]
fn damaged_rows_are_not_served_and_name_their_file() {
    let directory = filled();
    let tables = files_that(directory.path(), |name| name.ends_with(".sst"));
    for file in &tables {
        flip_bits(file, 100);
    }
    let engine = open(directory.path()).expect("only rows are damaged");
    let error = engine
        .get(Table::Data, &[0, 0])
        .expect_err("a damaged block");
    let StoreError::Corruption { file, .. } = &error else {
        panic!("{error}")
    };
    assert!(tables.contains(file), "{error}");
    let mut visit = |_: &[u8], _: &[u8]| std::ops::ControlFlow::Continue(());
    let all = KeyRange::all();
    let error = engine
        .scan(Table::Data, all, Direction::Forward, &mut visit)
        .expect_err("a damaged block");
    assert!(error.is_corruption(), "{error}");
}

#[test]
fn damaged_manifests_are_refused_with_the_command_to_run() {
    let directory = filled();
    let manifest = files_that(directory.path(), |name| name.starts_with("MANIFEST"));
    flip_bits(&manifest[0], 8);
    let error = open(directory.path()).expect_err("a damaged manifest");
    assert!(error.is_corruption(), "{error}");
    let command = format!("mv {0} {0}.damaged", directory.path().display());
    assert!(error.to_string().contains(&command), "{error}");
}

#[test]
fn missing_files_are_damage_and_never_a_new_database() {
    for victim in ["CURRENT", ".sst"] {
        let directory = filled();
        for file in files_that(directory.path(), |name| name.ends_with(victim)) {
            fs::remove_file(file).expect("a file");
        }
        let error = open(directory.path()).expect_err("a database in part");
        assert!(error.is_corruption(), "{victim}: {error}");
    }
}

#[test]
fn damaged_logs_lose_their_tail_only() {
    let directory = directory();
    let engine = open(directory.path()).expect("a new database");
    for key in 0..100 {
        put(&engine, key);
    }
    engine.barrier(Barrier::Synced).expect("a barrier");
    let copy = tempfile::tempdir().expect("a temporary directory");
    for file in files_that(directory.path(), |name| name != "LOCK") {
        let name = file.file_name().expect("a name");
        fs::copy(&file, copy.path().join(name)).expect("a copy");
    }
    let logs = files_that(copy.path(), |name| name.ends_with(".log"));
    let log = logs.last().expect("a log");
    let length = usize::try_from(fs::metadata(log).expect("its metadata").len()).expect("small");
    flip_bits(log, length / 2);
    let engine = open(copy.path()).expect("a damaged log");
    let statistics = engine.statistics();
    assert!(
        (10..90).contains(&statistics.rows_of(Table::Data)),
        "{statistics:?}"
    );
    assert_eq!(
        statistics.rows_of(Table::Data),
        statistics.rows_of(Table::Dotlog)
    );
}

#[test]
fn databases_say_that_they_are_behind_before_they_slow_writers_down() {
    let directory = directory();
    let engine = open(directory.path()).expect("a new database");
    assert_eq!(engine.backlog(), Backlog::default());
    let family = engine.family(Table::Data).expect("a family");
    // Files are written and never sorted, as on a disk that is far too slow.
    let never = [("level0_file_num_compaction_trigger", "1000")];
    engine.db.set_options_cf(family, &never).expect("an option");
    let mut seen = Vec::new();
    for key in 0..2_000_u16 {
        let mut batch = Batch::new();
        batch.put(Table::Data, &key.to_be_bytes(), &[7; 64 << 10]);
        engine.write(&batch).expect("a write");
        let backlog = engine.backlog();
        seen.push(backlog);
        if backlog.files >= 20 {
            break;
        }
    }
    let of_files = |few, many| seen.iter().find(move |b| (few..=many).contains(&b.files));
    let some = of_files(9, 15).expect("it has some files").pressure();
    assert!(some > 0, "{seen:?}");
    let many = of_files(16, 19).expect("it has many files").pressure();
    assert_eq!(many, 1_000, "{seen:?}");
    assert!(seen.last().is_some_and(|last| last.delays), "{seen:?}");
}

#[test]
fn databases_of_newer_versions_are_refused() {
    let directory = filled();
    let names = Table::ALL.map(Table::name);
    let mut db = rocksdb::DB::open_cf(&rocksdb::Options::default(), directory.path(), names)
        .expect("a database");
    db.create_cf("of the future", &rocksdb::Options::default())
        .expect("a family");
    drop(db);
    let error = open(directory.path()).expect_err("an unknown family");
    assert!(matches!(error, StoreError::NewerFormat { .. }), "{error}");
}
