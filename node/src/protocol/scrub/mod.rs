//! Comparing the content of replicas: what one of them has lost in silence is found and given back.
//!
//! Clocks say what a replica has seen, and "seen and absent" means deleted. So a row that a disk
//! forgot, or a bug never wrote, would read as deleted at one owner for ever, and no dot pull would
//! ask for it. The scrub walks over each vnode and compares digests of what rows show with every
//! other owner; where they differ at equal clocks it cuts the range until few rows are left, and
//! compares those one by one.
//!
//! ```text
//!   stretch of rows     Examine([from, to])          digests equal: agreed
//!   differs             Examine([from, .., to])      cut into 16, and again
//!   few rows left       Read(range) of every owner   which dots does who show?
//!   one of three lacks  and it is this one           restored, if nothing has changed meanwhile
//!   anything else       an alarm                     nothing is changed
//! ```
//!
//! Nothing is ever removed, and nothing is changed on the word of less than all other owners, two
//! at least, with clocks equal to this vnode's.

use std::collections::{BTreeMap, BTreeSet};

use crate::mutants::{self, Mutant};
use crate::protocol::keys::RowKey;
use crate::protocol::messages::{Examined, KeyedRow};
use crate::protocol::time::Time;
use crdt::kinds::Leaf;
use crdt::{Context, Dot, Row};
use ring::NodeId;

/// What a comparison of the rows of all owners at equal clocks finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// What only this owner lacks: it is to be joined into its rows.
    pub restored: Vec<(RowKey, Row)>,
    /// Versions that one other owner lacks: it will find out itself.
    pub lacking_there: u64,
    /// Versions of which nobody can say who is right.
    pub alarms: u64,
}

impl Finding {
    /// Compares this owner's rows with those of all others.
    #[must_use]
    pub fn of(mine: &[KeyedRow], others: &[Vec<KeyedRow>]) -> Self {
        let owners: Vec<BTreeMap<&RowKey, &Row>> = std::iter::once(mine)
            .chain(others.iter().map(Vec::as_slice))
            .map(|rows| rows.iter().map(|keyed| (&keyed.key, &keyed.row)).collect())
            .collect();
        let keys: BTreeSet<&RowKey> = owners.iter().flat_map(BTreeMap::keys).copied().collect();
        let mut finding = Self::default();
        for key in keys {
            let rows: Vec<Option<&Row>> =
                owners.iter().map(|rows| rows.get(key).copied()).collect();
            let shown = rows.iter().flatten().flat_map(|row| row.versions().keys());
            let dots: BTreeSet<Dot> = shown.copied().collect();
            for dot in dots {
                finding.judge(key, dot, &rows);
            }
        }
        finding
    }

    /// Who lacks one version?
    fn judge(&mut self, key: &RowKey, dot: Dot, rows: &[Option<&Row>]) {
        let held = rows
            .iter()
            .map(|row| row.and_then(|row| row.versions().get(&dot)));
        let held: Vec<_> = held.collect();
        let mut versions = held.iter().flatten();
        let Some(&first) = versions.next() else {
            return;
        };
        let lacking: Vec<usize> = (0..held.len()).filter(|&at| held[at].is_none()).collect();
        let are_equal = versions.all(|version| *version == first);
        match lacking[..] {
            [] if are_equal => {}
            // A node's rights are its own: what it forgot of them, it waits for in another way.
            [0] if are_equal && rows.len() >= LEAST_OWNERS && key.leaf() != Leaf::Rights => {
                let restored = Row::write(dot, first.clone(), Context::default());
                self.restored.push((key.clone(), restored));
            }
            [there] if there > 0 && are_equal && rows.len() >= LEAST_OWNERS => {
                self.lacking_there += 1;
            }
            _ => self.alarms += 1,
        }
    }
}

/// Which of the ranges differ at some owner from what they come to here. `None` if the clocks do
/// too, where that means nothing.
#[must_use]
pub fn differing(mine: &Examined, others: &[Examined]) -> Option<BTreeSet<usize>> {
    let mut differing = BTreeSet::new();
    let mut are_equal = true;
    for theirs in others {
        are_equal &= theirs.clock == mine.clock || mutants::is_active(Mutant::RestoredUnchecked);
        let digests = mine.digests.iter().enumerate();
        differing.extend(digests.filter_map(|(at, digest)| {
            let is_equal = digest.is_some() && theirs.digests.get(at) == Some(digest);
            (!is_equal).then_some(at)
        }));
    }
    (differing.is_empty() || are_equal).then_some(differing)
}

/// One vnode under comparison.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The nonce of its actor: when it begins anew, so does the comparison.
    pub(crate) nonce: u64,
    /// When it began: what is found equal was so from then on.
    pub(crate) began: Time,
    /// Where the next stretch begins; `None` for the beginning.
    pub(crate) at: Option<Vec<u8>>,
    /// The stretch at hand is the last.
    pub(crate) is_last: bool,
    /// All so far was equal at every owner.
    pub(crate) agrees: bool,
    /// What is left to compare of the stretch at hand.
    pub(crate) work: Vec<Task>,
    /// What was asked of the other owners, and what they have answered.
    pub(crate) asked: Option<Asked>,
    /// How often the task at hand came to nothing.
    pub(crate) tries: u32,
}

impl Turn {
    pub(crate) fn new(nonce: u64, began: Time) -> Self {
        Self {
            nonce,
            began,
            at: None,
            is_last: false,
            agrees: true,
            work: Vec::new(),
            asked: None,
            tries: 0,
        }
    }

    /// The task at hand came to nothing: it is tried again, or given up after a few times. True if
    /// it is given up.
    pub(crate) fn fail(&mut self, task: Task) -> bool {
        self.tries += 1;
        let is_given_up = self.tries >= MAX_TRIES;
        if is_given_up {
            self.tries = 0;
            self.agrees = false;
        } else {
            self.work.push(task);
        }
        is_given_up
    }
}

/// Something to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// The digests of the ranges between these bounds.
    Digests(Vec<serde_bytes::ByteBuf>),
    /// The rows of a range, one by one.
    Rows(Vec<u8>, Vec<u8>),
}

/// A task under way.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) task: Task,
    pub(crate) waiting: BTreeSet<NodeId>,
    pub(crate) digests: Vec<Examined>,
    pub(crate) rows: Vec<Shown>,
    /// Some owner did not answer as it should.
    pub(crate) has_failed: bool,
}

/// The rows that an owner shows, and its clock.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) clock: crdt::Clock,
    pub(crate) rows: Vec<KeyedRow>,
    /// The last row that it could send at once; `None` if there are no more.
    pub(crate) until: Option<serde_bytes::ByteBuf>,
}

/// Fewer owners than this cannot say who is right.
const LEAST_OWNERS: usize = 3;
/// How often a task is tried while clocks differ or owners do not answer.
const MAX_TRIES: u32 = 20;

#[cfg(test)]
mod tests;
