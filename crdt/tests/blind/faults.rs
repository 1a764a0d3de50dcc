//! What befalls disks: a lost tail, a copy that begins to live, a loss for good.

use super::Mutant;
use super::replica::Replica;
use super::world::World;
use crdt::Actor;

impl World {
    /// The disk's tail is lost: an older state goes on, under a new actor.
    pub(super) fn restart(&mut self, node: u64) {
        let kept = self.replicas[&node].actor;
        let Some(mut replica) = self.snapshot(node) else {
            return;
        };
        if self.is(Mutant::ActorKept) {
            replica.actor = kept;
        }
        self.replicas
            .values_mut()
            .for_each(|other| drop(other.peers.remove(&node)));
        self.replicas.insert(node, replica);
        self.tally.restarts += 1;
    }

    /// A copy of an old state begins to live beside the original, as another member.
    pub(super) fn clone_of(&mut self, node: u64) {
        if self.is(Mutant::ActorKept) || self.replicas.len() > 5 {
            return;
        }
        let Some(mut replica) = self.snapshot(node) else {
            return;
        };
        replica.node = replica.actor.nonce;
        self.replicas.insert(replica.node, replica);
        self.tally.clones += 1;
    }

    /// A replica is lost for good; an empty one takes its place and syncs from all others.
    pub(super) fn replace(&mut self, node: u64) {
        self.replicas.remove(&node);
        let fresh = self.fresh();
        let mut replica = Replica::new(
            Actor {
                node: fresh,
                nonce: fresh,
            },
            self.mutant,
        );
        for other in self.replicas.values_mut() {
            other.peers.clear();
            replica.full_sync(other);
        }
        self.replicas.insert(fresh, replica);
        self.tally.replacements += 1;
    }

    /// An old state of `node`, under an actor that was never used and that no peer knows.
    fn snapshot(&mut self, node: u64) -> Option<Replica> {
        let mut replica = self.rng.choice(self.snapshots.get(&node)?)?.clone();
        replica.actor.nonce = self.fresh();
        replica.peers.clear();
        Some(replica)
    }
}
