//! Carrying writes out: of one key, and of several as a batch.

use std::time::Duration;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::Target;
use super::answers::Done;
use super::write::buffer;
use crate::client::{Client, Plan, Profile, Route};
use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::retry::Work;
use crate::wire::{
    Durability, Edit, Key, Kind, Mutation, OperationId, Outcome, Request, Response, WriteItem,
    WriteRequest,
};

/// The changes of one key that are to be sent.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) edits: Vec<Edit>,
    pub(crate) context: Option<Context>,
    pub(crate) only_if_current: bool,
    /// It was said that it builds on nothing.
    pub(crate) is_blind: bool,
    /// Removals of the key are of the bucket's kind, which is looked up when they are sent.
    pub(crate) is_of_any_kind: bool,
    /// Why it cannot be sent.
    pub(crate) error: Option<Error>,
}

/// What can be said about a write besides what it changes.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) operation: Option<OperationId>,
    pub(crate) w: Option<u8>,
    pub(crate) pw: Option<u8>,
    pub(crate) sloppy: Option<bool>,
    pub(crate) durability: Option<Durability>,
    pub(crate) returns_value: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) ttl: Option<Duration>,
}

/// The contexts after a write, by sort key, in the order of the request.
type Contexts = Vec<(ByteBuf, Context)>;

impl Draft {
    pub(crate) fn new(edits: Vec<Edit>) -> Self {
        Self {
            edits,
            context: None,
            only_if_current: false,
            is_blind: false,
            is_of_any_kind: false,
            error: None,
        }
    }

    /// One more element into the set that the last change is about.
    pub(crate) fn add(&mut self, element: Bytes) {
        let Some(last) = self.edits.last_mut() else {
            return;
        };
        if let Mutation::Add(elements) = &mut last.mutation {
            elements.push(buffer(element));
        } else {
            let mutation = Mutation::Add(vec![buffer(element)]);
            let next = last.with(mutation);
            self.edits.push(next);
        }
    }

    /// One more element out of the set that the last change is about.
    pub(crate) fn remove(&mut self, element: Bytes) {
        let Some(last) = self.edits.last_mut() else {
            return;
        };
        if let Mutation::Remove(elements) = &mut last.mutation {
            elements.push(buffer(element));
        } else {
            let mutation = Mutation::Remove(vec![buffer(element)]);
            let next = last.with(mutation);
            self.edits.push(next);
        }
    }

    /// Says of which kind the bucket is.
    fn settle(&mut self, kind: Kind) {
        let is_removal = |edit: &Edit| edit.path.is_empty() && edit.mutation == Mutation::Delete;
        if self.is_of_any_kind {
            let removals = self.edits.iter_mut().filter(|edit| is_removal(edit));
            removals.for_each(|edit| edit.kind = kind);
        }
    }

    /// Does it put a value without a word on what that builds on?
    fn is_blind_unsaid(&self) -> bool {
        let says = self.context.is_some() || self.only_if_current || self.is_blind;
        let is_put = |edit: &Edit| matches!(edit.mutation, Mutation::Put(_));
        !says && self.edits.iter().any(is_put)
    }

    fn into_item(self, bucket: &str, key: &Key) -> Result<WriteItem, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let is_foreign = |context: &Context| !context.is_of(bucket, key);
        if self.context.as_ref().is_some_and(is_foreign) {
            return Err(Error::local(ErrorKind::BadContext, FOREIGN_CONTEXT));
        }
        let context = self.context.map(|context| context.token().clone());
        Ok(WriteItem {
            sort: key.sort.clone(),
            edits: self.edits,
            context: context.unwrap_or_default(),
            only_if_current: self.only_if_current,
        })
    }
}

impl Options {
    pub(crate) fn new(profile: &Profile) -> Self {
        Self {
            operation: None,
            w: profile.default_w(),
            pw: None,
            sloppy: None,
            durability: profile.default_durability(),
            returns_value: false,
            timeout: None,
            ttl: None,
        }
    }

    /// In milliseconds; an error if something is written that lasts for ever.
    fn ttl_ms(&self, endless: Option<Kind>) -> Result<Option<u64>, Error> {
        let Some(ttl) = self.ttl else {
            return Ok(None);
        };
        if let Some(kind) = endless {
            let message =
                format!("a {kind} has no time to live; nothing was sent: write it without one");
            return Err(Error::local(ErrorKind::BadRequest, message));
        }
        match u64::try_from(ttl.as_millis()) {
            Ok(ms) if ms > 0 => Ok(Some(ms)),
            _ => Err(Error::local(ErrorKind::BadRequest, BAD_TTL)),
        }
    }
}

impl Edit {
    /// Another change of the same field.
    fn with(&self, mutation: Mutation) -> Self {
        Self {
            path: self.path.clone(),
            kind: self.kind,
            mutation,
        }
    }
}

/// Sends drafts of keys that have the target's bucket and partition key.
pub(crate) async fn send(
    target: &Target,
    mut drafts: Vec<(ByteBuf, Draft)>,
    options: Options,
) -> Result<(Contexts, Done), Error> {
    if drafts.iter().any(|(_, draft)| draft.is_of_any_kind) {
        let kind = kind_of(&target.client, &target.bucket).await;
        drafts.iter_mut().for_each(|(_, draft)| draft.settle(kind));
    }
    let (plan, request) = request(target, drafts, &options)?;
    let sorts: Vec<ByteBuf> = request.items.iter().map(|item| item.sort.clone()).collect();
    let (node, response) = match target.call(plan, Request::Write(request)).await? {
        (node, Response::Written(response)) if response.contexts.len() == sorts.len() => {
            (node, response)
        }
        (node, _) => return Err(Error::unexpected(node, Outcome::MaybeApplied)),
    };
    let contexts = sorts
        .into_iter()
        .zip(response.contexts)
        .map(|(sort, token)| {
            let context = Context::new(&target.bucket, &target.sibling(&sort), token);
            (sort, context)
        });
    let done = Done {
        acks: response.acks,
        stand_ins: response.stand_ins,
        owners: response.owners,
        is_repeated: response.repeated,
        node,
        state: response.state,
    };
    Ok((contexts.collect(), done))
}

/// The request for drafts, with everything checked that can be checked here.
fn request(
    target: &Target,
    drafts: Vec<(ByteBuf, Draft)>,
    options: &Options,
) -> Result<(Plan, WriteRequest), Error> {
    let must_say = target.client.profile().blind_puts_are_explicit();
    if must_say && drafts.iter().any(|(_, draft)| draft.is_blind_unsaid()) {
        return Err(Error::local(ErrorKind::BadRequest, BLIND_UNSAID));
    }
    let items = drafts.into_iter().map(|(sort, draft)| {
        let key = target.sibling(&sort);
        draft.into_item(&target.bucket, &key)
    });
    let items = items.collect::<Result<Vec<_>, _>>()?;
    let edits = items.iter().flat_map(|item| &item.edits);
    let endless = edits.map(|edit| edit.kind).find(|kind| !kind.takes_ttl());
    let operation = options
        .operation
        .unwrap_or_else(|| target.client.next_operation());
    let request = WriteRequest {
        bucket: target.bucket.clone(),
        partition: target.key.partition.clone(),
        items,
        operation,
        age_ms: 0,
        ttl_ms: options.ttl_ms(endless)?,
        w: options.w,
        durability: options.durability,
        return_value: options.returns_value,
        timeout_ms: 0,
        sloppy: options.sloppy,
        pw: options.pw,
    };
    request.check()?;
    let plan = Plan {
        route: Route::Owners,
        work: Work::Write,
        timeout: options.timeout,
        operation: Some(operation),
    };
    Ok((plan, request))
}

/// The kind of a bucket. One that this client does not know yet is asked for; if nobody knows it,
/// the write will say so.
async fn kind_of(client: &Client, bucket: &str) -> Kind {
    let known = || client.topology().bucket(bucket).map(|bucket| bucket.kind);
    if let Some(kind) = known() {
        return kind;
    }
    if let Err(error) = client.refresh().await {
        tracing::debug!(%error, bucket, "the kind of the bucket stays unknown");
    }
    known().unwrap_or(Kind::Value)
}

const FOREIGN_CONTEXT: &str =
    "the context belongs to another key; nothing was written: pass the context of this key";
const BLIND_UNSAID: &str = "a put has neither a context nor `blind()`, and this client's profile \
     asks for one of them; nothing was sent: pass the context of a read, or say `blind()`";
const BAD_TTL: &str =
    "a time to live is 1 ms to 10 years; nothing was sent: choose one in between, or none";
