//! Reads: options, then `.await`.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use super::answers::Answer;
use super::{Pending, Target};
use crate::client::{Plan, Route};
use crate::error::Error;
use crate::retry::Work;
use crate::wire::{self, Kind, Outcome, Part, ReadRequest, Request, Response};
use ring::NodeId;

/// A read; await it for what it reads.
#[must_use = "a read does nothing until it is awaited"]
pub struct Query<T> {
    target: Target,
    kind: Kind,
    part: Part,
    r: Option<u8>,
    pr: Option<u8>,
    is_local: bool,
    is_monotonic: bool,
    node: Option<NodeId>,
    timeout: Option<Duration>,
    /// Why it cannot be asked.
    error: Option<Error>,
    finish: fn(Answer) -> Result<T, Error>,
}

impl<T> Query<T> {
    pub(crate) fn new(
        target: Target,
        kind: Kind,
        part: Part,
        finish: fn(Answer) -> Result<T, Error>,
    ) -> Self {
        let r = target.client.profile().default_r();
        Self {
            target,
            kind,
            part,
            r,
            pr: None,
            is_local: false,
            is_monotonic: false,
            node: None,
            timeout: None,
            error: None,
            finish,
        }
    }

    /// The same read, which fails when it is awaited: nothing is asked.
    pub(crate) fn failing(mut self, error: Error) -> Self {
        self.error = Some(error);
        self
    }

    /// How many replicas must answer. With r + w > n a read overlaps the last complete write.
    pub fn r(mut self, r: u8) -> Self {
        self.r = Some(r);
        self
    }

    /// How many owners of the key must be among those that answer. Reads are answered by owners
    /// alone, so it is another lower bound of [`r`](Query::r).
    pub fn pr(mut self, pr: u8) -> Self {
        self.pr = Some(pr);
        self
    }

    /// Of two such reads of a key, by any clients, the one that begins when the other is answered
    /// never shows less than that: what one showed, and more than half of the owners did not have,
    /// they have before it is answered. It fails with
    /// [`QuorumNotReached`](crate::ErrorKind::QuorumNotReached) if they cannot be brought to it in
    /// time. Not for lengths that are estimated, nor together with [`local`](Query::local).
    ///
    /// r is more than half of the owners, or what [`r`](Query::r) says if that is more.
    pub fn monotonic(mut self) -> Self {
        self.is_monotonic = true;
        self
    }

    /// Reads only the replica of the node that is asked, whatever the others have: for tests and
    /// inspection, together with [`on_node`](Query::on_node).
    pub fn local(mut self) -> Self {
        self.is_local = true;
        self
    }

    /// Asks this node and no other.
    pub fn on_node(mut self, node: NodeId) -> Self {
        self.node = Some(node);
        self
    }

    /// How long the read may take, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<T: 'static> IntoFuture for Query<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Pending<T>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self {
                target,
                kind,
                part,
                r,
                pr,
                is_local,
                is_monotonic,
                node,
                timeout,
                error,
                finish,
            } = self;
            error.map_or(Ok(()), Err)?;
            target.key.check()?;
            wire::check_path(&target.path)?;
            match &part {
                Part::Whole | Part::Estimate => {}
                Part::Element(element) => wire::check_element(element)?,
                Part::Page(page) | Part::Count(page) => page.check()?,
            }
            let request = Request::Read(ReadRequest {
                bucket: target.bucket.clone(),
                key: target.key.clone(),
                path: target.path.clone(),
                kind,
                part,
                r,
                local: is_local,
                timeout_ms: 0,
                pr,
                monotonic: is_monotonic,
            });
            let route = node.map_or(Route::Owners, Route::Node);
            let plan = Plan {
                route,
                work: Work::Read,
                timeout,
                operation: None,
            };
            let (node, response) = target.call(plan, request).await?;
            let Response::Read(response) = response else {
                return Err(Error::unexpected(node, Outcome::NotApplied));
            };
            finish(Answer {
                target,
                node,
                response,
            })
        })
    }
}

impl<T> fmt::Debug for Query<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("bucket", &self.target.bucket)
            .field("key", &self.target.key)
            .field("r", &self.r)
            .field("local", &self.is_local)
            .field("monotonic", &self.is_monotonic)
            .field("node", &self.node)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
