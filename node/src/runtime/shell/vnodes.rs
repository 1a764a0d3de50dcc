//! What this node can tell of each of its vnodes.

use super::Shell;
use ring::VnodeId;
use starling::wire::{Response, VnodeStatus};

impl Shell {
    /// What is known of each vnode, as of the last second.
    pub(super) fn each_vnode(&self) -> Response {
        let statistics = self.health.statistics();
        let now = self.clock.time();
        let sound = statistics.each.iter().map(|vnode| {
            let agreed = vnode.agreed.map(|at| now.since(at).as_millis());
            VnodeStatus {
                catching_up: vnode.is_catching_up,
                others: vnode.others,
                agreed_ms_ago: agreed.map(|ago| u64::try_from(ago).unwrap_or(u64::MAX)),
                ..named(vnode.id)
            }
        });
        let damaged = statistics
            .quarantined
            .iter()
            .map(|(&id, damage)| VnodeStatus {
                damage: damage.clone(),
                ..named(id)
            });
        let mut all: Vec<VnodeStatus> = sound.chain(damaged).collect();
        all.sort_by_key(|vnode| (vnode.ring_partition, vnode.n));
        Response::Vnodes(all)
    }
}

fn named(id: VnodeId) -> VnodeStatus {
    VnodeStatus {
        ring_partition: id.partition.0,
        n: u8::from(id.n),
        ..VnodeStatus::default()
    }
}
