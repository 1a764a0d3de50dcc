//! What a client sees of each kind: one row of a table for each.
//!
//! How the rows of a kind are changed, retried and counted, say the [rules](crdt::kinds::rules) of
//! their leaf.

use std::borrow::Cow;

use serde_bytes::ByteBuf;

use super::failure;
use super::state::{Shown, damaged, fields};
use crate::protocol::keys::RowKey;
use crdt::Row;
use crdt::codec::DecodeError;
use crdt::kinds::flag::{self, Wins};
use crdt::kinds::hll::{self, Block};
use crdt::kinds::{Leaf, bounded, counter, extremum, list, register, value};
use starling::wire::{Failure, Item, Kind, Siblings, State};

/// What the clients' side of a node knows of a kind.
pub(super) struct Model {
    /// What its rows are; `None` for a map, whose rows are those of its fields.
    pub(super) leaf: Option<Leaf>,
    /// What a client sees of its rows.
    pub(super) show: Show,
    /// Why it is not deleted, where it is not.
    pub(super) kept: Option<&'static str>,
}

/// Shows the rows of a key or field, which are all of the kind's leaf and not over.
type Show = fn(Shown, &[Shows<'_>]) -> Result<State, Failure>;

/// A row with its key, as far as it is not over.
pub(super) type Shows<'a> = (&'a RowKey, Cow<'a, Row>);

/// The table.
pub(super) fn model(kind: Kind) -> Model {
    match kind {
        Kind::Value => of(Leaf::Value, values),
        Kind::Counter => of(Leaf::Share, |_, rows| sum(counter::value(all(rows)))),
        Kind::BoundedCounter => of(Leaf::Rights, |_, rows| sum(rights(rows))).kept(
            "a bounded counter is neither deleted nor reset; nothing was written: spend what it \
             holds",
        ),
        Kind::Set => of(Leaf::Element, elements),
        Kind::GrowSet => of(Leaf::GrowElement, elements)
            .kept("nothing is removed from a set that only grows; nothing was written"),
        Kind::RemoveSet => of(Leaf::RemoveWinsElement, elements),
        Kind::Register => of(Leaf::Register, assigned),
        Kind::Max => of(Leaf::Max, |_, rows| number(rows, extremum::max)),
        Kind::Min => of(Leaf::Min, |_, rows| number(rows, extremum::min)),
        Kind::Flag => of(Leaf::Flag, |_, rows| is_on(rows, Wins::Enable)),
        Kind::DisableFlag => of(Leaf::DisableFlag, |_, rows| is_on(rows, Wins::Disable)),
        Kind::Sketch => of(Leaf::Sketch, estimate),
        Kind::List => of(Leaf::Item, items),
        Kind::Map => Model {
            leaf: None,
            show: |shown, rows| fields(shown, rows).map(State::Map),
            kept: None,
        },
    }
}

/// What kind of field rows of this leaf belong to. A bounded counter is none.
pub(super) fn kind_of(leaf: Leaf) -> Option<Kind> {
    let kinds = Kind::ALL.into_iter().map(|(kind, _)| kind);
    let mut fields = kinds.filter(|&kind| kind != Kind::BoundedCounter);
    fields.find(|&kind| model(kind).leaf == Some(leaf))
}

/// Those of the elements or items that are there.
pub(super) fn present<'a, 'b>(rows: &'a [Shows<'b>]) -> impl Iterator<Item = &'a Shows<'b>> {
    let is_in = |key: &RowKey, row: &Row| {
        let is_in = key.leaf().rules().rows.counted();
        is_in.is_some_and(|is_in| is_in(row))
    };
    rows.iter().filter(move |(key, row)| is_in(key, row))
}

fn of(leaf: Leaf, show: Show) -> Model {
    Model {
        leaf: Some(leaf),
        show,
        kept: None,
    }
}

impl Model {
    fn kept(self, why: &'static str) -> Self {
        Self {
            kept: Some(why),
            ..self
        }
    }
}

fn all<'a>(rows: &'a [Shows<'_>]) -> impl Iterator<Item = &'a Row> {
    rows.iter().map(|(_, row)| &**row)
}

/// The row of a kind that has one.
fn single<'a>(rows: &'a [Shows<'_>]) -> Option<&'a Row> {
    all(rows).next()
}

fn values(shown: Shown, rows: &[Shows<'_>]) -> Result<State, Failure> {
    let siblings = |row: &Row| match shown.siblings {
        Siblings::Keep(_) => value::siblings(row),
        Siblings::Latest => value::latest(row).into_iter().collect(),
    };
    let siblings = all(rows).flat_map(siblings);
    let values = siblings.map(|one| ByteBuf::from(one.value));
    Ok(State::Value(values.collect()))
}

fn sum(value: Result<i128, DecodeError>) -> Result<State, Failure> {
    let value = value.map_err(damaged)?;
    let value = i64::try_from(value).map_err(|_wide| failure::counter_too_large(value))?;
    Ok(State::Counter(value))
}

fn rights(rows: &[Shows<'_>]) -> Result<i128, DecodeError> {
    let nodes = rows.iter();
    let nodes = nodes.map(|(key, row)| Ok((bounded::node_of(key.part())?, &**row)));
    let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
    Ok(bounded::ledger(nodes)?.value())
}

fn elements(_: Shown, rows: &[Shows<'_>]) -> Result<State, Failure> {
    let elements = present(rows).map(|(key, _)| ByteBuf::from(key.part()));
    Ok(State::Set(elements.collect()))
}

fn assigned(_: Shown, rows: &[Shows<'_>]) -> Result<State, Failure> {
    let latest = single(rows).and_then(register::latest);
    Ok(State::Register(
        latest.map(|latest| ByteBuf::from(latest.value)),
    ))
}

/// Reads the number of a row, if it holds one.
type ReadNumber = fn(&Row) -> Result<Option<i64>, DecodeError>;

fn number(rows: &[Shows<'_>], read: ReadNumber) -> Result<State, Failure> {
    let number = single(rows).map_or(Ok(None), read);
    number.map(State::Number).map_err(damaged)
}

fn is_on(rows: &[Shows<'_>], wins: Wins) -> Result<State, Failure> {
    let is_on = single(rows).is_some_and(|row| flag::is_enabled(row, wins));
    Ok(State::Flag(is_on))
}

fn estimate(_: Shown, rows: &[Shows<'_>]) -> Result<State, Failure> {
    let blocks = all(rows).map(Block::of).collect::<Result<Vec<_>, _>>();
    Ok(State::Estimate(hll::estimate(&blocks.map_err(damaged)?)))
}

fn items(_: Shown, rows: &[Shows<'_>]) -> Result<State, Failure> {
    let items = rows.iter().filter_map(|(key, row)| {
        let item = ByteBuf::from(list::item(row)?.value);
        let position = ByteBuf::from(key.part());
        Some(Item { position, item })
    });
    Ok(State::List(items.collect()))
}
