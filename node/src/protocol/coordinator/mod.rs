//! Coordinating clients' reads and writes: who is asked, who has answered, what is told.
//!
//! The shell hands in client orders ([`Coordinator::handle_order`]), what the node's own
//! [`Replica`](super::replica::Replica) did, and peers' replies; then it drains
//! [`Coordinator::poll_effect`]. Orders live in a table: no task and no lock for each of them.

mod admission;
mod answer;
mod bodies;
mod calls;
mod config;
mod confirm;
mod inspect;
mod joined;
mod names;
mod order;
mod reach;
mod read;
mod repairs;
mod routes;
mod running;
mod session;
mod stand_ins;
mod tally;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::messages::{PeerReply, PeerRequest};
use super::replica::{Input, Output};
use super::time::{Moment, Time};
use admission::Admission;
use calls::Calls;
pub use config::CoordinatorConfig;
pub use order::{Answers, Order, OrderFailed, Outcome, ReadDone, ReadOrder, WriteDone, WriteOrder};
use reach::Reach;
pub use reach::Standing;
use ring::pace::Pace;
use ring::{NodeId, Ring};
use running::Running;
pub use tally::Tally;

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
        /// Until when the reply is waited for.
        until: Time,
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
    fetched: u64,
    timeouts: BTreeSet<(Time, u64)>,
    effects: VecDeque<Effect>,
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
            fetched: 0,
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

    /// So many thousandths of the writes that this node could have under way it must not, because
    /// its store is behind: 1,000 for all of them.
    pub fn set_pressure(&mut self, thousandths: u16) {
        self.admission.set_pressure(thousandths);
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

    /// How often an owner was asked for bodies that it had left out.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        self.fetched
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
        let is_write = matches!(order, Order::Write(_));
        let under_way = (self.orders.len(), self.config.orders);
        let is_taken = self.admission.takes(now.time, is_write, under_way);
        let owners = match owners {
            _ if order.deadline() <= now.time => Err(OrderFailed::Overloaded),
            _ if !is_taken => Err(OrderFailed::Overloaded),
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
            Output::Held { ticket, held } => self.handle_held(now, ticket, held),
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
            self.handle_due(now, ticket);
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
}
