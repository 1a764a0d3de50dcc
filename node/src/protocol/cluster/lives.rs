//! Which processes have spoken under which node id.
//!
//! Every process draws a random instance when it starts and says it with each message about the
//! cluster. A restarted node is heard with one instance up to some moment and with another one from
//! then on; two live processes are heard *alternately*. So two instances are an alarm when the
//! stretches of time in which they were heard overlap by three seconds: late messages of a process
//! that has ended, or a single call of a tool under the node's certificate, do not.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use crate::protocol::time::Time;
use ring::NodeId;

/// Something is wrong that no node can mend by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// Two live processes have this id. Both refuse to coordinate.
    DuplicateNode {
        /// The id.
        node: NodeId,
    },
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateNode { node } => write!(
                f,
                "two live processes have the id of node {node}; both refuse to coordinate and \
                 nothing is lost: stop one of them"
            ),
        }
    }
}

/// When each process of each node was heard.
///
/// Of one node the four processes heard last are kept, and nodes that were not heard for ten
/// seconds are forgotten; their certificates bound how many there can be.
#[derive(Debug, Default)]
pub(super) struct Lives {
    heard: BTreeMap<NodeId, BTreeMap<u64, Stretch>>,
}

/// From when until when a process was heard.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    first: Time,
    last: Time,
}

impl Lives {
    /// A process of `node` was heard; says whether the node is a duplicate.
    pub(super) fn heard(&mut self, now: Time, node: NodeId, instance: u64) -> bool {
        self.forget(now);
        let instances = self.heard.entry(node).or_default();
        instances
            .entry(instance)
            .or_insert(Stretch {
                first: now,
                last: now,
            })
            .last = now;
        if instances.len() > INSTANCES {
            let oldest = instances.iter().min_by_key(|(_, stretch)| stretch.last);
            let oldest = oldest.map(|(&instance, _)| instance);
            oldest.map(|instance| instances.remove(&instance));
        }
        let others = |instance: &u64| instances.range((Excluded(*instance), Unbounded));
        instances.iter().any(|(instance, stretch)| {
            others(instance).any(|(_, other)| overlap(*stretch, *other) >= OVERLAP)
        })
    }

    fn forget(&mut self, now: Time) {
        for instances in self.heard.values_mut() {
            instances.retain(|_, stretch| now.since(stretch.last) < MEMORY);
        }
        self.heard.retain(|_, instances| !instances.is_empty());
    }
}

/// For how long both were heard.
fn overlap(a: Stretch, b: Stretch) -> Duration {
    a.last.min(b.last).since(a.first.max(b.first))
}

/// How long two processes must both be heard to be taken for two.
const OVERLAP: Duration = Duration::from_secs(3);

/// How long a process that is not heard any more is remembered, and how long an alarm lasts.
pub(super) const MEMORY: Duration = Duration::from_secs(10);

const INSTANCES: usize = 4;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ring::NodeId;

    use super::Lives;
    use crate::protocol::time::Time;

    fn hear(lives: &mut Lives, at: u64, instance: u64) -> bool {
        lives.heard(Time::at(Duration::from_millis(at)), NodeId(1), instance)
    }

    #[test]
    fn a_restarted_node_is_one_node_even_if_it_restarts_at_once() {
        let mut lives = Lives::default();
        for life in 0..20 {
            for second in 0..5 {
                assert!(!hear(&mut lives, life * 5_000 + second * 1_000, life));
                // A message of the former life that was on its way.
                assert!(second > 0 || !hear(&mut lives, life * 5_000, life.saturating_sub(1)));
            }
        }
    }

    #[test]
    fn two_live_processes_are_found_within_seconds() {
        let mut lives = Lives::default();
        let found = (0..10).find(|second| {
            let first = hear(&mut lives, second * 1_000, 1);
            hear(&mut lives, second * 1_000 + 500, 2) || first
        });
        assert_eq!(found, Some(4));
    }

    #[test]
    fn one_call_of_a_tool_under_the_nodes_certificate_is_no_duplicate() {
        let mut lives = Lives::default();
        for second in 0..30 {
            assert!(!hear(&mut lives, second * 1_000, 1));
            if second == 7 {
                assert!(!hear(&mut lives, 7_500, 2));
            }
        }
    }
}
