//! A table in the making: who has which partition so far, and what is still allowed.

use std::collections::BTreeSet;

use crate::claim::candidates::Candidates;
use crate::claim::quota::quotas;
use crate::id::NodeId;

/// Owners by number, without regard to their order, and the same the other way round.
#[derive(Debug)]
pub(super) struct Assignment<'a> {
    pub(super) candidates: &'a Candidates,
    pub(super) width: usize,
    /// The owners of each partition.
    pub(super) arcs: Vec<Vec<usize>>,
    /// The partitions of each node.
    pub(super) held: Vec<BTreeSet<usize>>,
    /// The owners of each partition in the previous table; none for those who may not own now.
    previous: Vec<Vec<Option<usize>>>,
    zone_max: usize,
    quotas: Vec<u64>,
}

impl<'a> Assignment<'a> {
    pub(super) fn new(
        candidates: &'a Candidates,
        previous: &[Vec<NodeId>],
        partitions: usize,
        width: usize,
    ) -> Self {
        let zone_max = candidates.zone_max(width);
        Self {
            candidates,
            width,
            zone_max,
            previous: previous
                .iter()
                .map(|owners| owners.iter().map(|id| candidates.number(*id)).collect())
                .collect(),
            quotas: quotas(candidates, partitions, width, zone_max),
            arcs: vec![Vec::with_capacity(width); partitions],
            held: vec![BTreeSet::new(); candidates.nodes.len()],
        }
    }

    pub(super) fn assign(&mut self, partition: usize, node: usize) {
        self.arcs[partition].push(node);
        self.held[node].insert(partition);
    }

    pub(super) fn withdraw(&mut self, partition: usize, node: usize) {
        self.arcs[partition].retain(|owner| *owner != node);
        self.held[node].remove(&partition);
    }

    /// The owners in the previous table, in order, leaving out those who may not own now.
    pub(super) fn previous(&self, partition: usize) -> impl Iterator<Item = usize> {
        self.previous
            .get(partition)
            .into_iter()
            .flatten()
            .copied()
            .flatten()
    }

    /// The first owner in the previous table, if it may still own.
    pub(super) fn previous_first(&self, partition: usize) -> Option<usize> {
        self.previous
            .get(partition)
            .and_then(|owners| owners.first().copied().flatten())
    }

    /// Whether the node owned the partition in the previous table.
    pub(super) fn had(&self, partition: usize, node: usize) -> bool {
        self.previous(partition).any(|owner| owner == node)
    }

    pub(super) fn quota(&self, node: usize) -> u64 {
        self.quotas[node]
    }

    /// How many partitions the node is short of its quota.
    pub(super) fn missing(&self, node: usize) -> u64 {
        self.quotas[node].saturating_sub(self.held[node].len() as u64)
    }

    /// How many partitions the node has above its quota.
    pub(super) fn excess(&self, node: usize) -> u64 {
        (self.held[node].len() as u64).saturating_sub(self.quotas[node])
    }

    pub(super) fn has_room(&self, partition: usize) -> bool {
        self.arcs[partition].len() < self.width
    }

    /// Whether the zone may hold one more copy of the partition.
    pub(super) fn zone_has_room(&self, partition: usize, zone: usize) -> bool {
        self.copies_in(partition, zone) < self.zone_max
    }

    /// Whether node and zone allow this node as one more owner, be there room or not.
    pub(super) fn allows(&self, partition: usize, node: usize) -> bool {
        !self.arcs[partition].contains(&node)
            && self.zone_has_room(partition, self.candidates.nodes[node].zone)
    }

    /// Whether `heir` could take the partition over from its owner `node`.
    pub(super) fn allows_instead(&self, partition: usize, node: usize, heir: usize) -> bool {
        let zone = self.candidates.nodes[heir].zone;
        let same_zone = self.candidates.nodes[node].zone == zone;
        !self.arcs[partition].contains(&heir) && (same_zone || self.zone_has_room(partition, zone))
    }

    pub(super) fn copies_in(&self, partition: usize, zone: usize) -> usize {
        let in_zone = |owner: &&usize| self.candidates.nodes[**owner].zone == zone;
        self.arcs[partition].iter().filter(in_zone).count()
    }
}
