//! What befalls disks: a lost tail, a copy that begins to live, a loss for good.

use crate::replica::Replica;
use crate::world::{Kept, World};

impl World {
    pub(crate) fn keep(&mut self, node: u64) {
        let starts = self.starts.get(&node).copied().unwrap_or(0);
        let snapshot = self.replicas[&node].snapshot();
        let kept = self.snapshots.entry(node).or_default();
        kept.push((starts, snapshot));
        let surplus = kept.len().saturating_sub(6);
        kept.drain(..surplus);
    }

    /// The disk's tail is lost, and perhaps more: an older state goes on under a new actor.
    pub(crate) fn restart(&mut self, node: u64) {
        let Some((at, snapshot)) = self.older(node) else {
            return;
        };
        let starts = self.starts.entry(node).or_default();
        *starts += 1;
        self.tally.old_restarts += usize::from(*starts > at + 2);
        self.tally.restarts += 1;
        let nonce = self.fresh();
        self.replicas
            .insert(node, Replica::begin(node, nonce, Some(&snapshot)));
        self.meet();
    }

    /// A copy of an old state begins to live beside the original, as another member.
    pub(crate) fn clone_of(&mut self, node: u64) {
        let Some((_, snapshot)) = self.older(node).filter(|_| self.replicas.len() < 6) else {
            return;
        };
        let (node, nonce) = (self.fresh(), self.fresh());
        self.tally.clones += 1;
        self.replicas
            .insert(node, Replica::begin(node, nonce, Some(&snapshot)));
        self.meet();
    }

    /// A disk is lost for good; an empty vnode takes its place.
    pub(crate) fn replace(&mut self, node: u64) {
        self.replicas.remove(&node);
        let (node, nonce) = (self.fresh(), self.fresh());
        self.tally.replacements += 1;
        self.replicas
            .insert(node, Replica::begin(node, nonce, None));
        self.meet();
    }

    fn older(&mut self, node: u64) -> Option<Kept> {
        self.rng.choice(self.snapshots.get(&node)?).cloned()
    }
}
