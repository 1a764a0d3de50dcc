//! Writes: options, then `.await`.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::answers::Written;
use super::{Pending, Target};
use crate::client::{Plan, Route};
use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::retry::Work;
use crate::wire::{
    self, Durability, Mutation, OperationId, Outcome, Request, Response, WriteRequest,
};

/// A write; await it to carry it out. It is named once, so automatic retries count once.
#[must_use = "a write does nothing until it is awaited"]
pub struct Write<M> {
    target: Target,
    mutation: Mutation,
    context: Option<Context>,
    operation: Option<OperationId>,
    w: Option<u8>,
    durability: Option<Durability>,
    returns_value: bool,
    timeout: Option<Duration>,
    marker: PhantomData<M>,
}

/// Marks a write that is complete as it is.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

/// Marks a write to which elements can be added.
#[derive(Debug, Clone, Copy)]
pub struct Adding;

/// Marks a write that can remove further elements.
#[derive(Debug, Clone, Copy)]
pub struct Removing;

impl<M> Write<M> {
    pub(super) fn new(target: Target, mutation: Mutation) -> Self {
        let profile = target.client.profile();
        let (w, durability) = (profile.default_w(), profile.default_durability());
        Self {
            target,
            mutation,
            context: None,
            operation: None,
            w,
            durability,
            returns_value: false,
            timeout: None,
            marker: PhantomData,
        }
    }

    /// What the write builds on, from a read or an earlier write of the same key.
    pub fn context(mut self, context: &Context) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// How many replicas must have it before it counts as written. It reaches the others too.
    pub fn w(mut self, w: u8) -> Self {
        self.w = Some(w);
        self
    }

    /// How durable it must be at each of those.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Answers with the key's state at the coordinator after the write.
    pub fn return_value(mut self) -> Self {
        self.returns_value = true;
        self
    }

    /// How long the write may take, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Names the operation, to send the same one again after an error, or after a restart. The
    /// cluster recognises a name for 15 minutes.
    pub fn operation_id(mut self, operation: OperationId) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Names the operation by a text of the program's own, such as an order number: the same text
    /// on the same key is the same operation, in every process.
    pub fn idempotency_key(self, name: &str) -> Self {
        let Target { bucket, key, .. } = &self.target;
        let operation = OperationId::of_idempotency_key(bucket, key, name);
        self.operation_id(operation)
    }

    fn check(&self) -> Result<(), Error> {
        self.target.key.check()?;
        self.mutation.check()?;
        let Some(context) = &self.context else {
            return Ok(());
        };
        wire::check_context(context.token())?;
        if context.is_of(&self.target.bucket, &self.target.key) {
            Ok(())
        } else {
            Err(Error::local(ErrorKind::BadContext, FOREIGN_CONTEXT))
        }
    }
}

impl Write<Adding> {
    /// Adds one more element in the same write.
    #[expect(
        clippy::should_implement_trait,
        reason = "it is no sum; `set.add(a).add(b)` reads"
    )]
    pub fn add(mut self, element: impl Into<Bytes>) -> Self {
        self.mutation.push(element.into());
        self
    }
}

impl Write<Removing> {
    /// Removes one more element in the same write.
    pub fn remove(mut self, element: impl Into<Bytes>) -> Self {
        self.mutation.push(element.into());
        self
    }
}

impl<M> IntoFuture for Write<M> {
    type Output = Result<Written, Error>;
    type IntoFuture = Pending<Written>;

    fn into_future(self) -> Self::IntoFuture {
        let checked = self.check();
        let Self {
            target,
            mutation,
            context,
            operation,
            w,
            durability,
            ..
        } = self;
        let (return_value, timeout) = (self.returns_value, self.timeout);
        Box::pin(async move {
            checked?;
            let operation = operation.unwrap_or_else(|| target.client.next_operation());
            let request = Request::Write(WriteRequest {
                bucket: target.bucket.clone(),
                key: target.key.clone(),
                mutation,
                context: context
                    .map(|context| context.token().clone())
                    .unwrap_or_default(),
                operation,
                age_ms: 0,
                w,
                durability,
                return_value,
                timeout_ms: 0,
            });
            let operation = Some(operation);
            let plan = Plan {
                route: Route::Owners,
                work: Work::Write,
                timeout,
                operation,
            };
            match target.client.shared().call(plan, request).await? {
                (node, Response::Written(response)) => Ok(Written::new(&target, node, response)),
                (node, _) => Err(Error::unexpected(node, Outcome::MaybeApplied)),
            }
        })
    }
}

impl<M> fmt::Debug for Write<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("bucket", &self.target.bucket)
            .field("key", &self.target.key)
            .field("operation", &self.operation)
            .field("w", &self.w)
            .field("durability", &self.durability)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Mutation {
    /// One more element; the markers see to it that there are elements.
    fn push(&mut self, element: Bytes) {
        match self {
            Self::Add(elements) | Self::Remove(elements) => {
                elements.push(ByteBuf::from(Vec::from(element)));
            }
            Self::Put(_) | Self::Delete | Self::Increment(_) => {}
        }
    }
}

const FOREIGN_CONTEXT: &str =
    "the context belongs to another key; nothing was written: pass the context of this key";
