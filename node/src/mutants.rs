//! Deliberate bugs, one at a time, that the test suite must catch.
//!
//! Behind the cargo feature `mutants`, which no default build has; without it [`is_active`] is
//! constantly false and the branches vanish.

/// A deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A restarted vnode goes on under its last actor instead of a new one.
    ActorReused,
    /// Acknowledgements leave before the batch is as durable as was asked.
    AckBeforeWrite,
    /// Reads pair a row with a clock that is newer than it.
    ClockNewerThanRow,
    /// A version's own dot goes into the context as a version-vector entry.
    OwnDotAsVector,
    /// Operations are not recorded: a retry is not known again.
    NoRecord,
    /// The record of an operation is written some time after the batch of its effect.
    RecordOutsideBatch,
    /// An increment that was applied twice is never made void.
    NotVoided,
    /// Who finds an increment void already takes its amount out once more.
    VoidedTwice,
    /// A context that covers one alias of a version leaves the others alone.
    AliasForgotten,
    /// An item that a retry put elsewhere into a list is taken for an alias of the first.
    AliasElsewhere,
    /// A copy of a version goes with another, whatever it alone was written over.
    AliasTakesAll,
    /// A retry is written over what was written since its first try.
    RetryCovers,
    /// Whoever sees a counter's share reset removes it, before all have seen the reset.
    ShareCollectedEarly,
    /// A join of registers keeps the version with the greatest stamp alone.
    JoinChooses,
    /// A clear is forgotten as soon as its rows are gone, although more may be on their way.
    ClearForgotten,
    /// The walk over expired rows throws their contexts away.
    ExpiryDropsContext,
    /// A vnode that is catching up counts towards r.
    CatchingUpCounts,
    /// A row that is damaged is taken for one that is not there.
    QuarantineSkipped,
    /// The scrub gives back what others show without a look at the clocks.
    RestoredUnchecked,
    /// A stand-in delivers what it keeps under other dots than it has.
    HintUnderNewDot,
    /// A stand-in drops what it keeps when it begins to deliver it.
    HintDroppedEarly,
    /// A stand-in delivers to another node, and takes its answer for that of the owner.
    HintToWrongNode,
    /// What a session has seen is not demanded of who answers it.
    SessionUnchecked,
    /// A monotonic read is answered before enough owners hold what it shows.
    AnsweredUnconfirmed,
    /// A version whose body was left out, and that nobody sends, is shown with an empty one.
    LeftOutTakenForEmpty,
    /// A row that is pulled comes without its context and the clock that explains what it lacks.
    BareContainer,
    /// Others hear of what is not on the disk yet as a reason to trim.
    TrimmedBeforeDurable,
    /// A row that is pulled, in a repair or otherwise, is stored in place of the join with it.
    RepairOverwrites,
    /// What has waited until nobody waits for it any more is done all the same.
    DeadlineIgnored,
    /// A node spends rights of a bounded counter before it knows again what it spent.
    SpendBeforeWhole,
    /// What was added to a bounded counter is spent before a copy of it would be known.
    AddedSpendableAtOnce,
}

impl Mutant {
    /// Those that the simulator must catch.
    pub const ALL: [Self; 29] = [
        Self::ActorReused,
        Self::AckBeforeWrite,
        Self::ClockNewerThanRow,
        Self::OwnDotAsVector,
        Self::NoRecord,
        Self::RecordOutsideBatch,
        Self::NotVoided,
        Self::VoidedTwice,
        Self::AliasForgotten,
        Self::AliasElsewhere,
        Self::AliasTakesAll,
        Self::RetryCovers,
        Self::ShareCollectedEarly,
        Self::JoinChooses,
        Self::ClearForgotten,
        Self::ExpiryDropsContext,
        Self::CatchingUpCounts,
        Self::QuarantineSkipped,
        Self::RestoredUnchecked,
        Self::HintUnderNewDot,
        Self::HintDroppedEarly,
        Self::HintToWrongNode,
        Self::SessionUnchecked,
        Self::AnsweredUnconfirmed,
        Self::LeftOutTakenForEmpty,
        Self::BareContainer,
        Self::TrimmedBeforeDurable,
        Self::RepairOverwrites,
        Self::DeadlineIgnored,
    ];

    /// Those of bounded counters, which a model of its own must catch.
    pub const BOUNDED: [Self; 2] = [Self::SpendBeforeWhole, Self::AddedSpendableAtOnce];
}

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Is this bug switched on in this thread?
    #[must_use]
    pub fn is_active(mutant: Mutant) -> bool {
        ACTIVE.with(Cell::get) == Some(mutant)
    }

    /// Switches one bug on in this thread, or none.
    pub fn activate(mutant: Option<Mutant>) {
        ACTIVE.with(|active| active.set(mutant));
    }
}

#[cfg(not(feature = "mutants"))]
mod switch {
    use super::Mutant;

    /// Never: this build has no deliberate bugs.
    #[must_use]
    pub const fn is_active(_mutant: Mutant) -> bool {
        false
    }
}

pub use switch::*;
