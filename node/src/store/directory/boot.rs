//! The `boot.toml` file: under which kernel the node was last started, and whether it was closed
//! in order.
//!
//! ```text
//! boot = "7a1c8ed0-5a0e-4f4c-9d54-3f1c9e2a7b10"
//! clean = false
//! ```
//!
//! Linux draws a boot id at every start of the kernel. The same id means that the page cache
//! outlived the process, and with it everything that was written but not synced.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::LastShutdown;
use super::error::DirectoryError;
use super::files::{FileAccess, read_text, replace_file};

/// The kernel's boot id; empty where there is none to be read, and then equal to no other.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct BootId(String);

impl BootId {
    /// The id of the kernel that runs this process.
    pub(super) fn of_this_kernel() -> Self {
        Self(fs::read_to_string(BOOT_ID).map_or_else(|_| String::new(), |id| id.trim().to_owned()))
    }

    #[cfg(test)]
    pub(super) fn named(id: &str) -> Self {
        Self(id.to_owned())
    }

    fn is_same_kernel_as(&self, other: &Self) -> bool {
        !self.0.is_empty() && self.0 == other.0
    }
}

/// What the file says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BootRecord {
    /// The kernel of the last start.
    pub(super) boot: BootId,
    /// Whether that start ended in order.
    pub(super) clean: bool,
}

/// How the last process ended, as seen from a process under the kernel `now`.
///
/// A record that is missing or damaged counts as a crash of the machine: that errs on the safe
/// side, and costs one round of catching up.
pub(super) fn last_shutdown(
    directory: &Path,
    now: &BootId,
) -> Result<LastShutdown, DirectoryError> {
    let text = match read_text(&directory.join(NAME)) {
        Ok(text) => text,
        Err(DirectoryError::Damaged { .. }) => None,
        Err(error) => return Err(error),
    };
    let record = text.and_then(|text| toml::from_str::<BootRecord>(&text).ok());
    Ok(match record {
        Some(BootRecord { clean: true, .. }) => LastShutdown::Clean,
        Some(record) if record.boot.is_same_kernel_as(now) => LastShutdown::ProcessCrash,
        Some(_) | None => LastShutdown::MachineCrash,
    })
}

/// Replaces the record.
pub(super) fn write(directory: &Path, record: &BootRecord) -> Result<(), DirectoryError> {
    let file = directory.join(NAME);
    let text = toml::to_string(record).map_err(|error| DirectoryError::Damaged {
        file: file.clone(),
        detail: error.to_string(),
    })?;
    replace_file(&file, text.as_bytes(), FileAccess::Everyone)
}

const NAME: &str = "boot.toml";

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
