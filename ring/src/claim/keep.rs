//! What stays where it is (step 2).

use crate::claim::assignment::Assignment;
use crate::claim::fill::neediest;
use crate::claim::{Purpose, spread};

/// Keeps every previous owner who is still allowed, the earlier in the list the rather.
pub(super) fn keep(assignment: &mut Assignment<'_>) {
    for partition in 0..assignment.arcs.len() {
        let previous: Vec<usize> = assignment.previous(partition).collect();
        for node in previous {
            if assignment.has_room(partition) && assignment.allows(partition, node) {
                assignment.assign(partition, node);
            }
        }
    }
}

/// Takes from every node what it has above its quota.
///
/// What a node below its quota may take over goes there at once, because each such copy moves
/// only once. The rest, if any, is left as holes.
pub(super) fn release(assignment: &mut Assignment<'_>) {
    for node in 0..assignment.candidates.nodes.len() {
        if assignment.excess(node) == 0 {
            continue;
        }
        let held = in_mixed_order(assignment, node);
        for partition in &held {
            if assignment.excess(node) > 0
                && let Some(heir) = heir(assignment, *partition, node)
            {
                assignment.withdraw(*partition, node);
                assignment.assign(*partition, heir);
            }
        }
        for partition in held {
            if assignment.excess(node) > 0 && assignment.held[node].contains(&partition) {
                assignment.withdraw(partition, node);
            }
        }
    }
}

fn in_mixed_order(assignment: &Assignment<'_>, node: usize) -> Vec<usize> {
    let id = assignment.candidates.nodes[node].id;
    let mut held: Vec<(u64, usize)> = assignment.held[node]
        .iter()
        .map(|partition| (spread(*partition, Some(id), Purpose::Release), *partition))
        .collect();
    held.sort_unstable();
    held.into_iter().map(|(_, partition)| partition).collect()
}

/// The node furthest below its quota that may take the partition over from `node`.
fn heir(assignment: &Assignment<'_>, partition: usize, node: usize) -> Option<usize> {
    neediest(assignment, partition, |heir| {
        assignment.allows_instead(partition, node, heir)
    })
}
