//! The orders under way: each is a machine of its own, which is fed and drained here.
//!
//! ```text
//!   Read ── enough owners have answered ──> the answer
//!     └──── of a monotonic read ──> Confirm ── a majority holds what it shows ──> the answer
//! ```

use super::confirm::{Confirm, Step};
use super::inspect::Inspect;
use super::read::{Read, Waits};
use super::routes::Routes;
use super::session::Demand;
use super::write::Write;
use super::{Coordinator, Effect, Order, OrderFailed, Outcome};
use crate::mutants::{self, Mutant};
use crate::protocol::messages::{PeerRequest, RowsRead};
use crate::protocol::replica::{Held, Input};
use crate::protocol::time::{Moment, Time};
use ring::{NodeId, PreferenceList};

/// An order under way.
#[derive(Debug)]
pub(super) enum Running {
    Read(Read),
    /// A monotonic read whose answer waits until enough owners hold it.
    Confirm(Box<Confirm>),
    Write(Box<Write>),
    Inspect(Inspect),
}

impl Coordinator {
    pub(super) fn start(
        &mut self,
        now: Moment,
        ticket: u64,
        order: Order,
        owners: &PreferenceList,
    ) {
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
                let bodies_up_to = self.config.bodies_up_to;
                let read = Read::new(now.time, self.node, order, asked, waits, bodies_up_to);
                Running::Read(read)
            }
            Order::Write(order) => {
                self.admission.handle_write_begun();
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

    pub(super) fn handle_rows(
        &mut self,
        now: Moment,
        ticket: u64,
        from: NodeId,
        rows: Result<RowsRead, OrderFailed>,
    ) {
        match self.orders.get_mut(&ticket) {
            Some(Running::Read(read)) => read.handle_rows(now.time, from, rows),
            Some(Running::Confirm(confirm)) => confirm.handle_rows(now, from, rows),
            Some(Running::Write(write)) => write.handle_rows(from, rows),
            Some(Running::Inspect(inspect)) => inspect.handle_rows(from, rows),
            None => return,
        }
        self.drain(now, ticket);
    }

    pub(super) fn handle_ack(&mut self, now: Moment, ticket: u64, from: NodeId, acked: bool) {
        match self.orders.get_mut(&ticket) {
            Some(Running::Write(write)) => write.handle_ack(from, acked),
            Some(Running::Confirm(confirm)) => confirm.handle_ack(from, acked),
            Some(Running::Read(_) | Running::Inspect(_)) | None => return,
        }
        self.drain(now, ticket);
    }

    pub(super) fn handle_held(&mut self, now: Moment, ticket: u64, held: Held) {
        match self.orders.get_mut(&ticket) {
            Some(Running::Write(write)) => write.handle_held(now.time, held),
            Some(Running::Confirm(confirm)) => confirm.handle_held(held),
            Some(Running::Read(_) | Running::Inspect(_)) | None => return,
        }
        self.drain(now, ticket);
    }

    /// The time that an order's machine has named has come.
    pub(super) fn handle_due(&mut self, now: Moment, ticket: u64) {
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
            Some(Running::Confirm(confirm)) => confirm.handle_timeout(now.time),
            Some(Running::Write(write)) => write.handle_timeout(now.time),
            Some(Running::Inspect(inspect)) => inspect.handle_timeout(now.time),
            None => return,
        }
        self.drain(now, ticket);
    }

    /// Takes what an order's machine wants, and forgets the order when it is finished.
    pub(super) fn drain(&mut self, now: Moment, ticket: u64) {
        let Some(mut running) = self.orders.remove(&ticket) else {
            return;
        };
        if let Running::Read(read) = &mut running
            && let Some(confirm) = self.drain_read(now, ticket, read)
        {
            running = Running::Confirm(Box::new(confirm));
        }
        let (finished, timeout) = match &mut running {
            Running::Read(read) => {
                let event = read.poll_event();
                (event.map(Outcome::Read), read.poll_timeout())
            }
            Running::Confirm(confirm) => {
                while let Some(step) = confirm.poll_transmit() {
                    self.step(now.time, ticket, confirm, step);
                }
                let event = confirm.poll_event();
                (event.map(Outcome::Read), confirm.poll_timeout())
            }
            Running::Write(write) => {
                let until = write.deadline();
                while let Some(transmit) = write.poll_transmit(ticket) {
                    self.transmit((ticket, until), transmit);
                }
                (
                    write.poll_event().map(Outcome::Written),
                    write.poll_timeout(),
                )
            }
            Running::Inspect(inspect) => {
                let until = inspect.deadline();
                while let Some(to) = inspect.poll_transmit() {
                    self.ask_rows(now.time, (ticket, until), to, inspect.request());
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
                self.admission.handle_end(now.time, &outcome);
                self.effects.push_back(Effect::Finished { ticket, outcome });
            }
            None => {
                self.orders.insert(ticket, running);
            }
        }
    }

    /// What a monotonic read that has its answer goes on as.
    fn drain_read(&mut self, now: Moment, ticket: u64, read: &mut Read) -> Option<Confirm> {
        let until = read.deadline();
        while let Some(to) = read.poll_transmit() {
            self.fetched += u64::from(read.is_asked_again(to));
            self.ask_rows(now.time, (ticket, until), to, read.request(to));
        }
        if !read.is_answered() {
            return None;
        }
        if !mutants::is_active(Mutant::AnsweredUnconfirmed)
            && let Some(answer) = read.poll_unconfirmed()
        {
            return Some(Confirm::new(now, self.node, answer));
        }
        self.repair(now, read);
        None
    }

    fn step(&mut self, now: Time, ticket: u64, confirm: &Confirm, step: Step) {
        let whose = (ticket, confirm.deadline());
        match step {
            Step::Read(to) => self.ask_rows(now, whose, to, confirm.request()),
            Step::PullHere(from) => {
                let again = confirm.again();
                self.effects.push_back(Effect::Submit(Input::Hold {
                    ticket,
                    vnode: again.vnode,
                    dots: again.dots,
                    from: Some(from),
                }));
            }
            Step::PullThere(to) => self.call(whose, to, PeerRequest::Again(confirm.again())),
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
