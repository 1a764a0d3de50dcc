//! The removal of a whole: of a key, of a field, of one leaf of it.
//!
//! Few rows go one by one, each by an event that names exactly what was seen of it. Many go by one
//! clear ([`crdt::kinds::cleared`]), whatever their number; only counters among them are reset one
//! by one, found by leaping over all else.

use super::{Body, Checked, Planner};
use crate::protocol::keys::{Bounds, KeyPrefix, RowKey};
use crate::protocol::stage::{Family, SourceError, decode_row};
use crate::protocol::vnode::command::Target;
use crdt::Row;
use crdt::kinds::cleared::{self, Scope};
use crdt::kinds::map::{self, Path};
use crdt::kinds::{Edit, Leaf};

impl Planner<'_> {
    pub(super) fn clear(
        &mut self,
        target: &Target,
        path: &Path,
        leaf: Option<Leaf>,
    ) -> Checked<()> {
        if let Some(leaf @ (Leaf::Value | Leaf::Register | Leaf::Max | Leaf::Min)) = leaf {
            // Of one row, a context may cover what is not here yet.
            let key = target.prefix.row_at(path, leaf, &[]);
            self.fold(key, |row| Ok(Some(super::removal(target, row))))?;
            return Ok(Ok(()));
        }
        let range = match leaf {
            Some(leaf) => target.prefix.leaf_range(path, leaf),
            None => target.prefix.field_range(path),
        };
        // A context names what its reader saw, which a clear by this vnode's clock would exceed.
        let at_once = target.context.is_empty()
            && leaf != Some(Leaf::Share)
            && self.vnode.clears.len() < self.limits.clears;
        let limit = if at_once {
            self.limits.rows_cleared_singly
        } else {
            self.limits.rows_per_operation
        };
        let found = self
            .stage
            .range(Family::Data, &range.0, &range.1, limit + 1)?;
        if found.len() <= limit {
            for (key, stored) in found {
                let (key, row) = decoded(&key, &stored)?;
                if key.leaf() != Leaf::Cleared {
                    self.erase(target, key, row)?;
                }
            }
            return Ok(Ok(()));
        }
        if !at_once {
            return Ok(Err(self.too_many_rows()));
        }
        let scope = leaf.map_or(Scope::Below, Scope::Leaf);
        let seen = self.vnode.clock.dots();
        self.fold(target.prefix.cleared(path, scope), |row| {
            cleared::clear(row, seen).map(Some)
        })?;
        match leaf {
            Some(_) => Ok(Ok(())),
            None => self.reset_shares(target, range),
        }
    }

    /// Plans what the removal of a whole makes of one row.
    fn erase(&mut self, target: &Target, key: RowKey, mut row: Row) -> Result<(), SourceError> {
        self.vnode.clears.hide(&key, &mut row);
        let erased = map::erase(key.leaf(), &row);
        let erased = erased.map_err(|error| SourceError::senseless(key.as_bytes(), error))?;
        if let Some(Edit { body, context }) = erased {
            let (body, context) = match body {
                Some(reset) => (Body::Reset(reset), context),
                None => (Body::None, target.covering(context)),
            };
            self.push((key, row), body, context);
        }
        Ok(())
    }

    /// Resets the counters in a range, and looks at no more than one row of each field beside.
    fn reset_shares(&mut self, target: &Target, (from, to): Bounds) -> Checked<()> {
        let mut at = from;
        for _ in 0..self.limits.rows_per_operation {
            let found = self.stage.range(Family::Data, &at, &to, 1)?;
            let Some((key, stored)) = found.into_iter().next() else {
                return Ok(Ok(()));
            };
            let (key, row) = decoded(&key, &stored)?;
            at = behind(&target.prefix, &key);
            if key.leaf() == Leaf::Share {
                self.erase(target, key, row)?;
            }
        }
        Ok(Err(self.too_many_rows()))
    }
}

/// Where the next share after a row may stand.
fn behind(prefix: &KeyPrefix, key: &RowKey) -> Vec<u8> {
    let path = key.path();
    let shares = prefix.leaf_range(&path, Leaf::Share);
    if key.as_bytes() < &shares.0[..] {
        shares.0
    } else if key.leaf() == Leaf::Share {
        [key.as_bytes(), &[0]].concat()
    } else {
        prefix.below(&path)
    }
}

fn decoded(key: &[u8], stored: &[u8]) -> Result<(RowKey, Row), SourceError> {
    let row = decode_row(key, stored)?;
    let key = RowKey::decode(key).map_err(|error| SourceError::corrupt(key, error))?;
    Ok((key, row))
}
