//! Looking through what is stored, so that damage is found before somebody needs what it hit.

use std::ops::ControlFlow;

use super::records::{Record, op_of_record_key};
use super::{Vnode, decode_entry};
use crate::protocol::keys::{
    Bounds, behind_key, borrowed_key, checkpoint_key, cleared_range, damaged_key, data_range,
    successor, vnode_end, vnode_prefix,
};
use crate::protocol::samples::{self, names};
use crate::protocol::shares;
use crate::protocol::stage::{Family, Source, SourceError, decode_keyed};
use ring::{QBits, VnodeId};

/// Where the next stretch begins: in which of the ranges that are looked through, and from which
/// key on.
pub type Place = (usize, Vec<u8>);

impl Vnode {
    /// Looks whether the next `limit` rows, events, records or marks, or 1 MiB of them, can be read
    /// and are sound. Returns where the next stretch begins; `None` when all has been looked at.
    ///
    /// What the vnode begins with comes first: one that cannot begin is in no use.
    ///
    /// # Errors
    /// Something is damaged, or the store cannot be read.
    pub fn verify(
        &self,
        place: Option<Place>,
        limit: usize,
        source: &dyn Source,
    ) -> Result<Option<Place>, SourceError> {
        let (first, mut from) = place.unwrap_or_default();
        let (mut count, mut bytes) = (0, 0);
        let damaged = (Family::Meta, only(damaged_key(self.id)));
        let ranges = everything_of(self.id, self.bits).into_iter().rev();
        let ranges = std::iter::once(damaged).chain(ranges).enumerate();
        for (number, (family, (start, end))) in ranges.skip(first) {
            let (mut last, mut failed) = (None, None);
            let from = std::mem::take(&mut from).max(start);
            source.scan(family, &from, &end, &mut |key, value| {
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
            if let Some(last) = last {
                return Ok(Some((number, last)));
            }
        }
        Ok(None)
    }
}

/// Where all lies that a store has of a vnode, but for the mark that it is damaged. What it begins
/// with comes last.
pub(crate) fn everything_of(id: VnodeId, bits: QBits) -> [(Family, Bounds); 10] {
    let table = (vnode_prefix(id).to_vec(), vnode_end(id));
    [
        (Family::Data, data_range(id, bits)),
        (Family::Meta, samples::marks_of_vnode(id, bits)),
        (Family::Meta, names::marks_of_vnode(id, bits)),
        (Family::Meta, shares::marks_of_vnode(id, bits)),
        (Family::Dotlog, table.clone()),
        (Family::Records, table),
        (Family::Meta, cleared_range(id)),
        (Family::Meta, only(behind_key(id))),
        (Family::Meta, only(borrowed_key(id))),
        (Family::Meta, only(checkpoint_key(id))),
    ]
}

/// The range that holds this key and no other.
fn only(key: Vec<u8>) -> Bounds {
    let end = successor(&key);
    (key, end)
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
