//! A monotonic read: its answer leaves when as many owners as it asks hold all that it shows.
//!
//! The answer is the join of what some owners had, and perhaps none of them has all of it. Were it
//! told at once, the next read could ask others and show less. So whoever lacks something pulls it
//! and is read again, until r owners show no less than the answer (the write-back of Attiya,
//! Bar-Noy and Dolev, *Sharing Memory Robustly in Message-Passing Systems*, J. ACM 42, 1995).
//!
//! ```text
//!   here lacks something    pull from a peer that answered ──> read here again
//!   then whoever else does  Again(events) ──> it pulls from here ──> Acked ──> read it again
//! ```
//!
//! An owner *holds* the answer when its clock has every event that any of the joined clocks has,
//! and its rows show nothing of these that the answer does not. What it says is as durable as the
//! read asks: see [`ReadRows::durable`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{OrderFailed, ReadDone, ReadOrder};
use crate::protocol::messages::{Again, ReadRows, RowsRead};
use crate::protocol::replica::Held;
use crate::protocol::time::{Moment, Time};
use crdt::Dot;
use crdt::dots::DotSet;
use crdt::kinds::Leaf;
use ring::NodeId;
use starling::wire::Durability;

/// An answer on its way to a majority. Feed it with `handle_*`, then drain every `poll_*`.
#[derive(Debug)]
pub(super) struct Confirm {
    here: NodeId,
    order: ReadOrder,
    done: Option<ReadDone>,
    /// All that those who answered had seen of the vnode.
    seen: DotSet,
    /// Of that, what the answer shows.
    shown: BTreeSet<Dot>,
    /// Peers that answered: from one of them this node pulls what it lacks.
    sources: BTreeSet<NodeId>,
    /// The other owners; who is told to pull next stands first.
    others: VecDeque<NodeId>,
    holding: BTreeSet<NodeId>,
    /// Pulls under way, from a source or by an owner, and since when.
    pulling: BTreeMap<NodeId, Time>,
    /// Does this node serve no read of the vnode?
    refuses: bool,
    steps: VecDeque<Step>,
    /// When to ask again whoever does not hold it by then.
    again_at: Time,
    pause: Duration,
    late: bool,
}

/// The answer of a monotonic read, which nobody may hold all of.
#[derive(Debug)]
pub(super) struct Unconfirmed {
    pub(super) order: ReadOrder,
    /// All that can be asked.
    pub(super) owners: Vec<NodeId>,
    pub(super) replies: BTreeMap<NodeId, RowsRead>,
    /// Who serves no read.
    pub(super) refusing: BTreeSet<NodeId>,
    pub(super) done: ReadDone,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Read this owner's rows again.
    Read(NodeId),
    /// Let this node pull from a peer.
    PullHere(NodeId),
    /// Let a peer pull from this node.
    PullThere(NodeId),
}

impl Confirm {
    pub(super) fn new(now: Moment, here: NodeId, answer: Unconfirmed) -> Self {
        let Unconfirmed {
            order,
            owners,
            replies,
            refusing,
            done,
        } = answer;
        let mut seen = DotSet::default();
        replies.values().for_each(|r| seen.join(r.clock.dots()));
        let shown = done.rows.values().flat_map(|row| row.versions().keys());
        let mut confirm = Self {
            here,
            order,
            seen,
            shown: shown.copied().collect(),
            done: Some(done),
            sources: replies.keys().copied().filter(|n| *n != here).collect(),
            others: owners.into_iter().filter(|&n| n != here).collect(),
            holding: BTreeSet::new(),
            pulling: BTreeMap::new(),
            refuses: refusing.contains(&here),
            steps: VecDeque::new(),
            again_at: now.time,
            pause: FIRST_PAUSE,
            late: false,
        };
        confirm.take(now, &replies);
        confirm
    }

    /// Counts those who hold the answer already, and turns to the others if they are too few.
    fn take(&mut self, now: Moment, replies: &BTreeMap<NodeId, RowsRead>) {
        for (&owner, rows) in replies {
            if self.is_held(now.wall_ms, rows) {
                self.holding.insert(owner);
            }
        }
        if !self.is_confirmed() {
            self.go_round(now.time);
        }
    }

    /// Does an owner with these rows hold the answer?
    fn is_held(&self, wall_ms: u64, rows: &RowsRead) -> bool {
        // What has ended is shown by nobody, and is removed by each owner in its own time.
        let is_over = |end: Option<u64>| end.is_some_and(|end| end <= wall_ms);
        let of_clears = |leaf: Leaf| leaf == Leaf::Cleared;
        let rows_shown = rows
            .rows
            .iter()
            .filter(|keyed| !of_clears(keyed.key.leaf()));
        let mut versions = rows_shown.flat_map(|keyed| keyed.row.versions());
        rows.clock.dots().covers(&self.seen)
            && versions.all(|(&dot, version)| {
                is_over(version.expires_ms) || self.shown.contains(&dot) || !self.seen.contains(dot)
            })
    }

    /// An owner has pulled what it lacked, or could not. If it has, its rows will tell.
    pub(super) fn handle_ack(&mut self, owner: NodeId, acked: bool) {
        self.pulling.remove(&owner);
        if acked && !self.holding.contains(&owner) {
            self.steps.push_back(Step::Read(owner));
        }
    }

    /// This node has pulled from a peer, or could not.
    pub(super) fn handle_held(&mut self, held: Held) {
        if let Some(from) = held.from {
            self.pulling.remove(&from);
        }
        if held.is_held {
            self.steps.push_back(Step::Read(self.here));
        } else if self.refuses && !held.has_answered {
            // A vnode that serves no read takes nothing in either, and all others pull from it:
            // another coordinator can do better at once.
            self.late = true;
        }
    }

    pub(super) fn handle_rows(
        &mut self,
        now: Moment,
        from: NodeId,
        rows: Result<RowsRead, OrderFailed>,
    ) {
        let is_held = rows.is_ok_and(|rows| self.is_held(now.wall_ms, &rows));
        if is_held && self.holding.insert(from) && from == self.here && !self.is_confirmed() {
            // From now on others can pull from here.
            self.pulling.clear();
            self.go_round(now.time);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.late |= now >= self.order.deadline;
        if now >= self.again_at {
            self.go_round(now);
        }
    }

    /// This node first: the others pull from it, as many as are needed, others each time. A pull
    /// may bring thousands of events: none is asked for twice while it may still come.
    fn go_round(&mut self, now: Time) {
        let may_come = |since: &Time| now.since(*since) < LONGEST_PULL;
        let idle = self.others.iter().copied();
        let idle = idle.filter(|node| !self.pulling.get(node).is_some_and(may_come));
        let steps: Vec<Step> = if self.holding.contains(&self.here) {
            let needed = usize::from(self.order.r.saturating_sub(self.holding()));
            let lacking = idle.filter(|node| !self.holding.contains(node));
            lacking.take(needed).map(Step::PullThere).collect()
        } else {
            let sources = idle.filter(|node| self.sources.contains(node));
            sources.take(1).map(Step::PullHere).collect()
        };
        for step in steps {
            let (Step::Read(node) | Step::PullHere(node) | Step::PullThere(node)) = step;
            self.pulling.insert(node, now);
            self.others.retain(|&other| other != node);
            self.others.push_back(node);
            self.steps.push_back(step);
        }
        self.again_at = now.after(self.pause);
        self.pause = self.pause.saturating_mul(2).min(LONGEST_PAUSE);
    }

    /// What those who lack something are to hold.
    pub(super) fn again(&self) -> Again {
        Again {
            vnode: self.order.vnode,
            durability: Durability::Memory,
            dots: self.seen.clone(),
        }
    }

    /// Until when its client waits.
    pub(super) fn deadline(&self) -> Time {
        self.order.deadline
    }

    pub(super) fn request(&self) -> ReadRows {
        // What they hold shows in their dots.
        self.order.request(Some(0))
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    pub(super) fn poll_event(&mut self) -> Option<Result<ReadDone, OrderFailed>> {
        if self.is_confirmed() {
            return self.done.take().map(Ok);
        }
        self.late.then_some(Err(OrderFailed::Unconfirmed {
            holding: self.holding(),
            required: self.order.r,
        }))
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        Some(self.again_at.min(self.order.deadline))
    }

    fn is_confirmed(&self) -> bool {
        self.holding() >= self.order.r
    }

    fn holding(&self) -> u8 {
        u8::try_from(self.holding.len()).unwrap_or(u8::MAX)
    }
}

/// After so long whoever has not said that it holds the answer is asked once more, since a message
/// may be lost; each next time it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A pull that has not ended after so long may be lost.
const LONGEST_PULL: Duration = Duration::from_secs(1);
