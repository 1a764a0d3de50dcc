//! What truly happened: every event that a vnode made, every operation that a client asked for, and
//! what nodes have promised. The invariants compare it with what the nodes hold and say.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::monotonic::Shown;
use super::plan::Plan;
use super::queue::Instant;
use crdt::kinds::cleared;
use crdt::kinds::map::Path;
use crdt::{Context, Dot, OpId};
use ring::VnodeId;
use starling::wire::{Durability, Kind};
use starling_node::protocol::event::Event;
use starling_node::protocol::keys::{KeyPrefix, RowKey};
use starling_node::protocol::vnode::{Action, FieldEdit};

/// Everything that happened in a run.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// What the seed decided.
    pub(crate) plan: Plan,
    /// The keys that clients use.
    pub(crate) subjects: Vec<Subject>,
    /// What clients asked for, in the order in which they began.
    pub(crate) operations: Vec<Operation>,
    /// Some node has forgotten acknowledged writes and does not know it: it counts for reads.
    pub(crate) has_unknown_loss: bool,
    /// Some event may be lost for good: a crash took a batch, or a disk was replaced.
    pub(crate) has_loss: bool,
    /// Whose disk was replaced by an empty one or an older copy.
    pub(crate) new_disks: BTreeSet<usize>,
    /// What a right wall clock says, in milliseconds since the Unix epoch.
    pub(crate) wall_ms: u64,
    /// What owners have trimmed from their dotlogs.
    trimmed: BTreeSet<(VnodeId, Dot)>,
    entries: Vec<Entry>,
    by_dot: BTreeMap<Dot, usize>,
    by_key: BTreeMap<KeyPrefix, Vec<usize>>,
    promises: BTreeMap<Dot, BTreeMap<usize, Promise>>,
    acked: BTreeMap<usize, Vec<Acked>>,
    forsaken: u64,
    /// By key, what monotonic reads have shown.
    shown: BTreeMap<usize, Vec<Shown>>,
    /// Since when a stand-in keeps an event.
    kept: BTreeMap<(usize, Dot), Instant>,
    /// What a stand-in has kept, and keeps no more.
    let_go: BTreeSet<(usize, Dot)>,
}

/// A key.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) prefix: KeyPrefix,
    pub(crate) vnode: VnodeId,
    pub(crate) owners: Vec<usize>,
    /// A counter that clients reset.
    pub(crate) is_reset: bool,
}

/// An operation of a client, with all its tries.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: OpId,
    /// The key that it reads, or the first that it changes.
    pub(crate) subject: usize,
    /// What it changes, key by key; empty for a read.
    pub(crate) changes: Vec<Wanted>,
    /// How long what it writes lasts.
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) quorum: u8,
    /// Stand-ins may take the place of owners, but for so many.
    pub(crate) leaning: Option<u8>,
    pub(crate) durability: Durability,
    pub(crate) is_monotonic: bool,
    pub(crate) invoked: Instant,
    pub(crate) ended: Option<(Instant, Ending)>,
}

/// What an operation changes of one key.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) subject: usize,
    /// What the client had seen.
    pub(crate) context: Context,
    pub(crate) edits: Vec<FieldEdit>,
}

impl Operation {
    /// The increments of one key that it asks for, with their fields.
    pub(crate) fn increments_of(&self, subject: usize) -> impl Iterator<Item = (&Path, i64)> {
        let of_key = self
            .changes
            .iter()
            .filter(move |wanted| wanted.subject == subject);
        let edits = of_key.flat_map(|wanted| &wanted.edits);
        edits.filter_map(|edit| match edit.action {
            Action::Increment(amount) => Some((&edit.path, amount)),
            _ => None,
        })
    }
}

/// How an operation ended, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Enough owners answered or have it.
    Done,
    /// No try was applied anywhere.
    NotApplied,
    /// Some try may have been applied.
    Maybe,
}

/// An event that a vnode made.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) event: Event,
    /// The operation that asked for it; voids have none.
    pub(crate) operation: Option<usize>,
    /// The body of the version that it wrote; removals have none.
    pub(crate) body: Option<Bytes>,
    /// When that version ends, in milliseconds since the Unix epoch.
    pub(crate) expires_ms: Option<u64>,
    /// What it may take away, by what its client (or for lack of a context its coordinator) saw.
    pub(crate) covers: Context,
    /// The events known so far that cover this one.
    pub(crate) covered_by: Vec<Dot>,
}

impl Entry {
    /// Does it take away what another event has written?
    fn takes(&self, other: &Event) -> bool {
        self.covers.contains(other.dot) && self.is_about(&other.row)
    }

    /// Is it of this row, or the clear of a range that it stands in?
    pub(crate) fn is_about(&self, row: &RowKey) -> bool {
        match self.event.row.cleared() {
            None => self.event.row == *row,
            Some((from, to)) => {
                let range = &from[..]..&to[..];
                range.contains(&row.as_bytes()) && !cleared::spares(row.leaf())
            }
        }
    }
}

/// A write that a coordinator acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Acked {
    pub(crate) operation: usize,
    pub(crate) dots: Vec<Dot>,
    pub(crate) w: u8,
    pub(crate) at: Instant,
}

/// What a crash takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// What no barrier covered.
    Process,
    /// What was not synced.
    Machine,
    /// Everything, or everything since a backup.
    Disk,
}

/// That a node holds an event.
#[derive(Debug, Clone, Copy)]
struct Promise {
    level: Durability,
    /// It has held it ever since.
    since: Instant,
}

impl Ledger {
    pub(crate) fn new(plan: Plan, subjects: Vec<Subject>) -> Self {
        Self {
            plan,
            subjects,
            operations: Vec::new(),
            has_unknown_loss: false,
            has_loss: false,
            new_disks: BTreeSet::new(),
            wall_ms: 0,
            trimmed: BTreeSet::new(),
            entries: Vec::new(),
            by_dot: BTreeMap::new(),
            by_key: BTreeMap::new(),
            promises: BTreeMap::new(),
            acked: BTreeMap::new(),
            forsaken: 0,
            shown: BTreeMap::new(),
            kept: BTreeMap::new(),
            let_go: BTreeSet::new(),
        }
    }

    /// Enters an event that a vnode has just made.
    pub(crate) fn enter(&mut self, mut entry: Entry) {
        let index = self.entries.len();
        let dot = entry.event.dot;
        let of_key = self.by_key.entry(entry.event.row.prefix()).or_default();
        for &earlier in of_key.iter() {
            let earlier = &mut self.entries[earlier];
            if entry.takes(&earlier.event) {
                earlier.covered_by.push(dot);
            }
            if earlier.takes(&entry.event) {
                entry.covered_by.push(earlier.event.dot);
            }
        }
        of_key.push(index);
        self.by_dot.insert(dot, index);
        self.entries.push(entry);
    }

    pub(crate) fn entry(&self, dot: Dot) -> Option<&Entry> {
        self.by_dot.get(&dot).map(|&index| &self.entries[index])
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every event of a key.
    pub(crate) fn entries_of(&self, prefix: &KeyPrefix) -> impl Iterator<Item = &Entry> {
        let of_key = self.by_key.get(prefix);
        of_key
            .into_iter()
            .flatten()
            .map(|&index| &self.entries[index])
    }

    /// The events of one operation.
    pub(crate) fn dots_of(&self, operation: usize) -> impl Iterator<Item = Dot> {
        let changes = self.operations[operation].changes.iter();
        let prefixes = changes.map(move |wanted| &self.subjects[wanted.subject].prefix);
        let events = prefixes.flat_map(move |prefix| self.entries_of(prefix));
        let own = events.filter(move |entry| entry.operation == Some(operation));
        own.map(|entry| entry.event.dot)
    }

    /// The key with this prefix.
    pub(crate) fn subject_of(&self, prefix: &KeyPrefix) -> Option<&Subject> {
        self.subjects
            .iter()
            .find(|subject| subject.prefix == *prefix)
    }

    /// A node says that it holds an event so durably. A stand-in may say so of what it dropped in
    /// the same batch: every owner stands by it in its place.
    pub(crate) fn promise(&mut self, dot: Dot, node: usize, level: Durability, now: Instant) {
        if self.let_go.contains(&(node, dot)) {
            return;
        }
        let holders = self.promises.entry(dot).or_default();
        let promise = holders.entry(node).or_insert(Promise { level, since: now });
        promise.level = level.max(promise.level);
    }

    /// A node lost what such a crash takes, and with it the promises that do not survive it.
    pub(crate) fn crash(&mut self, node: usize, crash: Crash) {
        let survives = |level: Durability| match crash {
            Crash::Process => level >= Durability::Wal,
            Crash::Machine => level >= Durability::Synced,
            Crash::Disk => false,
        };
        for holders in self.promises.values_mut() {
            let before = holders.len();
            holders.retain(|&holder, promise| holder != node || survives(promise.level));
            self.forsaken += u64::from(holders.len() < before);
        }
    }

    /// A node has one vnode no more: nothing of it survives.
    pub(crate) fn lose_vnode(&mut self, node: usize, vnode: VnodeId) {
        let subjects = self
            .subjects
            .iter()
            .filter(|subject| subject.vnode == vnode);
        let entries = subjects.filter_map(|subject| self.by_key.get(&subject.prefix));
        for &entry in entries.flatten() {
            if let Some(holders) = self.promises.get_mut(&self.entries[entry].event.dot) {
                self.forsaken += u64::from(holders.remove(&node).is_some());
            }
        }
    }

    /// How many promises crashes have taken back so far.
    pub(crate) fn forsaken(&self) -> u64 {
        self.forsaken
    }

    /// How many nodes still stand by an event.
    pub(crate) fn holders(&self, dot: Dot) -> usize {
        self.promises.get(&dot).map_or(0, BTreeMap::len)
    }

    /// How many owners of a key have stood by an event since then.
    pub(crate) fn owners_holding(&self, dot: Dot, subject: usize, since: Instant) -> usize {
        let owners = &self.subjects[subject].owners;
        let holders = self.promises.get(&dot).into_iter().flatten();
        let holders = holders.filter(|(node, promise)| {
            // Who lost it and has it again may have answered in between.
            owners.contains(node) && promise.since <= since
        });
        holders.count()
    }

    /// An owner trims an event.
    pub(crate) fn trim(&mut self, vnode: VnodeId, dot: Dot) {
        self.trimmed.insert((vnode, dot));
    }

    /// What owners of a vnode have trimmed.
    pub(crate) fn trimmed_of(&self, vnode: VnodeId) -> impl Iterator<Item = Dot> {
        let trimmed = self.trimmed.iter().filter(move |(id, _)| *id == vnode);
        trimmed.map(|&(_, dot)| dot)
    }

    /// A stand-in keeps an event from now on.
    pub(crate) fn keep(&mut self, node: usize, dot: Dot, now: Instant) {
        self.let_go.remove(&(node, dot));
        self.kept.entry((node, dot)).or_insert(now);
    }

    /// A stand-in drops an event. Returns since when it has kept it.
    pub(crate) fn let_go(&mut self, node: usize, dot: Dot) -> Option<Instant> {
        self.let_go.insert((node, dot));
        if let Some(holders) = self.promises.get_mut(&dot) {
            holders.remove(&node);
        }
        self.kept.remove(&(node, dot))
    }

    /// The events that a node still stands by.
    pub(crate) fn promised_by(&self, node: usize) -> impl Iterator<Item = (Dot, Durability)> {
        let held = self.promises.iter();
        held.filter_map(move |(&dot, holders)| Some((dot, holders.get(&node)?.level)))
    }

    /// A coordinator acknowledged a write.
    pub(crate) fn ack(&mut self, acked: Acked) {
        for wanted in &self.operations[acked.operation].changes {
            let of_key = self.acked.entry(wanted.subject).or_default();
            of_key.push(acked.clone());
        }
    }

    /// The acknowledged writes of a key.
    pub(crate) fn acked(&self, subject: usize) -> &[Acked] {
        self.acked.get(&subject).map_or(&[], Vec::as_slice)
    }

    /// A monotonic read was answered.
    pub(crate) fn show(&mut self, subject: usize, shown: Shown) {
        self.shown.entry(subject).or_default().push(shown);
    }

    /// What monotonic reads of a key have shown.
    pub(crate) fn shown(&self, subject: usize) -> &[Shown] {
        self.shown.get(&subject).map_or(&[], Vec::as_slice)
    }
}
