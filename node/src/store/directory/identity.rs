//! The `VERSION` file: the format of the directory, and whose it is.
//!
//! ```text
//! format = 1
//! cluster = "0123456789abcdef0123456789abcdef"
//! node = "0123456789abcdef"
//! ```
//!
//! The format number covers everything in the directory: tables, keys, values. It is read
//! before anything else, so a newer file may have any other content.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::DirectoryError;
use super::files::{FileAccess, read_text, replace_file};
use ring::{ClusterId, NodeId};

/// Which node of which cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node in it.
    pub node: NodeId,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} of cluster {}", self.node, self.cluster)
    }
}

/// Whose the directory is, or nothing if nobody's yet.
pub(super) fn read(directory: &Path) -> Result<Option<Identity>, DirectoryError> {
    let file = directory.join(NAME);
    let Some(text) = read_text(&file)? else {
        return Ok(None);
    };
    let damaged = |detail: String| DirectoryError::Damaged {
        file: file.clone(),
        detail,
    };
    let AnyFormat { format } =
        toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
    if format > FORMAT {
        let directory = directory.to_path_buf();
        return Err(DirectoryError::NewerFormat {
            directory,
            found: format,
            supported: FORMAT,
        });
    }
    if format != FORMAT {
        return Err(damaged(format!("there was never a format {format}")));
    }
    let Content { cluster, node, .. } =
        toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
    Ok(Some(Identity { cluster, node }))
}

/// Makes the directory that of `identity`.
pub(super) fn write(directory: &Path, identity: Identity) -> Result<(), DirectoryError> {
    let content = Content {
        format: FORMAT,
        cluster: identity.cluster,
        node: identity.node,
    };
    let file = directory.join(NAME);
    let text = toml::to_string(&content).map_err(|error| DirectoryError::Damaged {
        file: file.clone(),
        detail: error.to_string(),
    })?;
    replace_file(&file, text.as_bytes(), FileAccess::Everyone)
}

/// What every format has, so that a newer one can be told from a damaged one.
#[derive(Deserialize)]
struct AnyFormat {
    format: u64,
}

/// Format 1.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: u64,
    cluster: ClusterId,
    node: NodeId,
}

const NAME: &str = "VERSION";

/// The newest format that this version reads, and the one it writes.
const FORMAT: u64 = 1;
