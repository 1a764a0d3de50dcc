//! Questions about the cluster itself, and making buckets.

use std::future::IntoFuture;
use std::time::Duration;

use super::{Client, Plan, Route};
use crate::bucket::Pending;
use crate::error::Error;
use crate::retry::Work;
use crate::wire::{
    self, Bucket as BucketProperties, CreateBucket, InspectRequest, Inspection, Key, Kind,
    MemberInfo, Outcome, Request, Response, Siblings, Status, VnodeStatus,
};
use ring::NodeId;

impl Client {
    /// What a node knows of the cluster.
    pub fn status(&self) -> Ask<Status> {
        Ask::new(
            self,
            Request::Status,
            Route::Any,
            |response| match response {
                Response::Status(status) => Some(status),
                _ => None,
            },
        )
    }

    /// What a node knows of a member, and how it hears it; [`Ask::on_node`] says which node is
    /// asked.
    pub fn member_info(&self, member: NodeId) -> Ask<MemberInfo> {
        let request = Request::MemberInfo { node: member.0 };
        Ask::new(self, request, Route::Any, |response| match response {
            Response::MemberInfo(info) => Some(info),
            _ => None,
        })
    }

    /// What a node knows of each of its vnodes; [`Ask::on_node`] says which node is asked.
    pub fn vnodes(&self) -> Ask<Vec<VnodeStatus>> {
        self.ask_for_vnodes(false)
    }

    /// Has a node compare the content of all its vnodes with the other owners now, without the
    /// pauses that it makes otherwise, and gives what it knows of them before that.
    /// [`Ask::on_node`] says which node.
    pub fn scrub(&self) -> Ask<Vec<VnodeStatus>> {
        self.ask_for_vnodes(true)
    }

    fn ask_for_vnodes(&self, scrub: bool) -> Ask<Vec<VnodeStatus>> {
        let request = Request::Vnodes { scrub };
        Ask::new(self, request, Route::Any, |response| match response {
            Response::Vnodes(vnodes) => Some(vnodes),
            _ => None,
        })
    }

    /// Every replica's rows of a key, and whether they are equal.
    pub fn inspect(&self, bucket: impl Into<String>, key: impl Into<Key>) -> Ask<Inspection> {
        let request = InspectRequest {
            bucket: bucket.into(),
            key: key.into(),
            timeout_ms: 0,
        };
        Ask::new(
            self,
            Request::Inspect(request),
            Route::Owners,
            |response| match response {
                Response::Inspection(inspection) => Some(inspection),
                _ => None,
            },
        )
    }

    /// Makes a bucket, or confirms that it is there with the same properties, which are
    /// fixed for its life.
    pub fn create_bucket(&self, name: impl Into<String>) -> NewBucket {
        let bucket = CreateBucket {
            name: name.into(),
            kind: Kind::Value,
            n: u8::from(self.topology().ring().layout().n()),
            siblings: Siblings::default(),
            sloppy: false,
        };
        NewBucket {
            client: self.clone(),
            bucket,
            timeout: None,
        }
    }
}

/// A question to a node; await it for the answer.
#[derive(Debug)]
#[must_use = "a question is not asked until it is awaited"]
pub struct Ask<T> {
    client: Client,
    request: Request,
    route: Route,
    timeout: Option<Duration>,
    finish: fn(Response) -> Option<T>,
}

/// A bucket that is to be made; await it to make it.
#[derive(Debug)]
#[must_use = "a bucket is not made until this is awaited"]
pub struct NewBucket {
    client: Client,
    bucket: CreateBucket,
    timeout: Option<Duration>,
}

impl<T> Ask<T> {
    fn new(
        client: &Client,
        request: Request,
        route: Route,
        finish: fn(Response) -> Option<T>,
    ) -> Self {
        Self {
            client: client.clone(),
            request,
            route,
            timeout: None,
            finish,
        }
    }

    /// Asks this node and no other.
    pub fn on_node(mut self, node: NodeId) -> Self {
        self.route = Route::Node(node);
        self
    }

    /// How long it may take, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl NewBucket {
    /// What its keys hold; values if this is not called.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.bucket.kind = kind;
        self
    }

    /// Lets stand-ins take the place of owners that are away, in writes that do not say. Not if
    /// not said.
    pub fn sloppy(mut self, sloppy: bool) -> Self {
        self.bucket.sloppy = sloppy;
        self
    }

    /// What becomes of values that were written at the same time; all are kept if this is not
    /// called.
    pub fn siblings(mut self, siblings: Siblings) -> Self {
        self.bucket.siblings = siblings;
        self
    }

    /// How many replicas each key has, 1 to 7; the cluster's default if this is not called.
    pub fn n(mut self, n: u8) -> Self {
        self.bucket.n = n;
        self
    }

    /// How long it may take, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<T: 'static> IntoFuture for Ask<T> {
    type Output = Result<T, Error>;
    type IntoFuture = Pending<T>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            client,
            request,
            route,
            timeout,
            finish,
        } = self;
        Box::pin(async move {
            let plan = Plan {
                route,
                work: Work::Read,
                timeout,
                operation: None,
            };
            let (node, response) = client.shared().call(plan, request).await?;
            finish(response).ok_or_else(|| Error::unexpected(node, Outcome::NotApplied))
        })
    }
}

impl IntoFuture for NewBucket {
    type Output = Result<BucketProperties, Error>;
    type IntoFuture = Pending<BucketProperties>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            client,
            bucket,
            timeout,
        } = self;
        Box::pin(async move {
            wire::validate_bucket_name(&bucket.name)?;
            let plan = Plan {
                route: Route::Any,
                work: Work::Write,
                timeout,
                operation: None,
            };
            let request = Request::CreateBucket(bucket);
            match client.shared().call(plan, request).await? {
                (_, Response::Bucket(bucket)) => {
                    client
                        .shared()
                        .change_map(|map| map.with_bucket(bucket.clone()));
                    Ok(bucket)
                }
                (node, _) => Err(Error::unexpected(node, Outcome::MaybeApplied)),
            }
        })
    }
}
