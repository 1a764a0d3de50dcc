//! Reading rows together with the clock that belongs to them.

use std::ops::ControlFlow;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::{Limits, Vnode};
use crate::mutants::{self, Mutant};
use crate::protocol::keys::{KeyPrefix, RowKey};
use crate::protocol::messages::{KeyedRow, Range, ReadRows, Refusal, RowsRead, Selection};
use crate::protocol::stage::{Family, Source, SourceError, Stage, decode_row};
use crdt::{Clock, Row};
use ring::BucketId;

/// The rows of a selection, and how far they are all of it.
#[derive(Debug, Default)]
pub struct Selected {
    /// The rows, in the order of their keys.
    pub rows: Vec<KeyedRow>,
    /// They are complete as far as this key, which is included; `None` for all.
    pub until: Option<ByteBuf>,
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
            read_rows(stage.source(), &read.selection, limits)?
        } else {
            read_rows(stage, &read.selection, limits)?
        };
        let clock = if read.whole_clock {
            self.clock.clone()
        } else {
            Clock::of(self.clock.dots().bases())
        };
        Ok(selected.map(|Selected { rows, until }| RowsRead {
            rows,
            clock,
            catching_up: self.is_catching_up(),
            until,
        }))
    }
}

/// The rows of a selection. The caller pairs them with the clock that belongs to them.
///
/// # Errors
/// The outer error is the store's; the inner one refuses an answer over the limit.
pub fn read_rows(
    source: &dyn Source,
    selection: &Selection,
    limits: &Limits,
) -> Result<Result<Selected, Refusal>, SourceError> {
    match selection {
        Selection::Row(key) => {
            let stored = source.get(Family::Data, key.as_bytes())?;
            let row = stored.map(|stored| decode_row(key.as_bytes(), &stored));
            let rows = row.transpose()?.map(|row| KeyedRow {
                key: key.clone(),
                row,
            });
            Ok(Ok(Selected {
                rows: rows.into_iter().collect(),
                until: None,
            }))
        }
        Selection::Key(prefix) => read_range(
            source,
            &Range {
                from: ByteBuf::from(prefix.as_bytes()),
                to: ByteBuf::from(prefix.end()),
                reverse: false,
                limit: None,
            },
            limits,
        ),
        Selection::Range(range) => read_range(source, range, limits),
        Selection::Keys { bucket, range } => read_keys(source, *bucket, range, limits).map(Ok),
    }
}

fn read_range(
    source: &dyn Source,
    range: &Range,
    limits: &Limits,
) -> Result<Result<Selected, Refusal>, SourceError> {
    let mut selected = Selected::default();
    let (mut bytes, mut is_cut) = (0, false);
    let limit = range.limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let mut failed = None;
    let mut visit = |key: &[u8], stored: &[u8]| {
        if selected.rows.len() >= limit || bytes > limits.message_bytes {
            is_cut = true;
            return ControlFlow::Break(());
        }
        bytes += key.len() + stored.len();
        match decode(key, stored) {
            Ok(row) => selected.rows.push(row),
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    };
    if range.reverse {
        source.scan_back(Family::Data, &range.from, &range.to, &mut visit)?;
    } else {
        source.scan(Family::Data, &range.from, &range.to, &mut visit)?;
    }
    if let Some(error) = failed {
        return Err(error);
    }
    if range.limit.is_none() && bytes > limits.message_bytes {
        return Ok(Err(Refusal::TooLarge));
    }
    let last = selected.rows.last().filter(|_| is_cut);
    selected.until = last.map(|keyed| ByteBuf::from(keyed.key.as_bytes()));
    // Readers join answers by key order, whichever way they were gathered.
    if range.reverse {
        selected.rows.reverse();
    }
    Ok(Ok(selected))
}

/// Of each key of a bucket the first row that shows a version, and those behind it that last
/// longer: the first may be over for the reader, and the key is not. Rows of other buckets lie
/// between them and are looked at too, so the number of those is what is bounded.
fn read_keys(
    source: &dyn Source,
    bucket: BucketId,
    range: &Range,
    limits: &Limits,
) -> Result<Selected, SourceError> {
    let mut selected = Selected::default();
    let (mut bytes, mut looked_at) = (0, 0);
    let limit = range.limit.unwrap_or(KEYS_LOOKED_AT).min(KEYS_LOOKED_AT);
    let mut last: Option<(KeyPrefix, u64)> = None;
    let mut failed = None;
    source.scan(Family::Data, &range.from, &range.to, &mut |key, stored| {
        looked_at += 1;
        let row = match decode(key, stored) {
            Ok(row) => row,
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        };
        let longest = last.as_ref().filter(|(prefix, _)| row.key.is_of(prefix));
        let longest = longest.map(|&(_, end)| end);
        if let Some(end) = end_of(&row.row).filter(|&end| Some(end) > longest)
            && row.key.bucket() == Some(bucket)
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

/// When the last version of a row ends; `None` if it shows none.
fn end_of(row: &Row) -> Option<u64> {
    let versions = row.versions().values();
    versions
        .map(|version| version.expires_ms.unwrap_or(u64::MAX))
        .max()
}

fn without_bodies(keyed: &KeyedRow) -> KeyedRow {
    KeyedRow {
        key: keyed.key.clone(),
        row: keyed.row.map_bodies(|_| Bytes::new()),
    }
}

fn decode(key: &[u8], stored: &[u8]) -> Result<KeyedRow, SourceError> {
    let row = decode_row(key, stored)?;
    let key = RowKey::decode(key).map_err(|error| SourceError::corrupt(key, error))?;
    Ok(KeyedRow { key, row })
}

/// Rows that one step of a listing looks at.
const KEYS_LOOKED_AT: u32 = 4_096;
