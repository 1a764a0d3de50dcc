//! In which order the owners of a partition stand (step 4).
//!
//! The first owner usually runs the requests of a partition, so firsts are balanced as the
//! partitions are: a node with `load` partitions in a table of `width` owners is first in
//! `load / width` of them, rounded down or up. This is always possible (give each owner the
//! fraction `1 / width` of each of its partitions), and shortest chains of swaps reach it.
//!
//! Owners who stay keep their places, new ones stand behind them, and who was first stays first
//! unless the balance asks for another.

use std::collections::{BTreeSet, VecDeque};

use crate::claim::assignment::Assignment;
use crate::claim::{Arcs, Purpose, spread};

/// The owners of every partition in their order.
pub(super) fn order(assignment: &Assignment<'_>) -> Arcs {
    let mut firsts = Firsts::new(assignment);
    firsts.balance();
    let candidates = assignment.candidates;
    let ordered = assignment
        .arcs
        .iter()
        .enumerate()
        .map(|(partition, owners)| {
            let before: Vec<usize> = assignment.previous(partition).collect();
            let mut owners = owners.clone();
            owners.sort_by_key(|node| {
                let id = candidates.nodes[*node].id;
                let place = before
                    .iter()
                    .position(|owner| owner == node)
                    .unwrap_or(before.len());
                let follows = firsts.of[partition] != Some(*node);
                (follows, place, spread(partition, Some(id), Purpose::Order))
            });
            owners
                .into_iter()
                .map(|node| candidates.nodes[node].id)
                .collect()
        });
    ordered.collect()
}

/// Who is first where, while it is being balanced.
struct Firsts<'a> {
    assignment: &'a Assignment<'a>,
    /// The first owner of each partition.
    of: Vec<Option<usize>>,
    /// The partitions in which each node is first.
    led: Vec<BTreeSet<usize>>,
}

impl<'a> Firsts<'a> {
    /// Begins with those who were first before. Where they are gone, and in a new table, with the
    /// owner who lacks the most.
    fn new(assignment: &'a Assignment<'a>) -> Self {
        let partitions = assignment.arcs.len();
        let led = vec![BTreeSet::new(); assignment.held.len()];
        let mut firsts = Self {
            assignment,
            of: vec![None; partitions],
            led,
        };
        for partition in 0..partitions {
            if let Some(node) = assignment.previous_first(partition)
                && assignment.arcs[partition].contains(&node)
            {
                firsts.put(partition, node);
            }
        }
        for partition in 0..partitions {
            if firsts.of[partition].is_none()
                && let Some(node) = firsts.most_lacking(partition)
            {
                firsts.put(partition, node);
            }
        }
        firsts
    }

    /// First nobody above the upper share, then nobody below the lower one.
    fn balance(&mut self) {
        self.shift(Self::upper);
        self.shift(Self::lower);
    }

    /// Moves firsts from nodes above `share` to nodes below it, one by one, while there is a way.
    fn shift(&mut self, share: fn(&Self, usize) -> usize) {
        while let Some(chain) = self.chain(share) {
            for (partition, node) in chain {
                self.put(partition, node);
            }
        }
    }

    /// The shortest chain of swaps: in each partition named, the node becomes first.
    fn chain(&self, share: fn(&Self, usize) -> usize) -> Option<Vec<(usize, usize)>> {
        let nodes = 0..self.led.len();
        let mut reached = vec![None; nodes.len()];
        let mut queue: VecDeque<usize> = nodes
            .filter(|node| self.led[*node].len() > share(self, *node))
            .collect();
        let mut seen: BTreeSet<usize> = queue.iter().copied().collect();
        while let Some(node) = queue.pop_front() {
            if self.led[node].len() < share(self, node) {
                return Some(walk_back(&reached, node));
            }
            for partition in &self.led[node] {
                for heir in &self.assignment.arcs[*partition] {
                    if seen.insert(*heir) {
                        reached[*heir] = Some((*partition, node));
                        queue.push_back(*heir);
                    }
                }
            }
        }
        None
    }

    fn put(&mut self, partition: usize, node: usize) {
        if let Some(before) = self.of[partition].replace(node) {
            self.led[before].remove(&partition);
        }
        self.led[node].insert(partition);
    }

    fn most_lacking(&self, partition: usize) -> Option<usize> {
        self.assignment.arcs[partition]
            .iter()
            .copied()
            .min_by_key(|node| {
                let load = self.assignment.held[*node].len().max(1);
                let id = self.assignment.candidates.nodes[*node].id;
                let tie = spread(partition, Some(id), Purpose::Order);
                (self.led[*node].len() * PRECISION / load, tie)
            })
    }

    fn lower(&self, node: usize) -> usize {
        self.assignment.held[node].len() / self.assignment.width
    }

    fn upper(&self, node: usize) -> usize {
        self.assignment.held[node]
            .len()
            .div_ceil(self.assignment.width)
    }
}

fn walk_back(reached: &[Option<(usize, usize)>], end: usize) -> Vec<(usize, usize)> {
    let mut chain = Vec::new();
    let mut at = end;
    while let Some((partition, before)) = reached[at] {
        chain.push((partition, at));
        at = before;
    }
    chain
}

/// Shares of firsts are compared as millionths of a load.
const PRECISION: usize = 1_000_000;
