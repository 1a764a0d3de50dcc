//! A key's state by kind, from its joined rows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use super::failure;
use super::place::leaf;
use crate::protocol::keys::RowKey;
use crdt::Row;
use crdt::codec::DecodeError;
use crdt::kinds::counter::Share;
use crdt::kinds::flag::{self, Wins};
use crdt::kinds::hll::{self, Block};
use crdt::kinds::{Leaf, bounded, counter, extremum, list, register, remove_wins, set, value};
use starling::wire::{Failure, Field, Item, Kind, Siblings, State};

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

/// Whether elements and items are shown or counted.
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

/// A row with its key, as far as it is not over.
type Shows<'a> = (&'a RowKey, Cow<'a, Row>);

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
    let visible = rows.iter().map(|(key, row)| {
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
        (Amount::Counted, kind) => Ok(State::Number(i64::try_from(count(kind, &visible)).ok())),
        (Amount::Estimated, kind) => Ok(State::Estimate(count(kind, &visible))),
        (Amount::Shown, Kind::Map) => fields(shown, &visible).map(State::Map),
        (Amount::Shown, _) => of_leaf(shown, &visible),
    }
}

/// How many elements or items the rows of a set or a list show.
fn count(kind: Kind, rows: &[Shows<'_>]) -> u64 {
    let leaf = leaf(kind);
    let is_in = |row: &Row| match kind {
        Kind::RemoveSet => remove_wins::contains(row),
        Kind::List => list::item(row).is_some(),
        _ => set::contains(row),
    };
    let present = rows.iter();
    let present = present.filter(|(key, row)| key.leaf() == leaf && is_in(row));
    present.map(|_| 1).sum()
}

/// The fields of a map, as many steps down as `shown` says, in byte order of their names, then by
/// kind.
fn fields(shown: Shown, rows: &[Shows<'_>]) -> Result<Vec<Field>, Failure> {
    let mut groups: BTreeMap<(Vec<u8>, Kind), Rows<'_>> = BTreeMap::new();
    for (key, row) in rows {
        let path = key.path();
        let Some(name) = path.names().get(shown.depth) else {
            continue;
        };
        let is_nested = path.names().len() > shown.depth + 1;
        let kind = if is_nested {
            Some(Kind::Map)
        } else {
            kind_of(key.leaf())
        };
        if let Some(kind) = kind {
            let group = groups.entry((name.to_vec(), kind)).or_default();
            group.push((key, row.clone()));
        }
    }
    let mut fields = Vec::with_capacity(groups.len());
    for ((name, kind), rows) in groups {
        let depth = shown.depth + 1;
        let field = Shown {
            kind,
            depth,
            ..shown
        };
        let state = if kind == Kind::Map {
            State::Map(self::fields(field, &rows)?)
        } else {
            of_leaf(field, &rows)?
        };
        if is_there(&state, &rows)? {
            let name = ByteBuf::from(name);
            fields.push(Field { name, kind, state });
        }
    }
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

fn of_leaf(shown: Shown, rows: &[Shows<'_>]) -> Result<State, Failure> {
    let leaf = leaf(shown.kind);
    let rows = || rows.iter().filter(move |(key, _)| key.leaf() == leaf);
    let single = || rows().map(|(_, row)| &**row).next();
    let elements = |is_in: fn(&Row) -> bool| {
        let present = rows().filter(|(_, row)| is_in(row));
        State::Set(present.map(|(key, _)| ByteBuf::from(key.part())).collect())
    };
    Ok(match shown.kind {
        Kind::Value => {
            let shown = |row: &Row| match shown.siblings {
                Siblings::Keep(_) => value::siblings(row),
                Siblings::Latest => value::latest(row).into_iter().collect(),
            };
            let siblings = rows().flat_map(|(_, row)| shown(row));
            State::Value(siblings.map(|one| ByteBuf::from(one.value)).collect())
        }
        Kind::Counter => {
            let value = counter::value(rows().map(|(_, row)| &**row)).map_err(damaged)?;
            let value = i64::try_from(value).map_err(|_wide| failure::counter_too_large(value))?;
            State::Counter(value)
        }
        Kind::BoundedCounter => {
            let nodes = rows().map(|(key, row)| Ok((bounded::node_of(key.part())?, &**row)));
            let nodes = nodes.collect::<Result<Vec<_>, _>>().map_err(damaged)?;
            let value = bounded::ledger(nodes).map_err(damaged)?.value();
            let value = i64::try_from(value).map_err(|_wide| failure::counter_too_large(value))?;
            State::Counter(value)
        }
        Kind::Set | Kind::GrowSet => elements(set::contains),
        Kind::RemoveSet => elements(remove_wins::contains),
        Kind::Register => {
            let latest = single().and_then(register::latest);
            State::Register(latest.map(|latest| ByteBuf::from(latest.value)))
        }
        Kind::Max => State::Number(number(single(), extremum::max)?),
        Kind::Min => State::Number(number(single(), extremum::min)?),
        Kind::Flag => State::Flag(single().is_some_and(|row| flag::is_enabled(row, Wins::Enable))),
        Kind::DisableFlag => {
            State::Flag(single().is_some_and(|row| flag::is_enabled(row, Wins::Disable)))
        }
        Kind::Sketch => {
            let blocks = rows().map(|(_, row)| Block::of(row));
            let blocks = blocks.collect::<Result<Vec<_>, _>>().map_err(damaged)?;
            State::Estimate(hll::estimate(&blocks))
        }
        Kind::List => {
            let items = rows().filter_map(|(key, row)| {
                let item = ByteBuf::from(list::item(row)?.value);
                let position = ByteBuf::from(key.part());
                Some(Item { position, item })
            });
            State::List(items.collect())
        }
        Kind::Map => State::Map(Vec::new()),
    })
}

/// Reads the number of a row, if it holds one.
type ReadNumber = fn(&Row) -> Result<Option<i64>, DecodeError>;

fn number(row: Option<&Row>, read: ReadNumber) -> Result<Option<i64>, Failure> {
    row.map_or(Ok(None), |row| read(row).map_err(damaged))
}

/// What kind of field a row belongs to.
fn kind_of(leaf: Leaf) -> Option<Kind> {
    Some(match leaf {
        Leaf::Value => Kind::Value,
        Leaf::Share => Kind::Counter,
        Leaf::Element => Kind::Set,
        Leaf::Register => Kind::Register,
        Leaf::Max => Kind::Max,
        Leaf::Min => Kind::Min,
        Leaf::Flag => Kind::Flag,
        Leaf::DisableFlag => Kind::DisableFlag,
        Leaf::GrowElement => Kind::GrowSet,
        Leaf::RemoveWinsElement => Kind::RemoveSet,
        Leaf::Sketch => Kind::Sketch,
        Leaf::Item => Kind::List,
        Leaf::Rights | Leaf::Cleared => return None,
    })
}

fn damaged(error: DecodeError) -> Failure {
    failure::unshowable(&format!("a stored body is damaged: {error}"))
}
