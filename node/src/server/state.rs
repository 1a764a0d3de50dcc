//! A key's state by kind, from its joined rows.

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use super::failure;
use crate::protocol::keys::{RowKey, Tag};
use crdt::Row;
use crdt::kinds::{counter, set, value};
use starling::wire::{Failure, Kind, State};

/// What a client sees of a key. Rows of another kind, which only a displaced bucket leaves behind,
/// are not shown.
///
/// # Errors
/// When a counter's value leaves 64 bits, or a stored share is damaged.
pub(super) fn state(kind: Kind, rows: &BTreeMap<RowKey, Row>) -> Result<State, Failure> {
    let of = |tag| rows.iter().filter(move |(key, _)| key.tag() == tag);
    match kind {
        Kind::Value => {
            let siblings = of(Tag::Value).flat_map(|(_, row)| value::siblings(row));
            Ok(State::Value(
                siblings
                    .map(|sibling| ByteBuf::from(sibling.value))
                    .collect(),
            ))
        }
        Kind::Counter => {
            let value = counter::value(of(Tag::Share).map(|(_, row)| row))
                .map_err(|error| failure::unshowable(&format!("a share is damaged: {error}")))?;
            i64::try_from(value)
                .map(State::Counter)
                .map_err(|_wide| failure::counter_too_large(value))
        }
        Kind::Set => {
            let present = of(Tag::Element).filter(|(_, row)| set::contains(row));
            Ok(State::Set(
                present.map(|(key, _)| ByteBuf::from(key.part())).collect(),
            ))
        }
    }
}
