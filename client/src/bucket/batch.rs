//! Batches: several keys of one partition key, changed together or not at all.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::time::Duration;

use serde_bytes::ByteBuf;

use super::answers::{Batched, owned};
use super::edits::{
    At, CounterEdits, FlagEdits, ListEdits, NumberEdits, RegisterEdits, SetEdits, SketchEdits,
    ValueEdits,
};
use super::map::MapEdits;
use super::send::{Draft, Options, send};
use super::{Pending, Target};
use crate::context::Context;
use crate::error::Error;
use crate::wire::{Durability, Kind, Mutation, OperationId};

/// An atomic write of several keys that share a partition key; await it to carry it out.
#[derive(Debug)]
#[must_use = "a batch does nothing until it is awaited"]
pub struct Batch {
    target: Target,
    edits: BatchEdits,
    options: Options,
}

/// The changes of a batch, by sort key.
#[derive(Debug, Default)]
pub struct BatchEdits {
    items: Vec<(ByteBuf, Draft)>,
}

/// The changes of one key of a batch. Its kind is the bucket's, so only one of the methods that
/// name a kind fits; another is refused, and with it the whole batch.
#[derive(Debug)]
pub struct BatchItem<'a> {
    draft: &'a mut Draft,
}

impl Batch {
    pub(super) fn new(target: Target, edits: BatchEdits) -> Self {
        let options = Options::new(target.client.profile());
        Self {
            target,
            edits,
            options,
        }
    }

    /// How long what is written lasts, as [`Write::ttl`](super::Write::ttl).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// How many replicas must have all of it before it counts as written.
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

    /// How long it may take, all attempts together.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Names the operation, to send the same one again after an error, or after a restart.
    pub fn operation_id(mut self, operation: OperationId) -> Self {
        self.options.operation = Some(operation);
        self
    }

    /// Names the operation by a text of the program's own: the same text on the same partition key
    /// is the same operation, in every process.
    pub fn idempotency_key(self, name: &str) -> Self {
        let Target { bucket, key, .. } = &self.target;
        let operation = OperationId::of_idempotency_key(bucket, key, name);
        self.operation_id(operation)
    }
}

impl BatchEdits {
    /// The key with this sort key; named again, it is the same one.
    pub fn key(&mut self, sort: impl AsRef<[u8]>) -> BatchItem<'_> {
        let sort = sort.as_ref();
        let known = self
            .items
            .iter()
            .position(|(own, _)| own.as_slice() == sort);
        let index = known.unwrap_or_else(|| {
            self.items
                .push((ByteBuf::from(sort), Draft::new(Vec::new())));
            self.items.len() - 1
        });
        BatchItem {
            draft: &mut self.items[index].1,
        }
    }
}

impl BatchItem<'_> {
    /// What this key's changes build on.
    pub fn context(&mut self, context: &Context) -> &mut Self {
        self.draft.context = Some(context.clone());
        self.draft.is_blind = false;
        self
    }

    /// Says that this key's changes build on nothing: see [`Write::blind`](super::Write::blind).
    pub fn blind(&mut self) -> &mut Self {
        self.draft.context = None;
        self.draft.is_blind = true;
        self
    }

    /// Writes the *whole batch* only if this key shows nothing at the coordinator that its context
    /// does not cover: see [`Write::only_if_current`](super::Write::only_if_current).
    pub fn only_if_current(&mut self) -> &mut Self {
        self.draft.only_if_current = true;
        self
    }

    /// Removes the key, of whatever kind.
    pub fn delete(&mut self) -> &mut Self {
        self.draft.is_of_any_kind = true;
        self.at().push(Kind::Value, Mutation::Delete);
        self
    }

    /// A value.
    pub fn value(&mut self) -> ValueEdits<'_> {
        ValueEdits(self.at())
    }

    /// A counter.
    pub fn counter(&mut self) -> CounterEdits<'_> {
        CounterEdits(self.at())
    }

    /// A set in which an add wins.
    pub fn set(&mut self) -> SetEdits<'_> {
        SetEdits(self.at(), Kind::Set)
    }

    /// A set in which a removal wins.
    pub fn remove_set(&mut self) -> SetEdits<'_> {
        SetEdits(self.at(), Kind::RemoveSet)
    }

    /// A set that only grows.
    pub fn grow_set(&mut self) -> SetEdits<'_> {
        SetEdits(self.at(), Kind::GrowSet)
    }

    /// A register.
    pub fn register(&mut self) -> RegisterEdits<'_> {
        RegisterEdits(self.at())
    }

    /// A number that only grows.
    pub fn max(&mut self) -> NumberEdits<'_> {
        NumberEdits(self.at(), Kind::Max)
    }

    /// A number that only shrinks.
    pub fn min(&mut self) -> NumberEdits<'_> {
        NumberEdits(self.at(), Kind::Min)
    }

    /// A flag of which enabling wins.
    pub fn flag(&mut self) -> FlagEdits<'_> {
        FlagEdits(self.at(), Kind::Flag)
    }

    /// A flag of which disabling wins.
    pub fn disable_flag(&mut self) -> FlagEdits<'_> {
        FlagEdits(self.at(), Kind::DisableFlag)
    }

    /// A sketch.
    pub fn hll(&mut self) -> SketchEdits<'_> {
        SketchEdits(self.at())
    }

    /// A list.
    pub fn list(&mut self) -> ListEdits<'_> {
        ListEdits(self.at())
    }

    /// A map.
    pub fn map(&mut self) -> MapEdits<'_> {
        MapEdits(self.at())
    }

    fn at(&mut self) -> At<'_> {
        At {
            edits: &mut self.draft.edits,
            path: Vec::new(),
        }
    }
}

impl IntoFuture for Batch {
    type Output = Result<Batched, Error>;
    type IntoFuture = Pending<Batched>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            target,
            edits,
            options,
        } = self;
        Box::pin(async move {
            let (contexts, done) = send(&target, edits.items, options).await?;
            let contexts = contexts
                .into_iter()
                .map(|(sort, context)| (owned(sort), context));
            Ok(Batched {
                contexts: contexts.collect::<BTreeMap<_, _>>(),
                done,
            })
        })
    }
}
