//! A layout as it travels and as it is stored, format 1.
//!
//! ```text
//! [ format: 1, id: [epoch, digest], parent: nil | [epoch, digest], q_bits, n,
//!   roles:  [[node id, [[stamp counter, stamp author], state, weight, zone]], ...]  ids ascending
//!   tables: [[place of an owner among the roles, ...], ...]                      widths 1, 2, ...
//! ]
//! ```
//!
//! Nothing here is believed: whatever a layout promises to its readers is checked, and then the
//! digest, which binds the content to the name. What cannot be checked is that the tables are the
//! ones the claim algorithm makes, since it begins at the previous tables; only members of the
//! cluster can say so. The size is bounded by the frame or file that the bytes came in.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::claim::Candidates;
use crate::count::ReplicaCount;
use crate::id::NodeId;
use crate::layout::table::Table;
use crate::layout::{FIRST_EPOCH, Layout, LayoutId, MAX_ROLES, widest};
use crate::partition::{PartitionId, QBits};
use crate::role::NodeRole;

/// The fields in their order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LayoutRecord {
    pub(super) format: u8,
    pub(super) id: LayoutId,
    pub(super) parent: Option<LayoutId>,
    q_bits: QBits,
    n: ReplicaCount,
    pub(super) roles: Vec<(NodeId, NodeRole)>,
    pub(super) tables: Vec<Vec<u16>>,
}

impl From<Layout> for LayoutRecord {
    fn from(layout: Layout) -> Self {
        Self {
            format: FORMAT,
            id: layout.id,
            parent: layout.parent,
            q_bits: layout.q_bits,
            n: layout.n,
            roles: layout
                .roles
                .iter()
                .map(|(node, role)| (node, role.clone()))
                .collect(),
            tables: layout
                .tables
                .iter()
                .map(|table| table.all().to_vec())
                .collect(),
        }
    }
}

impl TryFrom<LayoutRecord> for Layout {
    type Error = MalformedLayout;

    fn try_from(record: LayoutRecord) -> Result<Self, Self::Error> {
        if record.format != FORMAT {
            return Err(MalformedLayout::Format {
                found: record.format,
            });
        }
        check_epoch(record.id, record.parent)?;
        let nodes: Vec<NodeId> = record.roles.iter().map(|(node, _)| *node).collect();
        if nodes.len() > MAX_ROLES || !nodes.is_sorted_by(|a, b| a < b) {
            return Err(MalformedLayout::Roles);
        }
        let roles = record.roles.into_iter().collect();
        let Ok(candidates) = Candidates::new(&roles) else {
            return Err(MalformedLayout::NoOwners);
        };
        if record.tables.len() != widest(&candidates) {
            let (expected, found) = (widest(&candidates), record.tables.len());
            return Err(MalformedLayout::Tables { expected, found });
        }
        for (entries, width) in record.tables.iter().zip(1..) {
            check_table(entries, width, record.q_bits, &nodes, &candidates)?;
        }
        let tables = record.tables.into_iter().zip(1..);
        let layout = Self {
            id: record.id,
            parent: record.parent,
            q_bits: record.q_bits,
            n: record.n,
            roles,
            nodes,
            tables: tables
                .map(|(entries, width)| Table::new(width, entries))
                .collect(),
        };
        if layout.digest() != layout.id.digest {
            return Err(MalformedLayout::Digest { id: layout.id });
        }
        Ok(layout)
    }
}

/// Why bytes that should be a layout are not one. Whoever receives this keeps what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedLayout {
    /// A format that this version does not know; a newer one does.
    Format {
        /// The format found.
        found: u8,
    },
    /// The epoch does not follow the parent's.
    Epoch {
        /// The name of the layout.
        id: LayoutId,
    },
    /// The roles are not in ascending order of distinct ids, or too many.
    Roles,
    /// No node may own partitions.
    NoOwners,
    /// The number of tables does not fit the number of nodes.
    Tables {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A table does not cover the ring.
    Length {
        /// The owners per partition of that table.
        width: usize,
        /// How many entries it has.
        found: usize,
    },
    /// A partition has an owner who is unknown, may own nothing, or is there twice; or too many
    /// of its owners stand in one zone.
    Owners {
        /// The owners per partition of that table.
        width: usize,
        /// The partition.
        partition: PartitionId,
    },
    /// The content is not what the name says.
    Digest {
        /// The name.
        id: LayoutId,
    },
}

impl fmt::Display for MalformedLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused a layout, the known ones stay as they are: ")?;
        match self {
            Self::Format { found } => {
                write!(
                    f,
                    "its format is {found} and this version reads {FORMAT}; update this node"
                )
            }
            Self::Epoch { id } => write!(f, "the epoch of {id} does not follow its parent's"),
            Self::Roles => f.write_str("its roles are unordered, repeated or too many"),
            Self::NoOwners => f.write_str("no node in it may own partitions"),
            Self::Tables { expected, found } => {
                write!(
                    f,
                    "it has {found} tables where its nodes call for {expected}"
                )
            }
            Self::Length { width, found } => write!(
                f,
                "its table of {width} owners per partition has {found} entries and so does not \
                 cover the ring"
            ),
            Self::Owners { width, partition } => write!(
                f,
                "in its table of {width} owners per partition, those of partition {partition} \
                 are not distinct nodes that may own it in zones that have room"
            ),
            Self::Digest { id } => write!(f, "the content of {id} does not match its digest"),
        }
    }
}

impl std::error::Error for MalformedLayout {}

fn check_epoch(id: LayoutId, parent: Option<LayoutId>) -> Result<(), MalformedLayout> {
    let expected = match parent {
        None => Some(FIRST_EPOCH),
        Some(parent) => parent
            .epoch
            .checked_add(1)
            .filter(|_| parent.epoch >= FIRST_EPOCH),
    };
    if expected == Some(id.epoch) {
        Ok(())
    } else {
        Err(MalformedLayout::Epoch { id })
    }
}

fn check_table(
    entries: &[u16],
    width: usize,
    q_bits: QBits,
    nodes: &[NodeId],
    candidates: &Candidates,
) -> Result<(), MalformedLayout> {
    // Q is at most 2^20 and a width at most 7.
    if entries.len() != q_bits.partition_count() as usize * width {
        return Err(MalformedLayout::Length {
            width,
            found: entries.len(),
        });
    }
    let zone_max = candidates.zone_max(width);
    for (owners, partition) in entries.chunks(width).zip(q_bits.partitions()) {
        let known = owners
            .iter()
            .filter_map(|place| nodes.get(usize::from(*place)));
        let mut numbers: Vec<usize> = known.filter_map(|id| candidates.number(*id)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let zone_of = |number: &usize| candidates.nodes[*number].zone;
        let crowded = numbers.iter().any(|one| {
            numbers
                .iter()
                .filter(|other| zone_of(other) == zone_of(one))
                .count()
                > zone_max
        });
        if numbers.len() != width || crowded {
            return Err(MalformedLayout::Owners { width, partition });
        }
    }
    Ok(())
}

/// The only format there is so far. A successor reads this one too.
pub(super) const FORMAT: u8 = 1;
