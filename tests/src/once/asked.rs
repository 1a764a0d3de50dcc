//! What a client asks for: one command, the same at every try.

use bytes::Bytes;
use fastrand::Rng;

use super::owner::prefix;
use crdt::kinds::Leaf;
use crdt::kinds::map::Path;
use crdt::kinds::rules::Update;
use crdt::{Context, OpId};
use starling::wire::Siblings;
use starling_node::protocol::vnode::{Action, Command, FieldEdit, Target};

/// An operation of the run.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// The command of the first try; later ones are older.
    pub(super) command: Command,
    key: u8,
    pub(super) began_ms: u64,
    /// Every retry has said how old it is.
    pub(super) is_honest: bool,
    /// Some coordinator has entered it.
    pub(super) was_entered: bool,
}

impl Asked {
    pub(super) fn new(id: u64, key: u8, context: Context, edits: Vec<FieldEdit>) -> Self {
        let target = Target {
            prefix: prefix(key),
            context,
            has_context: false,
            only_if_current: false,
            siblings: Siblings::default(),
            edits,
        };
        let operation = OpId {
            client: 1,
            sequence: id,
        };
        let command = Command {
            targets: vec![target],
            operation,
            digest: u32::try_from(id).unwrap_or(u32::MAX),
            age_ms: 0,
            ttl_ms: None,
        };
        Self {
            command,
            key,
            began_ms: 0,
            is_honest: true,
            was_entered: false,
        }
    }

    pub(super) fn id(&self) -> OpId {
        self.command.operation
    }

    /// It is tried again.
    pub(super) fn grow_old(&mut self, now_ms: u64, is_said: bool) {
        self.is_honest &= is_said;
        let age_ms = now_ms - self.began_ms + 1;
        self.command.age_ms = if is_said { age_ms } else { 0 };
    }

    pub(super) fn context(&self) -> Context {
        let target = self.command.targets.first();
        target
            .map(|target| target.context.clone())
            .unwrap_or_default()
    }

    /// Does it write something wherever it is entered? Removals may find nothing to remove, and a
    /// maximum may be as high.
    pub(super) fn writes(&self) -> bool {
        self.edits().any(|edit| match &edit.action {
            Action::Put(_) | Action::Increment(_) | Action::Bounded(_) => true,
            Action::Update(leaf, updates) => {
                let writes = |update: &Update| match update {
                    Update::Offer(_) => false,
                    Update::Remove => leaf.rules().writes(update),
                    _ => true,
                };
                updates.iter().any(|(_, update)| writes(update))
            }
            Action::Clear(_) => false,
        })
    }

    /// The client reads the lists anew before it tries again: what it inserts goes elsewhere.
    pub(super) fn insert_at(&mut self, place: &'static str) {
        let targets = self.command.targets.iter_mut();
        for edit in targets.flat_map(|target| &mut target.edits) {
            if let Action::Update(Leaf::Item, updates) = &mut edit.action {
                let inserted = updates
                    .iter_mut()
                    .filter(|(_, update)| matches!(update, Update::Insert(_)));
                inserted.for_each(|(part, _)| *part = Bytes::from(place));
            }
        }
    }

    /// The increments: key, field, amount.
    pub(super) fn increments(&self) -> impl Iterator<Item = (u8, &Path, i64)> {
        self.edits().filter_map(move |edit| match edit.action {
            Action::Increment(amount) => Some((self.key, &edit.path, amount)),
            _ => None,
        })
    }

    pub(super) fn increment_of(&self, key: u8, path: &Path) -> Option<i64> {
        let mut increments = self.increments();
        let found = increments.find(|(of, at, _)| *of == key && *at == path);
        found.map(|(.., amount)| amount)
    }

    fn edits(&self) -> impl Iterator<Item = &FieldEdit> {
        self.command.targets.iter().flat_map(|target| &target.edits)
    }
}

/// A few changes of different fields of one key.
pub(super) fn some_edits(random: &mut Rng, id: u64, earlier: &[Asked], key: u8) -> Vec<FieldEdit> {
    if random.u32(..100) < 8 {
        return vec![edit(&[], Action::Clear(None))];
    }
    let mut fields = FIELDS.to_vec();
    random.shuffle(&mut fields);
    fields.truncate(random.usize(1..=3));
    let mut edits = Vec::new();
    for field in fields {
        let action = match field {
            "count" | "more" => increment(random, earlier, key, field),
            "value" if random.u32(..10) < 7 => Some(Action::Put(name(id))),
            "value" => Some(Action::Clear(Some(Leaf::Value))),
            "set" if random.u32(..10) < 6 => {
                Some(Action::each(Leaf::Element, element(random), &Update::Add))
            }
            "set" => Some(Action::each(
                Leaf::Element,
                element(random),
                &Update::Remove,
            )),
            "out" if random.bool() => Some(Action::each(
                Leaf::RemoveWinsElement,
                element(random),
                &Update::Add,
            )),
            "out" => Some(Action::each(
                Leaf::RemoveWinsElement,
                element(random),
                &Update::Remove,
            )),
            "flag" if random.bool() => Some(Action::one(Leaf::Flag, Update::Switch(true))),
            "flag" => Some(Action::one(Leaf::Flag, Update::Switch(false))),
            "list" if random.u32(..10) < 7 => {
                let insert = Update::Insert(name(id));
                Some(Action::each(Leaf::Item, element(random), &insert))
            }
            "list" => Some(Action::each(Leaf::Item, element(random), &Update::Remove)),
            "high" => Some(Action::one(Leaf::Max, Update::Offer(random.i64(0..100)))),
            "low" => Some(Action::one(Leaf::Min, Update::Offer(random.i64(0..100)))),
            _ => Some(Action::one(Leaf::Register, Update::Assign(name(id)))),
        };
        edits.extend(action.map(|action| edit(&[field], action)));
    }
    edits
}

/// Increments by powers of eight, so that a sum says which of them it holds and how often.
fn increment(random: &mut Rng, earlier: &[Asked], key: u8, field: &'static str) -> Option<Action> {
    if random.u32(..10) == 0 {
        return Some(Action::Clear(Some(Leaf::Share)));
    }
    let at = path(&[field]);
    let power = earlier
        .iter()
        .filter(|asked| asked.increment_of(key, &at).is_some());
    let power = u32::try_from(power.count()).unwrap_or(u32::MAX);
    let amount = 8_i64.checked_pow(power)?;
    Some(Action::Increment(if random.bool() {
        amount
    } else {
        -amount
    }))
}

pub(super) fn edit(names: &[&'static str], action: Action) -> FieldEdit {
    FieldEdit {
        path: path(names),
        action,
    }
}

fn path(names: &[&'static str]) -> Path {
    let names = names.iter().map(|name| Bytes::from(*name));
    Path::new(names.collect()).expect("these names are short")
}

/// May all that is asked for have an end?
pub(super) fn can_end(edits: &[FieldEdit]) -> bool {
    edits.iter().all(|edit| match &edit.action {
        Action::Put(_) | Action::Update(Leaf::Register, _) => true,
        Action::Update(leaf, updates) => {
            let adds = |update: &Update| *leaf == Leaf::Element && *update == Update::Add;
            updates.iter().all(|(_, update)| adds(update))
        }
        Action::Increment(_) | Action::Bounded(_) | Action::Clear(_) => false,
    })
}

fn name(id: u64) -> Bytes {
    Bytes::from(id.to_string())
}

fn element(random: &mut Rng) -> Vec<Bytes> {
    vec![Bytes::from(some_name(random))]
}

/// An element of a set, or a place in a list.
pub(super) fn some_name(random: &mut Rng) -> &'static str {
    let names = ["x", "y", "z"];
    names[random.usize(..names.len())]
}

const FIELDS: &[&str] = &[
    "count", "more", "value", "set", "out", "flag", "list", "register", "high", "low",
];
