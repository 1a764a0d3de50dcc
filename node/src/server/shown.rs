//! From an order's outcome to the answer that the client waits for.

use std::collections::{BTreeMap, BTreeSet};

use serde_bytes::ByteBuf;

use super::desk::Desk;
use super::failure::{self, Work};
use super::fields::Fields;
use super::place::is_one_row;
use super::session::{Sealing, in_session};
use super::state::{Shown, is_something, state};
use super::token::Scope;
use crate::protocol::cluster::BucketRecord;
use crate::protocol::coordinator::{OrderFailed, Outcome, ReadDone, WriteDone};
use crate::protocol::keys::{KeyPrefix, RowKey, successor};
use crate::protocol::samples;
use crdt::kinds::Leaf;
use crdt::{Context, Row};
use ring::{BucketId, PartitionId, Token};
use starling::wire::{
    Failure, Key, KeysResponse, ReadResponse, Response, ScanResponse, ScannedKey, State,
    WriteResponse,
};

/// How to answer an order: what is kept of the request while it is under way.
#[derive(Debug)]
pub struct Shape {
    asked: Asked,
    session: Option<Sealing>,
}

#[derive(Debug)]
enum Asked {
    Read { shown: Shown, scope: Option<Scope> },
    Fields(Box<Fields>),
    Scan(Scanned),
    Keys { now_ms: u64 },
    Write(Wrote),
    Inspect(Box<Inspected>),
}

/// Which keys are scanned.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) shown: Shown,
    pub(super) bucket: BucketId,
    pub(super) partition: ByteBuf,
    /// Keys at the most.
    pub(super) limit: usize,
    pub(super) reverse: bool,
}

/// Which keys are written.
#[derive(Debug)]
pub(super) struct Wrote {
    pub(super) shown: Shown,
    /// What the contexts of the answer speak for.
    pub(super) scopes: Vec<Scope>,
}

/// Which key is inspected.
#[derive(Debug)]
pub(super) struct Inspected {
    pub(super) bucket: BucketRecord,
    pub(super) token: Token,
    pub(super) partition: PartitionId,
}

impl Shape {
    fn new(asked: Asked) -> Self {
        Self {
            asked,
            session: None,
        }
    }

    /// The answer goes to a session.
    pub(super) fn in_session(self, sealing: Sealing) -> Self {
        Self {
            session: Some(sealing),
            ..self
        }
    }

    /// Without a scope the answer has no context: a page has seen a part of its key only, and a
    /// context cannot say so.
    pub(super) fn read(shown: Shown, scope: Option<Scope>) -> Self {
        Self::new(Asked::Read { shown, scope })
    }

    /// As a page, without a context.
    pub(super) fn fields(fields: Fields) -> Self {
        Self::new(Asked::Fields(Box::new(fields)))
    }

    pub(super) fn scan(scanned: Scanned) -> Self {
        Self::new(Asked::Scan(scanned))
    }

    pub(super) fn keys(now_ms: u64) -> Self {
        Self::new(Asked::Keys { now_ms })
    }

    pub(super) fn write(wrote: Wrote) -> Self {
        Self::new(Asked::Write(wrote))
    }

    pub(super) fn inspect(bucket: BucketRecord, token: Token, partition: PartitionId) -> Self {
        Self::new(Asked::Inspect(Box::new(Inspected {
            bucket,
            token,
            partition,
        })))
    }

    /// What was asked for, for metrics and logs: `read`, `scan`, `write` or `inspect`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self.asked {
            Asked::Read { .. } | Asked::Fields(_) => "read",
            Asked::Scan(_) | Asked::Keys { .. } => "scan",
            Asked::Write(_) => "write",
            Asked::Inspect(_) => "inspect",
        }
    }
}

impl Desk {
    /// The answer to a client whose order has come to an end.
    #[must_use]
    pub fn respond(&self, shape: &Shape, outcome: Outcome) -> Response {
        let seen = shape.session;
        let seen = seen.and_then(|sealing| self.seal_seen(sealing, &outcome));
        let response = match (&shape.asked, outcome) {
            (Asked::Read { shown, scope }, Outcome::Read(done)) => self.read(*shown, *scope, done),
            (Asked::Fields(fields), Outcome::Read(done)) => self.fields(fields, done),
            (Asked::Scan(scanned), Outcome::Read(done)) => self.scanned(scanned, done),
            (Asked::Keys { now_ms }, Outcome::Read(done)) => keys(*now_ms, done),
            (Asked::Write(wrote), Outcome::Written(done)) => self.written(wrote, done),
            (Asked::Inspect(inspected), Outcome::Inspected(answers)) => {
                self.inspected(inspected, &answers)
            }
            (
                Asked::Read { .. }
                | Asked::Fields(_)
                | Asked::Scan(_)
                | Asked::Keys { .. }
                | Asked::Write(_)
                | Asked::Inspect(_),
                _,
            ) => Err(failure::unshowable(
                "the node mixed up two requests, which is a bug",
            )),
        };
        let response = response.unwrap_or_else(Response::Failed);
        match seen {
            Some(seen) => in_session(response, seen),
            None => response,
        }
    }

    fn read(
        &self,
        shown: Shown,
        scope: Option<Scope>,
        done: Result<ReadDone, OrderFailed>,
    ) -> Result<Response, Failure> {
        let done = done.map_err(|failed| failure::of_order(failed, Work::Read))?;
        let tokens = &self.known()?.tokens;
        let seal = |scope| tokens.seal(scope, &done.context);
        let token = scope.map(|scope| seal(scope).ok_or_else(failure::context_too_large));
        let next = done.until.and_then(|until| part_of(&until));
        let mut state = state(shown, &done.rows)?;
        if let (State::Estimate(count), Some(bound)) = (&mut state, done.sampled) {
            *count = samples::estimate(*count, bound);
        }
        Ok(Response::Read(ReadResponse {
            state,
            context: ByteBuf::from(token.transpose()?.unwrap_or_default()),
            answered: done.answered,
            next,
        }))
    }

    /// Keys of one partition key. The last one of a page that was cut short may lack rows, and is
    /// left to the next page.
    fn scanned(
        &self,
        scanned: &Scanned,
        done: Result<ReadDone, OrderFailed>,
    ) -> Result<Response, Failure> {
        let done = done.map_err(|failed| failure::of_order(failed, Work::Read))?;
        let mut groups: BTreeMap<KeyPrefix, BTreeMap<RowKey, Row>> = BTreeMap::new();
        for (key, row) in done.rows {
            groups.entry(key.prefix()).or_default().insert(key, row);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        if scanned.reverse {
            groups.reverse();
        }
        let mut next = None;
        if let Some(until) = &done.until {
            let cut = RowKey::decode(until).map(|key| key.prefix());
            let cut = cut.map_err(|error| failure::unshowable(&error.to_string()))?;
            let is_whole = is_one_row(scanned.shown.kind);
            if !is_whole && groups.last().is_some_and(|(prefix, _)| *prefix == cut) {
                groups.pop();
            }
            // With no key that is complete there is no place to go on from.
            if !is_whole && groups.is_empty() {
                return Err(failure::key_too_large_to_scan());
            }
            next = if is_whole {
                Some(ByteBuf::from(cut.keys().1))
            } else {
                groups
                    .last()
                    .map(|(prefix, _)| ByteBuf::from(prefix.keys().1))
            };
        }
        if groups.len() > scanned.limit {
            groups.truncate(scanned.limit);
            next = groups
                .last()
                .map(|(prefix, _)| ByteBuf::from(prefix.keys().1));
        }
        let known = self.known()?;
        let mut keys = Vec::with_capacity(groups.len());
        for (prefix, rows) in groups {
            let sort = ByteBuf::from(prefix.keys().1);
            let key = Key {
                partition: scanned.partition.clone(),
                sort: sort.clone(),
            };
            let scope = known.tokens.scope(scanned.bucket, &key, None);
            let context = seen(&done.bases, &rows);
            let token = known.tokens.seal(scope, &context);
            let state = state(scanned.shown, &rows)?;
            if is_something(&state) {
                keys.push(ScannedKey {
                    sort,
                    state,
                    context: ByteBuf::from(token.ok_or_else(failure::context_too_large)?),
                });
            }
        }
        Ok(Response::Scanned(ScanResponse {
            keys,
            next,
            answered: done.answered,
        }))
    }

    fn written(
        &self,
        wrote: &Wrote,
        done: Result<WriteDone, OrderFailed>,
    ) -> Result<Response, Failure> {
        let done = done.map_err(|failed| failure::of_order(failed, Work::Write))?;
        let tokens = &self.known()?.tokens;
        let sealed = wrote.scopes.iter().zip(&done.contexts);
        let sealed = sealed.map(|(scope, context)| tokens.seal_written(*scope, context, self.node));
        Ok(Response::Written(WriteResponse {
            contexts: sealed.map(ByteBuf::from).collect(),
            acks: done.acks,
            // The write succeeded; a state that cannot be shown does not undo it.
            state: done.rows.and_then(|rows| state(wrote.shown, &rows).ok()),
            repeated: done.repeated,
            stand_ins: done.stand_ins,
            owners: done.owners,
        }))
    }
}

/// The keys that a listing found.
fn keys(now_ms: u64, done: Result<ReadDone, OrderFailed>) -> Result<Response, Failure> {
    let done = done.map_err(|failed| failure::of_order(failed, Work::Read))?;
    let is_visible = |row: &Row| row.versions().values().any(|v| !v.is_expired(now_ms));
    let rows = done.rows.iter().filter(|(_, row)| is_visible(row));
    let prefixes: BTreeSet<KeyPrefix> = rows.map(|(key, _)| key.prefix()).collect();
    let keys = prefixes.iter().map(|prefix| {
        let (partition, sort) = prefix.keys();
        Key {
            partition: ByteBuf::from(partition),
            sort: ByteBuf::from(sort),
        }
    });
    Ok(Response::Keys(KeysResponse {
        keys: keys.collect(),
        next: done.until.map(|until| ByteBuf::from(successor(&until))),
    }))
}

/// What a reader of these rows has seen, which are all rows of one key.
fn seen(bases: &Context, rows: &BTreeMap<RowKey, Row>) -> Context {
    let mut context = bases.clone();
    for (key, row) in rows {
        // As for a whole key: the one row of a value speaks for all of it.
        if key.leaf() == Leaf::Value && key.path().names().is_empty() {
            context.join(row.context());
        }
        row.versions().keys().for_each(|&dot| context.insert(dot));
    }
    context
}

/// The part of the row at which a page was cut: where the next one goes on.
fn part_of(until: &[u8]) -> Option<ByteBuf> {
    RowKey::decode(until)
        .ok()
        .map(|key| ByteBuf::from(key.part()))
}
