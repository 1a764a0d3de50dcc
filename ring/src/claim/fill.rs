//! Who gets the partitions that lack an owner (step 3).
//!
//! A hole goes to the node furthest below its quota. When no such node may take it, partitions
//! are passed on along a chain: X takes the hole and gives up another partition, which Y takes,
//! until someone below the quota ends the chain. The chain that moves the least is found as an
//! augmenting path in the flow network
//!
//! ```text
//! partition p -> (p, zone z) -> node -> its quota
//!            at most zone_max  at most one
//! ```
//!
//! whose arrows can be walked backwards where something was assigned.

use std::collections::{BTreeMap, BTreeSet};

use crate::claim::assignment::Assignment;
use crate::claim::{ClaimError, Purpose, spread};
use crate::partition::PartitionId;

/// Gives every partition its full number of owners.
pub(super) fn fill(assignment: &mut Assignment<'_>) -> Result<(), ClaimError> {
    for partition in holes(assignment) {
        let taker = neediest(assignment, partition, |node| {
            assignment.allows(partition, node)
        });
        match taker {
            Some(node) => assignment.assign(partition, node),
            None => augment(assignment, partition)?,
        }
    }
    Ok(())
}

/// The partitions in a mixed order, each as often as it lacks an owner.
fn holes(assignment: &Assignment<'_>) -> Vec<usize> {
    let mut holes: Vec<(u64, usize)> = assignment
        .arcs
        .iter()
        .enumerate()
        .flat_map(|(partition, owners)| {
            let lacking = assignment.width - owners.len();
            std::iter::repeat_n((spread(partition, None, Purpose::Hole), partition), lacking)
        })
        .collect();
    holes.sort_unstable();
    holes.into_iter().map(|(_, partition)| partition).collect()
}

/// The node furthest below its quota, of those who may have the partition.
pub(super) fn neediest(
    assignment: &Assignment<'_>,
    partition: usize,
    may_have: impl Fn(usize) -> bool,
) -> Option<usize> {
    (0..assignment.candidates.nodes.len())
        .filter(|node| assignment.missing(*node) > 0 && may_have(*node))
        .max_by_key(|node| {
            let need = assignment.missing(*node) * PRECISION / assignment.quota(*node);
            let id = assignment.candidates.nodes[*node].id;
            (need, spread(partition, Some(id), Purpose::Fill))
        })
}

fn augment(assignment: &mut Assignment<'_>, partition: usize) -> Result<(), ClaimError> {
    let Some(path) = cheapest_path(assignment, partition) else {
        let partition = PartitionId(u32::try_from(partition).unwrap_or(u32::MAX));
        return Err(ClaimError::Stuck { partition });
    };
    let steps = || path.iter().zip(path.iter().skip(1));
    for step in steps() {
        if let (Stop::Node(node), Stop::Zone(partition, _)) = step {
            assignment.withdraw(*partition, *node);
        }
    }
    for step in steps() {
        if let (Stop::Zone(partition, _), Stop::Node(node)) = step {
            assignment.assign(*partition, *node);
        }
    }
    Ok(())
}

/// A vertex of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    Partition(usize),
    /// A partition's copies in one zone.
    Zone(usize, usize),
    Node(usize),
}

/// What it costs to come to a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fare {
    /// How many copies begin to move on the way.
    moves: usize,
    /// Whether the copy that now looks for an owner still lies where it always has. If not, it
    /// moves in any case and its next step is free.
    settled: bool,
}

/// The path on which the fewest copies begin to move, found as Dijkstra does. A copy counts when
/// it comes to a node that did not have it before, unless it was moving already.
///
/// Every stop is passed once at most, whatever its fare, since each has room for one more only.
fn cheapest_path(assignment: &Assignment<'_>, partition: usize) -> Option<Vec<Stop>> {
    let start = Stop::Partition(partition);
    let fare = Fare {
        moves: 0,
        settled: true,
    };
    let mut reached = BTreeMap::from([(start, (fare, start))]);
    let mut queue = BTreeSet::from([(fare, start)]);
    let mut passed = BTreeSet::new();
    while let Some((fare, stop)) = queue.pop_first() {
        if !passed.insert(stop) {
            continue;
        }
        if let Stop::Node(node) = stop
            && assignment.missing(node) > 0
        {
            return Some(walk_back(&reached, stop));
        }
        for (next, fare) in neighbours(assignment, stop, fare) {
            let better = reached.get(&next).is_none_or(|(best, _)| fare < *best);
            if better && !passed.contains(&next) {
                reached.insert(next, (fare, stop));
                queue.insert((fare, next));
            }
        }
    }
    None
}

/// Where one can go from here, and at which fare.
fn neighbours(assignment: &Assignment<'_>, stop: Stop, fare: Fare) -> Vec<(Stop, Fare)> {
    let candidates = assignment.candidates;
    match stop {
        Stop::Partition(partition) => (0..candidates.zones.len())
            .filter(|zone| assignment.zone_has_room(partition, *zone))
            .map(|zone| (Stop::Zone(partition, zone), fare))
            .collect(),
        Stop::Zone(partition, zone) => {
            let takers = candidates.zones[zone].iter().copied();
            let takers = takers.filter(|node| !assignment.arcs[partition].contains(node));
            let paid = takers.map(|node| {
                let begins = fare.settled && !assignment.had(partition, node);
                let moves = fare.moves + usize::from(begins);
                (
                    Stop::Node(node),
                    Fare {
                        moves,
                        settled: true,
                    },
                )
            });
            let back = assignment.copies_in(partition, zone) > 0;
            paid.chain(back.then_some((Stop::Partition(partition), fare)))
                .collect()
        }
        Stop::Node(node) => assignment.held[node]
            .iter()
            .map(|partition| {
                let settled = assignment.had(*partition, node);
                let zone = candidates.nodes[node].zone;
                (Stop::Zone(*partition, zone), Fare { settled, ..fare })
            })
            .collect(),
    }
}

fn walk_back(reached: &BTreeMap<Stop, (Fare, Stop)>, end: Stop) -> Vec<Stop> {
    let mut path = vec![end];
    let mut at = end;
    while let Some((_, before)) = reached.get(&at).filter(|(_, before)| *before != at) {
        path.push(*before);
        at = *before;
    }
    path.reverse();
    path
}

/// Needs are compared as millionths of a quota.
const PRECISION: u64 = 1_000_000;
