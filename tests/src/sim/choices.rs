//! What a client asks for.

use bytes::Bytes;

use super::N;
use super::ledger::{Operation, Wanted};
use super::world::World;
use crdt::kinds::map::Path;
use crdt::kinds::rules::Update;
use crdt::kinds::{Leaf, hll};
use crdt::{Context, OpId};
use starling::wire::{Durability, Kind};
use starling_node::protocol::vnode::{Action, FieldEdit};

impl World {
    /// The next operation of a client.
    pub(crate) fn choose(&mut self, client: usize) -> Operation {
        let (subject, reads) = self.choose_subject();
        self.clients[client].sequence += 1;
        let id = OpId {
            client: self.clients[client].id,
            sequence: self.clients[client].sequence,
        };
        let mut changes = Vec::new();
        if !self.chance(reads) {
            changes.extend(self.change(client, subject, id));
            if self.plan.batches && self.chance(0.2) {
                changes.extend(self.change_beside(client, subject, id));
            }
        }
        let lasts = self.plan.expires && self.chance(0.3) && can_end(&changes);
        let ttl_ms = lasts.then(|| self.random.u64(500..=20_000));
        let quorum = match self.random.u32(..10) {
            0..2 => 1,
            2..9 => 2,
            _ => 3,
        };
        let may_lean = self.plan.leans && self.nodes.len() > N && !changes.is_empty();
        let leaning = if may_lean && self.chance(0.6) {
            Some(self.random.u8(0..=1))
        } else {
            None
        };
        let durability = match self.random.u32(..10) {
            0..2 => Durability::Memory,
            2..7 => Durability::Wal,
            _ => Durability::Synced,
        };
        let is_monotonic = self.is_monotonic(changes.is_empty(), id.sequence);
        let (quorum, durability) = if is_monotonic {
            (quorum.max(2), durability.max(Durability::Wal))
        } else {
            (quorum, durability)
        };
        let invoked = self.queue.now();
        Operation {
            id,
            subject,
            changes,
            ttl_ms,
            quorum,
            leaning,
            durability,
            is_monotonic,
            invoked,
            ended: None,
        }
    }

    /// A change of another key of the same partition.
    fn change_beside(&mut self, client: usize, subject: usize, id: OpId) -> Option<Wanted> {
        let other = self.random.usize(..self.ledger.subjects.len());
        let subjects = &self.ledger.subjects;
        if other == subject || subjects[other].vnode != subjects[subject].vnode {
            return None;
        }
        self.change(client, other, id)
    }

    /// A change of a key, and the context that goes with it.
    fn change(&mut self, client: usize, subject: usize, id: OpId) -> Option<Wanted> {
        let known = self.clients[client].contexts.get(&subject).cloned();
        let mut context = known.filter(|_| self.chance(0.75)).unwrap_or_default();
        let kind = self.ledger.subjects[subject].kind;
        let edits = if kind == Kind::Map {
            self.change_fields(subject, id)
        } else {
            let action = self.action(subject, &Path::root(), kind, id)?;
            vec![FieldEdit {
                path: Path::root(),
                action,
            }]
        };
        if kind == Kind::Counter {
            context = Context::default();
        }
        let wanted = Wanted {
            subject,
            context,
            edits,
        };
        Some(wanted).filter(|wanted| !wanted.edits.is_empty())
    }

    /// Several fields of a map in one write, and sometimes the removal of another one, or of all.
    fn change_fields(&mut self, subject: usize, id: OpId) -> Vec<FieldEdit> {
        if self.chance(0.05) {
            return vec![removal(&[])];
        }
        let mut fields = FIELDS.to_vec();
        self.random.shuffle(&mut fields);
        fields.truncate(self.random.usize(1..=4));
        let mut edits = Vec::new();
        for (names, kind) in fields {
            let path = path(names);
            if let Some(action) = self.action(subject, &path, kind, id) {
                edits.push(FieldEdit { path, action });
            }
        }
        if self.chance(0.25) {
            let removed = REMOVED[self.random.usize(..REMOVED.len())];
            let is_apart = |edit: &FieldEdit| !edit.path.names().starts_with(path(removed).names());
            if edits.iter().all(is_apart) {
                edits.push(removal(removed));
            }
        }
        edits
    }

    /// A change of one field, or of a key that is no map. None when a counter is full.
    fn action(&mut self, subject: usize, at: &Path, kind: Kind, id: OpId) -> Option<Action> {
        let name = Bytes::from(format!("{}.{}", id.client, id.sequence));
        let elements = |world: &mut Self| world.elements();
        Some(match kind {
            Kind::Value if self.chance(0.75) => Action::Put(self.padded(name)),
            Kind::Value => Action::Clear(Some(Leaf::Value)),
            Kind::Counter => return self.change_counter(subject, at),
            Kind::Set => match self.random.u32(..20) {
                0..11 => Action::each(Leaf::Element, elements(self), &Update::Add),
                11..18 => Action::each(Leaf::Element, elements(self), &Update::Remove),
                _ => Action::Clear(Some(Leaf::Element)),
            },
            Kind::RemoveSet => match self.random.u32(..20) {
                0..11 => Action::each(Leaf::RemoveWinsElement, elements(self), &Update::Add),
                11..19 => Action::each(Leaf::RemoveWinsElement, elements(self), &Update::Remove),
                _ => Action::Clear(Some(Leaf::RemoveWinsElement)),
            },
            Kind::GrowSet => Action::each(Leaf::GrowElement, elements(self), &Update::Add),
            Kind::Register if self.chance(0.85) => {
                Action::one(Leaf::Register, Update::Assign(name))
            }
            Kind::Register => Action::Clear(Some(Leaf::Register)),
            Kind::Max => Action::one(Leaf::Max, Update::Offer(self.random.i64(0..1_000))),
            Kind::Min => Action::one(Leaf::Min, Update::Offer(self.random.i64(0..1_000))),
            Kind::Flag => Action::one(Leaf::Flag, Update::Switch(self.chance(0.5))),
            Kind::DisableFlag => Action::one(Leaf::DisableFlag, Update::Switch(self.chance(0.5))),
            Kind::Sketch => Action::Update(Leaf::Sketch, hll::updates([self.random.u64(..)])),
            Kind::List if self.chance(0.6) => {
                let mut places = elements(self);
                places.truncate(2);
                Action::each(Leaf::Item, places, &Update::Insert(name))
            }
            Kind::List => Action::each(Leaf::Item, elements(self), &Update::Remove),
            Kind::Map => removal(&[]).action,
            // It has a model of its own: `tests/bounded.rs`.
            Kind::BoundedCounter => return None,
        })
    }

    /// Increments by powers of eight, so that a sum says which of them it holds and how often.
    fn change_counter(&mut self, subject: usize, at: &Path) -> Option<Action> {
        if self.ledger.subjects[subject].is_reset && self.chance(0.15) {
            return Some(Action::Clear(Some(Leaf::Share)));
        }
        let operations = self.ledger.operations.iter();
        let earlier = operations.flat_map(|operation| operation.increments_of(subject));
        let power = earlier.filter(|(path, _)| *path == at).count();
        let amount = 8_i64.checked_pow(u32::try_from(power).unwrap_or(u32::MAX))?;
        Some(Action::Increment(if self.chance(0.3) {
            -amount
        } else {
            amount
        }))
    }

    /// Over a wire some values take many packets, and some of them a stream of their own.
    fn padded(&mut self, name: Bytes) -> Bytes {
        if !self.plan.over_wire || self.chance(0.8) {
            return name;
        }
        let size = self.random.usize(1_000..=100_000);
        let mut padded = name.to_vec();
        padded.resize(size.max(name.len()), b'.');
        Bytes::from(padded)
    }

    /// One to three different names out of four.
    fn elements(&mut self) -> Vec<Bytes> {
        let mut names = vec!["e0", "e1", "e2", "e3"];
        self.random.shuffle(&mut names);
        names.truncate(self.random.usize(1..=3));
        names.into_iter().map(Bytes::from).collect()
    }
}

/// Numbers have no end: what they sum up would go with the last of them.
fn can_end(changes: &[Wanted]) -> bool {
    let mut edits = changes.iter().flat_map(|wanted| &wanted.edits);
    edits.all(|edit| match &edit.action {
        Action::Put(_) => true,
        Action::Update(_, updates) => updates.iter().all(|(_, update)| {
            matches!(update, Update::Assign(_) | Update::Add | Update::Insert(_))
        }),
        Action::Increment(_) | Action::Bounded(_) | Action::Clear(_) => false,
    })
}

fn path(names: &[&'static str]) -> Path {
    let names = names.iter().map(|name| Bytes::from(*name));
    Path::new(names.collect()).expect("these names are short")
}

fn removal(names: &[&'static str]) -> FieldEdit {
    FieldEdit {
        path: path(names),
        action: Action::Clear(None),
    }
}

/// The names that lead to a field.
type Names = &'static [&'static str];

/// The fields of every map.
const FIELDS: &[(Names, Kind)] = &[
    (&["counter"], Kind::Counter),
    (&["set"], Kind::Set),
    (&["register"], Kind::Register),
    (&["deep", "counter"], Kind::Counter),
    (&["deep", "set"], Kind::Set),
    (&["deep", "list"], Kind::List),
    (&["flag"], Kind::Flag),
    (&["off"], Kind::DisableFlag),
    (&["max"], Kind::Max),
    (&["removed"], Kind::RemoveSet),
    (&["value"], Kind::Value),
];
/// What is removed of a map, now and then.
const REMOVED: &[Names] = &[
    &["counter"],
    &["set"],
    &["register"],
    &["deep"],
    &["deep", "counter"],
    &["removed"],
    &["value"],
];
