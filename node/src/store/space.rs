//! How much room is left where a store lies.

use std::io;
use std::path::Path;

/// Bytes that this process may still write to the disk under `path`; what is kept for the system's
/// administrator does not count.
///
/// # Errors
/// The operating system does not say, as when the path is not there.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::free_bytes;

    #[test]
    fn a_disk_has_room_and_a_missing_one_is_an_error() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(free_bytes(directory.path()).expect("a disk") > 0);
        assert!(free_bytes(Path::new("/no/such/directory")).is_err());
    }
}
