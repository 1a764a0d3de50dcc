//! Which names a map has: rows that show it, a few of each name, all others passed over.
//!
//! The names are met either in their order, in the rows themselves, or in the order of their
//! hashes, in the marks of those that are sampled. Either way the rows of a name stand together,
//! and what follows the one that settles whether it is there is skipped. A row that lasts for ever
//! settles it; with none, those that last longer and longer are shown, since the first may be over
//! for the reader, and the name is not.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::Limits;
use super::read::{Selected, end_of, without_bodies};
use crate::protocol::clears::Clears;
use crate::protocol::keys::{Bounds, RowKey};
use crate::protocol::messages::{KeyedRow, Range};
use crate::protocol::samples::{self, names};
use crate::protocol::stage::{Family, Source, SourceError, decode_row};
use crdt::kinds::map::STEP;
use crdt::kinds::{Leaf, remove_wins};

/// Rows of all names in a map if these are no more than the limit, otherwise of those whose hashes
/// are the smallest.
pub(super) fn read_names(
    source: &dyn Source,
    (range, depth): (&Range, usize),
    clears: &Clears,
    limits: &Limits,
) -> Result<Selected, SourceError> {
    let walk = |order, limit| Walk {
        source,
        clears,
        depth,
        order,
        most: (limit, limits.message_bytes),
        rows: Vec::new(),
        name: None,
        names: 0,
        looked_at: 0,
        bytes: 0,
        beyond: None,
    };
    let mut found = walk(Order::Hashes(&range.from), samples::MARKS);
    found.go()?;
    let mut sampled = Some(found.beyond.unwrap_or(samples::MARKED_BELOW));
    if found.beyond.is_none() {
        let limit = range.limit.unwrap_or(samples::COUNTED);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut all = walk(Order::Names(range), limit);
        all.go()?;
        if all.beyond.is_none() {
            (found, sampled) = (all, None);
        }
    }
    let mut rows = found.rows;
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(Selected {
        rows,
        until: None,
        sampled,
    })
}

/// In which order names are met, and where.
#[derive(Clone, Copy)]
enum Order<'a> {
    /// In their own, in the rows of the map.
    Names(&'a Range),
    /// In that of their hashes, in the marks of the map with this key.
    Hashes(&'a [u8]),
}

impl Order<'_> {
    fn family(self) -> Family {
        match self {
            Self::Names(_) => Family::Data,
            Self::Hashes(_) => Family::Meta,
        }
    }

    fn bounds(self) -> Bounds {
        match self {
            // What stands at the map's own path is in no field of it.
            Self::Names(range) => ([&range.from[..], &[STEP]].concat(), range.to.to_vec()),
            Self::Hashes(map) => names::marks_range(map),
        }
    }
}

/// Going through the names of a map.
struct Walk<'a> {
    source: &'a dyn Source,
    clears: &'a Clears,
    /// How many steps lead to the map.
    depth: usize,
    order: Order<'a>,
    /// How many names are looked at, and about how many bytes of rows are shown.
    most: (usize, usize),
    rows: Vec<KeyedRow>,
    /// The last one that was met.
    name: Option<Name>,
    names: usize,
    looked_at: usize,
    bytes: usize,
    /// The hash of the first name that was too many.
    beyond: Option<u64>,
}

/// A name, as far as its rows are known.
struct Name {
    /// What their keys begin with.
    key: Vec<u8>,
    looked_at: usize,
    passed_over: usize,
    /// When the last of those that were shown ends.
    end: Option<u64>,
}

/// Where the walk goes on.
enum Next {
    Here,
    At(Vec<u8>),
    Nowhere,
}

impl Walk<'_> {
    fn go(&mut self) -> Result<(), SourceError> {
        let (mut from, to) = self.order.bounds();
        let (source, family) = (self.source, self.order.family());
        loop {
            let mut next = Ok(Next::Nowhere);
            source.scan(
                family,
                &from,
                &to,
                &mut |entry, stored| match self.meet(entry, stored) {
                    Ok(Next::Here) => ControlFlow::Continue(()),
                    other => {
                        next = other;
                        ControlFlow::Break(())
                    }
                },
            )?;
            match next? {
                Next::At(behind) => from = behind,
                Next::Here | Next::Nowhere => return Ok(()),
            }
        }
    }

    fn meet(&mut self, entry: &[u8], stored: &[u8]) -> Result<Next, SourceError> {
        let bytes = match self.order {
            Order::Names(_) => entry.to_vec(),
            Order::Hashes(map) => names::row_of_mark(map, entry),
        };
        let key = RowKey::decode(&bytes).map_err(|error| SourceError::corrupt(&bytes, error))?;
        let Some(name) = names::name_of(&key, self.depth) else {
            return Ok(Next::Here);
        };
        if self.name.as_ref().is_none_or(|last| last.key != name) {
            let (names, bytes) = self.most;
            if self.names == names || self.bytes > bytes || self.looked_at > ROWS {
                self.beyond = names::hash_of(&key, self.depth);
                return Ok(Next::Nowhere);
            }
            self.names += 1;
            self.name = Some(Name::new(name));
        }
        let below = bytes.len() - name.len();
        match &mut self.name {
            Some(name) if name.is_settled() => Ok(name.pass(entry, below)),
            _ => self.look_at(key, stored).map(|()| Next::Here),
        }
    }

    fn look_at(&mut self, key: RowKey, stored: &[u8]) -> Result<(), SourceError> {
        let stored = match self.order {
            Order::Names(_) => Some(Cow::Borrowed(stored)),
            Order::Hashes(_) => self
                .source
                .get(Family::Data, key.as_bytes())?
                .map(Cow::Owned),
        };
        let Some(stored) = stored else {
            return Ok(());
        };
        let mut row = decode_row(key.as_bytes(), &stored)?;
        self.clears.hide(&key, &mut row);
        let keyed = KeyedRow { key, row };
        let end = end_if_shown(&keyed)?;
        self.looked_at += 1;
        if let Some(name) = &mut self.name {
            name.looked_at += 1;
            if end > name.end {
                name.end = end;
                let keyed = brief(keyed);
                self.bytes += keyed.key.as_bytes().len() + ROW_BYTES;
                self.rows.push(keyed);
            }
        }
        Ok(())
    }
}

impl Name {
    fn new(key: &[u8]) -> Self {
        Self {
            key: key.to_vec(),
            looked_at: 0,
            passed_over: 0,
            end: None,
        }
    }

    /// Does no further row of the name change what a reader sees of it?
    fn is_settled(&self) -> bool {
        self.end == Some(u64::MAX) || self.looked_at >= ROWS_OF_NAME
    }

    /// Passes over one more row: a few one by one, which costs less than to begin anew behind them.
    /// The entry ends with so many bytes below the name.
    fn pass(&mut self, entry: &[u8], below: usize) -> Next {
        self.passed_over += 1;
        if self.passed_over < PASSED_OVER {
            return Next::Here;
        }
        let end = entry.len().saturating_sub(below);
        let mut behind = entry.get(..end).unwrap_or_default().to_vec();
        // A step ends with a byte that can be added to.
        if let Some(last) = behind.last_mut() {
            *last += 1;
        }
        Next::At(behind)
    }
}

/// When the last version of a row ends, if a field is there by it.
fn end_if_shown(keyed: &KeyedRow) -> Result<Option<u64>, SourceError> {
    // What a removal from such a set leaves is a version too.
    if keyed.key.leaf() == Leaf::RemoveWinsElement && !remove_wins::contains(&keyed.row) {
        return Ok(None);
    }
    end_of(keyed)
}

/// The row without bodies that may be long, and of which a count needs no more than that they are
/// there.
fn brief(keyed: KeyedRow) -> KeyedRow {
    match keyed.key.leaf() {
        Leaf::Value | Leaf::Register | Leaf::Item => without_bodies(&keyed),
        Leaf::Share
        | Leaf::Element
        | Leaf::GrowElement
        | Leaf::RemoveWinsElement
        | Leaf::Max
        | Leaf::Min
        | Leaf::Flag
        | Leaf::DisableFlag
        | Leaf::Sketch
        | Leaf::Rights
        | Leaf::Cleared => keyed,
    }
}

/// Rows of one name that are looked at before it counts for what they have shown.
const ROWS_OF_NAME: usize = 256;
/// Rows that are looked at in all, beyond which no further name is.
const ROWS: usize = 16_384;
/// Rows of one name that are passed over before the walk begins anew behind them.
const PASSED_OVER: usize = 8;
/// About what a row takes beside its key.
const ROW_BYTES: usize = 96;
