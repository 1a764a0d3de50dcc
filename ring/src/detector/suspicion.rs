//! What one observer says of a node: the evidence that travels.

use std::fmt;
use std::time::Duration;

use crate::id::NodeId;
use crate::membership::Incarnation;

/// One observer's word about one node in one of its incarnations.
///
/// Of two words by one observer about one incarnation the one with the higher sequence counts, so
/// that they may be lost, repeated and overtaken. A word of [`Level::NONE`] takes back what was
/// said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// Who is suspected.
    pub subject: NodeId,
    /// In which incarnation. A higher one of the subject refutes the suspicion.
    pub incarnation: Incarnation,
    /// Who says so.
    pub observer: NodeId,
    /// Grows with every word of the observer, over its restarts too: it begins at the boot stamp
    /// of each life.
    pub sequence: u64,
    /// How suspicious the silence was.
    pub level: Level,
    /// How long ago the observer said it. Everyone who hands it on adds how long it lay there.
    pub age: Duration,
}

/// A phi in half steps, as it travels: 0 to 127.5 in a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    /// No suspicion.
    pub const NONE: Self = Self(0);

    /// The level of a phi, rounded down, and at least one half: a suspicion is never none.
    pub fn of_phi(phi: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the value is between 1 and 255"
        )]
        let halves = (phi * 2.0).floor().clamp(1.0, 255.0) as u8;
        Self(halves)
    }

    /// The phi, rounded down to halves.
    pub fn phi(self) -> f64 {
        f64::from(self.0) / 2.0
    }

    /// The byte that stands for it.
    pub fn byte(self) -> u8 {
        self.0
    }
}

impl From<u8> for Level {
    fn from(byte: u8) -> Self {
        Self(byte)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.phi().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn a_level_is_phi_in_half_steps() {
        for (phi, shown) in [
            (0.0, 0.5),
            (8.0, 8.0),
            (8.74, 8.5),
            (300.0, 127.5),
            (f64::NAN, 0.0),
        ] {
            assert!((Level::of_phi(phi).phi() - shown).abs() < 1e-9, "{phi}");
        }
        assert!(Level::of_phi(0.1) > Level::NONE);
    }
}
