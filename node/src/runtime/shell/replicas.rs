//! Between the network and the replica: inline reads, the committer, peers' requests and replies.

use bytes::Bytes;

use super::Shell;
use crate::protocol::cluster::{ClusterRefusal, ClusterReply, ClusterRequest};
use crate::protocol::messages::codec::MessageError;
use crate::protocol::messages::{PeerReply, PeerRequest, ReadRows, Refusal, RowsRead};
use crate::protocol::replica::{Input, Output};
use crate::protocol::stage::SourceError;
use crate::protocol::time::Time;
use crate::protocol::vnode::{Command, Target};
use crate::runtime::committer::Queued;
use crate::runtime::envelope::{Answered, Asked};
use crate::runtime::event::Caller;
use crate::runtime::source::StoreSource;
use ring::NodeId;
use starling::transport::ReplyTo;

impl Shell {
    /// What the coordinator has for this node's replica. A read is answered at once if it can be.
    pub(super) fn submit(&mut self, input: Input) {
        let bytes = match &input {
            Input::Read { ticket, read, .. } => {
                if !input.is_late(self.clock.time())
                    && let Some(result) = self.read_inline(read)
                {
                    let output = Output::RowsRead {
                        ticket: *ticket,
                        result,
                    };
                    return self.coordinator.handle_output(self.clock.now(), output);
                }
                SMALL
            }
            Input::Write { command, .. } => size(command),
            Input::Repair { .. } => {
                self.metrics.repairs.inc();
                SMALL
            }
            Input::Hold { .. }
            | Input::Request { .. }
            | Input::Reply { .. }
            | Input::Scrub
            | Input::Unread(_)
            | Input::Tick
            | Input::Topology { .. } => SMALL,
        };
        self.turn.queued.push(Queued { input, bytes });
    }

    /// Hands inputs over; gives the answers to those that are refused as overload.
    pub(super) fn hand_over(&mut self, queued: Vec<Queued>) -> Vec<Output> {
        self.committer.submit(queued)
    }

    /// What the replica lets out.
    pub(super) fn handle_output(&mut self, output: Output) {
        match output {
            Output::Written { .. }
            | Output::RowsRead { .. }
            | Output::Held { .. }
            | Output::Behind { .. } => {
                self.coordinator.handle_output(self.clock.now(), output);
            }
            Output::Answer { to: _, call, reply } => {
                if let Some(to) = self.turn.requests.remove(&call) {
                    answer(to, &Answered::Replica(reply));
                }
            }
            Output::Call {
                to,
                tag,
                request,
                until,
            } => {
                if let PeerRequest::Pull(_) | PeerRequest::PullKey(_) = request {
                    self.metrics.pulls.inc();
                }
                self.call_replica(to, request, until, Caller::Replica(tag));
            }
        }
    }

    pub(super) fn call_for_order(
        &mut self,
        (to, call): (NodeId, u64),
        request: PeerRequest,
        until: Time,
    ) {
        if let PeerRequest::Repair { .. } = request {
            self.metrics.repairs.inc();
        }
        self.call_replica(to, request, until, Caller::Coordinator(call));
    }

    fn call_replica(&self, to: NodeId, request: PeerRequest, until: Time, caller: Caller) {
        let left = until.since(self.clock.time());
        self.peers
            .call(to, &Asked::Replica { left, request }, caller);
    }

    /// A peer asks.
    pub(super) fn handle_peer(
        &mut self,
        (from, arrived): (NodeId, Time),
        asked: Result<Asked, MessageError>,
        bytes: usize,
        reply: ReplyTo,
    ) {
        match asked {
            Ok(Asked::Replica { left, request }) => {
                let until = arrived.after(left);
                self.handle_request((from, until), request, bytes, reply);
            }
            Ok(Asked::Cluster(request)) => {
                if let ClusterRequest::Hello(hello) = &request {
                    self.peers.handle_hello(from, hello.instance);
                }
                let said = self
                    .exchange
                    .handle_request(self.clock.now(), from, request);
                // What has changed is on the disk before the peer hears that it was taken in.
                self.drain_exchange();
                answer(reply, &Answered::Cluster(said));
            }
            Ok(Asked::Report) => answer(reply, &Answered::Report(self.report())),
            // It does not come this way: connections put it into a queue of its own.
            Ok(Asked::Gossip(_)) => {}
            Err(error) => {
                self.metrics.malformed_frames.inc();
                tracing::warn!(peer = %from, %error, "a peer's request was refused");
                let reason = error.to_string();
                let refusal = ClusterReply::Refused(ClusterRefusal::Unusable { reason });
                answer(reply, &Answered::Cluster(refusal));
            }
        }
    }

    /// A peer has answered a call, or will not.
    pub(super) fn handle_reply(&mut self, caller: Caller, from: NodeId, frame: Option<Bytes>) {
        let bytes = frame.as_ref().map_or(0, Bytes::len);
        let answered = frame.and_then(|frame| match Answered::decode(&frame) {
            Ok(answered) => Some(answered),
            Err(error) => {
                self.metrics.malformed_frames.inc();
                tracing::warn!(peer = %from, %error, "a peer's reply makes no sense");
                None
            }
        });
        let now = self.clock.now();
        match caller {
            Caller::Coordinator(call) => {
                let reply = replica(answered);
                if let Some(PeerReply::Rows(rows)) = &reply {
                    let versions = rows.left_out.len();
                    self.metrics.bodies.left_out.inc_by(versions);
                }
                self.coordinator.handle_reply(now, call, reply);
            }
            Caller::Replica(tag) => {
                let reply = replica(answered);
                self.count_rows(reply.as_ref());
                let input = Input::Reply { from, tag, reply };
                self.turn.queued.push(Queued { input, bytes });
            }
            Caller::Exchange => {
                let reply = match answered {
                    Some(Answered::Cluster(reply)) => Some(reply),
                    Some(Answered::Replica(_) | Answered::Report(_)) | None => None,
                };
                self.exchange.handle_reply(now, from, reply);
            }
            Caller::Creation(number) => {
                let joined = matches!(answered, Some(Answered::Cluster(ClusterReply::Joined)));
                self.handle_holder(number, from, joined);
            }
            Caller::Status(number) => {
                let report = match answered {
                    Some(Answered::Report(report)) => Some(report),
                    Some(Answered::Replica(_) | Answered::Cluster(_)) | None => None,
                };
                self.handle_report(number, from, report);
            }
        }
    }

    /// A replica asks this one, and waits for the answer until then.
    fn handle_request(
        &mut self,
        (from, until): (NodeId, Time),
        request: PeerRequest,
        bytes: usize,
        reply: ReplyTo,
    ) {
        let call = self.number();
        let input = Input::Request {
            from,
            call,
            request,
            until,
        };
        if !input.is_late(self.clock.time())
            && let Input::Request {
                request: PeerRequest::Read(read),
                ..
            } = &input
            && let Some(rows) = self.read_inline(read)
        {
            let rows = rows.map_or_else(PeerReply::Refused, PeerReply::Rows);
            return answer(reply, &Answered::Replica(rows));
        }
        // What is late is refused by the replica, and counted.
        self.turn.requests.insert(call, reply);
        self.turn.queued.push(Queued { input, bytes });
    }

    /// Reads without the committer, if the vnode's view allows it.
    fn read_inline(&mut self, read: &ReadRows) -> Option<Result<RowsRead, Refusal>> {
        let answer = {
            let engine = self.store.borrow();
            let source = StoreSource::new(&*engine);
            self.views.read(read, &self.limits, &source)?
        };
        match answer {
            Ok(rows) => {
                self.metrics.inline_reads.inc();
                Some(rows)
            }
            Err(error) => {
                tracing::error!(%error, "a row could not be read; the other owners are asked");
                match error {
                    // The committer meets it too, and puts the vnode into quarantine.
                    SourceError::Corrupt { .. } => None,
                    // It may pass. The committer looks there next, in the background.
                    SourceError::Unreadable { .. } => {
                        let (input, bytes) = (Input::Unread(read.vnode), SMALL);
                        self.turn.queued.push(Queued { input, bytes });
                        Some(Err(Refusal::Storage))
                    }
                    SourceError::Senseless { .. } => Some(Err(Refusal::Storage)),
                }
            }
        }
    }

    fn count_rows(&self, reply: Option<&PeerReply>) {
        let rows = match reply {
            Some(PeerReply::Pulled(pulled)) => pulled.bundle.rows.len(),
            Some(PeerReply::Page(page)) => page.bundle.rows.len(),
            Some(
                PeerReply::Acked
                | PeerReply::Rows(_)
                | PeerReply::Differences(_)
                | PeerReply::Examined(_)
                | PeerReply::Refused(_),
            )
            | None => return,
        };
        self.metrics
            .rows_pulled
            .inc_by(u64::try_from(rows).unwrap_or(u64::MAX));
    }
}

/// The reply of a replica; anything else is none.
fn replica(answered: Option<Answered>) -> Option<PeerReply> {
    answered.and_then(Answered::into_replica)
}

/// Queues a reply.
pub(in crate::runtime) fn answer(to: ReplyTo, answered: &Answered) {
    match answered.encode() {
        Ok(frame) => to.send(frame),
        // Dropping it tells the peer that no reply will come.
        Err(error) => tracing::error!(%error, "a reply could not be encoded"),
    }
}

/// About how many bytes a command holds.
fn size(command: &Command) -> usize {
    let targets = command.targets.iter();
    targets.map(Target::size).sum::<usize>() + SMALL
}

/// About what an input without a payload takes.
const SMALL: usize = 64;
