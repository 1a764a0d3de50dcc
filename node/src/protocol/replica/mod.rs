//! All vnodes of a node: what the committer drives.
//!
//! The committer takes every [`Input`] that waits, calls [`Replica::handle_batch`] once, writes the
//! returned changes as one atomic batch, raises the asked [`Commit::barrier`], calls
//! [`Replica::handle_committed`], and only then lets the [`Output`]s out. If the batch cannot be
//! written, [`Replica::handle_failure`] gives the answers instead, and every vnode begins anew from
//! the store.
//!
//! Anti-entropy lives here too (`anti_entropy`): comparing clocks, pulling, syncing. So does
//! housekeeping (`tending`): trimming what all owners hold, sweeping what has expired.

mod again;
mod anti_entropy;
mod aside;
mod calls;
mod config;
mod grants;
mod hinting;
mod io;
mod lag;
mod late;
mod quarantine;
mod requests;
mod scrubbing;
mod tending;
mod topology;
mod turns;
mod walk;
mod walls;

use std::collections::BTreeMap;

use super::hints::Hints;
use super::messages::{Again, PeerReply, Refusal};
use super::room::Room;
use super::stage::{Source, SourceError, Stage};
use super::time::{Moment, Time};
use super::vnode::{Command, Vnode, Written};
pub use aside::Aside;
use aside::Recovered;
use calls::PeerState;
pub use config::ReplicaConfig;
use crdt::hlc::HlcClock;
pub use io::{Commit, Held, Input, Output, WriteError};
pub use lag::Lag;
pub use quarantine::Quarantine;
use ring::{NodeId, PartitionId, QBits, ReplicaCount, Ring, VnodeId};
use starling::wire::Durability;
pub use turns::ScrubCounts;
pub use walls::Past;

/// All vnodes of a node.
#[derive(Debug)]
pub struct Replica {
    node: NodeId,
    config: ReplicaConfig,
    bits: QBits,
    behind: bool,
    random: fastrand::Rng,
    hlc: HlcClock,
    ring: Option<Ring>,
    vnodes: BTreeMap<VnodeId, Vnode>,
    /// Vnodes of this node that could not be read: they are in no use until they can.
    aside: BTreeMap<VnodeId, Aside>,
    /// When such a vnode was recovered last.
    recovered: BTreeMap<VnodeId, Recovered>,
    /// Vnodes of this node that are damaged: they are in no use.
    quarantine: BTreeMap<VnodeId, Quarantine>,
    quarantines: u64,
    /// Where the batch at hand met damage, and what.
    met: Option<(VnodeId, String)>,
    hints: Hints,
    peers: BTreeMap<NodeId, PeerState>,
    calls: BTreeMap<u64, calls::Call>,
    /// The bounded counters for which rights are asked, each in one call at a time.
    asking: grants::Asking,
    next_tag: u64,
    unsynced: bool,
    last_sync: Time,
    last_tick: Time,
    tending: tending::Tending,
    /// The vnode in which expired versions were looked for last.
    expired_in: VnodeId,
    walk: walk::Walk,
    /// What could not be read last, until that is told.
    unread: Option<String>,
    scrubbing: turns::Scrubbing,
    pending: Vec<Pending>,
    stamps_ahead: u64,
    expired: u64,
    walls: walls::Walls,
}

/// Who waits for the batch at hand.
#[derive(Debug)]
enum Pending {
    Write(u64),
    Read(u64),
    Hold(u64, Option<NodeId>),
    Request(NodeId, u64),
}

/// One batch in the making.
struct Batch<'a> {
    now: Moment,
    stage: Stage<'a>,
    barrier: Durability,
    outputs: Vec<Output>,
    touched: Vec<VnodeId>,
}

impl Replica {
    /// A node without vnodes; [`Input::Topology`] brings them. `behind` says that the last shutdown
    /// may have lost what was acknowledged: the machine crashed. `seed` is random: from it come the
    /// nonces of actors, and jitter. `past` is what the life before this one kept.
    #[must_use]
    pub fn new(node: NodeId, config: ReplicaConfig, behind: bool, seed: u64, past: Past) -> Self {
        let hlc = HlcClock::new(past.stamp, config.max_drift_ms);
        let walls = walls::Walls::new(config.max_drift_ms, past.surely_ms);
        Self {
            node,
            hints: Hints::new(config.hints.clone()),
            config,
            bits: QBits::DEFAULT,
            behind,
            random: fastrand::Rng::with_seed(seed),
            hlc,
            ring: None,
            vnodes: BTreeMap::new(),
            aside: BTreeMap::new(),
            recovered: BTreeMap::new(),
            quarantine: BTreeMap::new(),
            quarantines: 0,
            met: None,
            peers: BTreeMap::new(),
            calls: BTreeMap::new(),
            asking: grants::Asking::new(),
            next_tag: 0,
            unsynced: false,
            last_sync: Time::default(),
            last_tick: Time::default(),
            tending: tending::Tending::default(),
            expired_in: VnodeId {
                n: ReplicaCount::DEFAULT,
                partition: PartitionId(0),
            },
            walk: walk::Walk::default(),
            unread: None,
            scrubbing: turns::Scrubbing::default(),
            pending: Vec::new(),
            stamps_ahead: 0,
            expired: 0,
            walls,
        }
    }

    /// Handles a batch of inputs in order, at a moment as the node's own clocks say it.
    ///
    /// # Errors
    /// When the store cannot be read. Nothing of the batch may be written; call
    /// [`Replica::handle_failure`].
    pub fn handle_batch(
        &mut self,
        now: Moment,
        inputs: Vec<Input>,
        source: &dyn Source,
    ) -> Result<Commit, SourceError> {
        let mut batch = Batch {
            now: self.correct(now),
            stage: Stage::new(source),
            barrier: Durability::Memory,
            outputs: Vec::new(),
            touched: Vec::new(),
        };
        self.hints.handle_time(batch.now.time);
        self.pending = inputs.iter().filter_map(Pending::of).collect();
        for input in self.refuse_late(inputs, &mut batch) {
            if let Err(error) = self.handle(input, &mut batch) {
                self.meet(&error);
                return Err(error);
            }
        }
        batch.touched.sort_unstable();
        batch.touched.dedup();
        let Batch {
            stage,
            mut barrier,
            outputs,
            touched,
            ..
        } = batch;
        let changes = stage.into_changes();
        self.unsynced |= !changes.is_empty();
        if crate::mutants::is_active(crate::mutants::Mutant::AckBeforeWrite) {
            barrier = Durability::Memory;
        }
        Ok(Commit {
            changes,
            barrier,
            outputs,
            touched,
        })
    }

    /// The batch is written and the barrier raised.
    pub fn handle_committed(&mut self, now: Time, barrier: Durability) {
        self.pending.clear();
        if barrier == Durability::Synced {
            self.unsynced = false;
            self.last_sync = now;
            self.vnodes.values_mut().for_each(Vnode::handle_synced);
            self.hints.handle_synced();
        }
    }

    /// The batch could not be made or written: nobody is acknowledged, and every vnode begins anew
    /// from the store, since what it remembers may not be there. One that is damaged goes into
    /// quarantine; one that cannot be read is set aside.
    pub fn handle_failure(&mut self, refusal: Refusal, source: &dyn Source) -> Vec<Output> {
        self.forget_marks();
        if let Some((id, reason)) = self.met.take() {
            self.put_into_quarantine(id, reason, source);
        }
        for id in self.vnodes.keys().copied().collect::<Vec<_>>() {
            let Some(before) = self.vnodes.remove(&id) else {
                continue;
            };
            let begun = self.recover(id, Aside::of(before), self.last_tick, source);
            self.vnodes.extend(begun.map(|vnode| (id, vnode)));
        }
        self.find_hints(source);
        let failed = std::mem::take(&mut self.pending)
            .into_iter()
            .map(|waiting| match waiting {
                Pending::Write(ticket) => Output::Written {
                    ticket,
                    result: Err(WriteError::Refused(refusal)),
                },
                Pending::Read(ticket) => Output::RowsRead {
                    ticket,
                    result: Err(refusal),
                },
                Pending::Hold(ticket, from) => Output::Held {
                    ticket,
                    held: Held {
                        from,
                        is_held: false,
                        has_answered: false,
                    },
                },
                Pending::Request(to, call) => Output::Answer {
                    to,
                    call,
                    reply: PeerReply::Refused(refusal),
                },
            });
        failed.collect()
    }

    /// From now on the disk has this much room. With less than ample room what grows the store is
    /// refused and nothing is pulled; with none every write is, and no housekeeping is done.
    pub fn set_room(&mut self, room: Room) {
        self.config.limits.room = room;
    }

    /// When to hand in [`Input::Tick`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.next_timeout()
    }

    /// The clock of a vnode, for the view that readers pair with rows.
    #[must_use]
    pub fn vnode(&self, id: VnodeId) -> Option<&Vnode> {
        self.vnodes.get(&id)
    }

    /// All vnodes, in order.
    pub fn vnodes(&self) -> impl Iterator<Item = &Vnode> {
        self.vnodes.values()
    }

    /// How many stamps of peers lay too far ahead to be taken over: somebody's clock is wrong.
    #[must_use]
    pub fn stamps_ahead(&self) -> u64 {
        self.stamps_ahead
    }

    fn handle(&mut self, input: Input, batch: &mut Batch<'_>) -> Result<(), SourceError> {
        match input {
            Input::Write {
                ticket,
                vnode,
                command,
                durability,
                stands_in,
                until: _,
            } => {
                let result = if stands_in {
                    self.write_as_stand_in(vnode, &command, durability, batch)?
                } else {
                    self.write(vnode, &command, durability, batch)?
                };
                batch.outputs.push(Output::Written { ticket, result });
            }
            Input::Read { ticket, read, .. } => {
                let result = self.read(&read, batch)?;
                batch.outputs.push(Output::RowsRead { ticket, result });
            }
            Input::Hold {
                ticket,
                vnode,
                dots,
                from,
            } => {
                let durability = Durability::Memory;
                let again = Again {
                    vnode,
                    durability,
                    dots,
                };
                self.hold(ticket, from, &again, batch);
            }
            Input::Request {
                from: to,
                call,
                request,
                ..
            } => {
                let answered = self.answer((to, call), request, batch)?;
                let answer = |reply| Output::Answer { to, call, reply };
                batch.outputs.extend(answered.map(answer));
            }
            Input::Reply { from, tag, reply } => self.handle_reply(from, tag, reply, batch)?,
            Input::Repair {
                from,
                vnode,
                prefix,
            } => self.repair(from, vnode, prefix, batch),
            Input::Scrub => self.hurry_scrub(batch.now.time),
            Input::Unread(id) => self.suspect(id),
            Input::Tick => self.handle_tick(batch)?,
            Input::Topology { ring, counts } => self.take_over(*ring, &counts, batch),
        }
        Ok(())
    }

    fn write(
        &mut self,
        id: VnodeId,
        command: &Command,
        durability: Durability,
        batch: &mut Batch<'_>,
    ) -> Result<Result<Written, WriteError>, SourceError> {
        let hlc = self.hlc.stamp(batch.now.wall_ms);
        let written = self.work(id, batch, |vnode, limits, stage| {
            vnode.write(hlc, command, limits, stage)
        })?;
        let written = match written {
            Ok(written) => written,
            Err(refusal) => return Ok(Err(WriteError::Refused(refusal))),
        };
        batch.barrier = batch.barrier.max(durability);
        batch.touched.push(id);
        self.handle_rights(id, command, &written, batch)?;
        Ok(written.map_err(WriteError::Rejected))
    }
}

impl Pending {
    fn of(input: &Input) -> Option<Self> {
        match input {
            Input::Write { ticket, .. } => Some(Self::Write(*ticket)),
            Input::Read { ticket, .. } => Some(Self::Read(*ticket)),
            Input::Hold { ticket, from, .. } => Some(Self::Hold(*ticket, *from)),
            Input::Request { from, call, .. } => Some(Self::Request(*from, *call)),
            Input::Reply { .. }
            | Input::Repair { .. }
            | Input::Scrub
            | Input::Unread(_)
            | Input::Tick
            | Input::Topology { .. } => None,
        }
    }
}
