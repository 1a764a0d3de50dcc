//! What a vnode reads from and writes to while it handles a batch: storage as an argument.
//!
//! The committer hands the machine a [`Stage`] over the store. Reads see what the batch has staged
//! so far, then the store; writes are staged. When all operations of the batch are handled, the
//! committer writes the staged changes as one atomic batch, and only then lets the effects out.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, ControlFlow};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::keys::RowKey;
use super::messages::KeyedRow;
use super::samples::{self, names};
use super::shares;
pub use super::source_error::SourceError;
use crate::mutants::{self, Mutant};
use crdt::Row;
use crdt::codec::DecodeError;

/// The families of rows that the protocol keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Rows of keys.
    Data,
    /// Events by their dots.
    Dotlog,
    /// Records of operations.
    Records,
    /// Checkpoints of vnodes.
    Meta,
    /// What this node keeps for owners that were away.
    Hints,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Data,
        Self::Dotlog,
        Self::Records,
        Self::Meta,
        Self::Hints,
    ];
}

/// The keys `from <= key < to` of a family, in order or from the last to the first; none when
/// `to <= from`.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// The first key that may be in it.
    pub from: &'a [u8],
    /// The first key behind it.
    pub to: &'a [u8],
    /// Is the last key visited first?
    pub reverse: bool,
}

/// Is shown a key and its value, and says whether to go on.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Ordered bytes to read from: the store, or a snapshot of it.
pub trait Source {
    /// The value of a key.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError>;

    /// Visits the keys of a span until the visitor breaks.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn walk(
        &self,
        family: Family,
        span: Span<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<(), SourceError>;

    /// Visits the keys from `from` up to but without `to`, in order, until the visitor breaks.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn scan(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), SourceError> {
        let reverse = false;
        self.walk(family, Span { from, to, reverse }, visit)
    }
}

/// Everything one batch changes: each key once, in order; `None` deletes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    families: [Changed; Family::ALL.len()],
}

/// The changes of one family: each key's new value, or `None` where it is deleted.
type Changed = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// One change: the family, the key, the new value or `None`.
type Change<'a> = (Family, &'a [u8], Option<&'a [u8]>);

/// A key and its value.
type Entry = (Vec<u8>, Vec<u8>);

impl Changes {
    /// Does the batch change nothing?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.families.iter().all(BTreeMap::is_empty)
    }

    /// How many keys the batch changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.families.iter().map(BTreeMap::len).sum()
    }

    /// Every change.
    pub fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        Family::ALL.into_iter().flat_map(|family| {
            self.of(family)
                .iter()
                .map(move |(key, value)| (family, &key[..], value.as_deref()))
        })
    }

    fn of(&self, family: Family) -> &Changed {
        let [data, dotlog, records, meta, hints] = &self.families;
        match family {
            Family::Data => data,
            Family::Dotlog => dotlog,
            Family::Records => records,
            Family::Meta => meta,
            Family::Hints => hints,
        }
    }

    fn insert(&mut self, family: Family, key: Vec<u8>, value: Option<Vec<u8>>) {
        let [data, dotlog, records, meta, hints] = &mut self.families;
        let changes = match family {
            Family::Data => data,
            Family::Dotlog => dotlog,
            Family::Records => records,
            Family::Meta => meta,
            Family::Hints => hints,
        };
        changes.insert(key, value);
    }
}

/// A batch in the making over a source.
pub struct Stage<'a> {
    source: &'a dyn Source,
    changes: Changes,
}

impl<'a> Stage<'a> {
    /// An empty batch over `source`.
    #[must_use]
    pub fn new(source: &'a dyn Source) -> Self {
        Self {
            source,
            changes: Changes::default(),
        }
    }

    /// What lies under the batch.
    #[must_use]
    pub fn source(&self) -> &'a dyn Source {
        self.source
    }

    /// What the batch changes.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        self.changes
    }

    /// Takes over what a batch over this one has changed.
    pub(crate) fn take(&mut self, changes: Changes) {
        for (mine, theirs) in self.changes.families.iter_mut().zip(changes.families) {
            mine.extend(theirs);
        }
    }

    /// Stages a value.
    pub fn put(&mut self, family: Family, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(family, key, Some(value));
    }

    /// Stages a deletion.
    pub fn delete(&mut self, family: Family, key: Vec<u8>) {
        self.changes.insert(family, key, None);
    }

    /// The first `limit` entries from `from` up to but without `to`, staged or stored, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn range(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Vec<Entry>, SourceError> {
        let mut found = Vec::new();
        if limit > 0 {
            self.scan(family, from, to, &mut |key, value| {
                found.push((key.to_vec(), value.to_vec()));
                if found.len() < limit {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })?;
        }
        Ok(found)
    }

    /// The row of a key; the empty row if none is stored.
    ///
    /// # Errors
    /// When the store cannot be read or the row is damaged.
    pub fn row(&self, key: &RowKey) -> Result<Row, SourceError> {
        match self.get(Family::Data, key.as_bytes())? {
            Some(bytes) => decode_row(key.as_bytes(), &bytes),
            None => Ok(Row::default()),
        }
    }

    /// Stages a row, and the marks that stand for it in samples or among the counters that a clear
    /// resets; an empty row is deleted.
    pub fn put_row(&mut self, key: &RowKey, row: &Row) {
        if let Some(mark) = samples::mark_key(key) {
            let shows = !row.versions().is_empty();
            self.changes
                .insert(Family::Meta, mark, shows.then(Vec::new));
        }
        for mark in names::mark_keys(key) {
            let shows = names::is_marked(key, row);
            self.changes
                .insert(Family::Meta, mark, shows.then(Vec::new));
        }
        if let Some(mark) = shares::mark_key(key) {
            let holds = shares::is_marked(row);
            self.changes
                .insert(Family::Meta, mark, holds.then(Vec::new));
        }
        let stored = (!row.is_empty()).then(|| encode_row(key.as_bytes(), row));
        self.changes
            .insert(Family::Data, key.as_bytes().to_vec(), stored);
    }
}

impl Source for Stage<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
        match self.changes.of(family).get(key) {
            Some(staged) => Ok(staged.clone()),
            None => self.source.get(family, key),
        }
    }

    fn walk(
        &self,
        family: Family,
        span: Span<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<(), SourceError> {
        let Span { from, to, reverse } = span;
        let bounds = (Bound::Included(from), Bound::Excluded(to.max(from)));
        let staged = self.changes.of(family).range::<[u8], _>(bounds);
        let mut under = |visit: &mut Visit<'_>| self.source.walk(family, span, visit);
        if reverse {
            merge(staged.rev(), |a, b| a > b, visit, &mut under)
        } else {
            merge(staged, |a, b| a < b, visit, &mut under)
        }
    }
}

/// How the source under a batch is scanned.
type Scan<'a> = dyn FnMut(&mut Visit<'_>) -> Result<(), SourceError> + 'a;

/// A key that the batch changes, with its new value.
type Staged<'a> = (&'a Vec<u8>, &'a Option<Vec<u8>>);

/// Scans what lies under a batch, and shows `visit` each key as it will be after the batch.
#[expect(
    single_use_lifetimes,
    reason = "an anonymous lifetime is not allowed here"
)]
fn merge<'a>(
    staged: impl Iterator<Item = Staged<'a>>,
    is_before: impl Fn(&[u8], &[u8]) -> bool,
    visit: &mut Visit<'_>,
    scan: &mut Scan<'_>,
) -> Result<(), SourceError> {
    let mut staged = staged.peekable();
    let mut stopped = false;
    scan(&mut |key, value| {
        while let Some((at, new)) = staged.next_if(|(at, _)| is_before(at, key)) {
            if new.as_ref().is_some_and(|new| visit(at, new).is_break()) {
                stopped = true;
                return ControlFlow::Break(());
            }
        }
        let step = match staged.next_if(|(at, _)| at[..] == *key) {
            Some((_, None)) => ControlFlow::Continue(()),
            Some((_, Some(staged))) => visit(key, staged),
            None => visit(key, value),
        };
        stopped = step.is_break();
        step
    })?;
    if !stopped {
        for (at, new) in staged {
            if new.as_ref().is_some_and(|new| visit(at, new).is_break()) {
                break;
            }
        }
    }
    Ok(())
}

impl fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("changes", &self.changes.len())
            .finish_non_exhaustive()
    }
}

/// The stored form of a row: its canonical bytes and a checksum of key and bytes, big endian, so
/// that damage is found wherever on its way it happened.
#[must_use]
pub fn encode_row(key: &[u8], row: &Row) -> Vec<u8> {
    let mut bytes = row.encode();
    bytes.extend_from_slice(&checksum(key, &bytes).to_be_bytes());
    bytes
}

/// Reads the stored form of a row.
///
/// # Errors
/// [`SourceError::Corrupt`] when the checksum does not match or the bytes are no row.
pub fn decode_row(key: &[u8], stored: &[u8]) -> Result<Row, SourceError> {
    let Some((bytes, sum)) = stored.split_last_chunk::<8>() else {
        return Err(SourceError::corrupt(
            key,
            DecodeError::Truncated { field: "checksum" },
        ));
    };
    if u64::from_be_bytes(*sum) != checksum(key, bytes) {
        if mutants::is_active(Mutant::QuarantineSkipped) {
            // The bug: what is damaged is not there.
            return Ok(Row::default());
        }
        return Err(SourceError::corrupt(key, "the checksum does not match"));
    }
    Row::decode(bytes).map_err(|error| SourceError::corrupt(key, error))
}

/// Reads a row with its key.
///
/// # Errors
/// As [`decode_row`], and when the key is none of a row.
pub fn decode_keyed(key: &[u8], stored: &[u8]) -> Result<KeyedRow, SourceError> {
    let row = decode_row(key, stored)?;
    let key = RowKey::decode(key).map_err(|error| SourceError::corrupt(key, error))?;
    Ok(KeyedRow { key, row })
}

fn checksum(key: &[u8], bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, xxh3_64_with_seed(key, 0))
}
