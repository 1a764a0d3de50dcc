//! What must hold in every run, one file for each promise.
//!
//! | invariant | promise of the design | looked at |
//! |---|---|---|
//! | `aliases` | 5: who covers one copy of a retried write covers all | the end |
//! | `causality` | 3, 4: no sibling vanishes unread, nothing covered returns | commits, the end |
//! | `contexts` | 3: a context covers what its reader saw, or what was overwritten | every read |
//! | `contiguity` | an actor's own events have no gaps | every commit |
//! | `convergence` | 2: replicas become byte-identical | the end |
//! | `counters` | 5: an increment counts once, whatever is retried | the end |
//! | `deadlines` | 10: nothing is done for somebody who has given it up | every batch |
//! | `durability` | 1: what a node promised survives what the level says | every start, the end |
//! | `hints` | a stand-in drops what every owner has, and nothing else | every drop, the end |
//! | `marks` | what lengths are estimated from and what a clear resets are the rows | the end |
//! | `monotonic_reads` | 9: a monotonic read shows no less than one before it | every read |
//! | `naming` | one dot names one row and one operation, for ever | every commit |
//! | `outcomes` | 7: what was called *not applied* is not applied | the end |
//! | `quorum_reads` | 9: a read that overlaps an acknowledged write sees it | every read |
//! | `retries` | 5: who holds an operation's events knows it again | every write |
//! | `sessions` | 6: a session reads its writes and never goes back | every read |
//! | `spans` | an atomic batch arrives whole | every commit |
//! | `trimming` | what is trimmed survives every crash at every owner | every start |

mod aliases;
mod causality;
mod contexts;
mod contiguity;
pub(crate) mod convergence;
mod counters;
mod deadlines;
mod durability;
mod hints;
mod marks;
pub(crate) mod monotonic_reads;
mod naming;
mod outcomes;
pub(crate) mod quorum_reads;
mod retries;
mod sessions;
mod spans;
mod trimming;

use crate::sim::ledger::Ledger;
use crate::sim::queue::Instant;
use crate::sim::sessions::Known;
use crdt::Dot;
use starling_node::protocol::coordinator::ReadDone;
use starling_node::protocol::event::Event;
use starling_node::protocol::keys::RowKey;
use starling_node::protocol::replica::Replica;
use starling_node::protocol::stage::Source;
use starling_node::protocol::vnode::Vnode;

/// Something to compare with the ledger.
pub(crate) enum Observation<'a> {
    /// A node wrote a batch: what it changed of one vnode.
    Committed(Committed<'a>),
    /// A node began, and recovered its vnodes.
    Recovered { node: usize, replica: &'a Replica },
    /// A vnode entered a client's write, or knew it again.
    Entered {
        node: usize,
        operation: usize,
        /// It held events of the operation before.
        is_known: bool,
        is_repeated: bool,
    },
    /// A stand-in drops an event: what it knows of an owner whose disk is as it was.
    Dropped {
        node: usize,
        dot: Dot,
        owner: usize,
        /// The owner has the event.
        holds: bool,
    },
    /// A node did something that is of use only while somebody waits for it.
    CarriedOut {
        node: usize,
        what: &'static str,
        at: Instant,
        /// Until when somebody waited.
        until: Instant,
    },
    /// A coordinator answered a read.
    Read(Answered<'a>),
    /// All faults are healed and the cluster has come to rest.
    Quiet(&'a [Resting<'a>]),
}

/// What a batch changed of one vnode.
pub(crate) struct Committed<'a> {
    pub(crate) node: usize,
    pub(crate) vnode: &'a Vnode,
    /// The events that the batch entered, own and received.
    pub(crate) events: &'a [Event],
    /// The rows that it changed.
    pub(crate) rows: &'a [RowKey],
    pub(crate) source: &'a dyn Source,
}

/// An answered read.
pub(crate) struct Answered<'a> {
    pub(crate) subject: usize,
    pub(crate) r: u8,
    /// When its coordinator began.
    pub(crate) began: Instant,
    pub(crate) done: &'a ReadDone,
    pub(crate) is_monotonic: bool,
    /// What the client knows of the key, if it is a session.
    pub(crate) known: Option<&'a Known>,
}

/// A node at rest.
pub(crate) struct Resting<'a> {
    pub(crate) node: usize,
    pub(crate) replica: &'a Replica,
    pub(crate) source: &'a dyn Source,
}

/// One promise, and how it is checked.
pub(crate) struct Invariant {
    /// Its name, which is its file's.
    pub(crate) name: &'static str,
    /// Says what is wrong, if something is. It passes over observations that are not its own.
    pub(crate) check: Check,
}

/// Holds an observation against the ledger.
type Check = fn(&Observation<'_>, &Ledger) -> Result<(), String>;

/// All of them.
pub(crate) const TABLE: &[Invariant] = &[
    Invariant {
        name: "naming",
        check: naming::check,
    },
    Invariant {
        name: "contiguity",
        check: contiguity::check,
    },
    Invariant {
        name: "spans",
        check: spans::check,
    },
    Invariant {
        name: "causality",
        check: causality::check,
    },
    Invariant {
        name: "contexts",
        check: contexts::check,
    },
    Invariant {
        name: "quorum_reads",
        check: quorum_reads::check,
    },
    Invariant {
        name: "monotonic_reads",
        check: monotonic_reads::check,
    },
    Invariant {
        name: "sessions",
        check: sessions::check,
    },
    Invariant {
        name: "durability",
        check: durability::check,
    },
    Invariant {
        name: "trimming",
        check: trimming::check,
    },
    Invariant {
        name: "hints",
        check: hints::check,
    },
    Invariant {
        name: "deadlines",
        check: deadlines::check,
    },
    Invariant {
        name: "convergence",
        check: convergence::check,
    },
    Invariant {
        name: "marks",
        check: marks::check,
    },
    Invariant {
        name: "aliases",
        check: aliases::check,
    },
    Invariant {
        name: "retries",
        check: retries::check,
    },
    Invariant {
        name: "outcomes",
        check: outcomes::check,
    },
    Invariant {
        name: "counters",
        check: counters::check,
    },
];
