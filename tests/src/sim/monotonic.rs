//! Monotonic reads, in the runs whose plan has them: three reads of four are. What they show is
//! kept, because none that begins later may show less.

use std::collections::BTreeSet;

use super::orders::Attempt;
use super::queue::Instant;
use super::world::World;
use crate::invariants::monotonic_reads;
use crdt::Dot;
use starling::wire::Durability;
use starling_node::protocol::coordinator::ReadDone;
use starling_node::protocol::keys::KeyPrefix;
use starling_node::protocol::messages::{RowsRead, Selection};

/// What a monotonic read has shown of a key.
#[derive(Debug)]
pub(crate) struct Shown {
    /// When it was answered.
    pub(crate) at: Instant,
    /// How many promises had been taken back when it began. With one more, somebody may have lost
    /// what it counted on.
    pub(crate) forsaken: u64,
    /// The versions.
    pub(crate) versions: BTreeSet<Dot>,
    /// Those that earlier ones had shown, and this one did not.
    pub(crate) gone: BTreeSet<Dot>,
}

/// What a node is asked to answer durably: then it stands by what it has seen of the key.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) prefix: KeyPrefix,
    pub(crate) durability: Durability,
}

impl Standing {
    pub(crate) fn of(selection: &Selection, durability: Durability) -> Option<Self> {
        let Selection::Key(prefix) = selection else {
            return None;
        };
        let prefix = prefix.clone();
        Some(Self { prefix, durability })
    }
}

impl World {
    /// A key, and how often it is read rather than changed. Where reads are monotonic they follow
    /// each other and the writes of the key closely: soon all owners have the same.
    pub(crate) fn choose_subject(&mut self) -> (usize, f64) {
        let any = self.random.usize(..self.ledger.subjects.len());
        if !self.plan.monotonic {
            return (any, 0.35);
        }
        let last = self.ledger.operations.last().map(|last| last.subject);
        let again = last.filter(|_| self.chance(0.7));
        (again.unwrap_or(any), 0.6)
    }

    /// Is this a read that must be monotonic?
    pub(crate) fn is_monotonic(&self, is_read: bool, sequence: u64) -> bool {
        self.plan.monotonic && is_read && !sequence.is_multiple_of(4)
    }

    /// A node lets out rows that it was asked for durably.
    pub(crate) fn promise_rows(&mut self, node: usize, standing: &Standing, rows: &RowsRead) {
        let entries = self.ledger.entries_of(&standing.prefix);
        let seen = entries.map(|entry| entry.event.dot);
        let seen: Vec<Dot> = seen.filter(|&dot| rows.clock.contains(dot)).collect();
        let now = self.queue.now();
        for dot in seen {
            self.ledger.promise(dot, node, standing.durability, now);
        }
    }

    /// The same of this node's own coordinator.
    pub(crate) fn promise_own_rows(&mut self, node: usize, ticket: u64, rows: &RowsRead) {
        let operation = self.attempts.get(&ticket).map(|attempt| attempt.operation);
        let operation = operation.map(|operation| &self.ledger.operations[operation]);
        let Some(asked) = operation.filter(|operation| operation.is_monotonic) else {
            return;
        };
        let standing = Standing {
            prefix: self.ledger.subjects[asked.subject].prefix.clone(),
            durability: asked.durability,
        };
        self.promise_rows(node, &standing, rows);
    }

    /// A monotonic read is answered.
    pub(crate) fn note_shown(&mut self, attempt: &Attempt, subject: usize, done: &ReadDone) {
        let versions = done.rows.values().flat_map(|row| row.versions().keys());
        let versions: BTreeSet<Dot> = versions.copied().collect();
        let mut gone = BTreeSet::new();
        for earlier in monotonic_reads::owed(&self.ledger, subject, attempt.began) {
            self.tally.count("a monotonic read was checked");
            gone.extend(earlier.versions.difference(&versions));
            gone.extend(earlier.gone.difference(&versions));
        }
        let shown = Shown {
            at: self.queue.now(),
            forsaken: attempt.forsaken,
            versions,
            gone,
        };
        self.ledger.show(subject, shown);
    }
}
