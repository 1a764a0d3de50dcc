//! The data directory refuses what is not its own, and knows how it was left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::boot::BootId;
use super::{DataDirectory, DirectoryError, FileAccess, Identity, LastShutdown, replace_file};
use ring::{ClusterId, NodeId};

const OWNER: Identity = Identity {
    cluster: ClusterId(0xc1),
    node: NodeId(0xa),
};

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Opens as if under the kernel `boot`, and says how the last process ended.
fn open(path: &Path, boot: &str) -> (DataDirectory, LastShutdown) {
    DataDirectory::open_in(path, OWNER, BootId::named(boot)).expect("a directory to open")
}

#[test]
fn new_directories_are_fresh_and_private() {
    let parent = directory();
    let path = parent.path().join("a/b");
    let (opened, last) = DataDirectory::open(&path, OWNER).expect("a new directory");
    assert_eq!(last, LastShutdown::Fresh);
    assert_eq!(opened.identity(), OWNER);
    assert_eq!(opened.database(), path.join("db"));
    let mode = fs::metadata(&path)
        .expect("its metadata")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn clean_shutdowns_are_remembered_until_the_store_is_open() {
    let parent = directory();
    open(parent.path(), "kernel")
        .0
        .mark_clean()
        .expect("a mark");
    // A store that did not open is opened as strictly the next time.
    for _ in 0..2 {
        let (_opened, last) = open(parent.path(), "another kernel");
        assert_eq!(last, LastShutdown::Clean);
    }
    let (opened, _) = open(parent.path(), "another kernel");
    opened.mark_begun().expect("a mark");
    drop(opened);
    assert_eq!(
        open(parent.path(), "another kernel").1,
        LastShutdown::ProcessCrash
    );
}

#[test]
fn process_crashes_are_told_from_machine_crashes() {
    let parent = directory();
    drop(open(parent.path(), "kernel"));
    assert_eq!(open(parent.path(), "kernel").1, LastShutdown::ProcessCrash);
    assert_eq!(
        open(parent.path(), "another kernel").1,
        LastShutdown::MachineCrash
    );
}

#[test]
fn machine_crashes_are_remembered_until_the_store_says_so() {
    let parent = directory();
    drop(open(parent.path(), "kernel"));
    for _ in 0..2 {
        let (_opened, last) = open(parent.path(), "another kernel");
        assert_eq!(last, LastShutdown::MachineCrash);
    }
    let (opened, _) = open(parent.path(), "another kernel");
    opened.mark_begun().expect("a mark");
    drop(opened);
    assert_eq!(
        open(parent.path(), "another kernel").1,
        LastShutdown::ProcessCrash
    );
}

#[test]
fn kernels_without_a_boot_id_count_as_machine_crashes() {
    let parent = directory();
    drop(open(parent.path(), ""));
    assert_eq!(open(parent.path(), "").1, LastShutdown::MachineCrash);
}

#[test]
fn missing_or_damaged_boot_records_count_as_machine_crashes() {
    let parent = directory();
    drop(open(parent.path(), "kernel"));
    for damage in ["", "boot = 1", "clean = true", "\u{fffd}"] {
        fs::write(parent.path().join("boot.toml"), damage).expect("a damaged record");
        assert_eq!(
            open(parent.path(), "kernel").1,
            LastShutdown::MachineCrash,
            "{damage:?}"
        );
    }
    fs::remove_file(parent.path().join("boot.toml")).expect("the record");
    assert_eq!(open(parent.path(), "kernel").1, LastShutdown::MachineCrash);
}

#[test]
fn open_directories_are_refused_with_the_pid_of_their_process() {
    let parent = directory();
    let first = open(parent.path(), "kernel");
    let error = DataDirectory::open(parent.path(), OWNER).expect_err("a second opening");
    assert!(
        matches!(error, DirectoryError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", std::process::id()))
    );
    drop(first);
    open(parent.path(), "kernel");
}

#[test]
fn directories_of_other_nodes_and_clusters_are_refused_and_stay_as_they_were() {
    let parent = directory();
    open(parent.path(), "kernel")
        .0
        .mark_clean()
        .expect("a mark");
    for other in [
        Identity {
            node: NodeId(0xb),
            ..OWNER
        },
        Identity {
            cluster: ClusterId(0xc2),
            ..OWNER
        },
    ] {
        let error = DataDirectory::open(parent.path(), other).expect_err("a foreign directory");
        assert!(
            matches!(error, DirectoryError::OtherIdentity { .. }),
            "{error}"
        );
        let message = error.to_string();
        assert!(message.contains(&OWNER.to_string()), "{message}");
        assert!(message.contains(&other.to_string()), "{message}");
    }
    assert_eq!(open(parent.path(), "kernel").1, LastShutdown::Clean);
}

#[test]
fn identity_can_be_read_before_opening() {
    let parent = directory();
    assert_eq!(
        DataDirectory::identity_at(parent.path()).expect("no directory"),
        None
    );
    let _opened = open(parent.path(), "kernel");
    assert_eq!(
        DataDirectory::identity_at(parent.path()).expect("a directory"),
        Some(OWNER)
    );
}

#[test]
fn newer_formats_are_refused_whatever_else_they_say() {
    let parent = directory();
    fs::write(parent.path().join("VERSION"), "format = 2\nshards = [1]\n").expect("a file");
    let error = DataDirectory::open(parent.path(), OWNER).expect_err("a newer format");
    assert!(
        matches!(
            error,
            DirectoryError::NewerFormat {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn damaged_versions_are_refused_by_name() {
    let parent = directory();
    let version = parent.path().join("VERSION");
    let long = "#".repeat(5000);
    let signed = format!(
        "format = 1\ncluster = \"+{:031x}\"\nnode = \"{:016x}\"\n",
        1, 1
    );
    for damage in ["", "format = 0", "format = 1", "format", &long, &signed] {
        fs::write(&version, damage).expect("a damaged file");
        let error = DataDirectory::open(parent.path(), OWNER).expect_err("a damaged file");
        assert!(matches!(error, DirectoryError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("VERSION"), "{error}");
    }
}

#[test]
fn version_files_have_these_bytes() {
    let parent = directory();
    let _opened = open(parent.path(), "kernel");
    let read = |name| fs::read_to_string(parent.path().join(name)).expect("a file");
    let expected =
        "format = 1\ncluster = \"000000000000000000000000000000c1\"\nnode = \"000000000000000a\"\n";
    assert_eq!(read("VERSION"), expected);
    assert_eq!(read("boot.toml"), "boot = \"kernel\"\nclean = false\n");
}

#[test]
fn databases_without_an_owner_are_not_claimed() {
    let parent = directory();
    fs::create_dir(parent.path().join("db")).expect("a database");
    let error = DataDirectory::open(parent.path(), OWNER).expect_err("a copied database");
    assert!(matches!(error, DirectoryError::Unnamed { .. }), "{error}");
}

#[test]
fn secrets_are_readable_by_their_owner_only() {
    let parent = directory();
    let path = parent.path().join("secret");
    fs::write(&path, "old").expect("an older file");
    fs::write(parent.path().join("secret.tmp"), "left by a crash").expect("an older file");
    replace_file(&path, b"new", FileAccess::Owner).expect("a replaced file");
    assert_eq!(fs::read(&path).expect("the file"), b"new");
    let mode = fs::metadata(&path)
        .expect("its metadata")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!parent.path().join("secret.tmp").exists());
}
