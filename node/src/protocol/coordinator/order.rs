//! Orders: what clients want of a coordinator, and what came of it.

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use crate::protocol::keys::{KeyPrefix, RowKey};
use crate::protocol::messages::{ReadRows, Refusal, RowsRead, Selection};
use crate::protocol::time::Time;
use crate::protocol::vnode::{Command, Rejected};
use crdt::dots::DotSet;
use crdt::{Context, Row};
use ring::{NodeId, VnodeId};
use starling::wire::Durability;

/// What a client wants, checked by the server.
#[derive(Debug, Clone)]
pub enum Order {
    /// Read rows.
    Read(ReadOrder),
    /// Change a key.
    Write(WriteOrder),
    /// Show what every owner holds.
    Inspect(ReadOrder),
}

impl Order {
    /// The vnode that it is about.
    pub(super) fn vnode(&self) -> VnodeId {
        match self {
            Self::Read(read) | Self::Inspect(read) => read.vnode,
            Self::Write(write) => write.vnode,
        }
    }

    /// Until when its client waits.
    #[must_use]
    pub fn deadline(&self) -> Time {
        match self {
            Self::Read(read) | Self::Inspect(read) => read.deadline,
            Self::Write(write) => write.deadline,
        }
    }

    /// May nodes that own nothing of it stand in for its owners?
    #[must_use]
    pub fn is_sloppy(&self) -> bool {
        matches!(self, Self::Write(write) if write.sloppy)
    }
}

/// A read.
#[derive(Debug, Clone)]
pub struct ReadOrder {
    /// The vnode of the key.
    pub vnode: VnodeId,
    /// Which rows.
    pub selection: Selection,
    /// How many owners must answer.
    pub r: u8,
    /// This node's replica alone.
    pub local: bool,
    /// The key to pull where replicas differ; `None` to leave that to anti-entropy.
    pub repair: Option<KeyPrefix>,
    /// Of a session: what it has seen of the vnode, which the answer must hold.
    pub session: Option<DotSet>,
    /// Of a monotonic read: how durably r owners, which are more than half of them, must hold what
    /// the answer shows before it leaves.
    pub monotonic: Option<Durability>,
    /// Until when.
    pub deadline: Time,
}

impl ReadOrder {
    /// What an owner is asked: for all bodies, or for those of up to so many bytes. What owners
    /// show of names is no equal rows, so all of it comes with its bodies.
    pub(super) fn request(&self, bodies_up_to: Option<u32>) -> ReadRows {
        let is_of_names = matches!(self.selection, Selection::Names { .. });
        let bodies_up_to = bodies_up_to.filter(|_| !is_of_names);
        ReadRows {
            vnode: self.vnode,
            selection: self.selection.clone(),
            whole_clock: self.session.is_some() || self.monotonic.is_some(),
            durable: self.monotonic,
            bodies_up_to,
        }
    }
}

/// A write.
#[derive(Debug, Clone)]
pub struct WriteOrder {
    /// The vnode of the key.
    pub vnode: VnodeId,
    /// What to do.
    pub command: Command,
    /// How many must have it: owners, and in a sloppy write stand-ins.
    pub w: u8,
    /// How many owners must have it; less than `w` has a meaning only in a sloppy write.
    pub pw: u8,
    /// Stand-ins may take the place of owners that are away.
    pub sloppy: bool,
    /// How durable at each of them.
    pub durability: Durability,
    /// Rows to answer with, as they are here after the write.
    pub read_back: Option<Selection>,
    /// Of a session: what it has seen of the vnode, which this node must hold before it writes.
    pub session: Option<DotSet>,
    /// Until when.
    pub deadline: Time,
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Of a read.
    Read(Result<ReadDone, OrderFailed>),
    /// Of a write.
    Written(Result<WriteDone, OrderFailed>),
    /// Of an inspection: every owner in the order of the preference list.
    Inspected(Answers),
}

impl Outcome {
    /// Was the order carried out as was asked?
    pub(super) fn is_success(&self) -> bool {
        match self {
            Self::Read(done) => done.is_ok(),
            Self::Written(done) => done.is_ok(),
            Self::Inspected(_) => true,
        }
    }
}

/// What every owner of a key answered, in the order of the preference list.
pub type Answers = Vec<(NodeId, Result<RowsRead, OrderFailed>)>;

/// A read that enough owners answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadDone {
    /// The joined rows.
    pub rows: BTreeMap<RowKey, Row>,
    /// The rows are complete only as far as this key; `None` for all that was asked for.
    pub until: Option<ByteBuf>,
    /// The rows are a sample: those of which the hash, of the part or of the name, is below this.
    pub sampled: Option<u64>,
    /// What a reader of none of the rows has seen.
    pub bases: Context,
    /// What a reader of all of them has seen.
    pub context: Context,
    /// How many owners the rows are joined from.
    pub answered: u8,
    /// Of a session: what it has seen now.
    pub seen: DotSet,
}

/// A write that enough owners have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteDone {
    /// What the writer has now seen of each key that it wrote, in the order of the command.
    pub contexts: Vec<Context>,
    /// How many have it: owners and stand-ins.
    pub acks: u8,
    /// How many of them are stand-ins.
    pub stand_ins: u8,
    /// How many owners there are.
    pub owners: u8,
    /// The rows that were asked for, as they are here.
    pub rows: Option<BTreeMap<RowKey, Row>>,
    /// It was a retry of an operation that had been entered before.
    pub repeated: bool,
    /// Of a session: what it has seen now.
    pub seen: DotSet,
}

/// Why an order failed, and what is true of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderFailed {
    /// This node does not own the key. Nothing was done.
    NotOwner,
    /// Too many orders are under way, or this one has waited until its deadline before anybody
    /// took it up. Nothing was done.
    Overloaded,
    /// Too few owners can be reached. Nothing was done.
    Unavailable {
        /// Owners that can be reached, this node included.
        reachable: u8,
        /// How many are needed.
        required: u8,
    },
    /// Too few owners and stand-ins can be reached. Nothing was done.
    TooFewStandIns {
        /// Owners that can be reached, this node included.
        owners: u8,
        /// Stand-ins that can be reached, this node included.
        stand_ins: u8,
        /// How many are needed together.
        required: u8,
    },
    /// The write was refused. Nothing was done.
    Rejected(Rejected),
    /// A replica refused. Nothing was done, except that a write which its store failed on
    /// ([`Refusal::Storage`], [`Refusal::DiskFull`]) may be found in its log later.
    Refused(Refusal),
    /// Too few owners answered the read, or none of those left can.
    TooFewAnswers {
        /// Owners that answered and count.
        answered: u8,
        /// How many are needed.
        required: u8,
        /// The deadline passed, rather than owners failing.
        timed_out: bool,
    },
    /// Too few owners said in time that they hold all that a monotonic read would have shown.
    Unconfirmed {
        /// Owners that hold it.
        holding: u8,
        /// How many are needed.
        required: u8,
    },
    /// No owner that answered in time holds all that the session has seen. Nothing was done.
    SessionBehind,
    /// All owners answered, and none holds what the session has seen of one of them. Nothing was
    /// done.
    SessionLost,
    /// The deadline passed before this node knew whether it entered the write: it may be applied.
    Unknown,
    /// The write is entered here and at `acks` owners or stand-ins in all; it will reach all
    /// owners.
    BelowQuorum {
        /// Owners that have it.
        acks: u8,
        /// How many were asked for.
        required: u8,
    },
}
