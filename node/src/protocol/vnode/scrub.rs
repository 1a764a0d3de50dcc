//! What the rows of a vnode come to, for a comparison with those of the other owners.
//!
//! A digest is the sum of a hash for each row that shows something: of its key and its versions.
//! Contexts are left out, since owners strip them at different moments; versions that have an end
//! are, since owners remove them at different moments; so are clears, which each owner forgets by
//! itself. What is left is equal wherever clocks are.

use std::ops::ControlFlow;

use serde_bytes::ByteBuf;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{Vnode, catch_up};
use crate::protocol::keys::{Bounds, RowKey, data_range};
use crate::protocol::messages::{Examined, KeyedRow};
use crate::protocol::stage::{Family, Source, SourceError, Stage, decode_keyed};
use crdt::Row;
use crdt::dots::DotSet;
use crdt::kinds::Leaf;

impl Vnode {
    /// Is it in a state in which its rows say what its clock says, and in which it may be compared?
    #[must_use]
    pub fn may_be_compared(&self) -> bool {
        !self.is_catching_up() && self.syncing.is_none() && self.borrowed().is_empty()
    }

    /// A hash of the clock.
    #[must_use]
    pub fn clock_hash(&self) -> u64 {
        catch_up::hash(&self.clock)
    }

    /// Where the stretch of up to `rows` rows, and about 1 MiB, ends that begins at `from`, and
    /// whether it is the vnode's last. `None` for `from` is the beginning of the vnode.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn stretch(
        &self,
        from: Option<Vec<u8>>,
        rows: usize,
        source: &dyn Source,
    ) -> Result<(Bounds, bool), SourceError> {
        let (start, end) = data_range(self.id, self.bits);
        let from = from.unwrap_or(start);
        let (mut count, mut bytes, mut next) = (0, 0, None);
        source.scan(Family::Data, &from, &end, &mut |key, stored| {
            if count >= rows || bytes >= STRETCH_BYTES {
                next = Some(key.to_vec());
                return ControlFlow::Break(());
            }
            count += 1;
            bytes += stored.len();
            ControlFlow::Continue(())
        })?;
        let is_last = next.is_none();
        Ok(((from, next.unwrap_or(end)), is_last))
    }

    /// Cuts a range into up to `parts` of about as many rows each. A range of up to `least` rows is
    /// not cut: `None`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn cut(
        &self,
        (from, to): (&[u8], &[u8]),
        (parts, least): (usize, usize),
        source: &dyn Source,
    ) -> Result<Option<Vec<ByteBuf>>, SourceError> {
        let keys = keys(source, (from, to), MAX_ROWS)?;
        if keys.len() <= least {
            return Ok(None);
        }
        let mut bounds = vec![ByteBuf::from(from)];
        let step = keys.len().div_ceil(parts).max(1);
        let inner = keys.into_iter().step_by(step).skip(1);
        bounds.extend(inner.map(ByteBuf::from));
        bounds.push(ByteBuf::from(to));
        Ok(Some(bounds))
    }

    /// The digests of ranges, and the clock they belong to.
    ///
    /// # Errors
    /// When the store cannot be read, or a row is damaged.
    pub fn examine(
        &self,
        bounds: &[ByteBuf],
        source: &dyn Source,
    ) -> Result<Examined, SourceError> {
        let (start, end) = data_range(self.id, self.bits);
        let mut left = MAX_COST;
        let mut digests = Vec::new();
        for pair in bounds.windows(2) {
            let [from, to] = pair else { continue };
            let from = from.to_vec().max(start.clone());
            let to = to.to_vec().min(end.clone());
            digests.push(self.digest((&from, &to), &mut left, source)?);
        }
        let clock = self.clock_hash();
        Ok(Examined { clock, digests })
    }

    fn digest(
        &self,
        (from, to): (&[u8], &[u8]),
        left: &mut usize,
        source: &dyn Source,
    ) -> Result<Option<u64>, SourceError> {
        let (mut sum, mut failed) = (0_u64, None);
        source.scan(Family::Data, from, to, &mut |key, stored| {
            if *left == 0 {
                return ControlFlow::Break(());
            }
            *left = left.saturating_sub(1 + stored.len() / COST_OF_BYTES);
            match self.shown(key, stored) {
                Ok(Some(shown)) => {
                    let row = xxh3_64_with_seed(&shown.row.encode(), xxh3_64(key));
                    sum = sum.wrapping_add(row);
                    ControlFlow::Continue(())
                }
                Ok(None) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or_else(|| Ok((*left > 0).then_some(sum)), Err)
    }

    /// The rows of a range that show something, as they are compared; up to `limit`.
    ///
    /// # Errors
    /// When the store cannot be read, or a row is damaged.
    pub fn compared(
        &self,
        (from, to): (&[u8], &[u8]),
        limit: usize,
        source: &dyn Source,
    ) -> Result<Vec<KeyedRow>, SourceError> {
        let (mut rows, mut failed) = (Vec::new(), None);
        source.scan(Family::Data, from, to, &mut |key, stored| {
            match self.shown(key, stored) {
                Ok(shown) => rows.extend(shown),
                Err(error) => failed = Some(error),
            }
            if failed.is_some() || rows.len() >= limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        failed.map_or(Ok(rows), Err)
    }

    /// Joins a version into its row that this owner alone had lost. Its event is long here.
    pub(crate) fn restore(
        &mut self,
        key: &RowKey,
        version: &Row,
        stage: &mut Stage<'_>,
    ) -> Result<(), SourceError> {
        let mut row = stage.row(key)?;
        row.join(version);
        row.strip(&self.clock);
        self.put_row(key, &mut row, stage);
        self.expiring.meet(&row);
        Ok(())
    }

    fn shown(&self, key: &[u8], stored: &[u8]) -> Result<Option<KeyedRow>, SourceError> {
        let mut keyed = decode_keyed(key, stored)?;
        self.clears.hide(&keyed.key, &mut keyed.row);
        Ok(comparable(&keyed, |dot| self.clock.contains(dot)))
    }
}

/// What of a row is compared; `None` for nothing. A version of which the clock knows nothing is on
/// its way: a full sync that was given up has brought it.
pub(crate) fn comparable(keyed: &KeyedRow, knows: impl Fn(crdt::Dot) -> bool) -> Option<KeyedRow> {
    if keyed.key.leaf() == Leaf::Cleared {
        return None;
    }
    let mut row = keyed.row.clone();
    row.set_context(crdt::Context::default());
    let mut hidden = DotSet::default();
    for (&dot, version) in row.versions() {
        if version.expires_ms.is_some() || !knows(dot) {
            hidden.insert(dot);
        }
    }
    row.hide(&hidden);
    let key = keyed.key.clone();
    (!Row::is_empty(&row)).then_some(KeyedRow { key, row })
}

/// The first keys of a range.
fn keys(
    source: &dyn Source,
    (from, to): (&[u8], &[u8]),
    limit: usize,
) -> Result<Vec<Vec<u8>>, SourceError> {
    let mut keys = Vec::new();
    source.scan(Family::Data, from, to, &mut |key, _| {
        keys.push(key.to_vec());
        if keys.len() < limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(keys)
}

/// Bytes of rows in one stretch, exceeded by one row at the most.
const STRETCH_BYTES: usize = 1 << 20;
/// What one answer may cost: a row costs 1, and 1 more for each so many bytes. It is enough for a
/// stretch of the asker, and for what it may have lost of it.
const MAX_COST: usize = 65_536;
const COST_OF_BYTES: usize = 1_024;
/// Rows that are cut into smaller ranges at one time.
const MAX_ROWS: usize = 65_536;
