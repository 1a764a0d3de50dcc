//! Looking through what is stored, so that damage is found before somebody needs what it hit.

use std::ops::ControlFlow;

use super::records::{Record, op_of_record_key};
use super::{Vnode, decode_entry};
use crate::protocol::keys::{Bounds, data_range, successor, vnode_end, vnode_prefix};
use crate::protocol::stage::{Family, Source, SourceError, decode_keyed};

/// Where the next stretch begins: after this key of this family.
pub type Place = (Family, Vec<u8>);

impl Vnode {
    /// Looks whether the next `limit` rows, events or records, or 1 MiB of them, are sound.
    /// Returns where the next stretch begins; `None` when all has been looked at.
    ///
    /// # Errors
    /// Something is damaged, or the store cannot be read.
    pub fn verify(
        &self,
        place: Option<Place>,
        limit: usize,
        source: &dyn Source,
    ) -> Result<Option<Place>, SourceError> {
        let (family, after) = place.unwrap_or((Family::Data, Vec::new()));
        let Some((start, end)) = self.range_of(family) else {
            return Ok(None);
        };
        let (mut count, mut bytes, mut last, mut failed) = (0, 0, None, None);
        source.scan(family, &after.max(start), &end, &mut |key, value| {
            failed = is_sound(family, key, value).err();
            count += 1;
            bytes += value.len();
            if failed.is_none() && count < limit && bytes < STRETCH_BYTES {
                return ControlFlow::Continue(());
            }
            last = Some(successor(key));
            ControlFlow::Break(())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(last
            .map(|last| (family, last))
            .or_else(|| following(family).map(|next| (next, Vec::new()))))
    }

    fn range_of(&self, family: Family) -> Option<Bounds> {
        match family {
            Family::Data => Some(data_range(self.id, self.bits)),
            Family::Dotlog | Family::Records => {
                Some((vnode_prefix(self.id).to_vec(), vnode_end(self.id)))
            }
            Family::Meta | Family::Hints => None,
        }
    }
}

fn following(family: Family) -> Option<Family> {
    match family {
        Family::Data => Some(Family::Dotlog),
        Family::Dotlog => Some(Family::Records),
        Family::Records | Family::Meta | Family::Hints => None,
    }
}

fn is_sound(family: Family, key: &[u8], value: &[u8]) -> Result<(), SourceError> {
    let corrupt = |error| SourceError::corrupt(key, error);
    match family {
        Family::Data => decode_keyed(key, value).map(|_| ()),
        Family::Dotlog => decode_entry(key, value).map(|_| ()),
        Family::Records => {
            op_of_record_key(key).map_err(corrupt)?;
            Record::decode(value).map(|_| ()).map_err(corrupt)
        }
        Family::Meta | Family::Hints => Ok(()),
    }
}

/// Bytes in one stretch, exceeded by one row at the most.
const STRETCH_BYTES: usize = 1 << 20;
