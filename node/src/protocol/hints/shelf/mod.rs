//! A shelf: a vnode whose rows lie in the table of hints.
//!
//! ```text
//!   hints    n u8 | partition u32 | 0                      when the shelf was put up, u64 ms
//!            n u8 | partition u32 | family u8 | key        rows 1, dotlog 2, records 3, meta 4
//! ```
//!
//! All of a shelf is one range, which goes in one batch.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::Seat;
use crate::protocol::keys::{dot_of_event_key, vnode_end, vnode_prefix};
use crate::protocol::messages::Refusal;
use crate::protocol::stage::{Family, Source, SourceError, Span, Stage, Visit};
use crate::protocol::unreadable::Unreadable;
use crate::protocol::vnode::Vnode;
use crdt::Dot;
use crdt::dots::DotSet;
use ring::{NodeId, PartitionId, ReplicaCount, VnodeId};

/// A vnode on a shelf.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) vnode: Vnode,
    pub(super) held: Held,
    /// By owner, what it has acknowledged since it last told its clock.
    pub(super) acked: BTreeMap<NodeId, DotSet>,
    /// By owner, what is on its way.
    pub(super) under_way: BTreeMap<NodeId, DotSet>,
    /// Owners who have told their clocks and may lack something.
    pub(super) waiting: Vec<NodeId>,
    /// For how long it could not be read.
    pub(super) unread: Unreadable,
    /// A deliberate bug takes it for delivered.
    pub(super) is_given_up: bool,
}

/// How much a shelf holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) since_ms: u64,
}

impl Held {
    pub(super) fn since(since_ms: u64) -> Self {
        Self {
            since_ms,
            ..Self::default()
        }
    }

    /// What the store holds of a shelf; `None` if there is no such shelf.
    pub(super) fn of(id: VnodeId, source: &dyn Source) -> Result<Option<Self>, SourceError> {
        let (mut held, mut failed) = (None, None);
        let (from, to) = (vnode_prefix(id), vnode_end(id));
        source.scan(Family::Hints, &from, &to, &mut |key, value| {
            let Some((_, family)) = parse(key) else {
                failed = Some(SourceError::corrupt(key, NO_KEY));
                return ControlFlow::Break(());
            };
            let held = held.get_or_insert_with(Self::default);
            held.count(family, key, value);
            if family.is_none()
                && let Ok(since) = value.try_into()
            {
                held.since_ms = u64::from_be_bytes(since);
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(held), Err)
    }

    fn count(&mut self, family: Option<Family>, key: &[u8], value: &[u8]) {
        self.events += u64::from(family == Some(Family::Dotlog));
        self.bytes += u64::try_from(key.len() + value.len()).unwrap_or(u64::MAX);
    }
}

impl Shelf {
    /// A shelf as the store holds it; an empty one if it holds none.
    pub(super) fn recover(
        id: VnodeId,
        seat: Seat,
        held: Held,
        source: &dyn Source,
    ) -> Result<Self, SourceError> {
        let shelved = Shelved { id, under: source };
        let mut vnode = Vnode::recover(id, seat.beginning, &shelved)?;
        vnode.set_owners(seat.owners);
        Ok(Self {
            vnode,
            held,
            acked: BTreeMap::new(),
            under_way: BTreeMap::new(),
            waiting: Vec::new(),
            unread: Unreadable::default(),
            is_given_up: false,
        })
    }

    /// Writes that there is such a shelf.
    pub(super) fn put_up(&mut self, stage: &mut Stage<'_>) -> Result<(), SourceError> {
        let since = self.held.since_ms.to_be_bytes().to_vec();
        stage.put(Family::Hints, key_of(self.vnode.id(), None, &[]), since);
        self.work(stage, |vnode, stage| {
            vnode.checkpoint(stage);
            Ok(())
        })
    }

    /// Deletes all of it.
    pub(super) fn take_down(&self, stage: &mut Stage<'_>) -> Result<(), SourceError> {
        let id = self.vnode.id();
        let mut keys = Vec::new();
        let (from, to) = (vnode_prefix(id), vnode_end(id));
        stage.scan(Family::Hints, &from, &to, &mut |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        for key in keys {
            stage.delete(Family::Hints, key);
        }
        Ok(())
    }

    /// Lets the vnode work on a stage of its own, whose changes go to the table of hints.
    pub(super) fn work<T>(
        &mut self,
        stage: &mut Stage<'_>,
        work: impl FnOnce(&mut Vnode, &mut Stage<'_>) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let id = self.vnode.id();
        let (done, changes) = {
            let shelved = Shelved { id, under: stage };
            let mut own = Stage::new(&shelved);
            let done = work(&mut self.vnode, &mut own)?;
            (done, own.into_changes())
        };
        for (family, key, value) in changes.iter() {
            let at = key_of(id, Some(family), key);
            match value {
                Some(value) => {
                    self.held.count(Some(family), &at, value);
                    stage.put(Family::Hints, at, value.to_vec());
                }
                None => stage.delete(Family::Hints, at),
            }
        }
        Ok(done)
    }

    /// Reads with the vnode, and changes nothing.
    pub(super) fn look<T>(
        &self,
        stage: &Stage<'_>,
        look: impl FnOnce(&Vnode, &Stage<'_>) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let id = self.vnode.id();
        let shelved = Shelved { id, under: stage };
        look(&self.vnode, &Stage::new(&shelved))
    }
}

/// The shelves in a store; and if some may be hidden, by what. A place that cannot be read hides
/// the shelves that begin there, and none behind it.
pub(super) fn list(source: &dyn Source) -> (Vec<VnodeId>, Option<SourceError>) {
    let (mut found, mut failed) = (Vec::new(), None);
    let mut from = 0;
    while from < END {
        match first_from(source, from) {
            Ok(None) => break,
            Ok(Some(key)) => {
                match parse(&key) {
                    Some((id, _)) => found.push(id),
                    None => failed = Some(SourceError::corrupt(&key, NO_KEY)),
                }
                from = place_of(&key) + 1;
            }
            Err(error) => {
                failed = Some(error);
                from = readable_after(source, from);
            }
        }
    }
    (found, failed)
}

/// The first key from the shelf at a place on.
fn first_from(source: &dyn Source, place: u64) -> Result<Option<Vec<u8>>, SourceError> {
    let mut first = None;
    let (from, to) = (prefix_at(place), prefix_at(END));
    source.scan(Family::Hints, &from, &to, &mut |key, _| {
        first = Some(key.to_vec());
        ControlFlow::Break(())
    })?;
    Ok(first)
}

/// The first place behind an unreadable one from which on a shelf is found, or the end. The same
/// key comes first from every place before it, so it is found by halves.
fn readable_after(source: &dyn Source, unreadable: u64) -> u64 {
    let (mut unreadable, mut readable) = (unreadable, END);
    while unreadable + 1 < readable {
        let half = unreadable.midpoint(readable);
        match first_from(source, half) {
            Ok(_) => readable = half,
            Err(_) => unreadable = half,
        }
    }
    readable
}

/// A vnode's prefix as a number: places are in the order of the keys.
fn place_of(key: &[u8]) -> u64 {
    let bytes = key.iter().copied().chain([0; PREFIX]).take(PREFIX);
    bytes.fold(0, |place, byte| place << 8 | u64::from(byte))
}

fn prefix_at(place: u64) -> Vec<u8> {
    let bytes = place.to_be_bytes();
    bytes.into_iter().skip(bytes.len() - PREFIX).collect()
}

/// A table of hints as one vnode sees it: as if all of its tables were its own.
struct Shelved<'a> {
    id: VnodeId,
    under: &'a dyn Source,
}

impl Source for Shelved<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
        let key = key_of(self.id, Some(family), key);
        self.under.get(Family::Hints, &key)
    }

    fn walk(
        &self,
        family: Family,
        span: Span<'_>,
        visit: &mut Visit<'_>,
    ) -> Result<(), SourceError> {
        let at = |key: &[u8]| key_of(self.id, Some(family), key);
        let (from, to) = (&at(span.from)[..], &at(span.to)[..]);
        let mut inner = |key: &[u8], value: &[u8]| visit(key.get(HEAD..).unwrap_or(&[]), value);
        let shelved = Span { from, to, ..span };
        self.under.walk(Family::Hints, shelved, &mut inner)
    }
}

/// The key of a shelf's entry; without a family that of its head.
fn key_of(id: VnodeId, family: Option<Family>, key: &[u8]) -> Vec<u8> {
    let code = match family {
        None => 0,
        Some(Family::Data) => 1,
        Some(Family::Dotlog) => 2,
        Some(Family::Records) => 3,
        Some(Family::Meta) => 4,
        // A vnode has no hints of its own.
        Some(Family::Hints) => 5,
    };
    [&vnode_prefix(id)[..], &[code], key].concat()
}

/// Whose entry a key is, and of what.
fn parse(key: &[u8]) -> Option<(VnodeId, Option<Family>)> {
    let (&n, rest) = key.split_first()?;
    let (partition, rest) = rest.split_first_chunk()?;
    let id = VnodeId {
        n: ReplicaCount::new(n).ok()?,
        partition: PartitionId(u32::from_be_bytes(*partition)),
    };
    let family = match rest.first()? {
        0 => None,
        1 => Some(Family::Data),
        2 => Some(Family::Dotlog),
        3 => Some(Family::Records),
        4 => Some(Family::Meta),
        _ => return None,
    };
    Some((id, family))
}

/// The event behind a key of the table of hints, if there is one: for whoever watches what is kept
/// and dropped.
///
/// # Errors
/// When the key is none of this table.
pub fn kept_dot(key: &[u8]) -> Result<Option<KeptDot>, Refusal> {
    let (id, family) = parse(key).ok_or(Refusal::Malformed)?;
    if family != Some(Family::Dotlog) {
        return Ok(None);
    }
    let dot = dot_of_event_key(key.get(HEAD..).unwrap_or(&[]));
    dot.map(|dot| Some((id, dot)))
        .map_err(|_unreadable| Refusal::Malformed)
}

/// An event that is kept, and for whose owners.
pub type KeptDot = (VnodeId, Dot);

/// Bytes before the key of the vnode's own table.
const HEAD: usize = 6;
/// Bytes of a vnode's prefix.
const PREFIX: usize = 5;
/// Behind the places of all shelves.
const END: u64 = (u8::MAX as u64) << 32;
const NO_KEY: &str = "this is no key of a hint";

#[cfg(test)]
mod tests;
