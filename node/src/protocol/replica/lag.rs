//! How far the owners are apart.

use std::collections::{BTreeMap, BTreeSet};

use super::{Batch, Output, Replica};
use crate::protocol::messages::Difference;
use ring::{NodeId, VnodeId};

/// How far two owners are apart, in dots over all vnodes that both own, as last heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// The peer has them and this node lacks them.
    pub missing_here: u64,
    /// This node has them and the peer lacks them.
    pub missing_there: u64,
}

impl Replica {
    /// How far each peer and this node are apart.
    #[must_use]
    pub fn lags(&self) -> BTreeMap<NodeId, Lag> {
        let mut lags: BTreeMap<NodeId, Lag> = BTreeMap::new();
        for vnode in self.vnodes.values() {
            for (peer, view) in vnode.peers() {
                let lag = lags.entry(peer).or_default();
                lag.missing_here += view.clock().missing_from(vnode.clock()).len();
                lag.missing_there += vnode.clock().missing_from(view.clock()).len();
            }
        }
        lags
    }

    /// Of which vnodes a peer that has just told its clocks is far behind.
    pub(super) fn far_behind(&self, differing: &[Difference]) -> BTreeSet<VnodeId> {
        let is_far = |difference: &&Difference| {
            self.vnodes.get(&difference.vnode).is_some_and(|vnode| {
                vnode.clock().missing_from(&difference.clock).len() >= self.config.far_behind
            })
        };
        let far = differing.iter().filter(is_far);
        far.map(|difference| difference.vnode).collect()
    }

    /// Says of which vnodes a peer is far behind, if these are other ones than before.
    pub(super) fn tell_behind(
        &mut self,
        peer: NodeId,
        vnodes: BTreeSet<VnodeId>,
        batch: &mut Batch<'_>,
    ) {
        if let Some(state) = self.peers.get_mut(&peer)
            && state.behind != vnodes
        {
            state.behind.clone_from(&vnodes);
            batch.outputs.push(Output::Behind { peer, vnodes });
        }
    }
}
