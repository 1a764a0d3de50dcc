//! How far the owners are apart.

use std::collections::BTreeMap;

use super::Replica;
use ring::NodeId;

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
}
