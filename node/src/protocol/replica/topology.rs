//! A new ring: which vnodes this node has, and who else owns them.

use super::aside::Aside;
use super::calls::PeerState;
use super::{Batch, Replica};
use crate::protocol::messages::Refusal;
use crate::protocol::stage::{Source, SourceError};
use crate::protocol::vnode::{Beginning, Vnode};
use ring::{NodeId, ReplicaCount, Ring, VnodeId};

impl Replica {
    /// Makes the vnodes that this node owns and does not have, and tells all who else owns them.
    /// A vnode that is no longer owned stays: dropping it takes the transfer protocol. One that is
    /// damaged goes into quarantine, one that cannot be read is set aside.
    pub(super) fn take_over(&mut self, ring: Ring, counts: &[ReplicaCount], batch: &mut Batch<'_>) {
        self.bits = ring.layout().q_bits();
        let owned: Vec<VnodeId> = ring.vnodes_of(self.node, counts).collect();
        // A vnode begins knowing who else owns it: without others it would have nobody to wait for.
        self.ring = Some(ring);
        for id in owned {
            if self.unused(id) == Refusal::NotOwner && !self.vnodes.contains_key(&id) {
                let (now, source) = (batch.now.time, batch.stage.source());
                if let Some(vnode) = self.recover(id, Aside::default(), now, source) {
                    self.put_to_use(vnode, batch);
                }
            }
        }
        let unused = self.quarantine.keys().chain(self.aside.keys());
        let known = self.vnodes.keys().chain(unused).copied();
        for id in known.collect::<Vec<_>>() {
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
