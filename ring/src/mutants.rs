//! Deliberate bugs in gossip and the detector, one at a time, that the simulations must catch.
//!
//! Behind the cargo feature `mutants`, which no default build has; without it [`is_active`] is
//! constantly false and the branches vanish.

/// A deliberate bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Phi believes whatever deviation was measured, however small.
    PhiWithoutSigmaFloor,
    /// A node that hears that it is suspected says nothing to it.
    RefutationIgnored,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::PhiWithoutSigmaFloor, Self::RefutationIgnored];
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
