//! What a share truly reflects: sets of events where the share has totals.

use std::collections::{BTreeMap, BTreeSet};

use crdt::{Dot, OpId};

/// The increments of one share by their dots.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ghost {
    pub(crate) added: BTreeSet<Dot>,
    pub(crate) reset: BTreeSet<Dot>,
    pub(crate) voided: BTreeSet<Dot>,
}

impl Ghost {
    pub(crate) fn join(&mut self, other: &Self) {
        self.added.extend(&other.added);
        self.reset.extend(&other.reset);
        self.voided.extend(&other.voided);
    }

    /// The increments that count.
    pub(crate) fn alive(&self) -> impl Iterator<Item = Dot> + '_ {
        let gone = |dot: &Dot| self.reset.contains(dot) || self.voided.contains(dot);
        self.added.iter().copied().filter(move |dot| !gone(dot))
    }
}

/// Every operation of a run, and every dot it was applied under.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) operations: Vec<Operation>,
    pub(crate) amounts: BTreeMap<Dot, i64>,
}

/// One increment that a client wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) id: OpId,
    pub(crate) key: u8,
    pub(crate) amount: i64,
}

impl History {
    pub(crate) fn begin(&mut self, key: u8, amount: i64) -> Operation {
        let sequence = self.operations.len() as u64;
        let id = OpId {
            client: 1,
            sequence,
        };
        let operation = Operation { id, key, amount };
        self.operations.push(operation);
        operation
    }

    /// The sum of the increments that count in `ghost`.
    pub(crate) fn value(&self, ghost: &Ghost) -> i128 {
        ghost
            .alive()
            .map(|dot| i128::from(self.amounts[&dot]))
            .sum()
    }
}
