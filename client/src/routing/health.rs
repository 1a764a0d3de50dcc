//! Which nodes to leave alone for a while, by this client's own experience.
//!
//! A node whose call failed is avoided until a probe of ours succeeds. Probes come after a short
//! time that doubles with every failure ([`FIRST_PROBE`] to [`LONGEST_PROBE`]) and shrinks back
//! only when a real call succeeds, so a node that answers probes and fails calls is not asked all
//! the time. Avoided nodes are still asked when there is nobody else.

use std::collections::BTreeMap;
use std::time::Duration;

use ring::NodeId;

/// What is known against nodes. Nodes without an entry are fine.
#[derive(Debug, Default)]
pub(crate) struct Health {
    nodes: BTreeMap<NodeId, Trouble>,
}

#[derive(Debug)]
struct Trouble {
    failures: u32,
    is_avoided: bool,
}

impl Health {
    /// A call failed. Gives the time after which to probe the node, unless a probe is on its way.
    pub(crate) fn handle_failure(&mut self, node: NodeId) -> Option<Duration> {
        let trouble = self.nodes.entry(node).or_insert(Trouble {
            failures: 0,
            is_avoided: false,
        });
        if trouble.is_avoided {
            return None;
        }
        trouble.is_avoided = true;
        trouble.failures = trouble.failures.saturating_add(1);
        Some(trouble.pause())
    }

    /// A call succeeded.
    pub(crate) fn handle_success(&mut self, node: NodeId) {
        self.nodes.remove(&node);
    }

    /// A probe succeeded or failed. Gives the time until the next one, if there should be one.
    pub(crate) fn handle_probe(&mut self, node: NodeId, succeeded: bool) -> Option<Duration> {
        let trouble = self
            .nodes
            .get_mut(&node)
            .filter(|trouble| trouble.is_avoided)?;
        if succeeded {
            trouble.is_avoided = false;
            return None;
        }
        trouble.failures = trouble.failures.saturating_add(1);
        Some(trouble.pause())
    }

    /// The nodes in the order in which to ask them: those in good health first, and otherwise as
    /// given.
    pub(crate) fn order(&self, nodes: &mut [NodeId]) {
        if !self.nodes.is_empty() {
            nodes.sort_by_key(|node| self.is_avoided(*node));
        }
    }

    /// Whether calls should go elsewhere if they can.
    pub(crate) fn is_avoided(&self, node: NodeId) -> bool {
        self.nodes
            .get(&node)
            .is_some_and(|trouble| trouble.is_avoided)
    }
}

impl Trouble {
    fn pause(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(10);
        FIRST_PROBE
            .saturating_mul(1 << doublings)
            .min(LONGEST_PROBE)
    }
}

const FIRST_PROBE: Duration = Duration::from_millis(100);
const LONGEST_PROBE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::{Duration, FIRST_PROBE, Health, LONGEST_PROBE, NodeId};

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const C: NodeId = NodeId(3);

    fn ordered(health: &Health) -> [NodeId; 3] {
        let mut nodes = [A, B, C];
        health.order(&mut nodes);
        nodes
    }

    #[test]
    fn a_failing_node_is_asked_last_until_a_probe_succeeds() {
        let mut health = Health::default();
        assert_eq!(health.handle_failure(A), Some(FIRST_PROBE));
        assert_eq!(ordered(&health), [B, C, A]);
        assert_eq!(health.handle_probe(A, true), None);
        assert_eq!(ordered(&health), [A, B, C]);
    }

    #[test]
    fn one_probe_at_a_time_and_ever_rarer() {
        let mut health = Health::default();
        let mut pause = health.handle_failure(A);
        assert_eq!(health.handle_failure(A), None, "a probe is on its way");
        let mut pauses = Vec::new();
        while let Some(next) = pause.filter(|_| pauses.len() < 8) {
            pauses.push(next);
            pause = health.handle_probe(A, false);
        }
        assert!(
            pauses
                .windows(2)
                .all(|pair| pair[0] < pair[1] || pair[1] == LONGEST_PROBE)
        );
        assert_eq!(pauses.last(), Some(&LONGEST_PROBE));
    }

    #[test]
    fn only_a_real_success_makes_the_next_probe_early_again() {
        let mut health = Health::default();
        health.handle_failure(A);
        health.handle_probe(A, true);
        assert_eq!(health.handle_failure(A), Some(FIRST_PROBE * 2));
        health.handle_success(A);
        assert_eq!(ordered(&health), [A, B, C]);
        assert_eq!(health.handle_failure(A), Some(FIRST_PROBE));
    }

    #[test]
    fn a_probe_of_a_node_that_recovered_ends() {
        let mut health = Health::default();
        health.handle_failure(A);
        health.handle_success(A);
        assert_eq!(health.handle_probe(A, false), None);
        assert!(health.handle_failure(A) > Some(Duration::ZERO));
    }
}
