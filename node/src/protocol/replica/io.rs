//! What goes into a replica and what comes out.

use std::collections::BTreeSet;

use crate::protocol::keys::KeyPrefix;
use crate::protocol::messages::{PeerReply, PeerRequest, ReadRows, Refusal, RowsRead};
use crate::protocol::stage::Changes;
use crate::protocol::time::Time;
use crate::protocol::vnode::{Command, Rejected, Written};
use crdt::dots::DotSet;
use ring::{NodeId, ReplicaCount, Ring, VnodeId};
use starling::wire::Durability;

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A client's write, to be coordinated here. Answered by [`Output::Written`].
    Write {
        /// The coordinator's name for it.
        ticket: u64,
        /// The vnode.
        vnode: VnodeId,
        /// What to do.
        command: Command,
        /// How durable it must be here before the answer.
        durability: Durability,
        /// No owner can be reached: this node owns nothing of it, and enters it as a stand-in.
        stands_in: bool,
        /// Until when somebody waits for it.
        until: Time,
    },
    /// A read of this replica. Answered by [`Output::RowsRead`].
    Read {
        /// The coordinator's name for it.
        ticket: u64,
        /// What to read.
        read: ReadRows,
        /// Until when somebody waits for it.
        until: Time,
    },
    /// A session's write waits until this replica holds these. Answered by [`Output::Held`].
    Hold {
        /// The coordinator's name for the write.
        ticket: u64,
        /// The vnode.
        vnode: VnodeId,
        /// What to hold.
        dots: DotSet,
        /// Whom to pull from what is missing; `None` to pull nothing.
        from: Option<NodeId>,
    },
    /// A peer asks. Answered by [`Output::Answer`].
    Request {
        /// Who.
        from: NodeId,
        /// The shell's name for the call.
        call: u64,
        /// What.
        request: PeerRequest,
        /// Until when the peer waits for the answer.
        until: Time,
    },
    /// A peer answered an [`Output::Call`], or could not be reached (`None`).
    Reply {
        /// Who.
        from: NodeId,
        /// The call's tag.
        tag: u64,
        /// What it said.
        reply: Option<PeerReply>,
    },
    /// A read showed that this replica lacks something of a key that `from` has.
    Repair {
        /// Who has it.
        from: NodeId,
        /// The vnode.
        vnode: VnodeId,
        /// The key.
        prefix: KeyPrefix,
    },
    /// Somebody wants the content of every vnode compared with the other owners now.
    Scrub,
    /// A reader beside the replica could not read something of this vnode. Whether that lasts is
    /// for the walk over what is stored to find out: it goes there next.
    Unread(VnodeId),
    /// The time that [`Replica::poll_timeout`](super::Replica::poll_timeout) named has come.
    Tick,
    /// A new ring, or buckets with another n.
    Topology {
        /// The ring.
        ring: Box<Ring>,
        /// Every n in use.
        counts: Vec<ReplicaCount>,
    },
}

/// What to let out when the batch is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// To [`Input::Write`].
    Written {
        /// The ticket of the write.
        ticket: u64,
        /// What came of it.
        result: Result<Written, WriteError>,
    },
    /// To [`Input::Read`].
    RowsRead {
        /// The ticket of the read.
        ticket: u64,
        /// The rows.
        result: Result<RowsRead, Refusal>,
    },
    /// To [`Input::Hold`].
    Held {
        /// The ticket of the write.
        ticket: u64,
        /// What came of it.
        held: Held,
    },
    /// To [`Input::Request`].
    Answer {
        /// Who asked.
        to: NodeId,
        /// The shell's name for the call.
        call: u64,
        /// The answer.
        reply: PeerReply,
    },
    /// A peer lacks many events of these vnodes that this node has, and of no others: what it
    /// answers to a read is old.
    Behind {
        /// Who.
        peer: NodeId,
        /// Of what.
        vnodes: BTreeSet<VnodeId>,
    },
    /// Ask a peer; the reply comes back as [`Input::Reply`].
    Call {
        /// Whom.
        to: NodeId,
        /// Comes back with the reply.
        tag: u64,
        /// What.
        request: PeerRequest,
        /// Until when this replica waits for the reply.
        until: Time,
    },
}

/// Whether a replica holds what it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Whom it has pulled from what it lacked.
    pub from: Option<NodeId>,
    /// It holds all of it.
    pub is_held: bool,
    /// The peer has answered, whether it had something or not.
    pub has_answered: bool,
}

/// Why a write was not entered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// It was refused; nothing changed.
    Rejected(Rejected),
    /// This node does not serve: it does not own the vnode, or its store failed.
    Refused(Refusal),
}

/// What one batch comes to.
#[derive(Debug)]
pub struct Commit {
    /// Write these as one atomic batch.
    pub changes: Changes,
    /// Then make everything written so far as durable as this.
    pub barrier: Durability,
    /// Then let these out.
    pub outputs: Vec<Output>,
    /// The vnodes whose rows or clocks the batch changes.
    pub touched: Vec<VnodeId>,
}
