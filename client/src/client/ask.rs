//! Asking a node: one attempt, and what it says of the node.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::Shared;
use super::call::Failed;
use crate::clock;
use crate::retry::{self, Attempt, Cause, Times, Work};
use crate::wire::{
    self, FailureKind, Outcome, Part, ReadRequest, Request, Response, SessionWork, WriteRequest,
};
use ring::NodeId;
use ring::pace::Question;

impl Shared {
    /// One attempt. What it says of the node is noted: its health, and its pace.
    pub(super) async fn attempt(
        self: &Arc<Self>,
        node: NodeId,
        request: &mut Request,
        times: Times,
    ) -> Result<Response, Failed> {
        let work = paced(request);
        if work.is_some() && self.holds_back(node) {
            let message = format!(
                "node {node} refuses too much of what this client asks; nothing was sent: try \
                 again in a while"
            );
            return Err(Failed::new(node, Cause::Full, Outcome::NotApplied, message));
        }
        let mut question = work.map(|work| Open::new(self, node, work));
        let result = self.send(node, request, times).await;
        if work.is_some() {
            self.count(node, &result);
        }
        match &result {
            Ok(_) => {
                self.health().handle_success(node);
                match &mut question {
                    Some(question) => question.handle_answer(),
                    None => self.paces().handle_heard(self.clock.now(), node),
                }
            }
            Err(failed) => {
                if let Cause::Failed(_) = failed.attempt.cause {
                    self.paces().handle_heard(self.clock.now(), node);
                }
                let work = work.unwrap_or(Work::Read);
                if retry::advice(failed.attempt.cause, work).avoid {
                    self.avoid(node);
                }
            }
        }
        result
    }

    /// Has the node lately refused so much that this is not sent?
    fn holds_back(&self, node: NodeId) -> bool {
        let now = self.clock.now();
        let fraction = clock::random_fraction();
        self.throttle().holds_back(now, node, fraction)
    }

    /// Notes whether the node took a request up. One that it has not answered says nothing.
    fn count(&self, node: NodeId, result: &Result<Response, Failed>) {
        let now = self.clock.now();
        match result.as_ref().map_err(|failed| failed.attempt.cause) {
            Err(Cause::Failed(FailureKind::Overloaded)) => {
                self.throttle().handle_refused(now, node);
            }
            Ok(_) | Err(Cause::Failed(_)) => self.throttle().handle_taken(now, node),
            Err(_) => {}
        }
    }

    async fn send(
        self: &Arc<Self>,
        node: NodeId,
        request: &mut Request,
        times: Times,
    ) -> Result<Response, Failed> {
        let before = self.clock.now();
        let map = self.map();
        let addresses = map.node(node).map_or(&[][..], |info| &info.addresses);
        let connection = self
            .connections
            .connection(map.cluster(), node, addresses, times.connect)
            .await
            .map_err(|error| Failed::new(node, error.cause, Outcome::NotApplied, error.message))?;
        let now = self.clock.now();
        let timeout = times
            .timeout
            .saturating_sub(now.saturating_sub(before))
            .max(SHORTEST_WAIT);
        // Whoever had to wait for a connection may have been overtaken.
        let may_be_applied = times.may_be_applied || now.saturating_sub(before) >= OVERTAKEN;
        let age = now.saturating_sub(times.started);
        set_times(request, timeout, Some(age).filter(|_| may_be_applied));
        let mut body = BytesMut::new();
        wire::encode(request, &mut body).map_err(|error| {
            Failed::new(
                node,
                Cause::TooLarge,
                Outcome::NotApplied,
                error.to_string(),
            )
        })?;
        let reply = connection
            .call(body.freeze(), timeout)
            .await
            .map_err(|error| {
                let arrived = error.request_may_have_arrived();
                let outcome = if arrived {
                    Outcome::MaybeApplied
                } else {
                    Outcome::NotApplied
                };
                Failed::new(node, Cause::of(&error), outcome, error.to_string())
            })?;
        match wire::decode(&reply) {
            Ok(Response::Failed(failure)) => Err(Failed {
                attempt: Attempt {
                    node,
                    cause: Cause::Failed(failure.kind),
                    outcome: failure.outcome,
                    retry_after: Duration::from_millis(u64::from(failure.retry_after_ms)),
                },
                message: failure.message,
            }),
            Ok(response) => Ok(response),
            Err(error) => {
                let message = error.to_string();
                Err(Failed::new(
                    node,
                    Cause::Unreadable,
                    Outcome::MaybeApplied,
                    message,
                ))
            }
        }
    }
}

/// Which pace a request is measured by. The time that a page or a listing takes says how large it
/// is, not how fast its node.
pub(super) fn paced(request: &Request) -> Option<Work> {
    match request {
        Request::Read(read) => paced_read(read),
        Request::Write(_) => Some(Work::Write),
        Request::InSession(session) => match &session.work {
            SessionWork::Read(read) => paced_read(read),
            SessionWork::Scan(_) => None,
            SessionWork::Write(_) => Some(Work::Write),
        },
        Request::Scan(_)
        | Request::Keys(_)
        | Request::Inspect(_)
        | Request::Topology
        | Request::CreateBucket(_)
        | Request::Status
        | Request::MemberInfo { .. }
        | Request::Vnodes { .. } => None,
    }
}

fn paced_read(read: &ReadRequest) -> Option<Work> {
    match read.part {
        Part::Whole | Part::Element(_) => (!read.local).then_some(Work::Read),
        Part::Page(_) | Part::Count(_) | Part::Estimate => None,
    }
}

/// Something that a node was asked. Nobody waits for the answer when this is dropped.
struct Open {
    shared: Arc<Shared>,
    node: NodeId,
    work: Work,
    question: Option<Question>,
}

impl Open {
    fn new(shared: &Arc<Shared>, node: NodeId, work: Work) -> Self {
        let now = shared.clock.now();
        let question = Some(shared.paces().handle_asked(now, node, work));
        Self {
            shared: Arc::clone(shared),
            node,
            work,
            question,
        }
    }

    fn handle_answer(&mut self) {
        if let Some(question) = self.question.take() {
            let now = self.shared.clock.now();
            let mut paces = self.shared.paces();
            paces.handle_heard(now, self.node);
            paces.of(self.work).handle_answer(now, self.node, question);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(question) = self.question {
            let mut paces = self.shared.paces();
            paces.of(self.work).handle_failure(self.node, question);
        }
    }
}

/// Tells the node how long it may take, a little less than we wait, so that its own account of a
/// timeout arrives, and never more than nodes allow; and how old the operation is, if it may have
/// been applied before.
fn set_times(request: &mut Request, timeout: Duration, age: Option<Duration>) {
    let allowed = timeout.saturating_sub((timeout / 10).min(GRACE));
    let allowed_ms = u32::try_from(allowed.min(LONGEST).as_millis())
        .unwrap_or(u32::MAX)
        .max(1);
    match request {
        Request::Read(read) => read.timeout_ms = allowed_ms,
        Request::Scan(scan) => scan.timeout_ms = allowed_ms,
        Request::Keys(keys) => keys.timeout_ms = allowed_ms,
        Request::Write(write) => set_write_times(write, allowed_ms, age),
        Request::InSession(session) => match &mut session.work {
            SessionWork::Read(read) => read.timeout_ms = allowed_ms,
            SessionWork::Scan(scan) => scan.timeout_ms = allowed_ms,
            SessionWork::Write(write) => set_write_times(write, allowed_ms, age),
        },
        Request::Inspect(inspect) => inspect.timeout_ms = allowed_ms,
        Request::Topology
        | Request::CreateBucket(_)
        | Request::Status
        | Request::MemberInfo { .. }
        | Request::Vnodes { .. } => {}
    }
}

fn set_write_times(write: &mut WriteRequest, allowed_ms: u32, age: Option<Duration>) {
    write.timeout_ms = allowed_ms;
    // Rounded up: no age is a first try.
    let age_ms = |age: Duration| u64::try_from(age.as_millis()).map_or(u64::MAX, |ms| ms + 1);
    write.age_ms = age.map_or(0, age_ms);
}

/// Nobody else is asked beside a node earlier than that.
const OVERTAKEN: Duration = Duration::from_millis(40);
/// The most by which a node's time is shorter than ours.
const GRACE: Duration = Duration::from_millis(50);
/// Nodes refuse to work on one request for longer. A call that may take longer asks again.
const LONGEST: Duration = Duration::from_secs(60);
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
