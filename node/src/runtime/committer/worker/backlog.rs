//! How far the engine is behind, for those who take writes on: looked at ten times a second.
//!
//! The node's loop reads it from an atomic number, since it must be known when a client asks, and
//! not when the committer, which may wait for the engine by then, comes to it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Worker;
use crate::protocol::replica::Output;
use crate::protocol::time::Time;
use crate::store::Backlog;

/// What was last found.
#[derive(Debug, Default)]
pub(super) struct Watch {
    checked: Option<Time>,
    backlog: Backlog,
    /// The log has said that writes are refused.
    is_told: bool,
}

impl Watch {
    pub(super) fn backlog(&self) -> Backlog {
        self.backlog
    }

    /// When to look next, though nothing is written: who was refused comes again.
    pub(super) fn next_check(&self) -> Option<Time> {
        let checked = self.checked.filter(|_| self.backlog.pressure() > 0);
        checked.map(|checked| checked.after(CHECK_EVERY))
    }
}

impl<F: FnMut(Vec<Output>)> Worker<F> {
    /// Looks at the engine, if it is time.
    pub(super) fn check_backlog(&mut self) {
        let now = self.parts.clock.time();
        let watch = &mut self.watch;
        if watch
            .checked
            .is_some_and(|checked| now < checked.after(CHECK_EVERY))
        {
            return;
        }
        watch.checked = Some(now);
        watch.backlog = self.parts.store.borrow().backlog();
        let (pressure, Backlog { files, bytes, .. }) = (watch.backlog.pressure(), watch.backlog);
        self.shared.pressure.store(pressure, Ordering::Relaxed);
        if pressure >= 1_000 && !watch.is_told {
            watch.is_told = true;
            tracing::warn!(
                files,
                bytes,
                "the store cannot keep up: writes of clients are refused until it has sorted its \
                 files; is the disk slow?"
            );
        } else if pressure == 0 && watch.is_told {
            watch.is_told = false;
            tracing::info!("the store keeps up again");
        }
    }
}

/// Between two looks.
const CHECK_EVERY: Duration = Duration::from_millis(100);
