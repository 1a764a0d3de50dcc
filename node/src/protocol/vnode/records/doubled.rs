//! Which operations were entered under two spans or more, and under which dots.

use std::collections::BTreeMap;

use crdt::dots::DotSet;
use crdt::{Applications, Dot, OpId};

/// The operations that a vnode has records of with two spans or more.
#[derive(Debug, Clone, Default)]
pub(in crate::protocol::vnode) struct Doubled {
    /// Does an increment of it still count twice?
    counts_twice: BTreeMap<OpId, bool>,
    dots: DotSet,
}

impl Doubled {
    /// Enters an operation, of which something may count twice.
    pub(in crate::protocol::vnode) fn enter(&mut self, id: OpId, applied: &Applications) {
        self.counts_twice.insert(id, true);
        self.dots.join(&dots_of(applied));
    }

    /// Nothing of this operation counts twice any more.
    pub(in crate::protocol::vnode) fn settle(&mut self, id: OpId) {
        self.counts_twice.insert(id, false);
    }

    /// The records of these operations go.
    pub(in crate::protocol::vnode) fn forget(&mut self, gone: &[(OpId, Applications)]) {
        let mut dots = DotSet::default();
        for (id, applied) in gone {
            if self.counts_twice.remove(id).is_some() {
                dots.join(&dots_of(applied));
            }
        }
        if !dots.is_empty() {
            self.dots = self.dots.difference(&dots);
        }
    }

    /// There is no record of it after all.
    pub(in crate::protocol::vnode) fn drop_unrecorded(&mut self, id: OpId) {
        self.counts_twice.remove(&id);
    }

    pub(in crate::protocol::vnode) fn is_empty(&self) -> bool {
        self.counts_twice.is_empty()
    }

    pub(in crate::protocol::vnode) fn contains(&self, id: OpId) -> bool {
        self.counts_twice.contains_key(&id)
    }

    /// Is this dot of one of them?
    pub(in crate::protocol::vnode) fn names(&self, dot: Dot) -> bool {
        self.dots.contains(dot)
    }

    /// Does an increment of it still count twice? `None` if it is not doubled.
    pub(in crate::protocol::vnode) fn counts_twice(&self, id: OpId) -> Option<bool> {
        self.counts_twice.get(&id).copied()
    }

    /// Those of which something may count twice, in order.
    pub(in crate::protocol::vnode) fn open(&self) -> Vec<OpId> {
        let all = self.counts_twice.iter();
        all.filter(|(_, twice)| **twice)
            .map(|(&id, _)| id)
            .collect()
    }

    /// All of them, in order.
    pub(in crate::protocol::vnode) fn all(&self) -> Vec<OpId> {
        self.counts_twice.keys().copied().collect()
    }
}

fn dots_of(applied: &Applications) -> DotSet {
    let mut dots = DotSet::default();
    for (first, last) in applied.spans() {
        dots.insert_range(first.actor, first.counter, last);
    }
    dots
}
