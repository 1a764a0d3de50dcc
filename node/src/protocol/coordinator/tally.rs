//! Counting owners towards a quorum, in every live layout at once.

use std::collections::BTreeSet;

use ring::{NodeId, PreferenceList};

/// Who has acknowledged, and whether that is enough: in each layout at least `required` owners.
#[derive(Debug, Clone)]
pub struct Tally {
    layouts: Vec<PreferenceList>,
    required: u8,
    acked: BTreeSet<NodeId>,
    failed: BTreeSet<NodeId>,
}

impl Tally {
    /// Nobody yet, of the owners of one or more live layouts.
    #[must_use]
    pub fn new(layouts: Vec<PreferenceList>, required: u8) -> Self {
        Self {
            layouts,
            required,
            acked: BTreeSet::new(),
            failed: BTreeSet::new(),
        }
    }

    /// An owner has it.
    pub fn ack(&mut self, node: NodeId) {
        self.failed.remove(&node);
        self.acked.insert(node);
    }

    /// An owner will not have it in time.
    pub fn fail(&mut self, node: NodeId) {
        if !self.acked.contains(&node) {
            self.failed.insert(node);
        }
    }

    /// How many owners are needed.
    #[must_use]
    pub fn required(&self) -> u8 {
        self.required
    }

    /// How many have it, in the layout that has the fewest.
    #[must_use]
    pub fn acks(&self) -> u8 {
        self.fewest(|node| self.acked.contains(&node))
    }

    /// Is it enough?
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.acks() >= self.required
    }

    /// How many have it or may yet, in the layout that has the fewest.
    #[must_use]
    pub fn possible(&self) -> u8 {
        self.fewest(|node| !self.failed.contains(&node))
    }

    /// Can it no longer become enough?
    #[must_use]
    pub fn is_impossible(&self) -> bool {
        self.possible() < self.required
    }

    fn fewest(&self, counts: impl Fn(NodeId) -> bool) -> u8 {
        let counted = self
            .layouts
            .iter()
            .map(|owners| owners.iter().filter(|&n| counts(n)).count());
        u8::try_from(counted.min().unwrap_or(0)).unwrap_or(u8::MAX)
    }
}
