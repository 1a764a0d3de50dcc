//! Whether a node can serve, and if not why: what `/readyz` says.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::protocol::room::Room;
use crate::runtime::{Published, Statistics};

/// How far the node is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The store is open, and no cluster is known.
    WaitingForInit,
    /// The ring is known, and so many vnodes are catching up.
    Serving {
        /// All vnodes.
        vnodes: u64,
        /// Those that do not count for reads.
        catching_up: u64,
        /// Vnodes that are damaged and in no use.
        quarantined: u64,
        /// How much room the disk has.
        room: Room,
        /// Why the store failed, if it did: vnodes that could not be recovered serve no more.
        failure: Option<String>,
    },
    /// Another live process has this node's certificate.
    Duplicate,
    /// The node is stopping.
    Draining,
}

/// What is known of a node's stage, shared with its HTTP server.
#[derive(Debug)]
pub(crate) struct Health {
    statistics: Published,
    initialised: AtomicBool,
    duplicate: AtomicBool,
    draining: AtomicBool,
}

impl Health {
    /// Of a node that has just started and whose vnodes show here what they come to.
    pub(crate) fn new(statistics: Published) -> Self {
        Self {
            statistics,
            initialised: AtomicBool::new(false),
            duplicate: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// The ring is known.
    pub(crate) fn set_initialised(&self) {
        self.initialised.store(true, Ordering::Relaxed);
    }

    /// Another process uses this node's certificate, or no longer.
    pub(crate) fn set_duplicate(&self, duplicate: bool) {
        self.duplicate.store(duplicate, Ordering::Relaxed);
    }

    /// The node is stopping.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// The latest numbers.
    pub(crate) fn statistics(&self) -> Arc<Statistics> {
        self.statistics.latest()
    }

    /// The stage.
    pub(crate) fn stage(&self) -> Stage {
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        if is(&self.draining) {
            Stage::Draining
        } else if is(&self.duplicate) {
            Stage::Duplicate
        } else if is(&self.initialised) {
            let statistics = self.statistics.latest();
            let Statistics {
                vnodes,
                catching_up,
                room,
                ..
            } = *statistics;
            Stage::Serving {
                vnodes,
                catching_up,
                quarantined: u64::try_from(statistics.quarantined.len()).unwrap_or(u64::MAX),
                room,
                failure: statistics.failure.clone(),
            }
        } else {
            Stage::WaitingForInit
        }
    }
}

impl Stage {
    /// Whether clients should be sent here. A few vnodes that are catching up do not stand against
    /// it: the other owners are asked in their place. Nor does a disk that is nearly full, for
    /// reads and deletes go on.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Serving {
                vnodes,
                catching_up,
                quarantined,
                room,
                failure,
            } => {
                let away = catching_up.saturating_add(*quarantined);
                let caught_up = away.saturating_mul(TOLERATED) <= *vnodes;
                *vnodes > 0 && caught_up && failure.is_none() && room.takes_writes()
            }
            Self::WaitingForInit | Self::Duplicate | Self::Draining => false,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WaitingForInit => f.write_str(
                "not ready: this node belongs to no cluster yet; run `starling init` once, on any \
                 of its nodes",
            ),
            Self::Serving {
                failure: Some(failure),
                ..
            } => {
                write!(f, "not ready: the store failed: {failure}")
            }
            Self::Serving {
                room: Room::Spent, ..
            } => f.write_str(
                "not ready: the disk is full; all writes are refused, reads go on. Free space, and \
                 writes go on by themselves",
            ),
            Self::Serving { vnodes: 0, .. } => {
                f.write_str("not ready: this node owns no part of the ring, or is about to begin")
            }
            Self::Serving {
                vnodes,
                catching_up,
                quarantined,
                room,
                ..
            } if self.is_ready() => {
                write!(
                    f,
                    "ready: {vnodes} vnodes, {catching_up} of them catching up"
                )?;
                f.write_str(&of_quarantine(*quarantined))?;
                if !room.takes_growth() {
                    f.write_str(
                        "; the disk is nearly full: writes that grow the store are refused until \
                         there is space, reads and deletes go on",
                    )?;
                }
                Ok(())
            }
            Self::Serving {
                vnodes,
                catching_up,
                quarantined,
                ..
            } => write!(
                f,
                "not ready: {catching_up} of {vnodes} vnodes are catching up with the other owners \
                 and do not count for reads yet{}",
                of_quarantine(*quarantined)
            ),
            Self::Duplicate => f.write_str(
                "not ready: another live process uses this node's certificate; both refuse to \
                 coordinate. Stop one of them, then restart the other",
            ),
            Self::Draining => f.write_str("not ready: this node is stopping"),
        }
    }
}

fn of_quarantine(vnodes: u64) -> String {
    if vnodes == 0 {
        return String::new();
    }
    format!(
        "; {vnodes} more are damaged and in no use, the log says which: check the disk; they are \
         filled anew from the other owners by themselves"
    )
}

/// One vnode in so many may be catching up, or damaged.
const TOLERATED: u64 = 10;

#[cfg(test)]
mod tests {
    use super::{Room, Stage};

    fn serving(vnodes: u64, catching_up: u64, failure: Option<&str>) -> Stage {
        Stage::Serving {
            vnodes,
            catching_up,
            quarantined: 0,
            room: Room::Ample,
            failure: failure.map(str::to_owned),
        }
    }

    /// A node that serves with this much room.
    fn with(room: Room) -> Stage {
        Stage::Serving {
            vnodes: 64,
            catching_up: 0,
            quarantined: 0,
            room,
            failure: None,
        }
    }

    #[test]
    fn a_node_is_ready_when_nearly_all_vnodes_are() {
        assert!(serving(64, 0, None).is_ready());
        assert!(serving(64, 6, None).is_ready());
        assert!(!serving(64, 7, None).is_ready());
        assert!(!serving(0, 0, None).is_ready());
        assert!(!serving(64, 0, Some("no space")).is_ready());
        assert!(!Stage::WaitingForInit.is_ready() && !Stage::Draining.is_ready());
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_told_and_a_full_one_is_not_ready() {
        let scarce = with(Room::Scarce);
        assert!(scarce.is_ready() && scarce.to_string().contains("nearly full"));
        assert!(!with(Room::Spent).is_ready());
        assert!(!with(Room::Ample).to_string().contains("disk"));
    }

    #[test]
    fn damaged_vnodes_are_told_and_count_like_those_that_catch_up() {
        let damaged = |quarantined| Stage::Serving {
            vnodes: 60,
            catching_up: 3,
            quarantined,
            room: Room::Ample,
            failure: None,
        };
        assert!(damaged(1).is_ready() && damaged(1).to_string().contains("1 more are damaged"));
        assert!(!damaged(4).is_ready() && damaged(4).to_string().contains("4 more are damaged"));
    }

    #[test]
    fn what_is_not_ready_says_why() {
        for (stage, why) in [
            (serving(64, 60, None), "60 of 64 vnodes are catching up"),
            (serving(64, 0, Some("no space")), "no space"),
            (Stage::WaitingForInit, "starling init"),
            (Stage::Draining, "stopping"),
            (Stage::Duplicate, "certificate"),
            (with(Room::Spent), "the disk is full"),
        ] {
            let text = stage.to_string();
            assert!(
                text.starts_with("not ready") && text.contains(why),
                "{text}"
            );
        }
    }
}
