//! What a node goes by when clocks are wrong.

use std::time::Duration;

use super::{Moment, NodeId, Time, Walls};

const START: u64 = 1_700_000_000_000;
const DAY: i64 = 24 * 3_600 * 1_000;

/// One of so many nodes, whose wall clock is ahead of the right time.
struct Node {
    walls: Walls,
    ahead: i64,
    now: u64,
}

impl Node {
    fn new(nodes: usize, ahead: i64) -> Self {
        let mut walls = Walls::new(500, START - 60_000);
        walls.nodes = nodes;
        let now = 0;
        let mut node = Self { walls, ahead, now };
        node.goes_by();
        node
    }

    /// How far ahead of the right time it goes.
    fn goes_by(&mut self) -> i64 {
        let right = START + self.now;
        let now = Moment {
            time: Time::at(Duration::from_millis(self.now)),
            wall_ms: right.saturating_add_signed(self.ahead),
        };
        let wall_ms = self.walls.correct(now).wall_ms;
        i64::try_from(wall_ms).unwrap() - i64::try_from(right).unwrap()
    }

    /// Asks peers, who are so far ahead and take 20 ms to answer.
    fn hears(&mut self, peers: &[(u64, i64)]) {
        for &(peer, ahead) in peers {
            let asked = Time::at(Duration::from_millis(self.now));
            let theirs = (START + self.now + 10).saturating_add_signed(ahead);
            self.now += 20;
            self.goes_by();
            self.walls.hear(asked, NodeId(peer), theirs);
        }
    }
}

#[test]
fn a_node_a_day_ahead_or_behind_goes_by_what_the_others_say() {
    for ahead in [DAY, -DAY] {
        let mut node = Node::new(3, ahead);
        assert_eq!(node.goes_by(), ahead);
        node.hears(&[(2, 3)]);
        assert_eq!(node.goes_by(), ahead, "one of three may be wrong itself");
        node.hears(&[(3, 40)]);
        assert!((0..=50).contains(&node.goes_by()));
    }
}

#[test]
fn nodes_that_are_right_do_not_follow_the_one_that_is_wrong() {
    let mut node = Node::new(3, 0);
    node.hears(&[(2, DAY), (3, 200)]);
    assert_eq!(node.goes_by(), 0);
    let mut pair = Node::new(2, 0);
    pair.hears(&[(2, DAY)]);
    assert_eq!(pair.goes_by(), 0);
}

#[test]
fn a_node_that_has_heard_nobody_cannot_tell_that_its_stamps_are_ahead() {
    let mut node = Node::new(1, -DAY);
    assert!(!node.walls.are_most_heard());
    node.walls.nodes = 3;
    node.hears(&[(2, 0)]);
    assert!(node.walls.are_most_heard());
}

#[test]
fn whatever_peers_say_and_the_clock_does_is_computed() {
    let mut node = Node::new(3, 0);
    for wall_ms in [0, 1 << 48, i64::MAX.unsigned_abs(), u64::MAX] {
        for own in [0, START, u64::MAX] {
            let time = Time::at(Duration::from_millis(node.now));
            node.walls.correct(Moment { time, wall_ms: own });
            node.walls.hear(time, NodeId(2), wall_ms);
            node.walls.hear(time, NodeId(3), wall_ms);
        }
    }
}

/// By how many milliseconds what has surely come is behind the right time.
fn behind(node: &mut Node) -> i64 {
    node.goes_by();
    let right = i64::try_from(START + node.now).unwrap();
    right - i64::try_from(node.walls.surely_ms()).unwrap()
}

#[test]
fn nothing_is_over_by_a_clock_that_most_nodes_do_not_confirm() {
    for nodes in [2, 3, 5] {
        let mut node = Node::new(nodes, DAY);
        assert_eq!(behind(&mut node), 60_000, "by the life before");
        node.now += 10_000;
        assert_eq!(behind(&mut node), 60_000);
        node.hears(&[(2, 0)]);
        assert!((0..=60_000).contains(&behind(&mut node)), "{nodes} nodes");
    }
    let mut pair = Node::new(2, DAY);
    pair.hears(&[(2, 0)]);
    assert!(behind(&mut pair).abs() <= 50, "the slower of both");
    let mut right = Node::new(3, 5);
    right.hears(&[(2, DAY), (3, 0)]);
    assert_eq!(behind(&mut right), -5);
    let mut alone = Node::new(1, 7);
    assert_eq!(behind(&mut alone), -7);
    let mut slow = Node::new(3, -DAY);
    assert_eq!(behind(&mut slow), DAY);
    slow.hears(&[(2, 0), (3, 0)]);
    assert!(behind(&mut slow).abs() <= 50);
}

#[test]
fn what_drift_allows_is_not_corrected() {
    let mut node = Node::new(3, 499);
    node.hears(&[(2, 0), (3, 0)]);
    assert_eq!(node.goes_by(), 499);
}

#[test]
fn a_clock_that_is_set_while_nobody_is_heard_changes_nothing() {
    let mut node = Node::new(3, 5);
    node.hears(&[(2, 0), (3, 0)]);
    for ahead in [DAY, -DAY, 90_000] {
        node.now += 60_000;
        node.ahead = ahead;
        assert!((-50..=50).contains(&node.goes_by()), "{}", node.goes_by());
    }
    node.ahead = 7;
    assert_eq!(node.goes_by(), 7, "mended, it is its own again");
}

#[test]
fn less_than_half_of_the_nodes_prove_nothing() {
    let mut node = Node::new(5, DAY);
    node.hears(&[(2, 0), (3, 0)]);
    assert_eq!(node.goes_by(), DAY);
    node.hears(&[(4, 0)]);
    assert!(node.goes_by().abs() < 50);
}
