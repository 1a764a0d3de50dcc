//! Clients: their frames become orders, and what comes of these goes back.

use super::Shell;
use crate::admin::Operation;
use crate::protocol::coordinator::{Order, Outcome};
use crate::protocol::replica::Input;
use crate::protocol::time::{Moment, Time};
use crate::server::{Accepted, Posture, Shape, encode_response};
use starling::transport::{Incoming, Principal, ReplyTo};
use starling::wire::{FailureKind, Response};

/// A client that waits for the end of its order.
#[derive(Debug)]
pub(super) struct Waiting {
    reply: ReplyTo,
    shape: Shape,
    operation: Operation,
    since: Time,
}

impl Shell {
    /// A client asks something.
    pub(super) fn handle_client(
        &mut self,
        principal: Option<&Principal>,
        arrived: Moment,
        incoming: Incoming,
    ) {
        let Incoming { body, reply } = incoming;
        self.metrics
            .received_bytes
            .inc_by(u64::try_from(body.len()).unwrap_or(u64::MAX));
        self.desk.set_posture(self.posture());
        self.coordinator.set_pressure(self.committer.pressure());
        // Its time began when it was here, wherever it has waited since.
        let since = arrived.time;
        match self.desk.accept(arrived, &body) {
            Accepted::Order { order, shape } => {
                let operation = self.count(&order);
                let ticket = self.number();
                let waiting = Waiting {
                    reply,
                    shape,
                    operation,
                    since,
                };
                self.turn.orders.insert(ticket, waiting);
                let now = self.clock.now();
                let is_late = order.deadline() <= now.time;
                self.metrics.expired.inc_by(is_late.into());
                self.coordinator.handle_order(now, ticket, order);
            }
            Accepted::Reply(response) => {
                if let Response::Failed(failure) = &response
                    && failure.kind == FailureKind::BadRequest
                {
                    self.metrics.malformed_frames.inc();
                    tracing::debug!(client = ?principal, %failure.message, "a bad request");
                }
                let failed = matches!(response, Response::Failed(_));
                let operation = if failed {
                    Operation::Refused
                } else {
                    Operation::Cluster
                };
                self.answer_client(reply, operation, since, &response);
            }
            Accepted::CreateBucket { name, properties } => {
                self.create_bucket(self.clock.now(), &name, properties, reply);
            }
            Accepted::Status => self.gather_status(reply),
            Accepted::MemberInfo { node } => {
                let response = self.member_info(node);
                self.answer_client(reply, Operation::Cluster, since, &response);
            }
            Accepted::Vnodes { scrub } => {
                if scrub {
                    self.submit(Input::Scrub);
                }
                let response = self.each_vnode();
                self.answer_client(reply, Operation::Cluster, since, &response);
            }
        }
    }

    /// An order has come to its end.
    pub(super) fn finish(&mut self, ticket: u64, outcome: Outcome) {
        let Some(waiting) = self.turn.orders.remove(&ticket) else {
            return;
        };
        let response = self.desk.respond(&waiting.shape, outcome);
        self.answer_client(waiting.reply, waiting.operation, waiting.since, &response);
    }

    /// Queues an answer.
    pub(super) fn answer_client(
        &self,
        to: ReplyTo,
        operation: Operation,
        since: Time,
        response: &Response,
    ) {
        self.metrics
            .answered(operation, response, self.clock.time().since(since));
        let bytes = encode_response(response);
        self.metrics
            .sent_bytes
            .inc_by(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        to.send(bytes);
    }

    fn count(&mut self, order: &Order) -> Operation {
        match order {
            Order::Read(_) => {
                self.turn.reads += 1;
                Operation::Read
            }
            Order::Write(_) => {
                self.turn.writes += 1;
                Operation::Write
            }
            Order::Inspect(_) => Operation::Inspect,
        }
    }

    fn posture(&self) -> Posture {
        if self.turn.draining {
            Posture::Draining
        } else if let Some(alarm) = self.exchange.alarm(self.clock.now()) {
            Posture::Alarmed(alarm)
        } else {
            // Orders wait for the recovery in the committer's queue.
            Posture::Serving
        }
    }
}
