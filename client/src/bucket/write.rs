//! Writes of one key: options, then `.await`.

use std::fmt;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::answers::Written;
use super::send::{Draft, Options, send};
use super::{Pending, Target};
use crate::context::Context;
use crate::error::Error;
use crate::wire::{Durability, Edit, Kind, Mutation, OperationId};

/// A write; await it to carry it out. It is named once, so automatic retries count once. Several
/// changes in one write are one atomic batch: whoever sees one of them sees all.
#[must_use = "a write does nothing until it is awaited"]
pub struct Write<M> {
    target: Target,
    draft: Draft,
    options: Options,
    marker: PhantomData<M>,
}

/// Marks a write that is complete as it is.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

/// Marks a write to which elements can be added.
#[derive(Debug, Clone, Copy)]
pub struct Adding;

/// Marks a write to which elements can be added, and in which others can be removed.
#[derive(Debug, Clone, Copy)]
pub struct Elements;

impl<M> Write<M> {
    pub(crate) fn new(target: Target, kind: Kind, mutation: Mutation) -> Self {
        let edit = Edit {
            path: target.path.clone(),
            kind,
            mutation,
        };
        Self::of_draft(target, Draft::new(vec![edit]))
    }

    /// A write of several changes of the key.
    pub(crate) fn of_draft(target: Target, draft: Draft) -> Self {
        let options = Options::new(target.client.profile());
        Self {
            target,
            draft,
            options,
            marker: PhantomData,
        }
    }

    /// What the write builds on, from a read or an earlier write of the same key. Without one the
    /// write is [*blind*](Self::blind): a value becomes a sibling of what is there, and a removal
    /// takes what the coordinator sees.
    pub fn context(mut self, context: &Context) -> Self {
        self.draft.context = Some(context.clone());
        self.draft.is_blind = false;
        self
    }

    /// Says in so many words that the write builds on nothing, as one without a context does. It
    /// takes a context back, and is asked for where the profile says
    /// [`explicit_blind_puts`](crate::Profile::explicit_blind_puts).
    pub fn blind(mut self) -> Self {
        self.draft.context = None;
        self.draft.is_blind = true;
        self
    }

    /// Writes only if the key shows nothing *at the coordinator* that the context does not cover;
    /// without a context, only if the key shows nothing there at all. Otherwise the error is
    /// [`NotCurrent`](crate::ErrorKind::NotCurrent), and nothing was written.
    ///
    /// This is no compare-and-swap. A store that stays available during network partitions cannot
    /// give one: two such writes through two coordinators may both succeed, and then are siblings.
    /// What it gives is fewer siblings, because writers that share a coordinator, which is usual,
    /// notice each other.
    pub fn only_if_current(mut self) -> Self {
        self.draft.only_if_current = true;
        self
    }

    /// How long what is written lasts, counted from when the coordinator takes it: 1 ms to ten
    /// years. Then it is gone at every replica alike. For values, registers, lists, and the
    /// elements of sets from which nothing is removed or adding wins; other kinds refuse it.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// How many replicas must have it before it counts as written. It reaches the others too.
    pub fn w(mut self, w: u8) -> Self {
        self.options.w = Some(w);
        self
    }

    /// Lets nodes that own nothing of the key stand in for owners that are away: they keep the
    /// write and hand it over when the owners are back. It counts for [`w`](Self::w), not for
    /// [`pw`](Self::pw); a read with r + w > n overlaps the owners that have it, not stand-ins.
    /// Without this, the bucket's default.
    pub fn sloppy(mut self, sloppy: bool) -> Self {
        self.options.sloppy = Some(sloppy);
        self
    }

    /// How many owners must be among those that have it. In a write that is not sloppy all are.
    pub fn pw(mut self, pw: u8) -> Self {
        self.options.pw = Some(pw);
        self
    }

    /// How durable it must be at each of those.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.options.durability = Some(durability);
        self
    }

    /// Answers with the key's state at the coordinator after the write.
    pub fn return_value(mut self) -> Self {
        self.options.returns_value = true;
        self
    }

    /// How long the write may take, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Names the operation, to send the same one again after an error, or after a restart. The
    /// cluster recognises a name for 15 minutes.
    pub fn operation_id(mut self, operation: OperationId) -> Self {
        self.options.operation = Some(operation);
        self
    }

    /// Names the operation by a text of the program's own, such as an order number: the same text
    /// on the same key is the same operation, in every process.
    pub fn idempotency_key(self, name: &str) -> Self {
        let Target { bucket, key, .. } = &self.target;
        let operation = OperationId::of_idempotency_key(bucket, key, name);
        self.operation_id(operation)
    }
}

impl Write<Adding> {
    /// Adds one more element in the same write.
    #[expect(
        clippy::should_implement_trait,
        reason = "it is no sum; `set.add(a).add(b)` reads"
    )]
    pub fn add(mut self, element: impl Into<Bytes>) -> Self {
        self.draft.add(element.into());
        self
    }
}

impl Write<Elements> {
    /// Adds one more element in the same write.
    #[expect(
        clippy::should_implement_trait,
        reason = "it is no sum; `set.add(a).add(b)` reads"
    )]
    pub fn add(mut self, element: impl Into<Bytes>) -> Self {
        self.draft.add(element.into());
        self
    }

    /// Removes one more element in the same write: what the context covers of it, or without one
    /// what the coordinator sees.
    pub fn remove(mut self, element: impl Into<Bytes>) -> Self {
        self.draft.remove(element.into());
        self
    }
}

impl<M> IntoFuture for Write<M> {
    type Output = Result<Written, Error>;
    type IntoFuture = Pending<Written>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            target,
            draft,
            options,
            ..
        } = self;
        Box::pin(async move {
            let drafts = vec![(target.key.sort.clone(), draft)];
            let (mut contexts, done) = send(&target, drafts, options).await?;
            match contexts.pop() {
                Some((_, context)) => Ok(Written { context, done }),
                None => Err(Error::unexpected(
                    done.node,
                    crate::wire::Outcome::MaybeApplied,
                )),
            }
        })
    }
}

impl<M> fmt::Debug for Write<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("bucket", &self.target.bucket)
            .field("key", &self.target.key)
            .field("changes", &self.draft.edits.len())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Bytes as the wire has them.
pub(crate) fn buffer(bytes: impl Into<Bytes>) -> ByteBuf {
    ByteBuf::from(Vec::from(bytes.into()))
}

/// Several of them.
pub(crate) fn buffers<E: Into<Bytes>>(all: impl IntoIterator<Item = E>) -> Vec<ByteBuf> {
    all.into_iter().map(buffer).collect()
}
