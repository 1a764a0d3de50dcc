//! How a vnode begins: from the store, under an actor that never was.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::borrowed::recover_borrowed;
use super::catch_up::CatchUp;
use super::clearing::recover_clears;
use super::expiry::Expiring;
use super::records::{Doubled, Record, op_of_record_key};
use super::rights::{Reserved, Wholeness};
use super::{Vnode, decode_entry};
use crate::mutants::{self, Mutant};
use crate::protocol::event::Event;
use crate::protocol::keys::{
    behind_key, checkpoint_key, dot_of_event_key, vnode_end, vnode_prefix,
};
use crate::protocol::stage::{Family, Source, SourceError};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::{Actor, Clock};
use ring::{NodeId, QBits, VnodeId};

/// What the node knows when a vnode begins.
#[derive(Debug, Clone, Copy)]
pub struct Beginning {
    /// The node.
    pub node: NodeId,
    /// How the ring is cut.
    pub bits: QBits,
    /// Random, drawn for this beginning and used for nothing else.
    pub nonce: u64,
    /// It may lack what it acknowledged: after a machine crash or a quarantine. A vnode without a
    /// checkpoint is being created, and is behind in any case.
    pub behind: bool,
}

impl Vnode {
    /// Recovers a vnode, or makes an empty one: the clock is the checkpoint and the dotlog above
    /// it. The store must have been synced to the disk before, since what is here is taken for
    /// durable.
    ///
    /// # Errors
    /// When the store cannot be read or the checkpoint is damaged: the vnode must not serve.
    pub fn recover(
        id: VnodeId,
        beginning: Beginning,
        source: &dyn Source,
    ) -> Result<Self, SourceError> {
        let checkpoint = recover_checkpoint(id, source)?;
        let is_new = checkpoint.is_none();
        let unlogged = checkpoint.unwrap_or_default();
        let (clock, own) = recover_log(id, beginning.node, unlogged.clone(), source)?;
        let (records, doubled) = recover_records(id, source)?;
        let (borrowed, vouched) = recover_borrowed(id, source)?;
        let is_marked = source.get(Family::Meta, &behind_key(id))?.is_some();
        let nonce = if mutants::is_active(Mutant::ActorReused) {
            // The bug: every life of this vnode has the same name.
            1 + u64::from(id.partition.0)
        } else {
            beginning.nonce
        };
        let mut vnode = Self {
            id,
            bits: beginning.bits,
            actor: Actor {
                node: beginning.node.0,
                nonce,
            },
            durable: clock.clone(),
            clock,
            unlogged,
            peers: BTreeMap::new(),
            catch_up: CatchUp::new(beginning.behind || is_new, is_marked),
            records,
            records_swept_to: Vec::new(),
            records_swept_ms: 0,
            doubled,
            voided_to: None,
            #[cfg(feature = "mutants")]
            late_records: BTreeMap::new(),
            expiring: Expiring::new(),
            clears: Arc::new(recover_clears(id, source)?),
            whole: Wholeness::default(),
            reserved: Reserved::new(),
            doubled_before: BTreeSet::new(),
            syncing: None,
            held_back: DotSet::default(),
            borrowed,
            vouched,
            settling: None,
        };
        vnode.recover_rights(&own, source)?;
        Ok(vnode)
    }
}

/// What the store of a damaged vnode still tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    /// What has no entry in the dotlog: every owner held it durably, or it came by a full sync from
    /// one for which that is true. Without the own dots that only vouch for lost events: no other
    /// owner may ever have had them. `None` if that is damaged, or gone.
    pub(crate) settled: Option<Clock>,
    /// All that it had seen; `None` if that cannot be told any more.
    pub(crate) seen: Option<Clock>,
}

impl Remains {
    /// Looks at the store.
    pub(crate) fn of(id: VnodeId, node: NodeId, source: &dyn Source) -> Self {
        let Ok(Some(settled)) = recover_checkpoint(id, source) else {
            return Self::default();
        };
        let seen = recover_log(id, node, settled.clone(), source);
        // Where that cannot be told, every one of them counts.
        let (_, vouched) = recover_borrowed(id, source).unwrap_or_default();
        Self {
            seen: seen.ok().map(|(clock, _)| clock),
            settled: Some(Clock::of(settled.dots().difference(&vouched))),
        }
    }
}

/// The dots without an entry in the dotlog; `None` for a vnode that never was.
fn recover_checkpoint(id: VnodeId, source: &dyn Source) -> Result<Option<Clock>, SourceError> {
    let key = checkpoint_key(id);
    let stored = source.get(Family::Meta, &key)?;
    let decoded = stored.map(|bytes| Clock::decode(&bytes)).transpose();
    decoded.map_err(|error| SourceError::corrupt(&key, error))
}

/// The clock: what has no entry in the dotlog, and the dots of those there. And of the node's own
/// rows of bounded counters the logged events.
fn recover_log(
    id: VnodeId,
    node: NodeId,
    mut clock: Clock,
    source: &dyn Source,
) -> Result<(Clock, Vec<Event>), SourceError> {
    let (mut own, mut failed) = (Vec::new(), None);
    let mut enter = |key: &[u8], entry: &[u8]| {
        let dot = dot_of_event_key(key).map_err(|error| SourceError::corrupt(key, error))?;
        clock.insert(dot);
        if dot.actor.node == node.0 {
            let (event, _) = decode_entry(key, entry)?;
            own.extend(Some(event).filter(|event| event.row.leaf() == Leaf::Rights));
        }
        Ok::<_, SourceError>(())
    };
    let (from, to) = (vnode_prefix(id), vnode_end(id));
    source.scan(Family::Dotlog, &from, &to, &mut |key, entry| {
        failed = enter(key, entry).err();
        if failed.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    failed.map_or(Ok((clock, own)), Err)
}

/// How many records there are, and of which operations several spans are known.
fn recover_records(id: VnodeId, source: &dyn Source) -> Result<Records, SourceError> {
    let (mut count, mut doubled) = (0, Doubled::default());
    let mut failed = None;
    let mut visit = |key: &[u8], value: &[u8]| {
        count += 1;
        let entry = op_of_record_key(key).and_then(|op| Ok((op, Record::decode(value)?)));
        match entry {
            Ok((op, record)) => {
                if record.applied.is_doubled() {
                    doubled.enter(op, &record.applied);
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(SourceError::corrupt(key, error));
                ControlFlow::Break(())
            }
        }
    };
    source.scan(
        Family::Records,
        &vnode_prefix(id),
        &vnode_end(id),
        &mut visit,
    )?;
    failed.map_or(Ok((count, doubled)), Err)
}

/// A number of records, and the operations of those that are doubled.
type Records = (u64, Doubled);
