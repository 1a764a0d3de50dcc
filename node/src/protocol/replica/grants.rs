//! Bounded counters between nodes: asking another owner for rights, and granting them.

use std::collections::BTreeMap;

use super::calls::Purpose;
use super::{Batch, Replica};
use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{Change, Grant, PeerReply, PeerRequest};
use crate::protocol::stage::SourceError;
use crate::protocol::vnode::{Command, Rejected, Sending, Shortage, Written};
use crdt::kinds::Leaf;
use ring::{NodeId, VnodeId};
use starling::wire::Durability;

/// Calls for rights under way, by counters.
pub(super) type Asking = BTreeMap<(VnodeId, KeyPrefix), u64>;

impl Replica {
    /// What changes this node's rights is in its log before anybody hears of it, whatever was
    /// asked: a node that forgets what it spent at each crash would wait for the others each time.
    ///
    /// A spend that was refused asks for rights.
    pub(super) fn handle_rights(
        &mut self,
        id: VnodeId,
        command: &Command,
        written: &Result<Written, Rejected>,
        batch: &mut Batch<'_>,
    ) -> Result<(), SourceError> {
        match written {
            Err(rejected) => self.ask_for_rights(id, command, *rejected, batch),
            Ok(written) => {
                if let Sending::Changes(changes) = &written.sending {
                    keep(changes, batch);
                }
                Ok(())
            }
        }
    }

    /// A spend was refused that the counter as a whole would allow: asks the reachable owner with
    /// the most rights for some, in one call at a time.
    fn ask_for_rights(
        &mut self,
        id: VnodeId,
        command: &Command,
        rejected: Rejected,
        batch: &mut Batch<'_>,
    ) -> Result<(), SourceError> {
        let is_enough =
            matches!(rejected, Rejected::Insufficient { asked, value, .. } if value >= asked);
        let Some(vnode) = self.vnodes.get(&id).filter(|_| is_enough) else {
            return Ok(());
        };
        let shortage = vnode.shortage(command, &batch.stage);
        let Ok(Some(shortage)) = self.looked(id, shortage)? else {
            return Ok(());
        };
        let Shortage {
            prefix,
            lacking,
            holders,
        } = shortage;
        let counter = (id, prefix.clone());
        if self.asking.len() >= MAX_ASKING || self.asking.contains_key(&counter) {
            return Ok(());
        }
        let holder = holders.into_iter().find(|node| self.is_reachable(*node));
        let Some(holder) = holder else {
            return Ok(());
        };
        self.asking.insert(counter, self.next_tag);
        let vnode = id;
        let grant = Grant {
            vnode,
            prefix,
            lacking,
        };
        self.call(holder, Purpose::Grant, PeerRequest::Grant(grant), batch);
        Ok(())
    }

    /// The call has been answered, or failed: the rights are on their way by themselves.
    pub(super) fn has_asked(&mut self, tag: u64) {
        self.asking.retain(|_, asked| *asked != tag);
    }

    /// Another owner lacks rights: grants what can be spared.
    pub(super) fn grant(
        &mut self,
        from: NodeId,
        grant: &Grant,
        batch: &mut Batch<'_>,
    ) -> Result<PeerReply, SourceError> {
        let hlc = self.hlc.stamp(batch.now.wall_ms);
        let asked = (from, grant.lacking);
        let granted = self.work(grant.vnode, batch, |vnode, _, stage| {
            vnode.grant(hlc, &grant.prefix, asked, stage)
        })?;
        let granted = match granted {
            Ok(granted) => granted,
            Err(refusal) => return Ok(PeerReply::Refused(refusal)),
        };
        let changes: Vec<Change> = granted.into_iter().collect();
        keep(&changes, batch);
        self.entered(grant.vnode, Durability::Memory, &changes, batch);
        Ok(PeerReply::Acked)
    }
}

/// Changes of rights are written to the log with their batch.
pub(super) fn keep(changes: &[Change], batch: &mut Batch<'_>) {
    let mut rows = changes.iter().map(|change| &change.event.row);
    if rows.any(|row| row.leaf() == Leaf::Rights) {
        batch.barrier = batch.barrier.max(Durability::Wal);
    }
}

/// Calls for rights under way at one time; beyond it a refused spend asks nobody.
const MAX_ASKING: usize = 256;
