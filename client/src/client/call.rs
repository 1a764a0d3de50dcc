//! One call: choose a node, ask it, and let the retry machine decide what a failure means.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use super::Shared;
use crate::clock;
use crate::error::{Details, Error, ErrorKind, Tried};
use crate::retry::{self, Attempt, Cause, Retry, Verdict, Why, Work};
use crate::wire::{self, FailureKind, OperationId, Outcome, Request, Response};
use ring::{NodeId, PreferenceList};

/// What is to be done, besides the request itself.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) route: Route,
    pub(crate) work: Work,
    /// `None` for the client's default.
    pub(crate) timeout: Option<Duration>,
    pub(crate) operation: Option<OperationId>,
}

/// Who may be asked.
#[derive(Debug)]
pub(crate) enum Route {
    /// The owners of the request's key.
    Owners,
    /// One node and no other.
    Node(NodeId),
    /// Any node.
    Any,
}

/// A failed attempt in full.
#[derive(Clone)]
struct Failed {
    attempt: Attempt,
    message: String,
}

/// The failed attempts of a call.
#[derive(Default)]
struct Account {
    /// The one that says most; of equals the last.
    best: Option<Failed>,
    tried: Vec<Tried>,
}

impl Shared {
    /// Carries out a request, with retries, until its deadline. Gives the node that answered and
    /// an answer that is no failure.
    pub(crate) async fn call(
        self: &Arc<Self>,
        plan: Plan,
        mut request: Request,
    ) -> Result<(NodeId, Response), Error> {
        self.budget().handle_call();
        let timeout = plan.timeout.unwrap_or(self.profile.timeout);
        let retries = self.profile.max_retries;
        let mut retry = Retry::new(self.clock.now(), timeout, plan.work, retries);
        let mut account = Account::default();
        loop {
            let nodes = self.nodes_for(&plan.route, &request);
            let Some(node) = retry.choose(&nodes) else {
                return Err(Error::local(ErrorKind::BadRequest, NOBODY));
            };
            let connect = retry.connect_timeout(self.clock.now(), nodes.len());
            let failed = match self.attempt(node, &mut request, &retry, connect).await {
                Ok(response) => {
                    self.health().handle_success(node);
                    return Ok((node, response));
                }
                Err(failed) => failed,
            };
            account.add(&failed);
            if retry::advice(failed.attempt.cause, plan.work).avoid {
                self.avoid(node);
            }
            let (at, refresh) = match self.judge(&mut retry, &failed, nodes.len()) {
                Verdict::Again { at, refresh } => (at, refresh),
                Verdict::Stop(why) => return Err(account.report(&failed, why, &retry, &plan)),
            };
            if refresh {
                let patience = retry.attempt_timeout(self.clock.now());
                // Without a fresh map the old one has to do.
                tokio::time::timeout(patience, self.refresh_soon(Some(node)))
                    .await
                    .ok();
                if self.is_hopeless(&failed, &plan.route, &request) {
                    return Err(account.report(&failed, Why::Final, &retry, &plan));
                }
            }
            self.clock.sleep_until(at).await;
        }
    }

    async fn attempt(
        self: &Arc<Self>,
        node: NodeId,
        request: &mut Request,
        retry: &Retry,
        connect: Duration,
    ) -> Result<Response, Failed> {
        let before = self.clock.now();
        let timeout = retry.attempt_timeout(before);
        let map = self.map();
        let addresses = map.node(node).map_or(&[][..], |info| &info.addresses);
        let connection = self
            .connections
            .connection(map.cluster(), node, addresses, connect)
            .await
            .map_err(|error| Failed::new(node, error.cause, Outcome::NotApplied, error.message))?;
        let now = self.clock.now();
        let timeout = timeout
            .saturating_sub(now.saturating_sub(before))
            .max(SHORTEST_WAIT);
        set_times(request, timeout, retry.age(now));
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

    fn judge(&self, retry: &mut Retry, failed: &Failed, nodes: usize) -> Verdict {
        let (now, fraction) = (self.clock.now(), clock::random_fraction());
        let mut budget = self.budget();
        let verdict = retry.handle_failure(now, &failed.attempt, nodes, &mut budget, fraction);
        drop(budget);
        let (node, reason) = (failed.attempt.node, &failed.message);
        tracing::debug!(%node, ?verdict, reason, "an attempt failed");
        verdict
    }

    /// Whom to ask, best first. Requests for any node begin at a random one.
    fn nodes_for(&self, route: &Route, request: &Request) -> Vec<NodeId> {
        let map = self.map();
        let owners = |owners: PreferenceList| owners.as_slice().to_vec();
        let is_sloppy = matches!(request, Request::Write(write) if map.is_sloppy(write));
        let mut nodes: Vec<NodeId> = match (route, subject(request)) {
            (Route::Node(node), _) => {
                return map.node(*node).map(|info| info.node).into_iter().collect();
            }
            (Route::Owners, Some((bucket, Subject::Key(partition)))) => {
                let mut nodes = owners(map.owners_of(bucket, partition));
                if is_sloppy {
                    nodes.extend(map.stand_ins_of(bucket, partition));
                }
                nodes
            }
            (Route::Owners, Some((bucket, Subject::RingPartition(partition)))) => map
                .owners_of_partition(bucket, partition)
                .map(owners)
                .unwrap_or_default(),
            (Route::Owners, None) | (Route::Any, _) => {
                let mut nodes: Vec<_> = map.nodes().map(|info| info.node).collect();
                let first = clock::random_below(nodes.len());
                nodes.rotate_left(first);
                nodes
            }
        };
        self.health().order(&mut nodes);
        nodes
    }

    /// Whether a fresh map does not help: nobody knows the bucket, or the one node that may be
    /// asked is no owner.
    fn is_hopeless(&self, failed: &Failed, route: &Route, request: &Request) -> bool {
        let is_known = |name: &str| self.map().bucket(name).is_some();
        match failed.attempt.cause {
            Cause::Failed(FailureKind::UnknownBucket) => {
                !subject(request).is_some_and(|(name, _)| is_known(name))
            }
            Cause::Failed(FailureKind::NotOwner) => matches!(route, Route::Node(_)),
            _ => false,
        }
    }
}

impl Failed {
    fn new(node: NodeId, cause: Cause, outcome: Outcome, message: String) -> Self {
        let attempt = Attempt {
            node,
            cause,
            outcome,
            retry_after: Duration::ZERO,
        };
        Self { attempt, message }
    }
}

/// What decides who owns that which a request is about.
enum Subject<'a> {
    /// A partition key.
    Key(&'a [u8]),
    /// A partition of the ring.
    RingPartition(u32),
}

/// The bucket that a request is about, and what in it.
fn subject(request: &Request) -> Option<(&str, Subject<'_>)> {
    match request {
        Request::Read(read) => Some((&read.bucket, Subject::Key(&read.key.partition))),
        Request::Scan(scan) => Some((&scan.bucket, Subject::Key(&scan.partition))),
        Request::Keys(keys) => Some((&keys.bucket, Subject::RingPartition(keys.ring_partition))),
        Request::Write(write) => Some((&write.bucket, Subject::Key(&write.partition))),
        Request::Inspect(inspect) => Some((&inspect.bucket, Subject::Key(&inspect.key.partition))),
        Request::Topology
        | Request::CreateBucket(_)
        | Request::Status
        | Request::MemberInfo { .. } => None,
    }
}

/// Tells the node how long it may take, a little less than we wait, so that its own account of a
/// timeout arrives, and never more than nodes allow; and how old the operation is.
fn set_times(request: &mut Request, timeout: Duration, age: Duration) {
    let allowed = timeout.saturating_sub((timeout / 10).min(GRACE));
    let allowed_ms = u32::try_from(allowed.min(LONGEST).as_millis())
        .unwrap_or(u32::MAX)
        .max(1);
    match request {
        Request::Read(read) => read.timeout_ms = allowed_ms,
        Request::Scan(scan) => scan.timeout_ms = allowed_ms,
        Request::Keys(keys) => keys.timeout_ms = allowed_ms,
        Request::Write(write) => {
            write.timeout_ms = allowed_ms;
            write.age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        }
        Request::Inspect(inspect) => inspect.timeout_ms = allowed_ms,
        Request::Topology
        | Request::CreateBucket(_)
        | Request::Status
        | Request::MemberInfo { .. } => {}
    }
}

impl Account {
    fn add(&mut self, failed: &Failed) {
        let Failed { attempt, message } = failed;
        let weight = |failed: &Failed| failed.attempt.cause.weight();
        if self
            .best
            .as_ref()
            .is_none_or(|best| weight(best) <= weight(failed))
        {
            self.best = Some(failed.clone());
        }
        if self.tried.len() >= MOST_TRIED {
            self.tried.remove(0);
        }
        self.tried.push(Tried {
            node: attempt.node,
            kind: kind_of(attempt.cause),
            message: message.clone(),
        });
    }

    /// The error of a call whose last attempt failed like this: by the attempt that says most, or
    /// by the last one if that is what ended the call.
    fn report(self, last: &Failed, why: Why, retry: &Retry, plan: &Plan) -> Error {
        let best = self.best.as_ref().filter(|_| why != Why::Final);
        let Failed { attempt, message } = best.unwrap_or(last);
        let message = match why {
            Why::Final | Why::Attempts => message.clone(),
            Why::Deadline => format!("{message}; no time was left to try again"),
            Why::Budget => {
                format!("{message}; not tried again, because too many calls were lately")
            }
        };
        let retry_after = Some(attempt.retry_after).filter(|after| !after.is_zero());
        Error::new(Details {
            kind: kind_of(attempt.cause),
            outcome: retry.outcome(),
            message,
            retry_after,
            operation: plan.operation,
            node: Some(attempt.node),
            attempts: retry.attempts(),
            tried: self.tried,
        })
    }
}

fn kind_of(cause: Cause) -> ErrorKind {
    match cause {
        Cause::Unreachable => ErrorKind::Unreachable,
        Cause::Denied => ErrorKind::Denied,
        Cause::Lost => ErrorKind::ConnectionLost,
        Cause::Silent => ErrorKind::Timeout,
        Cause::Full => ErrorKind::Overloaded,
        Cause::TooLarge => ErrorKind::TooLarge,
        Cause::Unreadable => ErrorKind::Protocol,
        Cause::Failed(kind) => kind.into(),
    }
}

const NOBODY: &str =
    "the cluster has no such node; nothing was sent: see `Client::topology` for its nodes";
/// The most by which a node's time is shorter than ours.
const GRACE: Duration = Duration::from_millis(50);
/// Nodes refuse to work on one request for longer. A call that may take longer asks again.
const LONGEST: Duration = Duration::from_secs(60);
/// Attempts that an error lists.
const MOST_TRIED: usize = 16;
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
