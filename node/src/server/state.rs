//! A key's state by kind, from its joined rows.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_bytes::ByteBuf;

use super::failure;
use super::kinds::{Model, Shows, kind_of, model, present};
use crate::protocol::keys::RowKey;
use crdt::Row;
use crdt::codec::DecodeError;
use crdt::kinds::Leaf;
use crdt::kinds::counter::Share;
use starling::wire::{Failure, Field, Kind, Siblings, State};

/// What of a key is shown, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// Of the bucket, or of the field that is read.
    pub(super) kind: Kind,
    /// Of the bucket.
    pub(super) siblings: Siblings,
    /// How many steps lead to the field.
    pub(super) depth: usize,
    /// The elements and items themselves, or how many there are.
    pub(super) amount: Amount,
    /// Elements and items come last first.
    pub(super) reverse: bool,
    /// Milliseconds since the Unix epoch when the request came: what was over then is hidden.
    pub(super) now_ms: u64,
}

/// Whether elements, items and fields are shown or counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    /// They are shown.
    Shown,
    /// They are counted.
    Counted,
    /// They are counted, of what may be a sample.
    Estimated,
}

/// Rows by their keys, in order.
type Rows<'a> = Vec<Shows<'a>>;

/// What a client sees of a key or field. Rows of another kind, which only a displaced bucket leaves
/// behind, are not shown.
///
/// # Errors
/// When a counter's value leaves 64 bits, or a stored body is damaged.
pub(super) fn state(shown: Shown, rows: &BTreeMap<RowKey, Row>) -> Result<State, Failure> {
    let is_over = |row: &Row| {
        let mut versions = row.versions().values();
        versions.any(|version| version.is_expired(shown.now_ms))
    };
    let Model { leaf, show, .. } = model(shown.kind);
    let of_kind = |key: &RowKey| leaf.is_none_or(|leaf| key.leaf() == leaf);
    let visible = rows.iter().filter(|(key, _)| of_kind(key));
    let visible = visible.map(|(key, row)| {
        let mut row = Cow::Borrowed(row);
        if is_over(&row) {
            row.to_mut().hide_expired(shown.now_ms);
        }
        (key, row)
    });
    let mut visible: Rows<'_> = visible
        .filter(|(_, row)| !row.versions().is_empty())
        .collect();
    if shown.reverse {
        visible.reverse();
    }
    match (shown.amount, shown.kind) {
        (Amount::Estimated, Kind::Map) => {
            let fields = fields(shown, &visible)?;
            let names: BTreeSet<_> = fields.iter().map(|field| &field.name).collect();
            Ok(State::Estimate(names.iter().map(|_| 1).sum()))
        }
        (Amount::Counted, _) => Ok(State::Number(i64::try_from(count(&visible)).ok())),
        (Amount::Estimated, _) => Ok(State::Estimate(count(&visible))),
        (Amount::Shown, _) => show(shown, &visible),
    }
}

/// How many elements or items the rows of a set or a list show.
fn count(rows: &[Shows<'_>]) -> u64 {
    present(rows).map(|_| 1).sum()
}

/// The name of a field, and the leaf of its rows; none where they lie deeper.
type Named = (Vec<u8>, Option<Leaf>);

/// The fields of a map, as many steps down as `shown` says, in byte order of their names, then by
/// kind.
pub(super) fn fields(shown: Shown, rows: &[Shows<'_>]) -> Result<Vec<Field>, Failure> {
    let mut groups: BTreeMap<Named, Rows<'_>> = BTreeMap::new();
    for (key, row) in rows {
        let path = key.path();
        let Some(name) = path.names().get(shown.depth) else {
            continue;
        };
        let is_nested = path.names().len() > shown.depth + 1;
        let leaf = (!is_nested).then(|| key.leaf());
        let group = groups.entry((name.to_vec(), leaf)).or_default();
        group.push((key, row.clone()));
    }
    let mut fields = Vec::with_capacity(groups.len());
    for ((name, leaf), rows) in groups {
        let Some(kind) = leaf.map_or(Some(Kind::Map), kind_of) else {
            continue;
        };
        let depth = shown.depth + 1;
        let field = Shown {
            kind,
            depth,
            ..shown
        };
        let state = (model(kind).show)(field, &rows)?;
        if is_there(&state, &rows)? {
            let name = ByteBuf::from(name);
            fields.push(Field { name, kind, state });
        }
    }
    fields.sort_by(|a, b| (&a.name, a.kind).cmp(&(&b.name, b.kind)));
    Ok(fields)
}

/// Does a field hold anything? A counter that was removed leaves shares behind, which say that all
/// of it was reset.
fn is_there(state: &State, rows: &[Shows<'_>]) -> Result<bool, Failure> {
    let State::Counter(_) = state else {
        return Ok(is_something(state));
    };
    let shares = rows.iter().map(|(_, row)| Share::of(row));
    let shares = shares.collect::<Result<Vec<_>, _>>().map_err(damaged)?;
    Ok(shares.iter().any(|share| !share.is_reset()))
}

/// Is it more than the state of what was never written? An empty set or map is nothing.
pub(super) fn is_something(state: &State) -> bool {
    match state {
        State::Value(siblings) => !siblings.is_empty(),
        State::Set(elements) => !elements.is_empty(),
        State::Register(value) => value.is_some(),
        State::Number(number) => number.is_some(),
        State::List(items) => !items.is_empty(),
        State::Map(fields) => !fields.is_empty(),
        State::Counter(value) => *value != 0,
        State::Flag(_) | State::Estimate(_) => true,
    }
}

pub(super) fn damaged(error: DecodeError) -> Failure {
    failure::unshowable(&format!("a stored body is damaged: {error}"))
}
