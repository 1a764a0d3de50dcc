//! Small files, replaced whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::DirectoryError;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAccess {
    /// The owner only: keys and secrets (mode 0600).
    Owner,
    /// Everyone who can reach the directory (mode 0644).
    Everyone,
}

impl FileAccess {
    const fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everyone => 0o644,
        }
    }
}

/// Makes `bytes` the content of the file at `path`, durably: after a crash at any moment the
/// file is the old one or the new one, whole.
///
/// The bytes go to a file of their own beside it, `NAME.tmp`, which takes the name once it is
/// on the disk; two processes must not replace the same file at once. A secret is never readable
/// by others, not even for a moment.
///
/// # Errors
/// The operating system refused; the old file is untouched, unless the last step failed (telling
/// the disk about the new name), when it may be either.
pub fn replace_file(path: &Path, bytes: &[u8], access: FileAccess) -> Result<(), DirectoryError> {
    let temporary = beside(path);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(DirectoryError::io("remove", &temporary)(error));
        }
        _ => {}
    }
    write_new(&temporary, bytes, access).map_err(DirectoryError::io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(DirectoryError::io("replace", path))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(DirectoryError::io("sync", directory))
}

/// The text of a small file, or nothing if there is none; a file longer than [`LONGEST`] is
/// damaged, since nobody here writes such a one.
pub(super) fn read_text(path: &Path) -> Result<Option<String>, DirectoryError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DirectoryError::io("open", path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(DirectoryError::io("read", path))?;
    let damaged = |detail: &str| DirectoryError::Damaged {
        file: path.to_path_buf(),
        detail: detail.to_owned(),
    };
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LONGEST) {
        return Err(damaged("it is far too long"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(damaged("it is not text")),
    }
}

fn write_new(path: &Path, bytes: &[u8], access: FileAccess) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(access.mode())
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Many times what any of the small files needs.
const LONGEST: u64 = 4096;
