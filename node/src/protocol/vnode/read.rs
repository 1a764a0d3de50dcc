//! Reading rows together with the clock that belongs to them.

use std::ops::ControlFlow;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::names::read_names;
use super::{Limits, Vnode};
use crate::mutants::{self, Mutant};
use crate::protocol::clears::Clears;
use crate::protocol::keys::{KeyPrefix, successor};
use crate::protocol::messages::{KeyedRow, Range, ReadRows, Refusal, RowsRead, Selection};
use crate::protocol::samples;
use crate::protocol::stage::{Family, Source, SourceError, Span, Stage, decode_keyed};
use crdt::Clock;
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use crdt::kinds::counter::Share;
use crdt::kinds::rules::Rows;
use ring::BucketId;

/// The rows of a selection, and how far they are all of it.
#[derive(Debug, Default)]
pub struct Selected {
    /// The rows, in the order of their keys.
    pub rows: Vec<KeyedRow>,
    /// They are complete as far as this key, which is included; `None` for all.
    pub until: Option<ByteBuf>,
    /// They are a sample: those of which the hash, of the part or of the name, is below this.
    pub sampled: Option<u64>,
}

impl Vnode {
    /// The rows of a selection and the clock, one atomic pair.
    ///
    /// # Errors
    /// The outer error is the store's; the inner one refuses an answer over the limit.
    pub fn read(
        &self,
        read: &ReadRows,
        limits: &Limits,
        stage: &Stage<'_>,
    ) -> Result<Result<RowsRead, Refusal>, SourceError> {
        let selected = if mutants::is_active(Mutant::ClockNewerThanRow) {
            // The bug: the rows from before this batch, the clock from within it.
            read_rows(stage.source(), &read.selection, &self.clears, limits)?
        } else {
            read_rows(stage, &read.selection, &self.clears, limits)?
        };
        let clock = if read.whole_clock {
            self.clock.clone()
        } else {
            Clock::of(self.clock.dots().bases())
        };
        let catching_up = self.is_catching_up();
        Ok(selected.map(|selected| selected.answer(read, clock, catching_up)))
    }
}

impl Selected {
    /// The answer to a read, with the clock that belongs to the rows.
    #[must_use]
    pub fn answer(mut self, read: &ReadRows, clock: Clock, catching_up: bool) -> RowsRead {
        let mut left_out = DotSet::default();
        if let Some(most) = read.bodies_up_to {
            for keyed in &mut self.rows {
                leave_out(keyed, most, &mut left_out);
            }
        }
        RowsRead {
            rows: self.rows,
            clock,
            catching_up,
            until: self.until,
            sampled: self.sampled,
            left_out,
        }
    }
}

/// Takes the bodies that are longer than `most` bytes out of a row, and notes whose they were.
fn leave_out(keyed: &mut KeyedRow, most: u32, left_out: &mut DotSet) {
    let is_long = |body: &Bytes| u32::try_from(body.len()).unwrap_or(u32::MAX) > most;
    let versions = keyed.row.versions().iter();
    let mut long = versions
        .filter(|(_, version)| is_long(&version.body))
        .peekable();
    if long.peek().is_some() {
        long.for_each(|(&dot, _)| left_out.insert(dot));
        let shortened = |body: &Bytes| {
            if is_long(body) {
                Bytes::new()
            } else {
                body.clone()
            }
        };
        keyed.row = keyed.row.map_bodies(shortened);
    }
}

/// The rows of a selection without what is cleared, and the clears, since what they clear may stand
/// at another owner still. The caller pairs them with the clock that belongs to them.
///
/// # Errors
/// The outer error is the store's; the inner one refuses an answer over the limit.
pub fn read_rows(
    source: &dyn Source,
    selection: &Selection,
    clears: &Clears,
    limits: &Limits,
) -> Result<Result<Selected, Refusal>, SourceError> {
    let range = |from: &[u8], to: Vec<u8>| Range {
        from: ByteBuf::from(from),
        to: ByteBuf::from(to),
        reverse: false,
        limit: None,
    };
    match selection {
        Selection::Row(key) => {
            let row = range(key.as_bytes(), successor(key.as_bytes()));
            read_range(source, &row, clears, limits)
        }
        Selection::Key(prefix) => {
            let key = range(prefix.as_bytes(), prefix.end());
            read_range(source, &key, clears, limits)
        }
        Selection::Range(range) => read_range(source, range, clears, limits),
        Selection::Keys { bucket, range } => {
            read_keys(source, *bucket, (range, clears), limits).map(Ok)
        }
        Selection::Sample(range) => read_sample(source, range, clears, limits),
        Selection::Names { range, depth } => {
            let map = (range, usize::from(*depth));
            let mut names = read_names(source, map, clears, limits)?;
            add_clears(source, range, clears, &mut names.rows)?;
            Ok(Ok(names))
        }
    }
}

/// All rows of a set or a list if they are no more than the limit, otherwise those whose marks are
/// the smallest. Items of a list come without their bodies.
fn read_sample(
    source: &dyn Source,
    range: &Range,
    clears: &Clears,
    limits: &Limits,
) -> Result<Result<Selected, Refusal>, SourceError> {
    let (from, to) = samples::marks_range(&range.from);
    let (mut keys, mut bound) = (Vec::new(), samples::MARKED_BELOW);
    source.scan(Family::Meta, &from, &to, &mut |mark, _| {
        let Some((hash, key)) = samples::row_of_mark(&range.from, mark) else {
            return ControlFlow::Continue(());
        };
        if keys.len() == samples::MARKS {
            bound = hash;
            return ControlFlow::Break(());
        }
        keys.push(key);
        ControlFlow::Continue(())
    })?;
    if bound == samples::MARKED_BELOW {
        let all = read_range(source, range, clears, limits)?;
        if all.as_ref().is_ok_and(|all| all.until.is_none()) {
            return Ok(all);
        }
    }
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        if let Some(stored) = source.get(Family::Data, &key)? {
            let mut keyed = decode_keyed(&key, &stored)?;
            clears.hide(&keyed.key, &mut keyed.row);
            let is_item = matches!(keyed.key.leaf().rules().rows, Rows::Items(_));
            rows.push(if is_item {
                without_bodies(&keyed)
            } else {
                keyed
            });
        }
    }
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    add_clears(source, range, clears, &mut rows)?;
    Ok(Ok(Selected {
        rows,
        until: None,
        sampled: Some(bound),
    }))
}

fn read_range(
    source: &dyn Source,
    range: &Range,
    clears: &Clears,
    limits: &Limits,
) -> Result<Result<Selected, Refusal>, SourceError> {
    let mut selected = Selected::default();
    let (mut bytes, mut hidden) = (0, 0);
    let limit = range.limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let (mut last, mut is_cut) = (Vec::new(), false);
    let mut failed = None;
    let mut visit = |key: &[u8], stored: &[u8]| {
        let is_full = selected.rows.len() >= limit || bytes > limits.message_bytes;
        if is_full || (range.limit.is_some() && hidden >= HIDDEN_LOOKED_AT) {
            is_cut = true;
            return ControlFlow::Break(());
        }
        match decode_keyed(key, stored) {
            Ok(mut keyed) => {
                if clears.hide(&keyed.key, &mut keyed.row) && keyed.row.is_empty() {
                    hidden += 1;
                } else {
                    bytes += key.len() + stored.len();
                    selected.rows.push(keyed);
                }
            }
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        }
        if range.limit.is_some() {
            last.clear();
            last.extend_from_slice(key);
        }
        ControlFlow::Continue(())
    };
    let span = Span {
        from: &range.from,
        to: &range.to,
        reverse: range.reverse,
    };
    source.walk(Family::Data, span, &mut visit)?;
    if let Some(error) = failed {
        return Err(error);
    }
    if range.limit.is_none() && bytes > limits.message_bytes {
        return Ok(Err(Refusal::TooLarge));
    }
    selected.until = is_cut.then(|| ByteBuf::from(last));
    // Readers join answers by key order, whichever way they were gathered.
    if range.reverse {
        selected.rows.reverse();
    }
    add_clears(source, range, clears, &mut selected.rows)?;
    Ok(Ok(selected))
}

/// Adds the rows of the clears that concern a range.
fn add_clears(
    source: &dyn Source,
    range: &Range,
    clears: &Clears,
    rows: &mut Vec<KeyedRow>,
) -> Result<(), SourceError> {
    let mut is_sorted = true;
    for key in clears.meeting(&range.from, &range.to) {
        if let Some(stored) = source.get(Family::Data, key.as_bytes())? {
            rows.push(decode_keyed(key.as_bytes(), &stored)?);
            is_sorted = false;
        }
    }
    if !is_sorted {
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        rows.dedup_by(|a, b| a.key == b.key);
    }
    Ok(())
}

/// Of each key of a bucket the first row that shows a version, and those behind it that last
/// longer: the first may be over for the reader, and the key is not. Rows of other buckets lie
/// between them and are looked at too, so the number of those is what is bounded.
fn read_keys(
    source: &dyn Source,
    bucket: BucketId,
    (range, clears): (&Range, &Clears),
    limits: &Limits,
) -> Result<Selected, SourceError> {
    let mut selected = Selected::default();
    let (mut bytes, mut looked_at) = (0, 0);
    let limit = range.limit.unwrap_or(KEYS_LOOKED_AT).min(KEYS_LOOKED_AT);
    let mut last: Option<(KeyPrefix, u64)> = None;
    let mut failed = None;
    source.scan(Family::Data, &range.from, &range.to, &mut |key, stored| {
        looked_at += 1;
        let mut row = match decode_keyed(key, stored) {
            Ok(row) => row,
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        };
        clears.hide(&row.key, &mut row.row);
        let longest = last.as_ref().filter(|(prefix, _)| row.key.is_of(prefix));
        let longest = longest.map(|&(_, end)| end);
        let end = match end_of(&row) {
            Ok(end) => end,
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        };
        if let Some(end) = end.filter(|&end| Some(end) > longest)
            && row.key.bucket() == Some(bucket)
            && row.key.leaf() != Leaf::Cleared
        {
            bytes += key.len() + 96;
            last = Some((row.key.prefix(), end));
            selected.rows.push(without_bodies(&row));
        }
        if looked_at >= limit || bytes > limits.message_bytes {
            selected.until = Some(ByteBuf::from(key));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    failed.map_or(Ok(selected), Err)
}

/// When the last version of a row ends; `None` if it shows nothing. A share all of which was reset
/// is what a deleted counter leaves.
pub(super) fn end_of(KeyedRow { key, row }: &KeyedRow) -> Result<Option<u64>, SourceError> {
    if key.leaf() == Leaf::Share {
        let share =
            Share::of(row).map_err(|error| SourceError::senseless(key.as_bytes(), error))?;
        if share.is_reset() {
            return Ok(None);
        }
    }
    let versions = row.versions().values();
    Ok(versions
        .map(|version| version.expires_ms.unwrap_or(u64::MAX))
        .max())
}

pub(super) fn without_bodies(keyed: &KeyedRow) -> KeyedRow {
    KeyedRow {
        key: keyed.key.clone(),
        row: keyed.row.map_bodies(|_| Bytes::new()),
    }
}

/// Rows that one step of a listing looks at.
const KEYS_LOOKED_AT: u32 = 4_096;
/// Rows with nothing left in them that one page looks at.
const HIDDEN_LOOKED_AT: usize = 16_384;
