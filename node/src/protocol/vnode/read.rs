//! Reading rows together with the clock that belongs to them.

use std::ops::ControlFlow;

use super::{Limits, Vnode};
use crate::mutants::{self, Mutant};
use crate::protocol::keys::RowKey;
use crate::protocol::messages::{KeyedRow, ReadRows, Refusal, RowsRead, Selection};
use crate::protocol::stage::{Family, Source, SourceError, Stage, decode_row};
use crdt::Clock;

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
        let rows = if mutants::is_active(Mutant::ClockNewerThanRow) {
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
        Ok(rows.map(|rows| RowsRead {
            rows,
            clock,
            catching_up: self.is_catching_up(),
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
) -> Result<Result<Vec<KeyedRow>, Refusal>, SourceError> {
    let prefix = match selection {
        Selection::Key(prefix) => prefix,
        Selection::Row(key) => {
            let stored = source.get(Family::Data, key.as_bytes())?;
            let row = stored
                .map(|stored| decode_row(key.as_bytes(), &stored))
                .transpose()?;
            return Ok(Ok(row
                .map(|row| KeyedRow {
                    key: key.clone(),
                    row,
                })
                .into_iter()
                .collect()));
        }
    };
    let mut rows = Vec::new();
    let mut bytes = 0;
    let mut failed = None;
    source.scan(
        Family::Data,
        prefix.as_bytes(),
        &prefix.end(),
        &mut |key, stored| {
            bytes += key.len() + stored.len();
            let decoded = decode_row(key, stored).and_then(|row| {
                let key = RowKey::decode(key).map_err(|error| SourceError::corrupt(key, error))?;
                Ok(KeyedRow { key, row })
            });
            match decoded {
                Ok(row) => rows.push(row),
                Err(error) => failed = Some(error),
            }
            if failed.is_some() || bytes > limits.message_bytes {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    )?;
    match failed {
        Some(error) => Err(error),
        None if bytes > limits.message_bytes => Ok(Err(Refusal::TooLarge)),
        None => Ok(Ok(rows)),
    }
}
