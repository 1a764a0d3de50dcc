//! Clients: each does one operation at a time, tries it again when it fails, and learns from
//! what it reads and writes. Now and then it works with a context that is stale, or with none.

use std::collections::BTreeMap;

use super::ledger::{Acked, Ending};
use super::network::Message;
use super::node::Process;
use super::orders::Attempt;
use super::queue::MS;
use super::sessions::Session;
use super::world::{Happening, World};
use crate::invariants::{Answered, Observation};
use crdt::{Context, Dot};
use ring::NodeId;
use starling_node::protocol::coordinator::{Order, OrderFailed, Outcome, ReadDone, WriteDone};
use starling_node::protocol::messages::Refusal;

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: u128,
    pub(crate) sequence: u64,
    /// By key, what its last reads and writes have shown it.
    pub(crate) contexts: BTreeMap<usize, Context>,
    pub(crate) current: Option<Current>,
    pub(crate) session: Session,
}

/// The operation that a client is at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Current {
    operation: usize,
    attempt: u64,
    node: usize,
    tries: u32,
    /// Some try may have been applied.
    is_open: bool,
}

impl Client {
    pub(crate) fn new(index: usize) -> Self {
        let id = 1 + u128::try_from(index).unwrap_or(0);
        Self {
            id,
            sequence: 0,
            contexts: BTreeMap::new(),
            current: None,
            session: Session::default(),
        }
    }
}

impl World {
    /// A client begins an operation.
    pub(crate) fn want(&mut self, client: usize) {
        if self.is_healed {
            return;
        }
        let operation = self.choose(client);
        let now = self.queue.now();
        self.trace
            .note(now, format_args!("c{client} wants {:?}", operation.changes));
        let owners = self.ledger.subjects[operation.subject].owners.clone();
        let node = if operation.leaning.is_some() {
            self.anybody(&owners)
        } else {
            self.preferred(&owners, operation.changes.is_empty())
        };
        let index = self.ledger.operations.len();
        self.ledger.operations.push(operation);
        let current = Current {
            operation: index,
            attempt: 0,
            node,
            tries: 0,
            is_open: false,
        };
        self.clients[client].current = Some(current);
        self.attempt(client);
    }

    /// The first owner more often than the others. Reads often go to who started last: if anybody
    /// has forgotten something, it has.
    fn preferred(&mut self, owners: &[usize], is_read: bool) -> usize {
        if is_read && self.chance(0.3) {
            let last = owners.iter().max_by_key(|&&owner| self.nodes[owner].born);
            return last.copied().unwrap_or(owners[0]);
        }
        // Reads that are to be compared ask different pairs.
        if !self.plan.monotonic && self.chance(0.5) {
            owners[0]
        } else {
            owners[self.random.usize(..owners.len())]
        }
    }

    /// A coordinator for a write that may lean on stand-ins: an owner, or one that reaches none.
    fn anybody(&mut self, owners: &[usize]) -> usize {
        let ids: Vec<NodeId> = owners.iter().map(|&owner| self.nodes[owner].id).collect();
        let alone = (0..self.nodes.len()).filter(|node| {
            let process = self.nodes[*node].process.as_ref();
            let reaches = |process: &Process| {
                let coordinator = &process.coordinator;
                ids.iter().any(|&owner| coordinator.is_reachable(owner))
            };
            !owners.contains(node) && process.is_some_and(|process| !reaches(process))
        });
        let alone: Vec<usize> = alone.collect();
        if !alone.is_empty() && self.chance(0.5) {
            alone[self.random.usize(..alone.len())]
        } else if self.chance(0.8) {
            owners[self.random.usize(..owners.len())]
        } else {
            self.random.usize(..self.nodes.len())
        }
    }

    /// Sends the current operation to its coordinator.
    fn attempt(&mut self, client: usize) {
        let attempt = self.next;
        self.next += 1;
        let Some(current) = &mut self.clients[client].current else {
            return;
        };
        current.attempt = attempt;
        current.tries += 1;
        let (node, operation) = (current.node, current.operation);
        let order = self.order(client, operation, node);
        let patience = self.plan.call_timeout + self.up_to(self.plan.call_timeout);
        self.queue
            .after(patience, Happening::Gives { client, attempt });
        let order = Box::new(order);
        self.send_client(Message::Order {
            client,
            to: node,
            attempt,
            order,
        });
    }

    /// A node takes an order, if it runs.
    pub(crate) fn take_order(&mut self, client: usize, to: usize, attempt: u64, order: Order) {
        let now = self.queue.now();
        let Some(current) = self.clients[client].current else {
            return;
        };
        // Only the try at hand is taken: the shell of a client closes the stream of an earlier one,
        // and a node names each order it takes by a ticket of its own.
        if current.attempt != attempt || self.attempts.contains_key(&attempt) {
            return;
        }
        if self.nodes[to].process.is_none() || self.nodes[to].paused_until > now {
            return;
        }
        let operation = current.operation;
        self.attempts.insert(
            attempt,
            Attempt {
                operation,
                client,
                began: now,
                forsaken: self.ledger.forsaken(),
                until: self.nodes[to].world_time(order.deadline()),
                dots: Vec::new(),
            },
        );
        self.trace.note(
            now,
            format_args!("n{to} takes attempt {attempt} of c{client}"),
        );
        let moment = self.nodes[to].moment(now);
        if let Some(process) = &mut self.nodes[to].process {
            process.coordinator.handle_order(moment, attempt, order);
        }
        self.drain(to);
    }

    /// A coordinator has finished an order: what it says is held against the ledger.
    pub(crate) fn finish(&mut self, node: usize, ticket: u64, outcome: Outcome) {
        let now = self.queue.now();
        self.trace
            .note(now, format_args!("n{node} finishes attempt {ticket}"));
        match &outcome {
            Outcome::Read(Ok(done)) => {
                let dots = done.rows.values().flat_map(|row| row.versions().keys());
                let dots: Vec<String> = dots.map(Dot::to_string).collect();
                self.trace.say(now, format_args!("    read {dots:?}"));
            }
            Outcome::Written(Ok(done)) => {
                let WriteDone { acks, repeated, .. } = done;
                self.trace
                    .say(now, format_args!("    {acks} acks, repeated: {repeated}"));
            }
            failed => self.trace.say(now, format_args!("    {failed:?}")),
        }
        let Some(attempt) = self.attempts.get(&ticket).cloned() else {
            return;
        };
        match &outcome {
            Outcome::Read(Ok(done)) => self.observe_read(&attempt, done),
            Outcome::Written(Ok(done)) => {
                let Attempt {
                    operation, dots, ..
                } = attempt;
                let asked = &self.ledger.operations[operation];
                let w = match asked.leaning {
                    // Reads overlap with the owners that have it, not with stand-ins.
                    Some(_) => done.acks - done.stand_ins,
                    None => asked.quorum,
                };
                self.tally
                    .add("a stand-in counted", u64::from(done.stand_ins));
                self.ledger.ack(Acked {
                    operation,
                    dots,
                    w,
                    at: now,
                });
            }
            Outcome::Written(Err(OrderFailed::BelowQuorum { .. })) => {
                self.tally.count("a coordinator answered below quorum");
            }
            Outcome::Read(Err(OrderFailed::Unconfirmed { .. })) => {
                self.tally.count("a monotonic read was not confirmed");
            }
            Outcome::Written(Err(OrderFailed::Unknown)) => {
                self.tally.count("a coordinator did not know");
            }
            Outcome::Read(Err(_)) | Outcome::Written(Err(_)) | Outcome::Inspected(_) => {}
        }
        let (client, attempt, outcome) = (attempt.client, ticket, Box::new(outcome));
        self.send_client(Message::Outcome {
            client,
            attempt,
            outcome,
        });
    }

    fn observe_read(&mut self, attempt: &Attempt, done: &ReadDone) {
        let operation = &self.ledger.operations[attempt.operation];
        if done.rows.values().any(|row| row.versions().len() > 1) {
            self.tally.count("a read showed siblings");
        }
        let (subject, r) = (operation.subject, operation.quorum);
        let is_monotonic = operation.is_monotonic;
        let answered = Answered {
            subject,
            r,
            began: attempt.began,
            done,
            is_monotonic,
            known: self.clients[attempt.client].session.known(subject),
        };
        let known = answered.known.map_or(0, |known| known.events.len());
        let sessions = u64::try_from(known).unwrap_or(0);
        let owed = self.ledger.acked(subject).iter();
        let owed = owed.filter(|acked| {
            crate::invariants::quorum_reads::is_owed(&answered, acked, &self.ledger)
        });
        let owed = u64::try_from(owed.count()).unwrap_or(0);
        self.tally.add("a quorum read was checked", owed);
        self.tally.add("a session read was checked", sessions);
        let checked = Self::check(&self.ledger, &Observation::Read(answered));
        self.broken = self.broken.take().or(checked.err());
        if is_monotonic {
            self.note_shown(attempt, subject, done);
        }
    }

    /// A client hears how its try ended.
    pub(crate) fn hear(&mut self, client: usize, attempt: u64, outcome: Outcome) {
        let Some(mut current) = self.clients[client].current else {
            return;
        };
        if current.attempt != attempt {
            return;
        }
        let failed = match outcome {
            Outcome::Read(Ok(done)) => return self.learn_read(client, current, done),
            Outcome::Written(Ok(done)) => return self.learn_write(client, current, done),
            Outcome::Read(Err(failed)) | Outcome::Written(Err(failed)) => failed,
            Outcome::Inspected(_) => return,
        };
        let may_be_applied = matches!(
            failed,
            OrderFailed::Unknown
                | OrderFailed::BelowQuorum { .. }
                | OrderFailed::Refused(Refusal::Storage | Refusal::DiskFull)
        );
        current.is_open |= may_be_applied;
        let subject = self.ledger.operations[current.operation].subject;
        self.learn_refused(client, subject, failed);
        self.clients[client].current = Some(current);
        self.try_later(client, current);
    }

    /// A client hears nothing in time.
    pub(crate) fn give_up_waiting(&mut self, client: usize, attempt: u64) {
        let Some(mut current) = self.clients[client].current else {
            return;
        };
        if current.attempt == attempt {
            current.is_open = true;
            self.clients[client].current = Some(current);
            self.try_later(client, current);
        }
    }

    /// Tries again some time later, at the same coordinator or another, or gives up.
    fn try_later(&mut self, client: usize, mut current: Current) {
        if self.is_healed || current.tries >= 6 || self.chance(0.15) {
            let ending = if current.is_open {
                Ending::Maybe
            } else {
                Ending::NotApplied
            };
            return self.end(client, current.operation, ending);
        }
        if self.chance(0.6) {
            let subject = self.ledger.operations[current.operation].subject;
            let owners = self.ledger.subjects[subject].owners.clone();
            let leans = self.ledger.operations[current.operation].leaning.is_some();
            current.node = if leans {
                self.anybody(&owners)
            } else {
                owners[self.random.usize(..owners.len())]
            };
        }
        // Between two tries the client waits for nobody: a late answer to the last is not heard.
        let attempt = current.attempt;
        self.clients[client].current = Some(current);
        let pause = if self.chance(0.8) {
            300 * MS
        } else {
            4_000 * MS
        };
        let pause = self.up_to(pause);
        self.queue
            .after(pause, Happening::Retries { client, attempt });
    }

    pub(crate) fn retry(&mut self, client: usize, attempt: u64) {
        let is_current = |current: &Current| current.attempt == attempt;
        if self.clients[client]
            .current
            .as_ref()
            .is_some_and(is_current)
        {
            self.attempt(client);
        }
    }

    fn learn_read(&mut self, client: usize, current: Current, done: ReadDone) {
        let subject = self.ledger.operations[current.operation].subject;
        self.learn_shown(client, subject, &done);
        // Sometimes the client keeps what it knew: its next write is over a stale context.
        if self.chance(0.8) {
            self.clients[client].contexts.insert(subject, done.context);
        }
        self.end(client, current.operation, Ending::Done);
    }

    fn learn_write(&mut self, client: usize, current: Current, done: WriteDone) {
        self.learn_written(client, current.operation, done.seen);
        if self.chance(0.8) {
            let changes = self.ledger.operations[current.operation].changes.iter();
            let learnt = changes.map(|wanted| wanted.subject).zip(done.contexts);
            self.clients[client].contexts.extend(learnt);
        }
        self.end(client, current.operation, Ending::Done);
    }

    fn end(&mut self, client: usize, operation: usize, ending: Ending) {
        let now = self.queue.now();
        self.trace
            .note(now, format_args!("c{client} ends {operation}: {ending:?}"));
        self.ledger.operations[operation].ended = Some((now, ending));
        self.clients[client].current = None;
        let think = self.plan.think;
        let pause = self.up_to(2 * think);
        self.queue.after(pause, Happening::Wants { client });
    }

    /// At the end of the trouble nobody tries on: what is open stays open.
    pub(crate) fn dismiss_clients(&mut self) {
        for client in 0..self.clients.len() {
            if let Some(current) = self.clients[client].current {
                // The try at hand may still arrive.
                self.end(client, current.operation, Ending::Maybe);
            }
        }
    }
}
