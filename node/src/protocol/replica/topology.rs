//! A new ring: which vnodes this node has, and who else owns them.

use super::calls::PeerState;
use super::{Batch, Replica};
use crate::protocol::stage::{Source, SourceError};
use crate::protocol::vnode::{Beginning, Vnode};
use crdt::Clock;
use ring::{NodeId, ReplicaCount, Ring, VnodeId};
use starling::wire::Durability;

impl Replica {
    /// Makes the vnodes that this node owns and does not have, and tells all who else owns them.
    /// A vnode that is no longer owned stays: dropping it takes the transfer protocol. One that is
    /// damaged goes into quarantine.
    pub(super) fn take_over(
        &mut self,
        ring: Ring,
        counts: &[ReplicaCount],
        batch: &mut Batch<'_>,
    ) -> Result<(), SourceError> {
        self.bits = ring.layout().q_bits();
        let owned: Vec<VnodeId> = ring.vnodes_of(self.node, counts).collect();
        // A vnode begins knowing who else owns it: without others it would have nobody to wait for.
        self.ring = Some(ring);
        for id in owned {
            if !self.vnodes.contains_key(&id) && !self.quarantine.contains_key(&id) {
                let Some(mut vnode) = self.begin_unless_damaged(id, batch.stage.source())? else {
                    continue;
                };
                if vnode.clock() == &Clock::default() {
                    vnode.checkpoint(&mut batch.stage);
                }
                if vnode.mark_behind(&mut batch.stage) {
                    // The mark must outlive this process as surely as what it is about.
                    batch.barrier = batch.barrier.max(Durability::Wal);
                }
                self.vnodes.insert(id, vnode);
                batch.touched.push(id);
            }
        }
        let damaged = self.quarantine.keys();
        for id in self
            .vnodes
            .keys()
            .chain(damaged)
            .copied()
            .collect::<Vec<_>>()
        {
            let others = self.other_owners(id);
            for &peer in &others {
                self.peers
                    .entry(peer)
                    .or_insert_with(|| PeerState::new(batch.now.time));
            }
            if let Some(vnode) = self.vnodes.get_mut(&id) {
                vnode.set_owners(others);
            }
        }
        self.expect_walls();
        self.find_hints(batch.stage.source());
        Ok(())
    }

    pub(super) fn begin(&mut self, id: VnodeId, source: &dyn Source) -> Result<Vnode, SourceError> {
        let beginning = self.beginning(self.behind);
        let mut vnode = Vnode::recover(id, beginning, source)?;
        vnode.set_owners(self.other_owners(id));
        Ok(vnode)
    }

    pub(super) fn other_owners(&self, id: VnodeId) -> Vec<NodeId> {
        let owners = self
            .ring
            .as_ref()
            .and_then(|ring| ring.owners(id.n, id.partition));
        let others = owners
            .iter()
            .flat_map(|list| list.iter())
            .filter(|&node| node != self.node);
        others.collect()
    }

    /// What a vnode begins with: a name that never was.
    pub(super) fn beginning(&mut self, behind: bool) -> Beginning {
        Beginning {
            node: self.node,
            bits: self.bits,
            nonce: self.random.u64(..),
            behind,
        }
    }
}
