//! Who owns what, at one epoch.
//!
//! A layout holds the roles of all nodes and, computed from them by the claim algorithm, the
//! ordered owners of every partition. Buckets differ in n, so there is one table for each number
//! of owners that the cluster can give, from 1 to 7 or to the number of nodes; a bucket with a
//! greater n than there are nodes uses the widest. Each table is claimed from its predecessor of
//! the same n, so buckets of every n keep exact quotas and move as little as possible.
//!
//! A layout never changes. [`Layout::next`] makes its successor.

mod id;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::canonical::Canonical;
use crate::claim::{Arcs, Candidates, ClaimError, claim};
use crate::count::ReplicaCount;
use crate::id::NodeId;
pub use crate::layout::id::LayoutId;
use crate::layout::table::Table;
use crate::layout::wire::LayoutRecord;
pub use crate::layout::wire::MalformedLayout;
use crate::partition::{PartitionId, QBits, VnodeId};
use crate::preference::PreferenceList;
use crate::role::{NodeRole, Roles};
use crate::token::Token;

/// The owners of all partitions, at one epoch.
///
/// It decodes only if it is well-formed, down to the digest in its id ([`MalformedLayout`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "LayoutRecord", into = "LayoutRecord")]
pub struct Layout {
    id: LayoutId,
    parent: Option<LayoutId>,
    q_bits: QBits,
    n: ReplicaCount,
    roles: Roles,
    /// The ids in `roles`, ascending: what the entries of the tables count.
    nodes: Vec<NodeId>,
    /// The table of width 1, the table of width 2, and so on.
    tables: Vec<Table>,
}

impl Layout {
    /// The layout of a new cluster.
    ///
    /// # Errors
    /// When no node may own partitions, or there are more than 65,536 nodes.
    pub fn first(roles: Roles, q_bits: QBits, n: ReplicaCount) -> Result<Self, LayoutError> {
        Self::build(None, roles, q_bits, n)
    }

    /// The layout that follows this one when the staged roles are joined with those here.
    ///
    /// # Errors
    /// When no node may own partitions any more, there are more than 65,536 nodes, removed ones
    /// included, or no epoch is left. This layout is as valid as before.
    pub fn next(&self, staged: &Roles) -> Result<Self, LayoutError> {
        let mut roles = self.roles.clone();
        roles.join(staged);
        Self::build(Some(self), roles, self.q_bits, self.n)
    }

    /// The name of this layout.
    pub fn id(&self) -> LayoutId {
        self.id
    }

    /// The layout that this one was made from; none for the first of a cluster.
    pub fn parent(&self) -> Option<LayoutId> {
        self.parent
    }

    /// How finely the ring is cut.
    pub fn q_bits(&self) -> QBits {
        self.q_bits
    }

    /// The n of buckets that do not ask for another.
    pub fn n(&self) -> ReplicaCount {
        self.n
    }

    /// What part each node plays, the removed ones included.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// The most copies of one partition that any zone holds, for buckets of this n.
    pub fn zone_max(&self, n: ReplicaCount) -> usize {
        let width = self.width(n);
        Candidates::new(&self.roles).map_or(width, |candidates| candidates.zone_max(width))
    }

    /// How many owners a bucket of this n really has: n, or all nodes when there are fewer.
    pub fn width(&self, n: ReplicaCount) -> usize {
        usize::from(n).min(self.tables.len())
    }

    /// The owners of a key, by its token.
    pub fn preference(&self, n: ReplicaCount, token: Token) -> PreferenceList {
        // The table covers every partition that the same bits can name.
        self.list(n, self.q_bits.partition(token))
    }

    /// The owners of a partition; none when the ring has no such partition.
    pub fn owners(&self, n: ReplicaCount, partition: PartitionId) -> Option<PreferenceList> {
        self.q_bits
            .contains(partition)
            .then(|| self.list(n, partition))
    }

    /// The vnodes of one node for buckets of each n in `counts`, in the order of `counts`.
    pub fn vnodes_of(
        &self,
        node: NodeId,
        counts: &[ReplicaCount],
    ) -> impl Iterator<Item = VnodeId> {
        let place = self
            .nodes
            .binary_search(&node)
            .ok()
            .and_then(|at| u16::try_from(at).ok());
        counts.iter().flat_map(move |n| {
            self.q_bits
                .partitions()
                .filter(move |p| place.is_some_and(|place| self.entries(*n, *p).contains(&place)))
                .map(move |partition| VnodeId { n: *n, partition })
        })
    }

    /// The role of an owner; every owner has one.
    pub(crate) fn role(&self, node: NodeId) -> Option<&NodeRole> {
        self.roles.role(node)
    }

    fn build(
        parent: Option<&Self>,
        roles: Roles,
        q_bits: QBits,
        n: ReplicaCount,
    ) -> Result<Self, LayoutError> {
        if roles.len() > MAX_ROLES {
            return Err(LayoutError::TooManyNodes { nodes: roles.len() });
        }
        let epoch = match parent {
            None => FIRST_EPOCH,
            Some(parent) => parent
                .id
                .epoch
                .checked_add(1)
                .ok_or(LayoutError::LastEpoch)?,
        };
        let candidates = Candidates::new(&roles)?;
        let nodes: Vec<NodeId> = roles.iter().map(|(node, _)| node).collect();
        let mut tables = Vec::new();
        for width in 1..=widest(&candidates) {
            let previous = parent.map_or_else(Arcs::new, |parent| parent.arcs(width));
            let arcs = claim(&previous, &candidates, q_bits, width)?;
            tables.push(Table::pack(width, &arcs, &nodes));
        }
        let id = LayoutId { epoch, digest: 0 };
        let parent = parent.map(Self::id);
        let mut layout = Self {
            id,
            parent,
            q_bits,
            n,
            roles,
            nodes,
            tables,
        };
        layout.id.digest = layout.digest();
        Ok(layout)
    }

    /// The table from which the successor's table of this width is claimed.
    fn arcs(&self, width: usize) -> Arcs {
        let table = self.tables.get(width - 1).or_else(|| self.tables.last());
        table.map_or_else(Arcs::new, |table| table.unpack(&self.nodes))
    }

    fn list(&self, n: ReplicaCount, partition: PartitionId) -> PreferenceList {
        let entries = self.entries(n, partition);
        PreferenceList::new(entries.iter().map(|place| self.nodes[usize::from(*place)]))
    }

    fn entries(&self, n: ReplicaCount, partition: PartitionId) -> &[u16] {
        self.tables[self.width(n) - 1].entries(partition)
    }

    /// The hash of everything but the digest itself, in canonical bytes (integers big endian):
    ///
    /// ```text
    /// "SLLY" | format u8 | epoch u64 | 0, or 1 then parent epoch u64, parent digest u128
    /// | q_bits u8 | n u8
    /// | roles u64 | per role: id u64, stamp u64 u64, state u8, weight u32, zone (u8 length, bytes)
    /// | tables u64 | per table: entries u64, then u16 each
    /// ```
    fn digest(&self) -> u128 {
        let mut bytes = Canonical::new(b"SLLY", wire::FORMAT);
        bytes.u64(self.id.epoch);
        bytes.option(self.parent, |bytes, parent| {
            bytes.u64(parent.epoch);
            bytes.u128(parent.digest);
        });
        bytes.u8(self.q_bits.into());
        bytes.u8(self.n.into());
        bytes.count(self.roles.len());
        for (node, role) in self.roles.iter() {
            bytes.u64(node.0);
            role.encode(&mut bytes);
        }
        bytes.count(self.tables.len());
        for table in &self.tables {
            bytes.count(table.all().len());
            for entry in table.all() {
                bytes.u16(*entry);
            }
        }
        bytes.digest()
    }
}

/// Why there is no such layout. Nothing has changed: the layouts in use stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The partitions cannot be given to these nodes.
    Claim(ClaimError),
    /// More nodes than a table can name.
    TooManyNodes {
        /// How many have a role, the removed ones included.
        nodes: usize,
    },
    /// The parent's epoch is the last that exists.
    LastEpoch,
}

impl From<ClaimError> for LayoutError {
    fn from(error: ClaimError) -> Self {
        Self::Claim(error)
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(error) => error.fmt(f),
            Self::TooManyNodes { nodes } => write!(
                f,
                "{nodes} nodes have a role, the removed ones included, and a layout names at most \
                 {MAX_ROLES}; begin a new cluster beside this one. The layouts in use stay as \
                 they are"
            ),
            Self::LastEpoch => f.write_str(
                "the parent has the last epoch that exists, so it was not made by counting; \
                 remove the node it came from. The layouts in use stay as they are",
            ),
        }
    }
}

impl std::error::Error for LayoutError {}

/// The most owners that some bucket can have with these candidates.
fn widest(candidates: &Candidates) -> usize {
    candidates.nodes.len().min(ReplicaCount::MAX.into())
}

/// As many as the entries of a table can name. Removed nodes count, since ids never return.
const MAX_ROLES: usize = 1 << 16;

const FIRST_EPOCH: u64 = 1;
