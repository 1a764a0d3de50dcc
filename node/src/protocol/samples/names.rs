//! A sample of the names in every map, from which their number is estimated.
//!
//! A name may stand for many rows: elements, shares, and all that is in a map below it. It is there
//! as long as any of them shows something, so a mark of the name alone could go only after a look
//! at all of them. Instead every row has a mark, in every map above it that samples the name under
//! which the row stands, and it goes with its row:
//!
//! ```text
//!   "names" | row key up to the map | hash u64, below 2^60 | the rest: the name, what is below it
//! ```
//!
//! The marks of one name stand together, so whoever counts names goes from one to the next. The
//! hash is of the name and of where the map is: the fields of a thousand users have the same names,
//! and would be marked alike, all or none. Samples of several replicas join, and an estimate is
//! made of them, as for elements ([`super`]); a hash begins with less than a step does, so no mark
//! of a map lies among those of the map above it.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::MARKED_BELOW;
use crate::protocol::keys::{Bounds, RowKey, data_range};
use crate::protocol::shares;
use crdt::Row;
use crdt::kinds::Leaf;
use ring::{QBits, VnodeId};

/// The `meta` keys of the marks of a row, one for each map above it that samples it.
#[must_use]
pub fn mark_keys(key: &RowKey) -> Vec<Vec<u8>> {
    if !key.is_in_field() || !is_shown(key) {
        return Vec::new();
    }
    let bytes = key.as_bytes();
    let steps = key.steps().into_iter();
    let marks = steps.filter_map(|step| {
        let (map, rest) = bytes.split_at_checked(step.start)?;
        let hash = hash(map, bytes.get(step)?);
        (hash < MARKED_BELOW).then(|| [NAMES, map, &hash.to_be_bytes(), rest].concat())
    });
    marks.collect()
}

/// Does a row show something for which it is marked? A counter all of which was reset does not.
#[must_use]
pub fn is_marked(key: &RowKey, row: &Row) -> bool {
    if key.leaf() == Leaf::Share {
        shares::is_marked(row)
    } else {
        !row.versions().is_empty()
    }
}

/// Where the marks of the names in a map lie, to which all row keys below it begin with `map`.
#[must_use]
pub fn marks_range(map: &[u8]) -> Bounds {
    let to = [NAMES, map, &MARKED_BELOW.to_be_bytes()].concat();
    ([NAMES, map].concat(), to)
}

/// Where the marks of all rows of a vnode lie.
#[must_use]
pub fn marks_of_vnode(id: VnodeId, bits: QBits) -> Bounds {
    let (from, to) = data_range(id, bits);
    ([NAMES, &from].concat(), [NAMES, &to].concat())
}

/// The key of the row that a mark in the range of a map stands for.
#[must_use]
pub fn row_of_mark(map: &[u8], mark: &[u8]) -> Vec<u8> {
    let rest = mark.get(NAMES.len() + map.len() + size_of::<u64>()..);
    [map, rest.unwrap_or_default()].concat()
}

/// What the keys of all rows of the name begin with that a row shows in the map so many steps
/// down. `None` if the row is not below it, or shows no field.
#[must_use]
pub fn name_of(key: &RowKey, depth: usize) -> Option<&[u8]> {
    if !is_shown(key) {
        return None;
    }
    let end = key.steps().get(depth)?.end;
    key.as_bytes().get(..end)
}

/// The hash that decides whether a row is marked in the map so many steps down.
#[must_use]
pub fn hash_of(key: &RowKey, depth: usize) -> Option<u64> {
    let step = key.steps().get(depth)?.clone();
    let bytes = key.as_bytes();
    Some(hash(bytes.get(..step.start)?, bytes.get(step)?))
}

/// Is the row part of a field as a reader sees it? A clear says what is gone from it.
fn is_shown(key: &RowKey) -> bool {
    !matches!(key.leaf(), Leaf::Cleared | Leaf::Rights)
}

fn hash(map: &[u8], step: &[u8]) -> u64 {
    xxh3_64_with_seed(step, xxh3_64(map))
}

const NAMES: &[u8] = b"names";
