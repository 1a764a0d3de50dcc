//! What a vnode knows of the other owners: who has what, what to pull, and whether it may count for
//! reads.
//!
//! After a machine crash, a quarantine or at its creation a vnode may lack what it once
//! acknowledged. It takes writes, but does not count towards r until its clock has covered the
//! clocks of the other live owners. The store keeps a mark of it until then.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::Vnode;
use super::rights::Lives;
use crate::mutants::{self, Mutant};
use crate::protocol::keys::{behind_key, behind_key_beside, checkpoint_range};
use crate::protocol::messages::{Difference, Fingerprint, Pull};
use crate::protocol::stage::{Changes, Family, Source, SourceError, Stage};
use crate::protocol::time::Time;
use crdt::dots::DotSet;
use crdt::{Clock, Dot, Row};
use ring::{NodeId, VnodeId};

/// What is known of another owner's vnode.
#[derive(Debug, Clone, Default)]
pub struct PeerView {
    pub(super) incarnation: u64,
    clock: Clock,
    durable: Clock,
    missing: DotSet,
    missing_since: Time,
    /// It was whole when it told that.
    pub(super) is_whole: bool,
    /// Under which actors it compared its clock with this vnode's.
    pub(super) lives: Lives,
    /// Under which of them it was known when it was last asked to compare.
    asked: Option<u64>,
}

impl PeerView {
    /// Its clock, as last heard.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// It has begun anew, and what it held durably before may have gone with its disk.
    pub(super) fn begin_anew(&mut self) {
        self.durable = Clock::default();
    }

    /// Does this answer come late, from a life that has ended since it was asked? `told` is who
    /// answered, if the answer says so.
    fn is_outlived(&self, told: Option<u64>) -> bool {
        let life = self.lives.last();
        self.asked.is_some() && self.asked != life && told != life
    }
}

/// Whether a vnode counts for reads, and whom it still waits for.
#[derive(Debug, Clone)]
pub(super) struct CatchUp {
    behind: bool,
    /// The store says so too.
    is_marked: bool,
    settled: BTreeSet<NodeId>,
}

impl CatchUp {
    pub(super) fn new(behind: bool, is_marked: bool) -> Self {
        Self {
            behind: behind || is_marked,
            is_marked,
            settled: BTreeSet::new(),
        }
    }
}

impl Vnode {
    /// Is it catching up, so that it must not count towards r?
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.catch_up.behind && !mutants::is_active(Mutant::CatchingUpCounts)
    }

    /// Brings the mark in the store that this vnode is catching up to what is true. True if it was
    /// set just now.
    ///
    /// Without the mark, a process that ends before it has caught up would be followed by one that
    /// knows of no loss. The mark goes in a later batch than the rows that made it untrue.
    pub(crate) fn mark_behind(&mut self, stage: &mut Stage<'_>) -> bool {
        if self.catch_up.behind == self.catch_up.is_marked {
            return false;
        }
        self.catch_up.is_marked = self.catch_up.behind;
        let key = behind_key(self.id);
        if self.catch_up.behind {
            stage.put(Family::Meta, key, Vec::new());
        } else {
            stage.delete(Family::Meta, key);
        }
        self.catch_up.behind
    }

    /// Who else owns the partition. Views of nodes that no longer do are forgotten.
    pub fn set_owners(&mut self, others: impl IntoIterator<Item = NodeId>) {
        let others: BTreeSet<NodeId> = others.into_iter().collect();
        self.peers.retain(|node, _| others.contains(node));
        for node in others {
            self.peers.entry(node).or_default();
        }
        self.check_caught_up();
    }

    /// The other owners and what is known of them.
    pub fn peers(&self) -> impl Iterator<Item = (NodeId, &PeerView)> {
        self.peers.iter().map(|(&node, view)| (node, view))
    }

    /// What to tell `peer` when clocks are compared; `None` if it is no owner.
    #[must_use]
    pub fn fingerprint(&mut self, peer: NodeId) -> Option<Fingerprint> {
        let view = self.peers.get_mut(&peer)?;
        view.asked = view.lives.last();
        Some(Fingerprint {
            vnode: self.id,
            incarnation: self.actor.nonce,
            clock: hash(&self.clock),
            known_durable: hash(&view.durable),
        })
    }

    /// What differs from the fingerprint of a peer's vnode, if anything does. A vnode that is not
    /// whole equals none.
    #[must_use]
    pub fn difference(&self, fingerprint: &Fingerprint) -> Option<Difference> {
        let whole = self.awaited().is_none();
        let same = whole
            && fingerprint.clock == hash(&self.clock)
            && fingerprint.known_durable == hash(self.watermark());
        (!same).then(|| Difference {
            vnode: self.id,
            incarnation: self.actor.nonce,
            clock: self.clock.clone(),
            durable: self.watermark().clone(),
            whole,
        })
    }

    /// By what the others may trim.
    fn watermark(&self) -> &Clock {
        if mutants::is_active(Mutant::TrimmedBeforeDurable) {
            &self.clock
        } else {
            &self.durable
        }
    }

    /// A peer answered a comparison: its vnode differs so. An answer that is outlived says nothing.
    pub fn handle_difference(&mut self, now: Time, peer: NodeId, difference: Difference) {
        let Some(view) = self.peers.get_mut(&peer) else {
            return;
        };
        if view.is_outlived(Some(difference.incarnation)) {
            return;
        }
        // What was missed earlier keeps its time: new dots are on their way, old ones are due.
        view.missing = view.missing.difference(self.clock.dots());
        if view.missing.is_empty() || view.incarnation != difference.incarnation {
            view.missing = difference.clock.missing_from(&self.clock);
            view.missing_since = now;
        }
        view.incarnation = difference.incarnation;
        view.clock = difference.clock.clone();
        view.durable = difference.durable;
        view.is_whole = difference.whole;
        self.hear(peer, difference.incarnation, Some(&difference.clock));
        self.settle_if_covered(peer);
    }

    /// A peer answered a comparison: its clock equals ours as it was then.
    pub fn handle_equal(&mut self, peer: NodeId) {
        let clock = self.clock.clone();
        let view = self.peers.get_mut(&peer);
        if let Some(view) = view.filter(|view| !view.is_outlived(None)) {
            view.missing = DotSet::default();
            view.clock = clock;
            view.is_whole = true;
            let incarnation = view.incarnation;
            self.hear(peer, incarnation, None);
            self.catch_up.settled.insert(peer);
            self.check_caught_up();
        }
    }

    /// A peer answered a comparison: it has no such vnode now. What it held durably it may have
    /// lost.
    pub fn handle_unknown(&mut self, peer: NodeId) {
        if let Some(view) = self.peers.get_mut(&peer) {
            view.begin_anew();
        }
    }

    /// A peer could not be asked for so long that it does not count as live.
    pub fn handle_unreachable(&mut self, peer: NodeId) {
        self.catch_up.settled.insert(peer);
        self.check_caught_up();
    }

    /// The dots to pull from `peer` now: those that it has and that have been missing here for
    /// `delay`, counted from when this vnode first missed them. What is merely on its way arrives
    /// before that. A vnode that is catching up does not wait.
    pub fn wanted(&mut self, now: Time, peer: NodeId, delay: Duration) -> Option<Pull> {
        let view = self.peers.get_mut(&peer)?;
        if view.missing.is_empty() {
            return None;
        }
        view.missing = view.missing.difference(self.clock.dots());
        let due = self.catch_up.behind || now.since(view.missing_since) >= delay;
        (due && !view.missing.is_empty()).then(|| Pull {
            vnode: self.id,
            incarnation: self.actor.nonce,
            want: view.missing.clone(),
            have: self.clock.clone(),
        })
    }

    /// A pull from `peer` was answered, or failed: what it did not bring is asked for only after
    /// the next comparison, unless there is more.
    pub fn handle_pulled(&mut self, peer: NodeId, more: bool) {
        if let Some(view) = self.peers.get_mut(&peer) {
            view.missing = if more {
                view.missing.difference(self.clock.dots())
            } else {
                DotSet::default()
            };
        }
        self.settle_if_covered(peer);
    }

    /// How many logged events each of the other owners is not known to hold durably.
    pub fn lacking(&self) -> impl Iterator<Item = (NodeId, u64)> {
        let logged = self.clock.missing_from(&self.unlogged);
        let peers = self.peers.iter();
        peers.map(move |(&node, view)| (node, logged.difference(view.durable.dots()).len()))
    }

    /// Is something known to be missing here?
    #[must_use]
    pub fn is_missing_dots(&self) -> bool {
        self.peers.values().any(|view| !view.missing.is_empty())
    }

    /// Has this vnode seen all that it has heard of?
    pub(super) fn covers_peers(&self) -> bool {
        self.peers
            .values()
            .all(|view| self.clock.covers(&view.clock))
    }

    /// Looks whether what arrived closes the gap to a peer.
    pub(super) fn settle_if_covered(&mut self, peer: NodeId) {
        let covered = self
            .peers
            .get(&peer)
            .is_some_and(|view| self.clock.covers(&view.clock));
        if self.catch_up.behind && covered {
            self.catch_up.settled.insert(peer);
            self.check_caught_up();
        }
    }

    /// The dots that every owner holds durably, as far as this vnode knows.
    pub(super) fn durable_everywhere(&self) -> DotSet {
        let mut everywhere = self.durable.dots().clone();
        for view in self.peers.values() {
            let lacking = everywhere.difference(view.durable.dots());
            everywhere = everywhere.difference(&lacking);
        }
        everywhere
    }

    /// Does every owner hold the event durably, as far as this vnode knows?
    pub(super) fn is_durable_everywhere(&self, dot: Dot) -> bool {
        self.durable.contains(dot) && self.peers.values().all(|view| view.durable.contains(dot))
    }

    /// Does every owner hold durably all that the row shows?
    pub(super) fn holds_durably(&self, row: &Row) -> bool {
        let mut shown = row.versions().keys();
        shown.all(|&dot| self.is_durable_everywhere(dot))
    }

    /// The other owners that hold all of these events durably, as far as this vnode knows.
    pub(super) fn durable_holders(&self, dots: &[Dot]) -> Vec<NodeId> {
        let holds = |view: &PeerView| dots.iter().all(|&dot| view.durable.contains(dot));
        let holders = self.peers.iter().filter(|(_, view)| holds(view));
        holders.map(|(&node, _)| node).collect()
    }

    fn check_caught_up(&mut self) {
        if self.catch_up.behind && self.peers.keys().all(|n| self.catch_up.settled.contains(n)) {
            self.catch_up.behind = false;
        }
    }
}

/// Marks every vnode in a store as catching up.
///
/// A node that may have lost what it acknowledged writes this and syncs it to the disk *before* it
/// forgets why it must catch up. A process that ended between the two would be followed by one
/// that takes an old clock for its own and counts for reads.
///
/// # Errors
/// When the store cannot be read.
pub fn mark_all_behind(source: &dyn Source) -> Result<Changes, SourceError> {
    let mut stage = Stage::new(source);
    let mut marks = Vec::new();
    let (from, to) = checkpoint_range();
    source.scan(Family::Meta, &from, &to, &mut |key, _| {
        marks.extend(behind_key_beside(key));
        ControlFlow::Continue(())
    })?;
    for mark in marks {
        stage.put(Family::Meta, mark, Vec::new());
    }
    Ok(stage.into_changes())
}

/// What a vnode in quarantine asks an owner: how far is it? It has seen nothing itself.
pub(crate) fn question(vnode: VnodeId, incarnation: u64) -> Fingerprint {
    let nothing = hash(&Clock::default());
    Fingerprint {
        vnode,
        incarnation,
        clock: nothing,
        known_durable: nothing,
    }
}

pub(super) fn hash(clock: &Clock) -> u64 {
    xxh3_64(&clock.encode())
}
