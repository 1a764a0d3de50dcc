//! Which nodes own which partition: the claim algorithm.
//!
//! Dynamo's "strategy 3": the ring is cut into equal partitions and a table says who owns each.
//! The table is a pure function of the previous table and the roles, in integers, so that every
//! node computes the same one. It has four properties at once:
//!
//! - each node owns exactly its quota, its weighted share rounded to a whole number;
//! - no zone holds more copies of a partition than it must;
//! - what can stay where it is stays, so little data moves;
//! - each node is the first owner of its share of what it owns, rounded either way.
//!
//! Four steps: [`quota`] says how many, [`keep`] keeps what is still right and passes on what
//! is too much, [`fill`] gives the holes to nodes below their quota, [`order`] orders the owners.
//!
//! The quotas are always attainable. Give each node the fraction quota/Q of every partition: that
//! meets every limit, and since all limits are whole numbers, there is a table of whole numbers
//! that meets them too, which the augmenting paths of [`fill`] find.

mod assignment;
mod candidates;
mod fill;
mod keep;
mod order;
mod quota;
#[cfg(test)]
mod tests;

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use crate::claim::assignment::Assignment;
pub(crate) use crate::claim::candidates::Candidates;
use crate::id::NodeId;
use crate::partition::{PartitionId, QBits};

/// The ordered owners of every partition, in ring order.
pub(crate) type Arcs = Vec<Vec<NodeId>>;

/// Computes the table of `width` owners per partition.
///
/// `previous` may be empty, of another width, and name nodes that may not own any more; only the
/// number of partitions must not have changed.
pub(crate) fn claim(
    previous: &[Vec<NodeId>],
    candidates: &Candidates,
    q_bits: QBits,
    width: usize,
) -> Result<Arcs, ClaimError> {
    let partitions = q_bits.partition_count() as usize;
    let mut assignment = Assignment::new(candidates, previous, partitions, width);
    keep::keep(&mut assignment);
    keep::release(&mut assignment);
    fill::fill(&mut assignment)?;
    Ok(order::order(&assignment))
}

/// Why there is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimError {
    /// Every node is draining or removed, or there is none.
    NoNodes,
    /// Nodes are there, but all of those that could own partitions have weight zero.
    NoWeight,
    /// A partition found no owner. The quotas rule this out, so it is a defect of this program.
    Stuck {
        /// The partition without an owner.
        partition: PartitionId,
    },
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNodes => f.write_str(
                "no node may own partitions: all are draining or removed; add one. \
                 The layouts in use stay as they are",
            ),
            Self::NoWeight => f.write_str(
                "no node may own partitions: all have weight 0; give one a weight. \
                 The layouts in use stay as they are",
            ),
            Self::Stuck { partition } => write!(
                f,
                "partition {partition} found no owner, which cannot be: please report it with \
                 the roles. The layouts in use stay as they are"
            ),
        }
    }
}

impl std::error::Error for ClaimError {}

/// A fixed pseudo-random number for a partition, or for a node in it. It breaks ties differently
/// in every partition, so that no node is favoured and the partners of a node are many.
fn spread(partition: usize, node: Option<NodeId>, purpose: Purpose) -> u64 {
    let mut bytes = [0; 17];
    bytes[..8].copy_from_slice(&(partition as u64).to_be_bytes());
    bytes[8..16].copy_from_slice(&node.map_or(0, |node| node.0).to_be_bytes());
    bytes[16] = match purpose {
        Purpose::Hole => 0,
        Purpose::Release => 1,
        Purpose::Fill => 2,
        Purpose::Order => 3,
    };
    xxh3_64(&bytes)
}

#[derive(Clone, Copy)]
enum Purpose {
    Hole,
    Release,
    Fill,
    Order,
}
