//! Holding back what would be refused: a node with too much to do still spends time on each request
//! that it refuses, and the more the less it has for the others.
//!
//! What a node lately took says how much to send: up to half as much again. The rest is refused
//! here, by chance, before anything is sent (*client-side throttling*: Beyer et al., *Site
//! Reliability Engineering*, 2016, chapter 21, "Handling Overload").
//!
//! ```text
//!   a request is held back with probability   (asked - 1.5 * taken - SPARED) / asked
//!   both counts halve every two seconds, so that a node is found out to have room again
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use ring::NodeId;

/// How much of what was asked lately each node took. Only nodes that refused have an entry.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    nodes: BTreeMap<NodeId, Lately>,
}

/// Counts that fade.
#[derive(Debug)]
struct Lately {
    asked: f64,
    taken: f64,
    faded: Duration,
}

impl Throttle {
    /// Is this request to be held back? `fraction` is a random number from 0 to 1.
    pub(crate) fn holds_back(&mut self, now: Duration, node: NodeId, fraction: f64) -> bool {
        let Some(lately) = self.nodes.get_mut(&node) else {
            return false;
        };
        lately.fade(now);
        let beyond = lately.asked - GENEROSITY * lately.taken - SPARED;
        let holds_back = fraction < beyond / lately.asked;
        if holds_back {
            lately.asked += 1.0;
        }
        holds_back
    }

    /// A node that was asked has taken the request up, whatever came of it.
    pub(crate) fn handle_taken(&mut self, now: Duration, node: NodeId) {
        if let Some(lately) = self.nodes.get_mut(&node) {
            lately.fade(now);
            lately.asked += 1.0;
            lately.taken += 1.0;
            if lately.asked - lately.taken < 1.0 {
                self.nodes.remove(&node);
            }
        }
    }

    /// A node that was asked has refused, as it has too much to do.
    pub(crate) fn handle_refused(&mut self, now: Duration, node: NodeId) {
        let lately = self.nodes.entry(node).or_insert(Lately {
            asked: 0.0,
            taken: 0.0,
            faded: now,
        });
        lately.fade(now);
        lately.asked += 1.0;
    }
}

impl Lately {
    fn fade(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.faded);
        let left = 0.5_f64.powf(passed.as_secs_f64() / HALF_LIFE.as_secs_f64());
        self.asked *= left;
        self.taken *= left;
        self.faded = now;
    }
}

/// How much more is sent than was taken lately.
const GENEROSITY: f64 = 1.5;
/// So many refusals hold nothing back: a client that asks little finds out by asking.
const SPARED: f64 = 20.0;
/// In which time a count halves.
const HALF_LIFE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::{Duration, NodeId, Throttle};

    const NODE: NodeId = NodeId(1);

    /// Asks a node so often in a second that takes so many; how many were sent in the last of so
    /// many seconds, and of these taken.
    fn ask(throttle: &mut Throttle, from: u64, seconds: u64, often: u32, takes: u32) -> [u32; 2] {
        let mut last = [0, 0];
        let mut random = fastrand::Rng::with_seed(from);
        for second in from..from + seconds {
            last = [0, 0];
            for turn in 0..often {
                let now = Duration::from_secs(second) + Duration::from_secs(1) * turn / often;
                if throttle.holds_back(now, NODE, random.f64()) {
                    continue;
                }
                last[0] += 1;
                // It takes up what it can, evenly over the second.
                if u64::from(last[1]) * u64::from(often) <= u64::from(takes) * u64::from(turn) {
                    last[1] += 1;
                    throttle.handle_taken(now, NODE);
                } else {
                    throttle.handle_refused(now, NODE);
                }
            }
        }
        last
    }

    #[test]
    fn of_three_times_too_much_half_as_much_again_is_sent_as_is_taken() {
        let mut throttle = Throttle::default();
        let [sent, taken] = ask(&mut throttle, 0, 10, 3_000, 1_000);
        assert!((990..=1_001).contains(&taken), "{taken}");
        assert!((1_400..=1_650).contains(&sent), "{sent}");
        // It is soon over when there is room again.
        let [sent, taken] = ask(&mut throttle, 10, 12, 3_000, 3_000);
        assert!(sent == taken && taken >= 2_950, "{sent} {taken}");
        ask(&mut throttle, 22, 20, 100, 100);
        assert!(throttle.nodes.is_empty());
    }

    #[test]
    fn a_few_refusals_hold_nothing_back() {
        let mut throttle = Throttle::default();
        let now = Duration::ZERO;
        assert!(!throttle.holds_back(now, NODE, 0.0));
        (0..20).for_each(|_| throttle.handle_refused(now, NODE));
        assert!(!throttle.holds_back(now, NODE, 0.0));
        (0..20).for_each(|_| throttle.handle_refused(now, NODE));
        assert!(throttle.holds_back(now, NODE, 0.4));
        assert!(!throttle.holds_back(now, NodeId(2), 0.0));
        // A minute later it is forgotten.
        assert!(!throttle.holds_back(Duration::from_secs(60), NODE, 0.0));
    }
}
