//! Healing, and waiting until nothing changes any more.

use super::queue::{Instant, SECOND};
use super::trace::Trace;
use super::world::{Broken, World};
use crate::invariants::convergence::{is_converged, is_settled, nothing_is_over};
use crate::invariants::{Observation, Resting};
use starling_node::runtime::source::StoreSource;
use starling_node::store::Engine;

impl World {
    /// Takes every fault back: links and disks are whole, nodes run, clients are gone. A node that
    /// stands still goes on when its pause ends, since what it was about to do waits until then.
    pub(crate) fn heal(&mut self) {
        self.is_healed = true;
        self.trace
            .note(self.queue.now(), format_args!("all is healed"));
        self.dismiss_clients();
        self.cuts.clear();
        if let Some(wire) = &mut self.wire {
            wire.heal();
        }
        for node in &mut self.nodes {
            node.engine.heal();
            node.wall_ahead = 0;
        }
    }

    /// Waits until replicas are equal and dotlogs trimmed, and then checks everything.
    pub(crate) fn rest(&mut self) -> Result<(), Broken> {
        let healed_at = self.queue.now();
        let mut last = String::new();
        let (mut state, mut unchanged) = (0, 0);
        let mut patience = if self.plan.expires {
            PATIENCE + UNTIL_ALL_IS_OVER
        } else {
            PATIENCE
        };
        let (mut to_lose, mut lost) = (self.plan.scrubs, 0);
        while self.queue.now() < healed_at + patience {
            let next = self.queue.now() + SECOND;
            self.run_until(next)?;
            let before = std::mem::replace(&mut state, self.state());
            // While a node stands still, nothing changes only because nobody could change it.
            let is_still = state == before && !self.is_someone_paused();
            unchanged = if is_still { unchanged + 1 } else { 0 };
            match self.at_rest() {
                Ok(()) if unchanged >= STILL && to_lose => {
                    to_lose = false;
                    lost = self.lose_a_row();
                    if lost > 0 {
                        patience = self.queue.now() - healed_at + PATIENCE;
                    }
                }
                Ok(()) if unchanged >= STILL => {
                    self.check_scrubs(lost)?;
                    return self.check_at_rest();
                }
                Ok(()) => "something still changes".clone_into(&mut last),
                Err(what) => last = what,
            }
        }
        let seconds = patience / SECOND;
        Err((
            "convergence",
            format!("{seconds} s after the last fault: {last}"),
        ))
    }

    /// A hash of what all nodes have seen and still log.
    fn state(&self) -> u64 {
        let mut trace = Trace::new(false);
        for node in &self.nodes {
            let vnodes = node
                .process
                .iter()
                .flat_map(|process| process.replica.vnodes());
            for vnode in vnodes {
                let behind = vnode.is_catching_up();
                trace.note(0, format_args!("{:?} {behind}", vnode.clock()));
            }
            trace.note(0, format_args!("{:?}", node.engine.statistics().rows));
        }
        trace.hash()
    }

    fn is_someone_paused(&self) -> bool {
        let now = self.queue.now();
        self.nodes.iter().any(|node| node.paused_until > now)
    }

    fn at_rest(&self) -> Result<(), String> {
        let disks: Vec<StoreSource<'_>> = self
            .nodes
            .iter()
            .map(|node| StoreSource::new(&node.engine))
            .collect();
        let resting = self.resting(&disks);
        if resting.len() < self.nodes.len() {
            return Err("some node does not run".to_owned());
        }
        if resting.iter().any(|r| !r.replica.hints().is_empty()) {
            return Err("a stand-in still keeps something".to_owned());
        }
        for resting in &resting {
            if let Some((id, damaged)) = resting.replica.quarantined().next() {
                let node = resting.node;
                return Err(format!("node {node} keeps {id:?} in {damaged:?}"));
            }
        }
        if let Some(unread) = resting.iter().find_map(|r| r.replica.unread().next()) {
            let (id, aside) = unread;
            return Err(format!("{id:?} could not be read: {}", aside.reason()));
        }
        is_converged(&resting, &self.ledger)?;
        if self.plan.expires {
            for resting in &resting {
                for vnode in resting.replica.vnodes() {
                    nothing_is_over(resting, vnode.id())?;
                }
            }
        }
        if self.ledger.has_loss {
            return Ok(());
        }
        for resting in &resting {
            for vnode in resting.replica.vnodes() {
                is_settled(resting, vnode.id())?;
            }
        }
        Ok(())
    }

    fn check_at_rest(&mut self) -> Result<(), Broken> {
        let disks: Vec<StoreSource<'_>> = self
            .nodes
            .iter()
            .map(|node| StoreSource::new(&node.engine))
            .collect();
        let resting = self.resting(&disks);
        Self::check(&self.ledger, &Observation::Quiet(&resting))
    }

    /// The nodes that run and have no batch on its way.
    fn resting<'a>(&'a self, disks: &'a [StoreSource<'a>]) -> Vec<Resting<'a>> {
        let nodes = self.nodes.iter().zip(disks).enumerate();
        let resting = nodes.filter_map(|(node, (here, disk))| {
            let process = here
                .process
                .as_ref()
                .filter(|process| process.batch.is_none())?;
            Some(Resting {
                node,
                replica: &process.replica,
                source: disk,
            })
        });
        resting.collect()
    }
}

/// How long after the last fault replicas may differ.
const PATIENCE: Instant = 60 * SECOND;
/// How long after that the last version ends and is removed: 20 s, a minute of grace, and the time
/// that the walk takes.
const UNTIL_ALL_IS_OVER: Instant = 100 * SECOND;
/// For how many seconds nothing must change before the cluster counts as at rest: longer than it
/// takes to sync, to tell the others, and to trim.
const STILL: u32 = 5;

#[cfg(test)]
mod tests {
    use super::{SECOND, STILL, World};
    use crate::sim::plan::Plan;

    #[test]
    fn a_cluster_rests_only_when_nobody_stands_still_any_more() {
        let mut plan = Plan::of(1);
        plan.strikes.clear();
        plan.clients = 0;
        let mut world = World::new(plan, None, false);
        let paused_until = 10 * SECOND;
        world.run_until(2 * SECOND).expect("nothing is broken");
        world.nodes[0].paused_until = paused_until;
        world.heal();
        world.rest().expect("nothing is broken");
        let rested_at = world.queue.now();
        assert!(rested_at >= paused_until + u64::from(STILL - 1) * SECOND);
    }
}
