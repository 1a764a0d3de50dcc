//! The removal of a whole: of a key, of a field, of one leaf of it.
//!
//! Few rows go one by one, each by an event that names exactly what was seen of it. Many go by one
//! clear ([`crdt::kinds::cleared`]), whatever their number; only counters among them are reset one
//! by one, found by their marks ([`shares`]).

use super::{Body, Checked, Planner};
use crate::protocol::keys::{Bounds, RowKey};
use crate::protocol::messages::KeyedRow;
use crate::protocol::shares;
use crate::protocol::stage::{Family, SourceError, decode_keyed};
use crate::protocol::vnode::command::Target;
use crate::protocol::vnode::versions_of;
use crdt::Row;
use crdt::kinds::cleared::{self, Scope};
use crdt::kinds::map::{self, Path};
use crdt::kinds::rules::Rows;
use crdt::kinds::{Edit, Leaf};

impl Planner<'_> {
    pub(super) fn clear(
        &mut self,
        target: &Target,
        path: &Path,
        leaf: Option<Leaf>,
    ) -> Checked<()> {
        if let Some(leaf) = leaf.filter(|leaf| matches!(leaf.rules().rows, Rows::One)) {
            // Of one row, a context may cover what is not here yet.
            let key = target.prefix.row_at(path, leaf, &[]);
            let row = self.row(&key)?;
            let context = target.covering(versions_of(&row));
            self.push((key, row), Body::None, context);
            return Ok(Ok(()));
        }
        let range = match leaf {
            Some(leaf) => target.prefix.leaf_range(path, leaf),
            None => target.prefix.field_range(path),
        };
        // A context names what its reader saw, which a clear by this vnode's clock would exceed.
        let at_once = target.is_blind()
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
                let KeyedRow { key, row } = decode_keyed(&key, &stored)?;
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
        let key = target.prefix.cleared(path, scope);
        let row = self.row(&key)?;
        let clear = cleared::clear(&row, seen);
        let Edit { body, context } =
            clear.map_err(|error| SourceError::senseless(key.as_bytes(), error))?;
        self.push((key, row), body.map_or(Body::None, Body::Bytes), context);
        match leaf {
            Some(_) => Ok(Ok(())),
            None => self.reset_shares(target, path, &range),
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

    /// Resets the counters at a path and below it. Those of a key that is no map have no marks.
    fn reset_shares(&mut self, target: &Target, path: &Path, range: &Bounds) -> Checked<()> {
        let limit = self.limits.rows_per_operation;
        let root = target.prefix.leaf_range(&Path::root(), Leaf::Share);
        let mut keys = Vec::new();
        if path.names().is_empty() {
            let own = self
                .stage
                .range(Family::Data, &root.0, &root.1, limit + 1)?;
            keys.extend(own.into_iter().map(|(key, _)| key));
        }
        let (from, to) = shares::marks_range(range);
        let marks = self.stage.range(Family::Meta, &from, &to, limit + 1)?;
        let marked = marks.iter().map(|(mark, _)| shares::row_of_mark(mark));
        keys.extend(marked.map(<[u8]>::to_vec));
        if keys.len() > limit {
            return Ok(Err(self.too_many_rows()));
        }
        for key in keys {
            let key = RowKey::decode(&key).map_err(|error| SourceError::corrupt(&key, error))?;
            let row = self.stage.row(&key)?;
            self.erase(target, key, row)?;
        }
        Ok(Ok(()))
    }
}
