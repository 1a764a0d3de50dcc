//! `--session FILE`: commands that build on each other, each a process of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use tempfile::NamedTempFile;

use crate::cli::exit::Exit;
use starling::{Client, MOST_SESSION_BYTES, Session};

/// A session, and the file that keeps it from one command to the next.
#[derive(Debug)]
pub(super) struct SessionFile {
    path: PathBuf,
    pub(super) session: Session,
}

impl SessionFile {
    /// Goes on with the session in a file, or begins one if the file is empty or not there. That
    /// the file can be written is found out here, before anything is sent.
    pub(super) fn open(client: &Client, path: &Path) -> anyhow::Result<Self> {
        let text = read(path).with_context(|| {
            let path = path.display();
            format!("{path} cannot keep a session; nothing was sent: name another file")
        })?;
        let token = text.trim();
        let session = if token.is_empty() {
            client.session()
        } else {
            let resumed = client.resume(token);
            resumed.with_context(|| format!("{} holds no session", path.display()))?
        };
        let path = path.to_owned();
        Ok(Self { path, session })
    }

    /// Keeps the session as far as it has come, whether the command succeeded or not.
    pub(super) fn close(self, done: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
        let kept = write(&self.path, &self.session.token());
        let exit = done?;
        match kept {
            Ok(()) => Ok(exit),
            Err(error) => Err(anyhow!(error).context(format!(
                "the command was carried out, but its session cannot be kept in {}: the next \
                 command with it may not see what this one did",
                self.path.display()
            ))),
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("it is no regular file"));
    }
    let file = OpenOptions::new().append(true).create(true).open(path);
    drop(file?);
    let mut text = String::new();
    // What is longer is no session, whatever follows.
    File::open(path)?
        .take(MOST_TEXT)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// In place of what was there, in one piece: half a session would promise less, and not say so. No
/// two commands write beside it under one name.
fn write(path: &Path, token: &str) -> io::Result<()> {
    let directory = path.parent().filter(|parent| parent.is_dir());
    let mut beside = NamedTempFile::new_in(directory.unwrap_or_else(|| Path::new(".")))?;
    writeln!(beside, "{token}")?;
    beside.persist(path)?;
    Ok(())
}

/// More than the digits of any session that a client goes on with.
const MOST_TEXT: u64 = 8 * MOST_SESSION_BYTES as u64;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::thread;

    use super::{read, write};

    #[test]
    fn a_file_that_is_not_there_is_begun_and_one_that_is_there_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("session");
        assert_eq!(read(&path).unwrap(), "");
        write(&path, "01").unwrap();
        write(&path, "0102").unwrap();
        assert_eq!(read(&path).unwrap().trim(), "0102");
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
        // Neither a directory, nor a device, nor what is in no directory is a file.
        assert!(read(directory.path()).is_err());
        assert!(read(Path::new("/dev/null")).is_err());
        assert!(read(&path.join("below")).is_err());
        assert!(write(directory.path(), "01").is_err());
    }

    #[test]
    fn commands_at_the_same_time_leave_a_whole_session() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("session");
        let token = |of: u32| format!("{of}").repeat(5_000);
        thread::scope(|scope| {
            for of in 1..5 {
                let (path, token) = (&path, token(of));
                scope.spawn(move || (0..50).for_each(|_| write(path, &token).unwrap()));
            }
        });
        let left = read(&path).unwrap();
        assert!((1..5).any(|of| left.trim() == token(of)));
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }
}
