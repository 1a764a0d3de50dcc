//! The keys of the dotlog, the records and the meta data: each begins with its vnode.

use super::RowKey;
use crdt::codec::{DecodeError, Decoder, Encoder};
use crdt::{Actor, Dot, OpId};
use ring::VnodeId;

/// A range of keys: from, and up to but without.
pub type Bounds = (Vec<u8>, Vec<u8>);

/// The first key after this one.
#[must_use]
pub fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// What the `dotlog`, `records` and `meta` keys of a vnode begin with, after the table.
#[must_use]
pub fn vnode_prefix(vnode: VnodeId) -> [u8; 5] {
    let [a, b, c, d] = vnode.partition.0.to_be_bytes();
    [u8::from(vnode.n), a, b, c, d]
}

/// The first key after all that begin with a vnode's prefix.
#[must_use]
pub fn vnode_end(vnode: VnodeId) -> Vec<u8> {
    match vnode.partition.0.checked_add(1) {
        Some(next) => [&[u8::from(vnode.n)][..], &next.to_be_bytes()].concat(),
        None => vec![u8::from(vnode.n) + 1],
    }
}

/// The dotlog key of an event.
#[must_use]
pub fn event_key(vnode: VnodeId, dot: Dot) -> Vec<u8> {
    let mut encoder = Encoder::with_capacity(29);
    encoder.raw(&vnode_prefix(vnode));
    dot.actor.encode(&mut encoder);
    encoder.u64(dot.counter);
    encoder.finish()
}

/// The dot in a dotlog key.
///
/// # Errors
/// When the bytes are no dotlog key.
pub fn dot_of_event_key(key: &[u8]) -> Result<Dot, DecodeError> {
    let rest = key.get(5..).ok_or(DecodeError::Truncated {
        field: "dotlog key",
    })?;
    let mut decoder = Decoder::new(rest);
    let actor = Actor::decode(&mut decoder)?;
    let counter = decoder.u64("dotlog key's counter")?;
    decoder.finish()?;
    Ok(Dot::new(actor, counter))
}

/// The key of an operation's record.
#[must_use]
pub fn record_key(vnode: VnodeId, op: OpId) -> Vec<u8> {
    let mut encoder = Encoder::with_capacity(29);
    encoder.raw(&vnode_prefix(vnode));
    op.encode(&mut encoder);
    encoder.finish()
}

/// The key of a vnode's checkpoint.
#[must_use]
pub fn checkpoint_key(vnode: VnodeId) -> Vec<u8> {
    [&b"vnode"[..], &vnode_prefix(vnode)].concat()
}

/// The key of the mark that a vnode is catching up.
#[must_use]
pub fn behind_key(vnode: VnodeId) -> Vec<u8> {
    [&b"behind"[..], &vnode_prefix(vnode)].concat()
}

/// The key of what a vnode has borrowed.
#[must_use]
pub fn borrowed_key(vnode: VnodeId) -> Vec<u8> {
    [&b"borrowed"[..], &vnode_prefix(vnode)].concat()
}

/// The key of the mark that a vnode is damaged and kept from use.
#[must_use]
pub fn damaged_key(vnode: VnodeId) -> Vec<u8> {
    [&b"damaged"[..], &vnode_prefix(vnode)].concat()
}

/// Where the checkpoints of all vnodes lie among the `meta` keys: from the first key up to the
/// second, which is no longer one.
#[must_use]
pub fn checkpoint_range() -> (Vec<u8>, Vec<u8>) {
    (b"vnode".to_vec(), b"vnodf".to_vec())
}

/// The key of the mark that a vnode is catching up, from the key of its checkpoint. `None` if that
/// is no such key.
#[must_use]
pub fn behind_key_beside(checkpoint: &[u8]) -> Option<Vec<u8>> {
    let vnode = checkpoint.strip_prefix(b"vnode")?;
    Some([&b"behind"[..], vnode].concat())
}

/// The key of the mark that a range of a vnode was cleared and is not gone through yet.
#[must_use]
pub fn cleared_key(vnode: VnodeId, row: &RowKey) -> Vec<u8> {
    [CLEARED, &vnode_prefix(vnode), row.as_bytes()].concat()
}

/// The range of all such marks of a vnode: from, and up to but without.
#[must_use]
pub fn cleared_range(vnode: VnodeId) -> Bounds {
    let from = [CLEARED, &vnode_prefix(vnode)].concat();
    let to = [CLEARED, &vnode_end(vnode)].concat();
    (from, to)
}

/// The key of the clear's row in the key of such a mark.
///
/// # Errors
/// When the bytes are no such key.
pub fn row_of_cleared_key(key: &[u8]) -> Result<RowKey, DecodeError> {
    let truncated = DecodeError::Truncated {
        field: "cleared key",
    };
    RowKey::decode(key.get(CLEARED.len() + 5..).ok_or(truncated)?)
}

const CLEARED: &[u8] = b"cleared";
