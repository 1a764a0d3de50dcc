//! The owners of every partition, packed.
//!
//! ```text
//! owners: |p0 first|p0 second|p0 third|p1 first|p1 second|...      u16 each
//! ```
//!
//! An entry is a node's place among the layout's roles by ascending id.

use crate::claim::Arcs;
use crate::id::NodeId;
use crate::partition::PartitionId;

/// A table with the same number of owners for every partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    width: usize,
    owners: Vec<u16>,
}

impl Table {
    /// Takes entries as they are; `width` is not zero.
    pub(super) fn new(width: usize, owners: Vec<u16>) -> Self {
        Self { width, owners }
    }

    /// Packs `arcs`, all of them `width` long and made of nodes in `nodes`, which is ascending.
    pub(super) fn pack(width: usize, arcs: &Arcs, nodes: &[NodeId]) -> Self {
        let place = |node: &NodeId| {
            nodes
                .binary_search(node)
                .ok()
                .and_then(|place| u16::try_from(place).ok())
        };
        Self {
            width,
            owners: arcs.iter().flatten().filter_map(place).collect(),
        }
    }

    /// The reverse of [`Table::pack`].
    pub(super) fn unpack(&self, nodes: &[NodeId]) -> Arcs {
        self.owners
            .chunks(self.width)
            .map(|owners| {
                owners
                    .iter()
                    .map(|place| nodes[usize::from(*place)])
                    .collect()
            })
            .collect()
    }

    /// The entries of one partition; none when it lies beyond the table.
    pub(super) fn entries(&self, partition: PartitionId) -> &[u16] {
        let start = (partition.0 as usize).saturating_mul(self.width);
        self.owners
            .get(start..start.saturating_add(self.width))
            .unwrap_or(&[])
    }

    /// All entries of all partitions.
    pub(super) fn all(&self) -> &[u16] {
        &self.owners
    }
}
