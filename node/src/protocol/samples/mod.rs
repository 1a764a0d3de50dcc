//! A sample of the rows of every set and list, from which their length is estimated.
//!
//! Rows lie in the order of their parts, so how many there are is known only by counting them. Of
//! every sixteenth, chosen by the hash of its part, a mark is kept in the order of those hashes,
//! in the batch that changes the row:
//!
//! ```text
//!   "sampled" | key of the field, leaf | hash u64, below 2^60 | part
//! ```
//!
//! Hashes are spread evenly, so if the k-th smallest of them is h, there are about
//! (k - 1) * 2^64 / h rows: the estimator of the k minimum values, whose standard error is
//! 1 / sqrt(k - 2) (Bar-Yossef et al., *Counting Distinct Elements in a Data Stream*, RANDOM'02;
//! Beyer et al., *On Synopses for Distinct-Value Estimation Under Multiset Operations*, SIGMOD'07).
//! Whatever the length, no more than [`MARKS`] rows are looked at. A mark goes with its row, so
//! removals are no difficulty, and because the hash depends on the part alone, the samples of
//! several replicas join like rows. The names in a map are sampled by [`names`].

pub mod names;

use xxhash_rust::xxh3::xxh3_64;

use crate::protocol::keys::{RowKey, data_range};
use ring::{QBits, VnodeId};

/// Marks that an estimate looks at: its standard error is about 3 %.
pub const MARKS: usize = 1_024;

/// A collection of no more rows is counted and not estimated.
pub const COUNTED: u32 = 4_096;

/// Rows are marked whose hash is below this: one in sixteen.
pub const MARKED_BELOW: u64 = 1 << 60;

/// The hash that decides whether a row is marked.
#[must_use]
pub fn hash(key: &RowKey) -> u64 {
    xxh3_64(key.part())
}

/// The hash that decides about a row of the map so many steps down: that of its name there. Without
/// a map, [`hash`]. What is in no sample has none that is below a bound.
#[must_use]
pub fn hash_in(key: &RowKey, map: Option<usize>) -> u64 {
    map.map_or_else(
        || hash(key),
        |depth| names::hash_of(key, depth).unwrap_or(u64::MAX),
    )
}

/// The `meta` key of the mark of a row; `None` if it has none.
#[must_use]
pub fn mark_key(key: &RowKey) -> Option<Vec<u8>> {
    key.leaf().rules().rows.counted()?;
    let hash = hash(key);
    let head = key.head();
    (hash < MARKED_BELOW).then(|| [SAMPLED, head, &hash.to_be_bytes(), key.part()].concat())
}

/// Where the marks of the rows of one leaf of a field lie, whose keys all begin with `head`: from,
/// and up to but without.
#[must_use]
pub fn marks_range(head: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let from = [SAMPLED, head].concat();
    let to = [SAMPLED, head, &MARKED_BELOW.to_be_bytes()].concat();
    (from, to)
}

/// Where the marks of all rows of a vnode lie.
#[must_use]
pub fn marks_of_vnode(id: VnodeId, bits: QBits) -> (Vec<u8>, Vec<u8>) {
    let (from, to) = data_range(id, bits);
    ([SAMPLED, &from].concat(), [SAMPLED, &to].concat())
}

/// The hash in the key of a mark, and the key of the row that it stands for. `None` if the bytes
/// are no such key.
#[must_use]
pub fn row_of_mark(head: &[u8], mark: &[u8]) -> Option<(u64, Vec<u8>)> {
    let rest = mark.get(SAMPLED.len() + head.len()..)?;
    let (hash, part) = rest.split_first_chunk()?;
    Some((u64::from_be_bytes(*hash), [head, part].concat()))
}

/// About how many rows there are if so many of those with a hash below `bound` show something.
#[must_use]
pub fn estimate(visible: u64, bound: u64) -> u64 {
    let all = (u128::from(visible) << u64::BITS) / u128::from(bound.max(1));
    u64::try_from(all).unwrap_or(u64::MAX)
}

const SAMPLED: &[u8] = b"sampled";
