//! The parts of the model of blind writes.
//!
//! | module | holds |
//! |---|---|
//! | [`oracle`] | what a replica that has seen these events must show |
//! | [`replica`] | one replica: rows as lists of operands, clock, dotlog |
//! | [`exchange`] | how two replicas become equal: answers, repair, full sync |
//! | [`setting`] | what may happen in a run, and how often it did |
//! | [`world`] | the network, the steps and the checks, driven by a seed |
//! | [`clients`] | reads, writes, tokens, read repair |
//! | [`faults`] | lost tails, clones, replacements |

mod clients;
mod exchange;
mod faults;
mod oracle;
mod replica;
mod setting;
mod world;

pub(crate) use setting::{Setting, Tally};
pub(crate) use world::run;

/// One broken rule. The name in the Python model that this one follows stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A replica applies a delta whose dot it has seen (`nodup`).
    DuplicateApplied,
    /// A delta is stored without its context (`dropctx`).
    ContextDropped,
    /// A write claims its own dot as a vector entry, and so all below it (`vvdot`).
    OwnDotAsVector,
    /// A read's token claims all below each dot it names (`tokenvv`).
    TokenAsVector,
    /// A read's token leaves out the versions that were read (`tokenbase`).
    TokenWithoutVersions,
    /// A write's reply claims all below the new dot (`replyvv`).
    ReplyAsVector,
    /// A delta's context goes into the clock (`ctxclock`).
    ContextIntoClock,
    /// A delta's context is stripped when it arrives (`striprecv`).
    StripAtReceipt,
    /// A fold that does not begin at the oldest operand strips (`strippartial`).
    StripInPartialFold,
    /// Settling strips by the exact clock and not by its bases (`stripexact`).
    StripByExactClock,
    /// A delete has no dot (`nodeldot`).
    DeleteWithoutDot,
    /// A pulled row is appended like a delta and the local row is not filled (`pullblind`).
    PullIsBlind,
    /// A replica that lost its disk's tail goes on under its old actor (`noepoch`).
    ActorKept,
    /// A read fills an older row with the current clock (`read_newclock`).
    ClockNewerThanRow,
}
