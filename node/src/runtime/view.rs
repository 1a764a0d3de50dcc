//! What the network thread may read without asking the committer: rows and clock as one pair.
//!
//! ```text
//!   committer   number odd | engine.write | clock, catching up, number even
//!   reader      number ----------- clock, rows ------------ number
//!               even                                        the same: they belong together
//! ```
//!
//! A reader that meets an odd number, or another one afterwards, tries again a few times and at
//! last sends its read through the committer (a clock newer than the row would turn
//! a fresh write into a delete, an older one makes a dead sibling reappear).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::protocol::clears::Clears;
use crate::protocol::messages::{ReadRows, Refusal, RowsRead};
use crate::protocol::replica::Replica;
use crate::protocol::stage::{Source, SourceError};
use crate::protocol::vnode::{Limits, Vnode, read_rows};
use crdt::Clock;
use ring::VnodeId;

/// The views of all vnodes of a node, shared by the committer, which writes them, and readers.
#[derive(Debug, Default)]
pub(crate) struct Views {
    vnodes: RwLock<BTreeMap<VnodeId, Arc<VnodeView>>>,
}

/// What the committer shows of one vnode.
#[derive(Debug, Default)]
struct VnodeView {
    /// Counts up at the beginning and at the end of every commit; odd in between.
    number: AtomicU64,
    shown: Mutex<Shown>,
}

#[derive(Clone, Debug, Default)]
struct Shown {
    bases: Arc<Clock>,
    clears: Arc<Clears>,
    catching_up: bool,
}

impl Views {
    /// A batch that touches these vnodes is about to be written.
    pub(crate) fn begin(&self, touched: &[VnodeId]) {
        let views = self.vnodes.read().unwrap_or_else(PoisonError::into_inner);
        for view in touched.iter().filter_map(|id| views.get(id)) {
            // A vnode that a failed batch has touched is odd already, and stays it.
            view.number.fetch_or(1, Ordering::SeqCst);
        }
    }

    /// The batch is written: shows the vnode as it is now. A new vnode appears.
    pub(crate) fn publish(&self, vnode: &Vnode) {
        let bases = Arc::new(Clock::of(vnode.clock().dots().bases()));
        self.show(
            vnode.id(),
            Shown {
                bases,
                clears: Arc::clone(vnode.clears()),
                catching_up: vnode.is_catching_up(),
            },
        );
    }

    /// After a failure every vnode began anew: shows these, and none else.
    pub(crate) fn replace(&self, replica: &Replica) {
        let mut kept = BTreeSet::new();
        for vnode in replica.vnodes() {
            self.publish(vnode);
            kept.insert(vnode.id());
        }
        let mut views = self.vnodes.write().unwrap_or_else(PoisonError::into_inner);
        views.retain(|id, _| kept.contains(id));
    }

    /// Shows whether the vnode is catching up, which can change without a write. Tells whether it
    /// still is.
    pub(crate) fn refresh(&self, vnode: &Vnode) -> bool {
        let catching_up = vnode.is_catching_up();
        let views = self.vnodes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = views.get(&vnode.id()) {
            view.shown
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .catching_up = catching_up;
        }
        catching_up
    }

    /// Reads rows and the clock that belongs to them. `None` when the committer must be asked: it
    /// is always writing there, the vnode is not here, the whole clock is wanted, or what is shown
    /// must be durable.
    pub(crate) fn read(
        &self,
        read: &ReadRows,
        limits: &Limits,
        source: &dyn Source,
    ) -> Option<Pair> {
        if read.whole_clock || read.durable.is_some() {
            return None;
        }
        let view = {
            let views = self.vnodes.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(views.get(&read.vnode)?)
        };
        for _ in 0..ATTEMPTS {
            let before = view.number.load(Ordering::SeqCst);
            if before % 2 == 1 {
                continue;
            }
            let shown = view
                .shown
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let rows = read_rows(source, &read.selection, &shown.clears, limits);
            fence(Ordering::SeqCst);
            if view.number.load(Ordering::SeqCst) == before {
                let clock = || Clock::clone(&shown.bases);
                return Some(rows.map(|rows| {
                    rows.map(|selected| selected.answer(read, clock(), shown.catching_up))
                }));
            }
        }
        None
    }

    fn show(&self, id: VnodeId, shown: Shown) {
        let known = {
            let views = self.vnodes.read().unwrap_or_else(PoisonError::into_inner);
            views.get(&id).map(Arc::clone)
        };
        match known {
            Some(view) => {
                let number = view.number.load(Ordering::SeqCst);
                *view.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
                // The next even number, also when nothing was begun.
                view.number.store((number | 1) + 1, Ordering::SeqCst);
            }
            None => {
                let view = VnodeView {
                    number: AtomicU64::new(0),
                    shown: Mutex::new(shown),
                };
                let mut views = self.vnodes.write().unwrap_or_else(PoisonError::into_inner);
                views.insert(id, Arc::new(view));
            }
        }
    }
}

/// Rows and clock. The outer error is the store's; the inner one refuses an answer over the limit.
pub(crate) type Pair = Result<Result<RowsRead, Refusal>, SourceError>;

/// How often a reader tries before it asks the committer.
const ATTEMPTS: usize = 3;
