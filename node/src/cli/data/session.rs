//! `--session FILE`: commands that build on each other, each a process of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

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
    let file = OpenOptions::new().append(true).create(true).open(path);
    drop(file?);
    let mut text = String::new();
    // What is longer is no session, whatever follows.
    File::open(path)?
        .take(MOST_TEXT)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// In place of what was there, in one piece: half a session would promise less, and not say so.
fn write(path: &Path, token: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, format!("{token}\n"))?;
    fs::rename(&beside, path)
}

/// More than the digits of any session that a client goes on with.
const MOST_TEXT: u64 = 8 * MOST_SESSION_BYTES as u64;

#[cfg(test)]
mod tests {
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
        // Neither a directory nor what is in none is a file.
        assert!(read(directory.path()).is_err());
        assert!(read(&path.join("below")).is_err());
        assert!(write(directory.path(), "01").is_err());
    }
}
