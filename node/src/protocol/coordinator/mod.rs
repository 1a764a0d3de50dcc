//! Coordinating clients' reads and writes: who is asked, who has answered, what is told.
//!
//! The shell hands in client orders ([`Coordinator::handle_order`]), what the node's own
//! [`Replica`](super::replica::Replica) did, and peers' replies; then it drains
//! [`Coordinator::poll_effect`]. Orders live in a table: no task and no lock for each of them.

mod admission;
mod calls;
mod config;
mod inspect;
mod joined;
mod order;
mod reach;
mod read;
mod routes;
mod session;
mod stand_ins;
mod tally;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::messages::{PeerReply, PeerRequest, RowsRead};
use super::replica::{Input, Output};
use super::time::{Moment, Time};
use admission::Admission;
use calls::Calls;
pub use config::CoordinatorConfig;
use inspect::Inspect;
pub use order::{Answers, Order, OrderFailed, Outcome, ReadDone, ReadOrder, WriteDone, WriteOrder};
use reach::Reach;
pub use reach::Standing;
use read::{Read, Waits};
use ring::pace::Pace;
use ring::{NodeId, PreferenceList, Ring};
use routes::Routes;
use session::Demand;
pub use tally::Tally;
use write::Write;

/// What the shell must do.
#[derive(Debug)]
pub enum Effect {
    /// Hand this to the node's replica.
    Submit(Input),
    /// Ask a peer; its reply comes back through [`Coordinator::handle_reply`].
    Call {
        /// Whom.
        to: NodeId,
        /// Comes back with the reply.
        call: u64,
        /// What.
        request: PeerRequest,
    },
    /// An order is finished.
    Finished {
        /// The shell's name for it.
        ticket: u64,
        /// What came of it.
        outcome: Outcome,
    },
}

/// Coordinates the orders of one node.
#[derive(Debug)]
pub struct Coordinator {
    node: NodeId,
    config: CoordinatorConfig,
    ring: Option<Ring>,
    reach: Reach,
    admission: Admission,
    orders: BTreeMap<u64, Running>,
    due: BTreeMap<u64, Time>,
    calls: Calls,
    pace: Pace,
    hedged: u64,
    timeouts: BTreeSet<(Time, u64)>,
    effects: VecDeque<Effect>,
}

#[derive(Debug)]
enum Running {
    Read(Read),
    Write(Box<Write>),
    Inspect(Inspect),
}

impl Coordinator {
    /// The coordinator of `node`; it refuses all orders until it knows a ring.
    #[must_use]
    pub fn new(node: NodeId, config: CoordinatorConfig) -> Self {
        let pace = Pace::new(config.ask_next_after);
        Self {
            node,
            config,
            ring: None,
            reach: Reach::default(),
            admission: Admission::default(),
            orders: BTreeMap::new(),
            due: BTreeMap::new(),
            calls: Calls::default(),
            pace,
            hedged: 0,
            timeouts: BTreeSet::new(),
            effects: VecDeque::new(),
        }
    }

    /// The ring to route by from now on.
    pub fn set_ring(&mut self, ring: Ring) {
        self.ring = Some(ring);
    }

    /// Calls of this node to a peer can be made, or no longer. Calls under way fail by their own
    /// replies.
    pub fn handle_reachable(&mut self, peer: NodeId, reachable: bool) {
        self.reach.set_connected(peer, reachable);
    }

    /// What the members hold a peer for. Until something is said it is [`Standing::Good`].
    pub fn handle_standing(&mut self, peer: NodeId, standing: Standing) {
        self.reach.set_standing(peer, standing);
    }

    /// Does the peer count as reachable? Calls must succeed, and it must not be held for down.
    #[must_use]
    pub fn is_reachable(&self, peer: NodeId) -> bool {
        self.reach.is_reachable(peer)
    }

    /// How many orders are under way.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.orders.len()
    }

    /// How many reads have asked one more owner before its time.
    #[must_use]
    pub fn hedged(&self) -> u64 {
        self.hedged
    }

    /// A client's order; `ticket` is new and comes back when it is finished.
    pub fn handle_order(&mut self, now: Moment, ticket: u64, order: Order) {
        let outcome = |failed| match order {
            Order::Read(_) => Outcome::Read(Err(failed)),
            Order::Write(_) => Outcome::Written(Err(failed)),
            Order::Inspect(_) => Outcome::Inspected(vec![(self.node, Err(failed))]),
        };
        let vnode = order.vnode();
        let owners = self
            .ring
            .as_ref()
            .and_then(|ring| ring.owners(vnode.n, vnode.partition));
        let limit = self.admission.limit(now.time).min(self.config.orders);
        let owners = match owners {
            _ if self.orders.len() >= limit => Err(OrderFailed::Overloaded),
            Some(owners) if owners.contains(self.node) => Ok(owners),
            Some(owners) if order.is_sloppy() && !self.reach.reaches_any(&owners) => Ok(owners),
            Some(_) | None => Err(OrderFailed::NotOwner),
        };
        match owners {
            Ok(owners) => self.start(now, ticket, order, &owners),
            Err(failed) => {
                let outcome = outcome(failed);
                self.effects.push_back(Effect::Finished { ticket, outcome });
            }
        }
    }

    /// What the node's replica did.
    pub fn handle_output(&mut self, now: Moment, output: Output) {
        match output {
            Output::Written { ticket, result } => {
                if let Some(Running::Write(write)) = self.orders.get_mut(&ticket) {
                    write.handle_written(result);
                    self.drain(now, ticket);
                }
            }
            Output::RowsRead { ticket, result } => {
                let node = self.node;
                self.handle_rows(now, ticket, node, result.map_err(OrderFailed::Refused));
            }
            Output::Held { ticket, held } => {
                if let Some(Running::Write(write)) = self.orders.get_mut(&ticket) {
                    write.handle_held(now.time, held);
                    self.drain(now, ticket);
                }
            }
            Output::Behind { peer, vnodes } => self.reach.set_behind(peer, vnodes),
            // The shell sends these itself: they are between replicas.
            Output::Answer { .. } | Output::Call { .. } => {}
        }
    }

    /// A peer's reply to [`Effect::Call`]; `None` if it could not be had.
    pub fn handle_reply(&mut self, now: Moment, call: u64, reply: Option<PeerReply>) {
        let Some((ticket, from)) = self.end_call(now.time, call, reply.is_some()) else {
            return;
        };
        match reply {
            Some(PeerReply::Rows(rows)) => self.handle_rows(now, ticket, from, Ok(rows)),
            Some(PeerReply::Acked) => self.handle_ack(now, ticket, from, true),
            Some(PeerReply::Refused(refusal)) => {
                self.handle_rows(now, ticket, from, Err(OrderFailed::Refused(refusal)));
                self.handle_ack(now, ticket, from, false);
            }
            Some(
                PeerReply::Differences(_)
                | PeerReply::Pulled(_)
                | PeerReply::Page(_)
                | PeerReply::Examined(_),
            )
            | None => {
                let unreachable = OrderFailed::Unavailable {
                    reachable: 0,
                    required: 1,
                };
                self.handle_rows(now, ticket, from, Err(unreachable));
                self.handle_ack(now, ticket, from, false);
            }
        }
    }

    /// The time that [`Coordinator::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Moment) {
        while let Some(&(time, ticket)) = self.timeouts.first() {
            if time > now.time {
                return;
            }
            self.timeouts.pop_first();
            self.due.remove(&ticket);
            match self.orders.get_mut(&ticket) {
                Some(Running::Read(read)) => {
                    if let Some(next) = read.poll_hedge(now.time) {
                        let since_start = now.time.since_start();
                        let may = self.pace.may_hedge(since_start, read.outstanding(), next);
                        read.handle_hedge(now.time, may, &self.pace);
                        self.hedged += u64::from(may);
                    }
                    read.handle_timeout(now.time);
                }
                Some(Running::Write(write)) => write.handle_timeout(now.time),
                Some(Running::Inspect(inspect)) => inspect.handle_timeout(now.time),
                None => continue,
            }
            self.drain(now, ticket);
        }
    }

    /// What the shell must do next.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`Coordinator::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timeouts.first().map(|&(time, _)| time)
    }

    fn start(&mut self, now: Moment, ticket: u64, order: Order, owners: &PreferenceList) {
        let since_start = now.time.since_start();
        let rank = |node| self.pace.rank(since_start, node);
        let place = (self.node, order.vnode());
        let reachable = self.reach.order(place, owners.iter(), rank);
        let stand_ins = match &order {
            Order::Write(write) if write.sloppy => {
                let ring = self.ring.as_ref();
                ring.map_or_else(Vec::new, |ring| self.reach.stand_ins(ring, write.vnode))
            }
            Order::Read(_) | Order::Write(_) | Order::Inspect(_) => Vec::new(),
        };
        let running = match order {
            Order::Read(order) => {
                self.pace.handle_begun();
                let waits = Waits {
                    hedge_after: self.pace.patience(),
                    ask_next_after: self.config.ask_next_after,
                };
                let demand = Demand::new(now.time, order.session.as_ref(), owners);
                let asked = (reachable, demand.map(Box::new));
                Running::Read(Read::new(now.time, self.node, order, asked, waits))
            }
            Order::Write(order) => {
                let routes = Routes {
                    here: self.node,
                    owners,
                    reachable: &reachable,
                    stand_ins,
                };
                let patience = now.time.after(self.config.stand_in_after);
                Running::Write(Box::new(Write::new(now.time, order, routes, patience)))
            }
            Order::Inspect(order) => Running::Inspect(Inspect::new(order, owners, &reachable)),
        };
        self.orders.insert(ticket, running);
        self.drain(now, ticket);
    }

    fn handle_rows(
        &mut self,
        now: Moment,
        ticket: u64,
        from: NodeId,
        rows: Result<RowsRead, OrderFailed>,
    ) {
        match self.orders.get_mut(&ticket) {
            Some(Running::Read(read)) => read.handle_rows(now.time, from, rows),
            Some(Running::Write(write)) => write.handle_rows(from, rows),
            Some(Running::Inspect(inspect)) => inspect.handle_rows(from, rows),
            None => return,
        }
        self.drain(now, ticket);
    }

    fn handle_ack(&mut self, now: Moment, ticket: u64, from: NodeId, acked: bool) {
        if let Some(Running::Write(write)) = self.orders.get_mut(&ticket) {
            write.handle_ack(from, acked);
            self.drain(now, ticket);
        }
    }

    /// Takes what an order's machine wants, and forgets the order when it is finished.
    fn drain(&mut self, now: Moment, ticket: u64) {
        let Some(mut running) = self.orders.remove(&ticket) else {
            return;
        };
        let (finished, timeout) = match &mut running {
            Running::Read(read) => {
                while let Some(to) = read.poll_transmit() {
                    self.ask_rows(now.time, ticket, to, read.request());
                }
                if read.is_answered() {
                    self.repair(now, read);
                }
                let event = read.poll_event();
                (event.map(Outcome::Read), read.poll_timeout())
            }
            Running::Write(write) => {
                while let Some(transmit) = write.poll_transmit(ticket) {
                    self.transmit(ticket, transmit);
                }
                (
                    write.poll_event().map(Outcome::Written),
                    write.poll_timeout(),
                )
            }
            Running::Inspect(inspect) => {
                while let Some(to) = inspect.poll_transmit() {
                    self.ask_rows(now.time, ticket, to, inspect.request());
                }
                (
                    inspect.poll_event().map(Outcome::Inspected),
                    inspect.poll_timeout(),
                )
            }
        };
        self.set_due(ticket, timeout.filter(|_| finished.is_none()));
        match finished {
            Some(outcome) => {
                if outcome.is_success() {
                    self.admission.handle_success(now.time);
                }
                self.effects.push_back(Effect::Finished { ticket, outcome });
            }
            None => {
                self.orders.insert(ticket, running);
            }
        }
    }

    fn set_due(&mut self, ticket: u64, due: Option<Time>) {
        if self.due.get(&ticket).copied() == due {
            return;
        }
        if let Some(before) = self.due.remove(&ticket) {
            self.timeouts.remove(&(before, ticket));
        }
        if let Some(due) = due {
            self.due.insert(ticket, due);
            self.timeouts.insert((due, ticket));
        }
    }
}
