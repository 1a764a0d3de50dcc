//! A disk that can be made full: a tmpfs, whose size changes while it is in use. That costs no
//! memory, as a large file to fill it up would.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::command::run;

/// A mounted tmpfs; it goes with the sandbox.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// An empty one, mounted at `path`, with room for a gigabyte.
    ///
    /// # Errors
    /// If it cannot be mounted.
    pub fn make(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).context("a place for a disk")?;
        let path = path.to_owned();
        let text = path.display().to_string();
        run(&["mount", "-t", "tmpfs", "-o", ROOMY, "tmpfs", &text])?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes away all room that is not in use. What was promised to a file counts as used.
    ///
    /// # Errors
    /// If it cannot be made smaller, because its use grows as fast as it is measured.
    pub fn fill(&self) -> anyhow::Result<()> {
        self.leave(0)
    }

    /// Takes away all room but so many kilobytes.
    ///
    /// # Errors
    /// As for [`Disk::fill`].
    pub fn leave(&self, kilobytes: u64) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for _ in 0..ATTEMPTS {
            let size = self.used()? + kilobytes;
            outcome = self.resize(&format!("size={size}k"));
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// Gives it its room again.
    ///
    /// # Errors
    /// If the kernel does not let us.
    pub fn empty(&self) -> anyhow::Result<()> {
        self.resize(ROOMY)
    }

    /// Kilobytes in use.
    fn used(&self) -> anyhow::Result<u64> {
        let path = self.path.display().to_string();
        let said = run(&["df", "--output=used", "--block-size=1K", &path])?;
        let used = said.lines().nth(1).context("df says how much is used")?;
        used.trim().parse().context("df gives a number")
    }

    /// With type and source, so that `mount` does not repeat options that only root may give.
    fn resize(&self, size: &str) -> anyhow::Result<()> {
        let path = self.path.display().to_string();
        let options = format!("remount,{size}");
        run(&["mount", "-t", "tmpfs", "-o", &options, "tmpfs", &path])?;
        Ok(())
    }
}

const ROOMY: &str = "size=1g";
const ATTEMPTS: usize = 10;
