//! Whether a vnode knows all of its own rows again, and whose messages it no longer takes.
//!
//! ```text
//!   begins:   nobody heard
//!   hears B:  waits until all that B has seen is here     (B began anew meanwhile: hears it again)
//!   ...
//!   all heard and all of it here:  whole, until the vnode begins anew
//! ```
//!
//! This is stricter than catching up (`catch_up`), which goes on without an owner that is away:
//! that one may be the only one that knows what this node spent.

use std::collections::{BTreeMap, VecDeque};

use crate::mutants::{self, Mutant};
use crate::protocol::keys::RowKey;
use crate::protocol::messages::{Bundle, Change, Fingerprint};
use crate::protocol::vnode::Vnode;
use crdt::Clock;
use crdt::kinds::Leaf;
use ring::NodeId;

/// What was heard of the other owners since the vnode began.
#[derive(Debug, Default)]
pub(in crate::protocol::vnode) struct Wholeness {
    heard: BTreeMap<NodeId, Heard>,
}

#[derive(Debug)]
enum Heard {
    /// Under this incarnation it had seen this much when it was first heard.
    Waiting(u64, Clock),
    /// All of that is here.
    Covered,
}

impl Vnode {
    /// The owner that this vnode still waits for before it may change a bounded counter; `None`
    /// when it is whole.
    #[must_use]
    pub fn awaited(&self) -> Option<NodeId> {
        if mutants::is_active(Mutant::SpendBeforeWhole) {
            // The bug: what a lost disk knew to be spent is spent again.
            return None;
        }
        let is_covered = |node: &NodeId| match self.whole.heard.get(node) {
            Some(Heard::Covered) => true,
            Some(Heard::Waiting(_, clock)) => self.clock.covers(clock),
            None => false,
        };
        self.peers.keys().copied().find(|node| !is_covered(node))
    }

    /// Another owner has told its clock, `None` for one that equals this vnode's.
    pub(in crate::protocol::vnode) fn hear(
        &mut self,
        peer: NodeId,
        incarnation: u64,
        clock: Option<&Clock>,
    ) {
        let heard = match (self.whole.heard.get(&peer), clock) {
            (Some(Heard::Covered), _) => return,
            (_, None) => Heard::Covered,
            // What it had seen at first is enough, and does not run away from who pulls it.
            (Some(Heard::Waiting(before, first)), Some(_)) if *before == incarnation => {
                if !self.clock.covers(first) {
                    return;
                }
                Heard::Covered
            }
            (_, Some(clock)) if self.clock.covers(clock) => Heard::Covered,
            (_, Some(clock)) => Heard::Waiting(incarnation, clock.clone()),
        };
        self.whole.heard.insert(peer, heard);
    }

    /// A peer compares its clock with this vnode's: what an older life of it has sent and is still
    /// under way will not be known to it, and must not arrive any more. Nor does what that one held
    /// count any more, before this one tells what it has.
    pub fn meet(&mut self, peer: NodeId, fingerprint: &Fingerprint) {
        let life = fingerprint.incarnation;
        if let Some(view) = self.peers.get_mut(&peer)
            && view.lives.begin(life)
            && view.incarnation != life
        {
            view.begin_anew();
        }
    }

    /// This vnode follows `before` within one process, and messages to that one may still come.
    pub(in crate::protocol::vnode) fn follow(&mut self, before: &Self) {
        for (node, view) in &mut self.peers {
            if let Some(before) = before.peers.get(node) {
                view.lives = before.lives.clone();
            }
        }
    }

    /// Are these deltas from an older life of an owner than the one that compares clocks, and about
    /// its bounded counters? It does not matter who brings them.
    #[must_use]
    pub fn are_outlived(&self, changes: &[Change]) -> bool {
        let rights = changes.iter().filter(|c| is_right(&c.event.row));
        let mut actors = rights.map(|change| change.event.dot.actor);
        actors.any(|actor| self.is_outlived(NodeId(actor.node), actor.nonce))
    }

    /// The same for rows under the incarnation of their sender.
    #[must_use]
    pub fn is_bundle_outlived(&self, from: NodeId, bundle: &Bundle) -> bool {
        let mut rows = bundle.rows.iter();
        rows.any(|keyed| is_right(&keyed.key)) && self.is_outlived(from, bundle.sender)
    }

    fn is_outlived(&self, from: NodeId, life: u64) -> bool {
        let known = self.peers.get(&from).and_then(|view| view.lives.last);
        known.is_some_and(|known| known != life)
    }
}

/// The actors under which a peer compared clocks.
#[derive(Debug, Clone, Default)]
pub(in crate::protocol::vnode) struct Lives {
    last: Option<u64>,
    ended: VecDeque<u64>,
}

impl Lives {
    /// The last that was heard of.
    pub(in crate::protocol::vnode) fn last(&self) -> Option<u64> {
        self.last
    }

    /// One compares. A late word of one that has ended changes nothing. True if it is a new one.
    fn begin(&mut self, life: u64) -> bool {
        if self.last == Some(life) || self.ended.contains(&life) {
            return false;
        }
        self.ended.extend(self.last.replace(life));
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
        }
        true
    }
}

fn is_right(row: &RowKey) -> bool {
    row.leaf() == Leaf::Rights
}

/// Ended lives of one peer that are remembered; messages of older ones are not under way any more.
const MAX_ENDED: usize = 64;
