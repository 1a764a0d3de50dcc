//! Hybrid logical clocks: time that orders events, and runs backwards only where a wall clock that
//! was wrong is put right ([`HlcClock::set_back`]).
//!
//! Kulkarni et al., *Logical Physical Clocks* (OPODIS'14). A stamp is 48 bits of milliseconds and
//! 16 bits of counter. Stamps are read only by the types that say so (last-writer-wins, expiry);
//! dots order everything else.

use std::error::Error;
use std::fmt;

/// A stamp: milliseconds since the Unix epoch in the upper 48 bits, a counter in the lower 16.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(u64);

impl Hlc {
    /// The first stamp of a millisecond. Milliseconds above 48 bits (the year 10889) saturate.
    #[must_use]
    pub fn at(milliseconds: u64) -> Self {
        Self(milliseconds.min(MAX_MILLISECONDS) << COUNTER_BITS)
    }

    /// The stamp whose 64 bits are `bits`.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn milliseconds(self) -> u64 {
        self.0 >> COUNTER_BITS
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.milliseconds(), self.0 & 0xffff)
    }
}

/// A stamp from another node lies too far ahead. It was not taken over; the node that made it, or
/// this one, has a wrong clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriftExceeded {
    /// How many milliseconds the stamp lies ahead.
    pub ahead: u64,
    /// How many are allowed.
    pub allowed: u64,
}

impl fmt::Display for DriftExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ahead, allowed } = self;
        write!(
            f,
            "a stamp lies {ahead} ms ahead, allowed are {allowed} ms: check the clocks"
        )
    }
}

impl Error for DriftExceeded {}

/// The clock of one node. The wall time is an argument.
#[derive(Debug, Clone)]
pub struct HlcClock {
    last: Hlc,
    max_drift: u64,
}

impl HlcClock {
    /// A clock that gives stamps after `floor` and takes over stamps of others up to
    /// `max_drift` milliseconds ahead of the wall (default of the node: 500).
    #[must_use]
    pub fn new(floor: Hlc, max_drift: u64) -> Self {
        Self {
            last: floor,
            max_drift,
        }
    }

    /// A stamp greater than every one given or taken over since it was last set back; `wall` in
    /// milliseconds.
    ///
    /// When the counter of a millisecond is used up the stamp moves into the next one, ahead of
    /// the wall: 65,536 events a millisecond are not reached in practice.
    pub fn stamp(&mut self, wall: u64) -> Hlc {
        self.last = Hlc(self.last.0.saturating_add(1)).max(Hlc::at(wall));
        self.last
    }

    /// Takes over a stamp seen in a message, so that later stamps here are greater.
    ///
    /// # Errors
    /// [`DriftExceeded`] when it lies more than the allowed drift ahead of `wall`; this clock is
    /// then unchanged.
    pub fn observe(&mut self, wall: u64, seen: Hlc) -> Result<(), DriftExceeded> {
        let ahead = seen.milliseconds().saturating_sub(wall);
        if ahead > self.max_drift {
            return Err(DriftExceeded {
                ahead,
                allowed: self.max_drift,
            });
        }
        self.last = self.last.max(seen);
        Ok(())
    }

    /// Goes on from an earlier stamp, because those since then came from a wall clock that was
    /// wrong. Later ones may be smaller than some that were given.
    pub fn set_back(&mut self, to: Hlc) {
        self.last = self.last.min(to);
    }

    /// The greatest stamp given or taken over.
    #[must_use]
    pub fn last(&self) -> Hlc {
        self.last
    }
}

const COUNTER_BITS: u32 = 16;
const MAX_MILLISECONDS: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, proptest};

    use super::{Hlc, HlcClock};

    proptest! {
        #[test]
        fn stamps_grow_whatever_the_wall_does(steps in vec((0_u64..2_000, any::<bool>()), 1..60)) {
            let mut clock = HlcClock::new(Hlc::default(), 500);
            let mut last = Hlc::default();
            for (wall, observes) in steps {
                if observes {
                    let seen = Hlc::at(wall + 400);
                    clock.observe(wall, seen).unwrap();
                    prop_assert!(clock.stamp(wall) > seen);
                }
                let stamp = clock.stamp(wall);
                prop_assert!(stamp > last && stamp.milliseconds() >= wall);
                last = stamp;
            }
        }
    }

    #[test]
    fn a_day_ahead_is_refused_and_poisons_nothing() {
        let mut clock = HlcClock::new(Hlc::default(), 500);
        let refused = clock.observe(1_000, Hlc::at(86_401_000)).unwrap_err();
        assert_eq!((refused.ahead, refused.allowed), (86_400_000, 500));
        assert_eq!(clock.stamp(1_000).milliseconds(), 1_000);
    }
}
