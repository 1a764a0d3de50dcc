//! How reading the store fails.

use std::error::Error;
use std::fmt;

use super::unreadable::LASTS_AFTER;
use ring::VnodeId;

/// The store could not be read, or holds bytes that nothing here wrote. The batch at hand is given
/// up, nothing of it is acknowledged, and the vnode begins anew from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceError {
    /// Reading failed.
    Unreadable {
        /// What the store says.
        reason: String,
    },
    /// A stored value is damaged.
    Corrupt {
        /// In which vnode, if that is known: it goes into quarantine.
        vnode: Option<VnodeId>,
        /// Where.
        key: String,
        /// How.
        reason: String,
    },
    /// A stored value is as it was written, and means nothing here: another version wrote it, or a
    /// bug did. The other owners have the same.
    Senseless {
        /// Where.
        key: String,
        /// Why.
        reason: String,
    },
}

impl SourceError {
    pub(crate) fn corrupt(key: &[u8], reason: impl fmt::Display) -> Self {
        Self::Corrupt {
            vnode: None,
            key: key.escape_ascii().to_string(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn senseless(key: &[u8], reason: impl fmt::Display) -> Self {
        Self::Senseless {
            key: key.escape_ascii().to_string(),
            reason: reason.to_string(),
        }
    }

    /// The same for what could not be read for so long that it is as good as damaged: a key of a
    /// stretch that begins `after` another one, or at the beginning.
    pub(crate) fn lasting(self, after: &[u8]) -> Self {
        match self {
            Self::Unreadable { reason } => {
                let key = match after {
                    [] => "some key".to_owned(),
                    _ => format!("some key after {}", after.escape_ascii()),
                };
                let seconds = LASTS_AFTER.as_secs();
                Self::Corrupt {
                    vnode: None,
                    key,
                    reason: format!("for {seconds} seconds it could not be read: {reason}"),
                }
            }
            Self::Corrupt { .. } | Self::Senseless { .. } => self,
        }
    }

    /// What could not be read now; `None` where that may succeed another time.
    ///
    /// # Errors
    /// All others.
    pub(crate) fn unless_unreadable<T>(done: Result<T, Self>) -> Result<Option<T>, Self> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(Self::Unreadable { .. }) => Ok(None),
            Err(error @ (Self::Corrupt { .. } | Self::Senseless { .. })) => Err(error),
        }
    }

    /// The same, met in this vnode.
    pub(crate) fn within(self, id: VnodeId) -> Self {
        match self {
            Self::Corrupt { key, reason, .. } => Self::Corrupt {
                vnode: Some(id),
                key,
                reason,
            },
            Self::Unreadable { .. } | Self::Senseless { .. } => self,
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { reason } => write!(f, "the store cannot be read: {reason}"),
            Self::Corrupt { key, reason, .. } => {
                write!(f, "the stored value of {key} is damaged: {reason}")
            }
            Self::Senseless { key, reason } => {
                write!(f, "the stored value of {key} makes no sense: {reason}")
            }
        }
    }
}

impl Error for SourceError {}
