//! The nodes that may own partitions, numbered by ascending id, and their zones by name.

use std::collections::BTreeMap;

use crate::claim::ClaimError;
use crate::id::NodeId;
use crate::role::{NodeState, Roles};
use crate::zone::Zone;

/// Who takes part in a claim. Draining and removed nodes and those of weight 0 do not.
#[derive(Debug)]
pub(crate) struct Candidates {
    pub(crate) nodes: Vec<Candidate>,
    /// The numbers of the nodes in each zone, ascending; zones by ascending name.
    pub(crate) zones: Vec<Vec<usize>>,
}

/// One node that takes part.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) id: NodeId,
    pub(crate) weight: u32,
    pub(crate) zone: usize,
}

impl Candidates {
    /// The candidates among `roles`; there is at least one.
    pub(crate) fn new(roles: &Roles) -> Result<Self, ClaimError> {
        let chosen: Vec<_> = roles.iter().filter(|(_, role)| role.may_own()).collect();
        if chosen.is_empty() {
            let weightless = roles.iter().any(|(_, role)| match role.state {
                NodeState::Joining | NodeState::Normal => true,
                NodeState::Draining | NodeState::Removed => false,
            });
            return Err(if weightless {
                ClaimError::NoWeight
            } else {
                ClaimError::NoNodes
            });
        }
        let mut by_zone: BTreeMap<&Zone, Vec<usize>> = BTreeMap::new();
        for (number, (_, role)) in chosen.iter().enumerate() {
            by_zone.entry(&role.zone).or_default().push(number);
        }
        let zone_numbers: BTreeMap<&Zone, usize> = by_zone
            .keys()
            .enumerate()
            .map(|(number, zone)| (*zone, number))
            .collect();
        let nodes = chosen
            .iter()
            .map(|(id, role)| Candidate {
                id: *id,
                weight: role.weight,
                zone: zone_numbers[&role.zone],
            })
            .collect();
        Ok(Self {
            nodes,
            zones: by_zone.into_values().collect(),
        })
    }

    /// The number of the node with this id.
    pub(crate) fn number(&self, id: NodeId) -> Option<usize> {
        self.nodes.binary_search_by_key(&id, |node| node.id).ok()
    }

    /// The fewest copies of one partition that a zone must be allowed to hold, so that `width`
    /// distinct nodes can be found. With at least as many zones as copies it is one; otherwise
    /// `width / zones` rounded up, or more where the small zones run out of nodes.
    pub(crate) fn zone_max(&self, width: usize) -> usize {
        let fits = |most: &usize| {
            self.zones
                .iter()
                .map(|zone| zone.len().min(*most))
                .sum::<usize>()
                >= width
        };
        (1..width).find(fits).unwrap_or(width)
    }
}
