//! A write: entered here first, then sent to every other owner of every live layout at once, and
//! answered when enough of them have it as durably as was asked. It is never rolled back.
//!
//! A sloppy one leans on stand-ins for as many copies as the owners in reach cannot make up for. If
//! no owner can be reached at all, this node enters it as a stand-in itself.

use std::collections::{BTreeMap, VecDeque};

use super::joined::Joined;
use super::routes::{Routes, count, dots_of, is_about_rights, is_conditional, too_few};
use super::session::{Cover, Demand};
use super::stand_ins::StandIns;
use super::{OrderFailed, Tally, WriteDone, WriteOrder};
use crate::protocol::keys::RowKey;
use crate::protocol::messages::{Again, Kept, PeerRequest, ReadRows, Replicate, RowsRead};
use crate::protocol::replica::{Held, Input, WriteError};
use crate::protocol::time::Time;
use crate::protocol::vnode::{Sending, Written};
use crdt::dots::DotSet;
use crdt::{Context, Row};
use ring::NodeId;

/// One write. Feed it with `handle_*`, then drain every `poll_*`.
#[derive(Debug)]
pub(super) struct Write {
    here: NodeId,
    order: WriteOrder,
    /// This node owns nothing of it: it enters it as a stand-in.
    stands_in: bool,
    owners: u8,
    others: Vec<NodeId>,
    tally: Tally,
    stand_ins: StandIns,
    /// What a stand-in is to keep, once that is known.
    kept: Option<Kept>,
    /// Until then owners that do not answer are waited for. `None` when that is over.
    patience: Option<Time>,
    steps: VecDeque<Step>,
    entered: Option<(Vec<Context>, bool)>,
    read_back: ReadBack,
    /// Until this node holds what the session of the write has seen.
    cover: Option<Cover>,
    seen: DotSet,
    failed: Option<OrderFailed>,
    late: bool,
}

/// What a write wants done.
#[derive(Debug)]
pub(super) enum Transmit {
    /// By the replica of this node.
    Here(Box<Input>),
    /// By a peer.
    Peer(NodeId, Box<PeerRequest>),
}

#[derive(Debug)]
enum Step {
    Cover(Option<NodeId>),
    Enter,
    Send(NodeId, PeerRequest),
    ReadBack,
}

#[derive(Debug)]
enum ReadBack {
    NotAsked,
    Waiting,
    Done(BTreeMap<RowKey, Row>),
}

impl Write {
    /// A write over these routes. With too few nodes reachable it fails before anything is done.
    /// After `patience` stand-ins take the place of owners that do not answer.
    pub(super) fn new(
        now: Time,
        mut order: WriteOrder,
        routes: Routes<'_>,
        patience: Time,
    ) -> Self {
        let Routes {
            here,
            owners,
            reachable,
            mut stand_ins,
        } = routes;
        let stands_in = !owners.contains(here);
        stand_ins.retain(|&node| node != here);
        if is_about_rights(&order) {
            order.sloppy = false;
            stand_ins.clear();
        }
        order.w = order.w.max(order.pw);
        // A condition is about what the coordinator sees, and a stand-in sees next to nothing.
        if !order.sloppy || (stands_in && is_conditional(&order)) {
            order.pw = order.w;
        }
        let mut failed = too_few(&order, reachable.len(), stand_ins.len(), stands_in);
        let demand = Demand::new(now, order.session.as_ref(), owners);
        if stands_in && demand.is_some() {
            // A stand-in holds next to nothing of what there is.
            failed = failed.or(Some(OrderFailed::SessionBehind));
        }
        let cover = demand.map(|demand| Cover::new(demand, here, reachable));
        let first = cover.as_ref().map_or(Step::Enter, |_| Step::Cover(None));
        let mut tally = Tally::new(vec![*owners], order.pw);
        for node in owners.iter().filter(|node| !reachable.contains(node)) {
            tally.fail(node);
        }
        if stands_in {
            order.read_back = None;
        }
        let read_back = if order.read_back.is_some() {
            ReadBack::Waiting
        } else {
            ReadBack::NotAsked
        };
        let is_other = |node: &NodeId| *node != here && !stands_in;
        Self {
            here,
            stands_in,
            owners: count(owners.len()),
            others: owners.iter().filter(is_other).collect(),
            tally,
            stand_ins: StandIns::new(stand_ins),
            kept: None,
            patience: order.sloppy.then_some(patience),
            steps: VecDeque::from([first]),
            entered: None,
            read_back,
            cover,
            seen: order.session.clone().unwrap_or_default(),
            failed,
            late: false,
            order,
        }
    }

    /// This node holds what the session has seen, or does not yet.
    pub(super) fn handle_held(&mut self, now: Time, held: Held) {
        let Some(cover) = &mut self.cover else {
            return;
        };
        if cover.handle_held(now, self.here, held) {
            let from = cover.ask(now);
            self.steps.push_back(Step::Cover(from));
        }
        if cover.is_met() {
            self.cover = None;
            self.steps.push_back(Step::Enter);
        }
    }

    /// The replica of this node has entered the write, or refused it.
    pub(super) fn handle_written(&mut self, result: Result<Written, WriteError>) {
        let Written {
            sending,
            contexts,
            repeated,
        } = match result {
            Ok(written) => written,
            Err(WriteError::Rejected(rejected)) => {
                self.failed = Some(OrderFailed::Rejected(rejected));
                return;
            }
            Err(WriteError::Refused(refusal)) => {
                self.failed = Some(OrderFailed::Refused(refusal));
                return;
            }
        };
        self.entered = Some((contexts, repeated));
        if self.order.session.is_some() {
            self.seen.join(&dots_of(&sending));
        }
        if self.stands_in {
            self.stand_ins.ack(self.here);
        } else {
            self.tally.ack(self.here);
        }
        if let Some(kept) = self.handle_sending(sending) {
            self.send(kept);
        }
        if self.failed.is_none() {
            self.want_read_back();
        }
    }

    /// What the others are to get, if anything.
    fn handle_sending(&mut self, sending: Sending) -> Option<Kept> {
        let (vnode, durability) = (self.order.vnode, self.order.durability);
        match sending {
            Sending::Changes(changes) => Some(Kept::Changes(Replicate {
                vnode,
                durability,
                changes,
            })),
            Sending::Again(dots) => Some(Kept::Again(Again {
                vnode,
                durability,
                dots,
            })),
            Sending::Held(holders) => {
                // Who does not hold it has to pull it, and cannot be waited for.
                for &node in &self.others {
                    if holders.contains(&node) {
                        self.tally.ack(node);
                    } else {
                        self.tally.fail(node);
                    }
                }
                None
            }
            Sending::Nothing if self.stands_in => {
                // It sees nothing to change, which says nothing of what the owners hold.
                let (reachable, required) = (0, self.order.w);
                self.failed = Some(OrderFailed::Unavailable {
                    reachable,
                    required,
                });
                None
            }
            Sending::Nothing => {
                self.others.iter().for_each(|&node| self.tally.ack(node));
                None
            }
        }
    }

    fn send(&mut self, kept: Kept) {
        let request = match &kept {
            Kept::Changes(replicate) => PeerRequest::Replicate(replicate.clone()),
            Kept::Again(again) => PeerRequest::Again(again.clone()),
        };
        for &peer in &self.others {
            self.steps.push_back(Step::Send(peer, request.clone()));
        }
        self.kept = self.order.sloppy.then_some(kept);
        self.lean();
    }

    pub(super) fn handle_ack(&mut self, from: NodeId, acked: bool) {
        let is_stand_in = self.stand_ins.is_asked(from);
        match (is_stand_in, acked) {
            (true, true) => self.stand_ins.ack(from),
            (true, false) => self.stand_ins.fail(from),
            (false, true) => self.tally.ack(from),
            (false, false) => self.tally.fail(from),
        }
        self.lean();
    }

    pub(super) fn handle_rows(&mut self, from: NodeId, rows: Result<RowsRead, OrderFailed>) {
        if from == self.here
            && let Ok(rows) = rows
        {
            if self.order.session.is_some() {
                self.seen.join(rows.clock.dots());
            }
            let mut joined = Joined::default();
            joined.add(rows);
            self.read_back = ReadBack::Done(joined.finish().0);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.late |= now >= self.order.deadline;
        if self.patience.is_some_and(|patience| patience <= now) {
            self.patience = None;
            self.lean();
        }
        if let Some(cover) = &mut self.cover
            && cover.handle_timeout(now)
        {
            let from = cover.ask(now);
            self.steps.push_back(Step::Cover(from));
        }
    }

    pub(super) fn deadline(&self) -> Time {
        self.order.deadline
    }

    pub(super) fn poll_transmit(&mut self, ticket: u64) -> Option<Transmit> {
        if self.failed.is_some() {
            return None;
        }
        let (vnode, until) = (self.order.vnode, self.order.deadline);
        Some(match self.steps.pop_front()? {
            Step::Cover(from) => {
                let dots = self.cover.as_ref()?.dots().clone();
                Transmit::Here(Box::new(Input::Hold {
                    ticket,
                    vnode,
                    dots,
                    from,
                }))
            }
            Step::Enter => {
                let command = self.order.command.clone();
                Transmit::Here(Box::new(Input::Write {
                    ticket,
                    vnode,
                    command,
                    durability: self.order.durability,
                    stands_in: self.stands_in,
                    until,
                }))
            }
            Step::Send(peer, request) => Transmit::Peer(peer, Box::new(request)),
            Step::ReadBack => {
                let selection = self.order.read_back.clone()?;
                let read = ReadRows {
                    vnode,
                    selection,
                    whole_clock: self.order.session.is_some(),
                    durable: None,
                    bodies_up_to: None,
                };
                Transmit::Here(Box::new(Input::Read {
                    ticket,
                    read,
                    until,
                }))
            }
        })
    }

    pub(super) fn poll_event(&mut self) -> Option<Result<WriteDone, OrderFailed>> {
        if let Some(failed) = self.failed {
            return Some(Err(failed));
        }
        if let Some(cover) = &self.cover {
            return cover.failed(self.late).map(Err);
        }
        let Some((contexts, repeated)) = &self.entered else {
            return self.late.then_some(Err(OrderFailed::Unknown));
        };
        let WriteOrder { w, pw, .. } = self.order;
        let (owners, stand_ins) = (self.tally.acks(), self.stand_ins.acks());
        let acks = owners + stand_ins;
        if owners < pw || acks < w {
            let possible = self.tally.possible() + self.stand_ins.possible();
            let is_impossible = self.tally.is_impossible() || possible < w;
            let (acks, required) = if acks < w { (acks, w) } else { (owners, pw) };
            let below = OrderFailed::BelowQuorum { acks, required };
            return (self.late || is_impossible).then_some(Err(below));
        }
        let rows = match &mut self.read_back {
            ReadBack::Waiting if self.late => return Some(Err(OrderFailed::Unknown)),
            ReadBack::Waiting => return None,
            ReadBack::NotAsked => None,
            ReadBack::Done(rows) => Some(std::mem::take(rows)),
        };
        Some(Ok(WriteDone {
            contexts: contexts.clone(),
            acks,
            stand_ins,
            owners: self.owners,
            rows,
            repeated: *repeated,
            seen: std::mem::take(&mut self.seen),
        }))
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let patience = self.patience.filter(|_| !self.stand_ins.is_exhausted());
        let cover = self.cover.as_ref().and_then(Cover::poll_timeout);
        let deadline = self.order.deadline;
        let deadline = cover.map_or(deadline, |at| at.min(deadline));
        Some(patience.map_or(deadline, |patience| patience.min(deadline)))
    }

    /// Asks as many stand-ins as copies are missing: those of owners that are known to fail, and
    /// when patience is over those of owners that have not answered.
    fn lean(&mut self) {
        let Some(kept) = &self.kept else {
            return;
        };
        let owners = if self.patience.is_some() {
            self.tally.possible()
        } else {
            self.tally.acks()
        };
        while owners + self.stand_ins.expected() < self.order.w {
            let Some(next) = self.stand_ins.ask_next() else {
                return;
            };
            let request = PeerRequest::Keep(kept.clone());
            self.steps.push_back(Step::Send(next, request));
        }
    }

    fn want_read_back(&mut self) {
        if self.order.read_back.is_some() {
            self.steps.push_back(Step::ReadBack);
        }
    }
}
