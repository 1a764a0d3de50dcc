//! How much room the disk has left, and what a node takes on with that: a pure machine.
//!
//! RocksDB writes no more after a log that it could not write. So a node stops growing while there
//! still is room for what must go on: deletes, compaction, the log of both.
//!
//! ```text
//!   free space      0 ........ 1/4 ........ 1/2 ........ reserve ....... 5/4 ..........
//!   falling      |---- Spent ----|------------ Scarce ------|-------- Ample -----------
//!   rising       |--------- Spent ----------|-------- Scarce ---------|----- Ample ----
//! ```
//!
//! The two rows differ, so that a disk at the edge does not turn the node on and off (hysteresis).

/// How much room there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Everything is taken.
    #[default]
    Ample,
    /// What makes the store larger is refused. Reads, removals and pulls by others go on.
    Scarce,
    /// Every write is refused, also one that is here already: nothing may be promised. Reads and
    /// pulls by others go on.
    Spent,
}

/// Tells from free space how much room there is.
#[derive(Debug, Clone)]
pub struct RoomGauge {
    reserve: u64,
    room: Room,
}

impl Room {
    /// Is growth taken?
    #[must_use]
    pub fn takes_growth(self) -> bool {
        self == Self::Ample
    }

    /// Is any write taken?
    #[must_use]
    pub fn takes_writes(self) -> bool {
        self != Self::Spent
    }

    /// Is a write taken that grows the store, or does not?
    #[must_use]
    pub fn takes(self, grows: bool) -> bool {
        match self {
            Self::Ample => true,
            Self::Scarce => !grows,
            Self::Spent => false,
        }
    }
}

impl RoomGauge {
    /// The smallest reserve, in bytes: 16 MiB, which a store needs to be opened again.
    pub const LEAST: u64 = 16 << 20;

    /// A gauge of a disk of which `reserve` bytes shall stay free; less than [`RoomGauge::LEAST`]
    /// counts as that. Before the first measurement it says that there is room.
    #[must_use]
    pub fn new(reserve: u64) -> Self {
        Self {
            reserve: reserve.max(Self::LEAST),
            room: Room::Ample,
        }
    }

    /// So many bytes are free. Returns what that makes of the room.
    pub fn handle_free(&mut self, free: u64) -> Room {
        let reserve = self.reserve;
        let (ample, spent) = match self.room {
            Room::Ample => (reserve, reserve / 4),
            Room::Scarce => (reserve.saturating_add(reserve / 4), reserve / 4),
            Room::Spent => (reserve.saturating_add(reserve / 4), reserve / 2),
        };
        self.room = if free >= ample {
            Room::Ample
        } else if free >= spent {
            Room::Scarce
        } else {
            Room::Spent
        };
        self.room
    }

    /// How much room there was at the last measurement.
    #[must_use]
    pub fn room(&self) -> Room {
        self.room
    }
}

#[cfg(test)]
mod tests {
    use super::{Room, RoomGauge};

    const RESERVE: u64 = 100 << 20;

    /// What a gauge says of each of these, in hundredths of the reserve.
    fn said(free: &[u64]) -> Vec<Room> {
        let mut gauge = RoomGauge::new(RESERVE);
        let percent = |&free: &u64| gauge.handle_free(free << 20);
        free.iter().map(percent).collect()
    }

    #[test]
    fn growth_ends_below_the_reserve_and_all_writes_below_a_quarter_of_it() {
        use Room::{Ample, Scarce, Spent};

        assert_eq!(RoomGauge::new(RESERVE).room(), Ample);
        assert_eq!(
            said(&[1_000, 100, 99, 25, 24, 0]),
            [Ample, Ample, Scarce, Scarce, Spent, Spent]
        );
        assert_eq!(said(&[0]), [Spent], "from one measurement to the next");
    }

    #[test]
    fn a_disk_at_the_edge_does_not_turn_the_node_on_and_off() {
        use Room::{Ample, Scarce, Spent};

        assert_eq!(said(&[99, 100, 101, 124]), [Scarce; 4]);
        assert_eq!(said(&[99, 125, 100, 124]), [Scarce, Ample, Ample, Ample]);
        assert_eq!(
            said(&[24, 25, 49, 50, 25]),
            [Spent, Spent, Spent, Scarce, Scarce]
        );
        assert_eq!(said(&[0, 200]), [Spent, Ample]);
    }

    #[test]
    fn what_does_not_grow_is_taken_until_nothing_is() {
        let taken = |room: Room| (room.takes(true), room.takes(false));
        assert_eq!(taken(Room::Ample), (true, true));
        assert_eq!(taken(Room::Scarce), (false, true));
        assert_eq!(taken(Room::Spent), (false, false));
    }

    #[test]
    fn the_reserve_is_never_so_small_that_a_store_cannot_be_opened_again() {
        let mut gauge = RoomGauge::new(0);
        assert_eq!(gauge.handle_free(RoomGauge::LEAST - 1), Room::Scarce);
        assert_eq!(
            RoomGauge::new(u64::MAX).handle_free(u64::MAX - 1),
            Room::Scarce
        );
    }
}
