//! Hints: what this node keeps, as a stand-in, for owners that were away.
//!
//! For each vnode that it stands in for, a stand-in has a **shelf**: a vnode of its own, made like
//! that of an owner whose disk is new, in a table of its own. What other nodes ask it to keep is
//! entered there under the dots that it has; what it coordinates itself, when no owner can be
//! reached, gets dots of the shelf's own actor. So a shelf needs no rules that owners do not need:
//! it knows retries again, takes spans whole, and kills what a context covers, nothing else.
//!
//! ```text
//!   kept      Keep(deltas or containers)      ->  entered on the shelf, in the batch of the ack
//!   every s   Compare(fingerprints)           ->  Differences(clocks of the owner)
//!   lacking   Absorb(rows behind those dots)  ->  Acked, and the next comparison tells
//!   held durably by every owner               ->  the shelf is taken down, in one batch
//! ```
//!
//! Bounded counters are never kept: a node's rights must not come to an owner by a way on which
//! they may outlive the node's disk (`vnode/rights`).
//!
//! Convergence never depends on it: owners pull from each other. A hint only adds a copy.
//!
//! Invariants: an event leaves the shelf only when every owner's durable clock holds it; its
//! dot never changes; an actor of a shelf is drawn anew whenever the shelf begins.

mod damage;
mod delivery;
mod shelf;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::messages::{
    Again, Bundle, Change, Kept, PeerRequest, Pull, PullKey, Pulled, Refusal, Replicate,
};
use super::replica::WriteError;
use super::stage::{Source, SourceError, Stage};
use super::time::Time;
use super::vnode::{Beginning, Command, Limits, Written};
use crdt::kinds::Leaf;
use crdt::{Dot, Hlc};
use damage::{Aside, Hidden};
pub(crate) use delivery::FromShelf;
use ring::{NodeId, VnodeId};
use shelf::{Held, Shelf};
pub use shelf::{KeptDot, kept_dot};

/// How much is kept, and how fast it is delivered.
#[derive(Debug, Clone)]
pub struct HintConfig {
    /// Events that are kept at one time, for all owners together; one more is refused. With 0 this
    /// node stands in for nobody. Default 100,000.
    pub events: u64,
    /// Bytes that are kept, exceeded by one request at the most. Default 256 MiB.
    pub bytes: u64,
    /// While the oldest hint is older than this, in milliseconds, no more are taken: its owner may
    /// never come back. Nothing is thrown away for its age. Default 24 hours.
    pub age_ms: u64,
    /// Deliveries under way at one time. Default 2.
    pub deliveries: usize,
    /// Bytes of rows in one delivery, exceeded by one row at the most. Default 512 KiB.
    pub delivery_bytes: usize,
}

impl Default for HintConfig {
    fn default() -> Self {
        Self {
            events: 100_000,
            bytes: 256 << 20,
            age_ms: 24 * 3_600 * 1_000,
            deliveries: 2,
            delivery_bytes: 512 << 10,
        }
    }
}

/// All that a node keeps for others.
#[derive(Debug)]
pub struct Hints {
    config: HintConfig,
    shelves: BTreeMap<VnodeId, Shelf>,
    /// Shelves that are damaged or cannot be read: nothing is kept for these vnodes.
    aside: BTreeMap<VnodeId, Aside>,
    /// Where the store could not be looked through for shelves.
    hidden: Option<Hidden>,
    /// When the batch at hand is handled.
    now: Time,
    /// Owners who have been asked how far they are, and about which vnodes.
    asked: BTreeMap<NodeId, Vec<VnodeId>>,
    next_compare: Time,
    delivered: u64,
}

/// What a shelf needs to begin, and whom it keeps things for.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The node and a nonce, used for nothing else.
    pub beginning: Beginning,
    /// The owners of the vnode.
    pub owners: Vec<NodeId>,
}

/// What came of a request to keep something.
#[derive(Debug)]
pub enum Keeping {
    /// It is on the shelf. These are events that the shelf made in answer.
    Kept(Vec<Change>),
    /// Something is missing that who asks has: ask for this.
    Lacks(PeerRequest),
    /// Nothing was done.
    Refused(Refusal),
}

/// What a node keeps for one owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeptFor {
    /// Events that the owner is not known to hold durably.
    pub events: u64,
    /// Bytes of the shelves on which they are, shared with other owners.
    pub bytes: u64,
    /// When the oldest of those shelves was put up, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

impl Hints {
    /// Nothing is kept yet; [`Hints::recover`] finds what an earlier life kept.
    #[must_use]
    pub fn new(config: HintConfig) -> Self {
        Self {
            config,
            shelves: BTreeMap::new(),
            aside: BTreeMap::new(),
            hidden: None,
            now: Time::default(),
            asked: BTreeMap::new(),
            next_compare: Time::default(),
            delivered: 0,
        }
    }

    /// A batch begins at this time: by it goes when what cannot be read is tried again.
    pub fn handle_time(&mut self, now: Time) {
        self.now = now;
    }

    /// Takes up what the store holds. A shelf that is damaged is left alone; if one may be hidden
    /// by what cannot be read, [`Hints::hidden`] says so.
    pub fn recover(&mut self, source: &dyn Source, mut seat: impl FnMut(VnodeId) -> Seat) {
        self.shelves.clear();
        self.aside.clear();
        self.hidden = None;
        self.asked.clear();
        self.look_for_shelves(source, &mut seat);
    }

    /// Keeps what a coordinator sent.
    pub fn keep(&mut self, hlc: Hlc, seat: Seat, kept: &Kept, stage: &mut Stage<'_>) -> Keeping {
        let (id, events) = match kept {
            Kept::Changes(replicate) => (replicate.vnode, replicate.changes.len()),
            Kept::Again(again) => {
                let events = usize::try_from(again.dots.len()).unwrap_or(usize::MAX);
                (again.vnode, events)
            }
        };
        let is_right = |change: &Change| change.event.row.leaf() == Leaf::Rights;
        if let Kept::Changes(replicate) = kept
            && replicate.changes.iter().any(is_right)
        {
            return Keeping::Refused(Refusal::Malformed);
        }
        if let Err(refusal) = self.room_for(id, events, hlc) {
            return Keeping::Refused(refusal);
        }
        let kept = self.keep_on_shelf(hlc, (id, seat), kept, stage);
        self.entered(id, kept).unwrap_or_else(Keeping::Refused)
    }

    fn keep_on_shelf(
        &mut self,
        hlc: Hlc,
        (id, seat): (VnodeId, Seat),
        kept: &Kept,
        stage: &mut Stage<'_>,
    ) -> Result<Keeping, SourceError> {
        let shelf = self.shelf(hlc, id, seat, stage)?;
        match kept {
            Kept::Changes(Replicate { changes, .. }) => {
                if let Some(prefix) = shelf.vnode.lacks_increments(changes) {
                    return Ok(Keeping::Lacks(PeerRequest::PullKey(PullKey {
                        vnode: id,
                        incarnation: shelf.vnode.actor().nonce,
                        prefix,
                        have: shelf.vnode.clock().clone(),
                    })));
                }
                shelf.work(stage, |vnode, stage| vnode.receive(hlc, changes, stage))
            }
            Kept::Again(Again { dots, .. }) => {
                let want = dots.difference(shelf.vnode.clock().dots());
                if !want.is_empty() {
                    return Ok(Keeping::Lacks(PeerRequest::Pull(Pull {
                        vnode: id,
                        incarnation: shelf.vnode.actor().nonce,
                        want,
                        have: shelf.vnode.clock().clone(),
                    })));
                }
                Ok(Vec::new())
            }
        }
        .map(Keeping::Kept)
    }

    /// Enters what a coordinator answered to [`Keeping::Lacks`]. An answer that ended early is not
    /// taken: its rows would sum up increments that did not come along.
    pub fn complete(&mut self, hlc: Hlc, pulled: &Pulled, stage: &mut Stage<'_>) -> Keeping {
        let Pulled { vnode, bundle, .. } = pulled;
        if let Err(refusal) = self.room_for(*vnode, bundle.events.len(), hlc) {
            return Keeping::Refused(refusal);
        }
        let shelf = self.shelves.get_mut(vnode);
        let same = shelf.filter(|shelf| shelf.vnode.actor().nonce == pulled.incarnation);
        let Some(shelf) = same.filter(|_| !pulled.more && !has_rights(bundle)) else {
            return Keeping::Refused(Refusal::Behind);
        };
        let absorbed = shelf.work(stage, |vnode, stage| vnode.absorb(hlc, bundle, stage));
        let absorbed = self.entered(*vnode, absorbed);
        absorbed.map_or_else(Keeping::Refused, Keeping::Kept)
    }

    /// Enters a client's write, which no owner could be reached for, under the shelf's own actor.
    ///
    /// # Errors
    /// The write was refused, and nothing of it is staged.
    pub fn write(
        &mut self,
        hlc: Hlc,
        (id, seat): (VnodeId, Seat),
        command: &Command,
        limits: &Limits,
        stage: &mut Stage<'_>,
    ) -> Result<Written, WriteError> {
        self.room_for(id, 1, hlc).map_err(WriteError::Refused)?;
        let shelf = self.shelf(hlc, id, seat, stage);
        let written = shelf.and_then(|shelf| {
            shelf.work(stage, |vnode, stage| {
                vnode.write(hlc, command, limits, stage)
            })
        });
        let written = self.entered(id, written).map_err(WriteError::Refused)?;
        written.map_err(WriteError::Rejected)
    }

    /// Does the shelf of a vnode hold all of these events?
    #[must_use]
    pub fn holds(&self, id: VnodeId, mut dots: impl Iterator<Item = Dot>) -> bool {
        let shelf = self.shelves.get(&id);
        shelf.is_some_and(|shelf| dots.all(|dot| shelf.vnode.clock().contains(dot)))
    }

    /// The batches so far have reached the disk.
    pub fn handle_synced(&mut self) {
        for shelf in self.shelves.values_mut() {
            shelf.vnode.handle_synced();
        }
    }

    /// What is kept, by owner.
    #[must_use]
    pub fn kept(&self) -> BTreeMap<NodeId, KeptFor> {
        let mut kept: BTreeMap<NodeId, KeptFor> = BTreeMap::new();
        for shelf in self.shelves.values() {
            for (owner, events) in shelf.vnode.lacking().filter(|(_, events)| *events > 0) {
                let of_owner = kept.entry(owner).or_insert_with(|| KeptFor {
                    since_ms: u64::MAX,
                    ..KeptFor::default()
                });
                of_owner.events += events;
                of_owner.bytes += shelf.held.bytes;
                of_owner.since_ms = of_owner.since_ms.min(shelf.held.since_ms);
            }
        }
        kept
    }

    /// Events and bytes that are kept for all owners together.
    #[must_use]
    pub fn total(&self) -> (u64, u64) {
        let held = self.shelves.values().map(|shelf| &shelf.held);
        held.fold((0, 0), |(events, bytes), held| {
            (events + held.events, bytes + held.bytes)
        })
    }

    /// How many events this life has delivered: owners have acknowledged so many.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Is nothing kept?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shelves.is_empty()
    }

    /// May so many more events be kept now?
    fn room_for(&self, id: VnodeId, events: usize, now: Hlc) -> Result<(), Refusal> {
        if self.aside.contains_key(&id) {
            return Err(Refusal::Storage);
        }
        let HintConfig {
            events: most,
            bytes: most_bytes,
            age_ms,
            ..
        } = self.config;
        let (kept, bytes) = self.total();
        let since = self.shelves.values().map(|shelf| shelf.held.since_ms).min();
        let age = since.map_or(0, |since| now.milliseconds().saturating_sub(since));
        let kept = kept.saturating_add(u64::try_from(events).unwrap_or(u64::MAX));
        if kept > most || bytes >= most_bytes || age > age_ms {
            return Err(Refusal::HintsFull);
        }
        Ok(())
    }

    /// The shelf of a vnode; a new one if there is none. One that was hidden when shelves were
    /// looked for is there all the same.
    fn shelf(
        &mut self,
        hlc: Hlc,
        id: VnodeId,
        seat: Seat,
        stage: &mut Stage<'_>,
    ) -> Result<&mut Shelf, SourceError> {
        match self.shelves.entry(id) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(place) => {
                let there = Held::of(id, stage)?;
                let held = there.unwrap_or_else(|| Held::since(hlc.milliseconds()));
                let mut shelf = Shelf::recover(id, seat, held, stage)?;
                if there.is_none() {
                    shelf.put_up(stage)?;
                }
                Ok(place.insert(shelf))
            }
        }
    }
}

fn has_rights(bundle: &Bundle) -> bool {
    let mut rows = bundle.rows.iter();
    rows.any(|keyed| keyed.key.leaf() == Leaf::Rights)
}
