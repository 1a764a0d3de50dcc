//! The vnode: one replica of one partition, the unit of state. The heart of a node.
//!
//! ```text
//!   clock    = unlogged ∪ the dots of the dotlog         what the rows reflect
//!   unlogged = dots every owner holds durably (trimmed), or that came by a full sync, or that this
//!              vnode took in order to vouch for lost events (`borrowed`)
//!   durable  = the part of the clock that survives power loss; peers learn only this one
//! ```
//!
//! A vnode handles its inputs one after the other, reads and writes through a
//! [`Stage`], and names what must be sent. It has no other effects, so the
//! committer, the simulator and a test drive it alike. If a batch fails to be written, the vnode is
//! thrown away and recovered from the store under a new actor.
//!
//! Invariants: I1 and I2 of [`crdt`]; an actor's own dots have no gaps; one dot names one row;
//! rows, dotlog, records and checkpoint change in one batch.

mod borrowed;
mod catch_up;
mod clearing;
mod collected;
mod command;
mod doubles;
mod expiry;
mod names;
mod plan;
mod pull;
mod read;
mod receive;
mod records;
mod recover;
mod rights;
mod scrub;
mod sync;
mod trim;
mod verify;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::clears::Clears;
use super::event::{Event, Operation};
use super::keys::{self, RowKey};
use super::messages::Change;
use super::room::Room;
use super::stage::{Family, Source, SourceError, Stage};
use crate::mutants::{self, Mutant};
use catch_up::CatchUp;
pub(crate) use catch_up::question;
pub use catch_up::{PeerView, mark_all_behind};
pub use command::{Action, Command, FieldEdit, PartUpdate, Rejected, Sending, Target, Written};
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::{Actor, Clock, Context, Dot, Hlc, OpId, Row};
pub use read::{Selected, read_rows};
pub use records::RECORDS_PER_SWEEP;
pub use recover::Beginning;
pub(crate) use recover::Remains;
pub use rights::Shortage;
use ring::{NodeId, QBits, VnodeId};
pub(crate) use scrub::comparable;
pub use trim::Trimmed;
pub use verify::Place;
pub(crate) use verify::everything_of;

/// How much of everything.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Concurrent versions of one row; a write that would make more is refused. Default 64.
    pub siblings: usize,
    /// Rows that one operation may touch; a larger one is refused. Default 10,000.
    pub rows_per_operation: usize,
    /// Rows that a removal of a whole removes one by one; more go at once, by a clear. Default 128.
    pub rows_cleared_singly: usize,
    /// Clears that a vnode keeps while an owner is away; beyond it the rows go one by one, as far
    /// as one operation may touch them. Default 1,024.
    pub clears: usize,
    /// Bytes of rows in one message; pulls and syncs go on in the next, reads are refused.
    /// Default 4 MiB.
    pub message_bytes: usize,
    /// Events looked through for one pull. Default 4,096.
    pub events_per_pull: usize,
    /// Events trimmed from the dotlog in one batch. Default 4,096.
    pub events_per_trim: usize,
    /// How long after its first try an operation may be retried, in milliseconds; later it is
    /// refused. Default 15 minutes.
    pub retry_window_ms: u64,
    /// Operation records of one vnode; beyond it writes are refused until the oldest expire.
    /// Default 4,194,304.
    pub records: u64,
    /// How much room the disk has: what of a write is taken. Default [`Room::Ample`].
    pub room: Room,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            siblings: 64,
            rows_per_operation: 10_000,
            rows_cleared_singly: 128,
            clears: 1_024,
            message_bytes: 4 << 20,
            events_per_pull: 4_096,
            events_per_trim: 4_096,
            retry_window_ms: 15 * 60 * 1_000,
            records: 4_194_304,
            room: Room::Ample,
        }
    }
}

/// One replica of one partition.
#[derive(Debug)]
pub struct Vnode {
    id: VnodeId,
    bits: QBits,
    actor: Actor,
    clock: Clock,
    unlogged: Clock,
    durable: Clock,
    peers: BTreeMap<NodeId, PeerView>,
    catch_up: CatchUp,
    records: u64,
    records_swept_to: Vec<u8>,
    /// When the last pass over the records ended.
    records_swept_ms: u64,
    /// The operations that were entered under two spans.
    doubled: records::Doubled,
    /// The operation at which the last pass over them ended.
    voided_to: Option<OpId>,
    /// Records that the bug [`Mutant::RecordOutsideBatch`] has not written yet.
    #[cfg(feature = "mutants")]
    late_records: BTreeMap<OpId, records::Record>,
    expiring: expiry::Expiring,
    clears: Arc<Clears>,
    /// Who has been heard since the vnode began.
    whole: rights::Wholeness,
    /// What this node added to bounded counters and may not spend yet.
    reserved: rights::Reserved,
    /// The operations in bounded counters that were doubled when the vnode began.
    doubled_before: BTreeSet<OpId>,
    syncing: Option<sync::Syncing>,
    /// What a full sync brought and what waits for what lies below it.
    held_back: DotSet,
    /// Events that rows here may show the effects of before they are here; some are here by now.
    borrowed: DotSet,
    /// Own dots that vouch for lost events, and that some owner may not have yet.
    vouched: DotSet,
    /// How far the pass over all rows after a full sync has come; `None` when there is none.
    settling: Option<Vec<u8>>,
}

impl Vnode {
    /// Which one.
    #[must_use]
    pub fn id(&self) -> VnodeId {
        self.id
    }

    /// Under whom it makes events.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// What it has seen.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How many operation records it keeps.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The batches so far have reached the disk.
    pub fn handle_synced(&mut self) {
        if self.durable != self.clock {
            self.durable = self.clock.clone();
        }
    }

    /// This vnode follows `before` within one process: what was not synced then is not now.
    pub(crate) fn handle_restart(&mut self, before: &Self) {
        let lost = before.durable.missing_from(&self.clock);
        self.durable = Clock::of(before.durable.dots().difference(&lost));
        self.follow(before);
    }

    /// Joins a delta into its row and enters its event; the record has it already. Returns the
    /// removal of an alias that this brought to light.
    fn enter(
        &mut self,
        hlc: Hlc,
        event: &Event,
        delta: &Row,
        stage: &mut Stage<'_>,
    ) -> Result<Option<Change>, SourceError> {
        let before = stage.row(&event.row)?;
        self.apply(event, before.clone(), delta, stage);
        self.remove_aliases(hlc, &event.row, &before, &[event], stage)
    }

    /// Joins a delta into its row: the one way in which a new event comes to be reflected here.
    fn apply(&mut self, event: &Event, mut row: Row, delta: &Row, stage: &mut Stage<'_>) {
        row.join(delta);
        chosen(&event.row, &mut row);
        self.clock.insert(event.dot);
        row.strip(&self.clock);
        self.put_row(&event.row, &mut row, stage);
        self.expiring.meet(&row);
        self.log(event, !row.context().is_empty(), stage);
    }

    /// Writes the dotlog entry: a mark that the row still needs settling, and the event.
    fn log(&self, event: &Event, unsettled: bool, stage: &mut Stage<'_>) {
        let mut entry = vec![u8::from(unsettled)];
        entry.extend_from_slice(&event.encode_value());
        stage.put(Family::Dotlog, keys::event_key(self.id, event.dot), entry);
    }

    /// The logged event of a dot; `None` if it is trimmed or unseen.
    fn logged(&self, dot: Dot, stage: &Stage<'_>) -> Result<Option<Event>, SourceError> {
        let key = keys::event_key(self.id, dot);
        let entry = stage.get(Family::Dotlog, &key)?;
        entry
            .map(|entry| decode_entry(&key, &entry).map(|(event, _)| event))
            .transpose()
    }

    /// The dot of the vnode's next event.
    fn next_dot(&self) -> Dot {
        self.clock.next(self.actor)
    }

    /// Makes an event of the vnode's own that no client asked for: its delta is under the next dot.
    fn own_change(
        &mut self,
        hlc: Hlc,
        row: &RowKey,
        delta: Row,
        stage: &mut Stage<'_>,
    ) -> Result<Change, SourceError> {
        self.own_change_of(hlc, row, delta, None, stage)
    }

    /// The same for one that follows from a client's operation.
    fn own_change_of(
        &mut self,
        hlc: Hlc,
        row: &RowKey,
        delta: Row,
        operation: Option<Operation>,
        stage: &mut Stage<'_>,
    ) -> Result<Change, SourceError> {
        let dot = self.next_dot();
        let (first, last) = (dot.counter, dot.counter);
        let event = Event {
            dot,
            row: row.clone(),
            first,
            last,
            hlc,
            operation,
            covers: DotSet::default(),
        };
        self.note(&[&event], stage)?;
        let before = stage.row(row)?;
        self.apply(&event, before, &delta, stage);
        Ok(Change { event, delta })
    }

    /// Writes which dots have no dotlog entry; at its creation, that there is such a vnode.
    pub fn checkpoint(&self, stage: &mut Stage<'_>) {
        stage.put(
            Family::Meta,
            keys::checkpoint_key(self.id),
            self.unlogged.encode(),
        );
    }
}

/// An entry of the dotlog: the event, and whether its row still needs settling.
fn decode_entry(key: &[u8], entry: &[u8]) -> Result<(Event, bool), SourceError> {
    let corrupt = |error| SourceError::corrupt(key, error);
    let dot = keys::dot_of_event_key(key).map_err(corrupt)?;
    let (&mark, value) = entry
        .split_first()
        .ok_or_else(|| SourceError::corrupt(key, "an empty entry of the dotlog"))?;
    Ok((Event::decode_value(dot, value).map_err(corrupt)?, mark != 0))
}

/// Joins drop by dots alone; this is where the bug [`Mutant::JoinChooses`] does not.
fn chosen(key: &RowKey, row: &mut Row) {
    if mutants::is_active(Mutant::JoinChooses) && key.leaf() == Leaf::Register {
        let versions = row.versions().iter();
        let latest = versions.max_by_key(|&(&dot, version)| (version.hlc, dot));
        if let Some((&dot, version)) = latest {
            *row = Row::write(dot, version.clone(), row.context().clone());
        }
    }
}

/// The context that covers exactly the versions of a row.
fn versions_of(row: &Row) -> Context {
    let mut context = Context::default();
    row.versions().keys().for_each(|&dot| context.insert(dot));
    context
}

#[cfg(test)]
mod tests;
