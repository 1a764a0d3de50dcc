//! Deliberate bugs, one at a time, that the test suite must catch.
//!
//! Behind the cargo feature `mutants`, which no default build has; without it [`is_active`] is
//! constantly false and the branches vanish.

/// A deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A restarted vnode goes on under its last actor instead of a new one (`rules` 1).
    ActorReused,
    /// Acknowledgements leave before the batch is as durable as was asked.
    AckBeforeWrite,
    /// Reads pair a row with a clock that is newer than it.
    ClockNewerThanRow,
    /// A version's own dot goes into the context as a version-vector entry.
    OwnDotAsVector,
    /// The record of an increment is written outside of the batch of its effect.
    RecordOutsideBatch,
    /// A vnode that is catching up counts towards r.
    CatchingUpCounts,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ActorReused,
        Self::AckBeforeWrite,
        Self::ClockNewerThanRow,
        Self::OwnDotAsVector,
        Self::RecordOutsideBatch,
        Self::CatchingUpCounts,
    ];
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
