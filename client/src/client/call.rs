//! One call: choose a node, ask it, and let the retry machine decide what a failure means.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::ask::paced;
use crate::clock;
use crate::error::{Details, Error, ErrorKind, Tried};
use crate::retry::{Attempt, Cause, Retry, Verdict, Why, Work};
use crate::routing::stays;
use crate::wire::{
    FailureKind, OperationId, Outcome, Request, Response, SessionWork, WriteRequest,
};
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
pub(super) struct Failed {
    pub(super) attempt: Attempt,
    pub(super) message: String,
}

/// The failed attempts of a call.
#[derive(Default)]
pub(super) struct Account {
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
            let what = (&plan, &mut request);
            let asked = self.ask(node, &nodes, what, &mut retry, &mut account);
            let (node, failed) = match asked.await {
                (node, Ok(response)) => return Ok((node, response)),
                (node, Err(failed)) => (node, failed),
            };
            account.add(&failed);
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
        let is_sloppy = written(request).is_some_and(|write| map.is_sloppy(write));
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
        let now = self.clock.now();
        match (paced(request), written(request)) {
            (_, Some(write)) => {
                let moved = !stays(&write.items);
                self.paces().order_for_write(now, moved, &mut nodes);
            }
            (Some(_), None) => self.paces().order_for_read(now, &mut nodes),
            (None, None) => {}
        }
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
    pub(super) fn new(node: NodeId, cause: Cause, outcome: Outcome, message: String) -> Self {
        let attempt = Attempt {
            node,
            cause,
            outcome,
            retry_after: Duration::ZERO,
        };
        Self { attempt, message }
    }
}

/// The write that a request is, if it is one.
fn written(request: &Request) -> Option<&WriteRequest> {
    match request {
        Request::Write(write) => Some(write),
        Request::InSession(session) => match &session.work {
            SessionWork::Write(write) => Some(write),
            SessionWork::Read(_) | SessionWork::Scan(_) => None,
        },
        _ => None,
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
        Request::InSession(session) => Some(match &session.work {
            SessionWork::Read(read) => (&read.bucket, Subject::Key(&read.key.partition)),
            SessionWork::Scan(scan) => (&scan.bucket, Subject::Key(&scan.partition)),
            SessionWork::Write(write) => (&write.bucket, Subject::Key(&write.partition)),
        }),
        Request::Inspect(inspect) => Some((&inspect.bucket, Subject::Key(&inspect.key.partition))),
        Request::Topology
        | Request::CreateBucket(_)
        | Request::Status
        | Request::MemberInfo { .. }
        | Request::Vnodes { .. } => None,
    }
}

impl Account {
    pub(super) fn add(&mut self, failed: &Failed) {
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
        let message = &self.cut_off(plan).unwrap_or_else(|| message.clone());
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

impl Account {
    /// What to say where several nodes were tried, and none of them was reached.
    fn cut_off(&self, plan: &Plan) -> Option<String> {
        let nodes: BTreeSet<NodeId> = self.tried.iter().map(|one| one.node).collect();
        let is_cut = |one: &Tried| one.kind == ErrorKind::Unreachable;
        if nodes.len() < 2 || !self.tried.iter().all(is_cut) {
            return None;
        }
        let else_do = match plan.work {
            Work::Read => "",
            Work::Write => "; a sloppy write also asks those that stand in for them",
        };
        Some(format!(
            "none of the {} nodes that could do it can be reached from here; nothing was sent: \
             check that they are running, and the network to them{else_do}",
            nodes.len()
        ))
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
/// Attempts that an error lists.
const MOST_TRIED: usize = 16;

#[cfg(test)]
mod tests {
    use super::{Account, ErrorKind, NodeId, Plan, Route, Tried, Work};

    fn account(tried: &[(u64, ErrorKind)]) -> Account {
        let one = |&(node, kind): &(u64, ErrorKind)| Tried {
            node: NodeId(node),
            kind,
            message: "no connection".to_owned(),
        };
        Account {
            best: None,
            tried: tried.iter().map(one).collect(),
        }
    }

    #[test]
    fn where_no_node_is_reached_the_error_says_so_and_what_else_a_write_can_do() {
        let plan = |work| Plan {
            route: Route::Owners,
            work,
            timeout: None,
            operation: None,
        };
        let away = ErrorKind::Unreachable;
        let cut = account(&[(1, away), (2, away), (1, away)]);
        let said = cut.cut_off(&plan(Work::Write)).unwrap_or_default();
        assert!(said.contains("none of the 2 nodes"), "{said}");
        assert!(said.contains("nothing was sent") && said.contains("sloppy"));
        let said = cut.cut_off(&plan(Work::Read)).unwrap_or_default();
        assert!(said.contains("none of the 2 nodes") && !said.contains("sloppy"));
        // One node alone says it better itself, and so does one that was reached.
        for other in [
            account(&[(1, away), (1, away)]),
            account(&[(1, away), (2, ErrorKind::Overloaded)]),
        ] {
            assert_eq!(other.cut_off(&plan(Work::Write)), None);
        }
    }
}
