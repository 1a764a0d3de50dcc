//! The agreed state of a cluster and its members, as a value and as bytes.
//!
//! ```text
//!   u8 format = 1 | MessagePack array: cluster, secret (16 B), members, layout or nil, buckets
//! ```
//!
//! Equal states have equal bytes. The same bytes are kept in the data directory and sent to peers.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::buckets::{BucketError, BucketRecord, Buckets};
use super::secret::Secret;
use ring::{ClusterId, Layout, MemberMap, MemberMapError, NodeId};

/// Largest state in bytes, so that it fits into one frame: 7 MiB. A cluster with all members and
/// buckets that it may have stays below; a ring of 2^17 partitions or more does not.
pub const MAX_STATE: usize = 7 << 20;

/// What the nodes of a cluster agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterState {
    /// Which cluster.
    pub cluster: ClusterId,
    /// What only its nodes know.
    pub secret: Secret,
    /// Who takes part, as far as gossip has told. Not agreed on: nodes may differ for a while.
    pub members: MemberMap,
    /// Who owns what; none in a cluster that has never had a layout.
    pub layout: Option<Layout>,
    /// What there is to own.
    pub buckets: Buckets,
}

/// What a join changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Members whose record changed, by ascending id.
    pub members: Vec<NodeId>,
    /// There is a newer layout.
    pub layout: bool,
    /// There are more or other buckets.
    pub buckets: bool,
    /// Buckets that gave way to one of their name with an earlier stamp and other properties.
    pub displaced: Vec<BucketRecord>,
}

impl Changed {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.members.is_empty() && !self.layout && !self.buckets
    }
}

impl ClusterState {
    /// Joins what another node knows: member records by their own order, the greater layout id, the
    /// bucket records with the smaller stamps.
    ///
    /// # Errors
    /// When it is of another cluster, has another secret, or would exceed a limit. Nothing is
    /// changed.
    pub fn join(&mut self, other: &Self) -> Result<Changed, StateError> {
        if self.cluster != other.cluster {
            let (here, there) = (self.cluster, other.cluster);
            return Err(StateError::OtherCluster { here, there });
        }
        if self.secret != other.secret {
            return Err(StateError::OtherSecret);
        }
        let mut members = self.members.clone();
        let changed_members = members.join(&other.members).map_err(StateError::Members)?;
        let (changed_buckets, displaced) = self
            .buckets
            .join(&other.buckets)
            .map_err(StateError::Buckets)?;
        self.members = members;
        let id = |layout: &Option<Layout>| layout.as_ref().map(Layout::id);
        let is_newer = id(&other.layout) > id(&self.layout);
        if is_newer {
            self.layout.clone_from(&other.layout);
        }
        Ok(Changed {
            members: changed_members,
            layout: is_newer,
            buckets: changed_buckets,
            displaced,
        })
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// When there would be more than [`MAX_STATE`].
    pub fn encode(&self) -> Result<Vec<u8>, StateError> {
        let mut bytes = Vec::with_capacity(4096);
        bytes.push(FORMAT);
        rmp_serde::encode::write(&mut bytes, self).map_err(|error| StateError::Malformed {
            reason: error.to_string(),
        })?;
        within_limit(bytes.len())?;
        Ok(bytes)
    }

    /// A hash of all but the members, never zero. Nodes with equal ones have agreed on the same
    /// things; if two different states ever have one hash, the next change ends it.
    pub(super) fn agreed_digest(&self) -> Result<u64, StateError> {
        let agreed = (self.cluster, self.secret, &self.layout, &self.buckets);
        let bytes = rmp_serde::to_vec(&agreed).map_err(|error| StateError::Malformed {
            reason: error.to_string(),
        })?;
        Ok(xxh3_64(&bytes).max(1))
    }

    /// Reads what [`ClusterState::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not a state.
    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        within_limit(bytes.len())?;
        let (&format, mut rest) = bytes.split_first().ok_or_else(|| StateError::Malformed {
            reason: "it is empty".to_owned(),
        })?;
        if format != FORMAT {
            return Err(StateError::UnknownFormat { found: format });
        }
        let state =
            rmp_serde::decode::from_read(&mut rest).map_err(|error| StateError::Malformed {
                reason: error.to_string(),
            })?;
        match rest.len() {
            0 => Ok(state),
            count => Err(StateError::Malformed {
                reason: format!("{count} bytes too many"),
            }),
        }
    }
}

/// Why a state was not taken in, or cannot be written. The known one is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateError {
    /// It is of another cluster.
    OtherCluster {
        /// This node's cluster.
        here: ClusterId,
        /// The state's.
        there: ClusterId,
    },
    /// One cluster was initialised twice.
    OtherSecret,
    /// Its members do not fit.
    Members(MemberMapError),
    /// Its buckets do not fit.
    Buckets(BucketError),
    /// It is too large.
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// It is of a newer version.
    UnknownFormat {
        /// The format found.
        found: u8,
    },
    /// The bytes are no state.
    Malformed {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCluster { here, there } => write!(
                f,
                "refused the state of cluster {there}, this node is of cluster {here} and stays \
                 so: correct the addresses or the certificates"
            ),
            Self::OtherSecret => f.write_str(
                "refused a state of this cluster with another secret: `init` was run twice at \
                 the same time; this node's state stays as it is: stop the nodes that no client \
                 has written to, empty their data directories and start them again",
            ),
            Self::Members(error) => error.fmt(f),
            Self::Buckets(error) => error.fmt(f),
            Self::TooLarge { size } => write!(
                f,
                "refused a cluster state of {size} bytes, at most {MAX_STATE} are exchanged; the \
                 known one stays as it is: use fewer partitions, members or buckets"
            ),
            Self::UnknownFormat { found } => write!(
                f,
                "refused a cluster state of format {found}, this version reads {FORMAT}; the \
                 known one stays as it is: update this node"
            ),
            Self::Malformed { reason } => {
                write!(
                    f,
                    "refused a malformed cluster state, the known one stays: {reason}"
                )
            }
        }
    }
}

impl std::error::Error for StateError {}

fn within_limit(size: usize) -> Result<(), StateError> {
    if size <= MAX_STATE {
        Ok(())
    } else {
        Err(StateError::TooLarge { size })
    }
}

/// The only format there is so far; it has no predecessor.
const FORMAT: u8 = 1;
