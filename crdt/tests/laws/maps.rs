//! The map as a subject: fields of three kinds, some of them below others, and removals of both.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fastrand::Rng;

use crate::numbers::share_part;
use crate::subject::{Edits, Rows, Subject, row};
use crdt::Dot;
use crdt::kinds::counter::{self, Share};
use crdt::kinds::map::{Path, decode_suffix, encode_suffix, erase, range};
use crdt::kinds::{Edit, Leaf, register, set};

/// A map whose fields are registers, counters and sets.
pub(crate) struct Map;

/// The names that lead to a field.
type Names = &'static [&'static str];

const FIELDS: [Names; 6] = [
    &[],
    &["a"],
    &["a", "b"],
    &["a", "c"],
    &["a", "b", "d"],
    &["e"],
];

/// What a user does to a field.
#[derive(Debug)]
pub(crate) enum Operation {
    Assign(Names, u8),
    Add(Names, i64),
    Insert(Names, u8),
    /// Everything at and below the field.
    Remove(Names),
}

/// What is in one field.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Field {
    text: Option<u8>,
    count: i128,
    elements: BTreeSet<u8>,
}

type Fields = BTreeMap<Vec<Bytes>, Field>;

fn path(names: Names) -> Path {
    let names = names.iter().map(|name| Bytes::from_static(name.as_bytes()));
    Path::new(names.collect()).expect("names are short")
}

fn without_empty(mut fields: Fields) -> Fields {
    fields.retain(|_, field| *field != Field::default());
    fields
}

impl Subject for Map {
    type Operation = Operation;
    type Shown = Fields;
    type Plain = Fields;

    fn random(rng: &mut Rng) -> Operation {
        let names = FIELDS[rng.usize(0..FIELDS.len())];
        match rng.u8(0..7) {
            0 => Operation::Remove(names),
            1 | 2 => Operation::Assign(names, rng.u8(..)),
            3 | 4 => Operation::Add(names, rng.i64(-5..10)),
            _ => Operation::Insert(names, rng.u8(0..4)),
        }
    }

    fn edits(rows: &Rows, dot: Dot, operation: &Operation) -> Edits {
        match *operation {
            Operation::Assign(names, byte) => {
                let suffix = encode_suffix(&path(names), Leaf::Register, b"");
                let edit = register::assign(&row(rows, &suffix), vec![byte].into());
                vec![(suffix.into(), edit)]
            }
            Operation::Add(names, amount) => {
                let suffix = encode_suffix(&path(names), Leaf::Share, &share_part(dot.actor));
                let row = row(rows, &suffix);
                let mut share = Share::of(&row).expect("shares are in the rows of shares");
                share.add(dot.counter, amount);
                vec![(suffix.into(), Edit::put(&row, share.encode()))]
            }
            Operation::Insert(names, element) => {
                let suffix = encode_suffix(&path(names), Leaf::Element, &[element]);
                let edit = set::add(&row(rows, &suffix));
                vec![(suffix.into(), edit)]
            }
            Operation::Remove(names) => removed(rows, &path(names)),
        }
    }

    fn shown(rows: &Rows) -> Fields {
        let mut fields = Fields::new();
        for (suffix, row) in rows {
            let (path, leaf, part) = decode_suffix(suffix).expect("every row has a suffix");
            let field = fields.entry(path.names().to_vec()).or_default();
            match leaf {
                Leaf::Register => field.text = register::latest(row).map(|text| text.value[0]),
                Leaf::Share => {
                    let share = counter::value([row]);
                    field.count += share.expect("shares are in the rows of shares");
                }
                _ if set::contains(row) => field.elements.extend(part),
                _ => {}
            }
        }
        without_empty(fields)
    }

    fn apply(plain: &mut Fields, operation: &Operation) {
        let (Operation::Assign(names, _)
        | Operation::Add(names, _)
        | Operation::Insert(names, _)
        | Operation::Remove(names)) = operation;
        let names = path(names).names().to_vec();
        if let Operation::Remove(_) = operation {
            plain.retain(|other, _| !other.starts_with(&names));
            return;
        }
        let field = plain.entry(names).or_default();
        match *operation {
            Operation::Assign(_, byte) => field.text = Some(byte),
            Operation::Add(_, amount) => field.count += i128::from(amount),
            Operation::Insert(_, element) => {
                field.elements.insert(element);
            }
            Operation::Remove(_) => {}
        }
    }

    fn plainly(plain: &Fields) -> Fields {
        without_empty(plain.clone())
    }
}

fn removed(rows: &Rows, path: &Path) -> Edits {
    let (from, to) = range(path);
    let rows = rows.range(Bytes::from(from)..Bytes::from(to));
    let edits = rows.filter_map(|(suffix, row)| {
        let (_, leaf, _) = decode_suffix(suffix).expect("every row has a suffix");
        let edit = erase(leaf, row).expect("every row can be read");
        edit.map(|edit| (suffix.clone(), edit))
    });
    edits.collect()
}
