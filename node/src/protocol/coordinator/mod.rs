//! Coordinating clients' reads and writes: who is asked, who has answered, what is told.
//!
//! The shell hands in client orders ([`Coordinator::handle_order`]), what the node's own
//! [`Replica`](super::replica::Replica) did, and peers' replies; then it drains
//! [`Coordinator::poll_effect`]. Orders live in a table: no task and no lock for each of them.

mod admission;
mod config;
mod inspect;
mod joined;
mod order;
mod reach;
mod read;
mod stand_ins;
mod tally;
mod write;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::messages::{PeerReply, PeerRequest, ReadRows, RowsRead};
use super::replica::{Input, Output};
use super::time::{Moment, Time};
use admission::Admission;
pub use config::CoordinatorConfig;
use inspect::Inspect;
pub use order::{Answers, Order, OrderFailed, Outcome, ReadDone, ReadOrder, WriteDone, WriteOrder};
use reach::Reach;
pub use reach::Standing;
use read::Read;
use ring::{NodeId, PreferenceList, Ring};
pub use tally::Tally;
use write::{Routes, Write};

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
    calls: BTreeMap<u64, (u64, NodeId)>,
    timeouts: BTreeSet<(Time, u64)>,
    next_call: u64,
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
        Self {
            node,
            config,
            ring: None,
            reach: Reach::default(),
            admission: Admission::default(),
            orders: BTreeMap::new(),
            due: BTreeMap::new(),
            calls: BTreeMap::new(),
            timeouts: BTreeSet::new(),
            next_call: 0,
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

    /// A client's order; `ticket` is new and comes back when it is finished.
    pub fn handle_order(&mut self, now: Moment, ticket: u64, order: Order) {
        let outcome = |failed| match order {
            Order::Read(_) => Outcome::Read(Err(failed)),
            Order::Write(_) => Outcome::Written(Err(failed)),
            Order::Inspect(_) => Outcome::Inspected(vec![(self.node, Err(failed))]),
        };
        let vnode = match &order {
            Order::Read(read) | Order::Inspect(read) => read.vnode,
            Order::Write(write) => write.vnode,
        };
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
            // The shell sends these itself: they are between replicas.
            Output::Answer { .. } | Output::Call { .. } => {}
        }
    }

    /// A peer's reply to [`Effect::Call`]; `None` if it could not be had.
    pub fn handle_reply(&mut self, now: Moment, call: u64, reply: Option<PeerReply>) {
        let Some((ticket, from)) = self.calls.remove(&call) else {
            return;
        };
        match reply {
            Some(PeerReply::Rows(rows)) => self.handle_rows(now, ticket, from, Ok(rows)),
            Some(PeerReply::Acked) => self.handle_ack(now, ticket, from, true),
            Some(PeerReply::Refused(refusal)) => {
                self.handle_rows(now, ticket, from, Err(OrderFailed::Refused(refusal)));
                self.handle_ack(now, ticket, from, false);
            }
            Some(PeerReply::Differences(_) | PeerReply::Pulled(_) | PeerReply::Page(_)) | None => {
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
                Some(Running::Read(read)) => read.handle_timeout(now.time),
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
        let reachable = self.reach.order(self.node, owners.iter());
        let stand_ins = match &order {
            Order::Write(write) if write.sloppy => {
                let ring = self.ring.as_ref();
                ring.map_or_else(Vec::new, |ring| self.reach.stand_ins(ring, write.vnode))
            }
            Order::Read(_) | Order::Write(_) | Order::Inspect(_) => Vec::new(),
        };
        let running = match order {
            Order::Read(order) => Running::Read(Read::new(
                now.time,
                self.node,
                order,
                reachable,
                &self.config,
            )),
            Order::Write(order) => {
                let routes = Routes {
                    here: self.node,
                    owners,
                    reachable: &reachable,
                    stand_ins,
                };
                let patience = now.time.after(self.config.stand_in_after);
                Running::Write(Box::new(Write::new(order, routes, patience)))
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
            Some(Running::Read(read)) => read.handle_rows(from, rows),
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
                    self.ask_rows(ticket, to, read.request());
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
                    self.ask_rows(ticket, to, inspect.request());
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

    fn ask_rows(&mut self, ticket: u64, to: NodeId, read: ReadRows) {
        if to == self.node {
            self.effects
                .push_back(Effect::Submit(Input::Read { ticket, read }));
        } else {
            self.call(ticket, to, PeerRequest::Read(read));
        }
    }

    fn transmit(&mut self, ticket: u64, transmit: write::Transmit) {
        match transmit {
            write::Transmit::Here(input) => self.effects.push_back(Effect::Submit(*input)),
            write::Transmit::Peer(to, request) => self.call(ticket, to, *request),
        }
    }

    fn call(&mut self, ticket: u64, to: NodeId, request: PeerRequest) {
        let call = self.next_call;
        self.next_call += 1;
        self.calls.insert(call, (ticket, to));
        self.effects.push_back(Effect::Call { to, call, request });
    }

    /// Lets whoever lacks something of a key that was read pull it, this node or the other.
    fn repair(&mut self, now: Moment, read: &Read) {
        let young = now
            .wall_ms
            .saturating_sub(duration_ms(self.config.repair_after));
        for (peer, side) in read.poll_repairs(self.node, young) {
            let Some((vnode, prefix)) = read.key() else {
                continue;
            };
            match side {
                read::Stale::Here => {
                    let input = Input::Repair {
                        from: peer,
                        vnode,
                        prefix,
                    };
                    self.effects.push_back(Effect::Submit(input));
                }
                read::Stale::There => {
                    // No order waits for this: the reply is dropped.
                    self.call(u64::MAX, peer, PeerRequest::Repair { vnode, prefix });
                }
            }
        }
    }
}

fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
