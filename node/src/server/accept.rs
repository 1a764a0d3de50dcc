//! From a client's bytes to an order, with everything checked on the way.

use std::time::Duration;

use bytes::Bytes;
use serde_bytes::ByteBuf;

use super::desk::{DEFAULT_DURABILITY, Desk, Known, majority};
use super::failure;
use super::shown::Shape;
use super::token::Scope;
use crate::protocol::cluster::BucketRecord;
use crate::protocol::coordinator::{Order, ReadOrder, WriteOrder};
use crate::protocol::keys::{KeyPrefix, Tag};
use crate::protocol::messages::Selection;
use crate::protocol::time::{Moment, Time};
use crate::protocol::vnode::{Action, Command};
use crdt::OpId;
use ring::{Layout, ReplicaCount, Token, VnodeId};
use starling::wire::{
    self, CreateBucket, Failure, InspectRequest, Key, Kind, Mutation, OperationId, ReadRequest,
    Request, Response, WriteRequest,
};

/// What to do with a request.
#[derive(Debug)]
pub enum Accepted {
    /// Hand the order to the coordinator, and what comes of it with the shape to
    /// [`Desk::respond`].
    Order {
        /// The order.
        order: Order,
        /// How to answer.
        shape: Shape,
    },
    /// Answer this.
    Reply(Response),
    /// Make a bucket, and answer [`Desk::bucket_created`].
    CreateBucket {
        /// Its name, which is a valid one.
        name: String,
        /// What its keys hold.
        kind: Kind,
        /// Replicas of each key.
        n: ReplicaCount,
    },
    /// Answer [`Desk::status`].
    Status,
}

impl Desk {
    /// Reads and checks a request. Any bytes are taken: what they ask for is done or refused.
    #[must_use]
    pub fn accept(&self, now: Moment, bytes: &[u8]) -> Accepted {
        let accepted = match wire::decode(bytes) {
            Ok(request) => self.take(now, request),
            Err(error) => Err(failure::unreadable(&error)),
        };
        accepted.unwrap_or_else(|failure| Accepted::Reply(Response::Failed(failure)))
    }

    fn take(&self, now: Moment, request: Request) -> Result<Accepted, Failure> {
        match request {
            Request::Read(read) => self.take_read(now, &read),
            Request::Write(write) => self.take_write(now, write),
            Request::Inspect(inspect) => self.take_inspect(now, &inspect),
            Request::Topology => Ok(Accepted::Reply(Response::Topology(self.topology()?))),
            Request::CreateBucket(CreateBucket { name, kind, n }) => {
                self.serving()?;
                wire::validate_bucket_name(&name).map_err(|error| failure::bad_request(&error))?;
                let n = ReplicaCount::new(n).map_err(|error| failure::bad_request(&error))?;
                Ok(Accepted::CreateBucket { name, kind, n })
            }
            Request::Status => self.known().map(|_| Accepted::Status),
        }
    }

    fn take_read(&self, now: Moment, read: &ReadRequest) -> Result<Accepted, Failure> {
        let place = self.place(&read.bucket, &read.key)?;
        let kind = place.record.kind;
        if read.kind != kind {
            return Err(failure::wrong_kind(&place.record.name, kind, read.kind));
        }
        let element = read.element.as_ref().map(|element| &element[..]);
        if let Some(element) = element {
            if kind != Kind::Set {
                return Err(failure::bad_request(
                    &"only a set has elements; nothing was read",
                ));
            }
            wire::check_element(element).map_err(|error| failure::of_limit(&error))?;
        }
        let r = if read.local {
            local(read.r)?
        } else {
            place.count("r", read.r)?
        };
        let order = ReadOrder {
            vnode: place.vnode,
            selection: place.selection(element),
            r,
            local: read.local,
            deadline: deadline(now, read.timeout_ms)?,
        };
        let scope = place.scope(&read.key, element);
        Ok(Accepted::Order {
            order: Order::Read(order),
            shape: Shape::read(kind, scope),
        })
    }

    fn take_write(&self, now: Moment, write: WriteRequest) -> Result<Accepted, Failure> {
        let place = self.place(&write.bucket, &write.key)?;
        write
            .mutation
            .check()
            .map_err(|error| failure::of_limit(&error))?;
        let scopes = place.scopes(&write.key, &write.mutation);
        let opened = place.known.tokens.open(&write.context, &scopes);
        let (context, scope) = opened.map_err(|bad| failure::bad_context(&bad))?;
        let kind = place.record.kind;
        let action = action(write.mutation, place.record)?;
        if action == Action::ResetCounter && !context.is_empty() {
            return Err(failure::bad_request(
                &"a counter is reset by what its coordinator sees; nothing was written: reset it \
                  without a context",
            ));
        }
        let order = WriteOrder {
            vnode: place.vnode,
            w: place.count("w", write.w)?,
            durability: write.durability.unwrap_or(DEFAULT_DURABILITY),
            read_back: write.return_value.then(|| place.selection(None)),
            deadline: deadline(now, write.timeout_ms)?,
            command: Command {
                prefix: place.prefix,
                action,
                context,
                operation: op_id(write.operation),
                age_ms: write.age_ms,
            },
        };
        Ok(Accepted::Order {
            order: Order::Write(order),
            shape: Shape::write(kind, scope),
        })
    }

    fn take_inspect(&self, now: Moment, inspect: &InspectRequest) -> Result<Accepted, Failure> {
        let place = self.place(&inspect.bucket, &inspect.key)?;
        let shape = Shape::inspect(place.record.clone(), place.token, place.vnode.partition);
        let order = ReadOrder {
            vnode: place.vnode,
            selection: Selection::Key(place.prefix),
            r: 1,
            local: false,
            deadline: deadline(now, inspect.timeout_ms)?,
        };
        Ok(Accepted::Order {
            order: Order::Inspect(order),
            shape,
        })
    }

    /// Finds the key, and refuses it if this node does not own it.
    fn place(&self, bucket: &str, key: &Key) -> Result<Place<'_>, Failure> {
        let known = self.serving()?;
        key.check().map_err(|error| failure::of_limit(&error))?;
        let record = known.buckets.of_name(bucket);
        let record = record.ok_or_else(|| failure::unknown_bucket(bucket))?;
        let token = known.ring.token(record.id, &key.partition);
        let owners = known.ring.preference(record.n, token);
        if !owners.contains(self.node) {
            return Err(failure::not_owner(&known.name_of(owners.first())));
        }
        let vnode = VnodeId {
            n: record.n,
            partition: known.ring.partition(token),
        };
        let n = u8::from(record.n);
        let prefix = KeyPrefix::new(n, token, record.id, &key.partition, &key.sort);
        Ok(Place {
            known,
            record,
            token,
            vnode,
            prefix,
        })
    }
}

/// Where a key lies.
struct Place<'a> {
    known: &'a Known,
    record: &'a BucketRecord,
    token: Token,
    vnode: VnodeId,
    prefix: KeyPrefix,
}

impl Place<'_> {
    /// The rows that make up the key's state, or one element's.
    fn selection(&self, element: Option<&[u8]>) -> Selection {
        match (self.record.kind, element) {
            (Kind::Value, _) => Selection::Row(self.prefix.row(Tag::Value, &[])),
            (Kind::Set, Some(element)) => Selection::Row(self.prefix.row(Tag::Element, element)),
            (Kind::Counter | Kind::Set, _) => Selection::Key(self.prefix.clone()),
        }
    }

    fn scope(&self, key: &Key, element: Option<&[u8]>) -> Scope {
        self.known.tokens.scope(self.record.id, key, element)
    }

    /// What the context of a write may speak for. Only a removal of one element can build on a read
    /// of that element alone: it has seen nothing of the others.
    fn scopes(&self, key: &Key, mutation: &Mutation) -> Vec<Scope> {
        let mut scopes = vec![self.scope(key, None)];
        if let Mutation::Remove(elements) | Mutation::Add(elements) = mutation
            && let [element] = &elements[..]
        {
            scopes.push(self.scope(key, Some(element)));
        }
        scopes
    }

    fn count(&self, what: &str, asked: Option<u8>) -> Result<u8, Failure> {
        let (layout, n): (&Layout, _) = (self.known.ring.layout(), self.record.n);
        match asked {
            None => Ok(majority(layout, n)),
            Some(count) if (1..=u8::from(n)).contains(&count) => Ok(count),
            Some(count) => Err(failure::bad_request(&format_args!(
                "{what} = {count} is out of range; nothing was done: bucket {} has n = {n}, so \
                 ask for 1 to {n}",
                self.record.name
            ))),
        }
    }
}

fn local(r: Option<u8>) -> Result<u8, Failure> {
    match r {
        None | Some(1) => Ok(1),
        Some(r) => Err(failure::bad_request(&format_args!(
            "r = {r} and `local` exclude each other; nothing was read: a local read has one replica"
        ))),
    }
}

fn deadline(now: Moment, timeout_ms: u32) -> Result<Time, Failure> {
    if (1..=MAX_TIMEOUT_MS).contains(&timeout_ms) {
        Ok(now.time.after(Duration::from_millis(timeout_ms.into())))
    } else {
        Err(failure::bad_request(&format_args!(
            "a timeout of {timeout_ms} ms is out of range; nothing was done: allow 1 to \
             {MAX_TIMEOUT_MS} ms"
        )))
    }
}

/// What a mutation is in this bucket.
fn action(mutation: Mutation, bucket: &BucketRecord) -> Result<Action, Failure> {
    let wrong = |asked| Err(failure::wrong_kind(&bucket.name, bucket.kind, asked));
    match (mutation, bucket.kind) {
        (Mutation::Put(value), Kind::Value) => Ok(Action::Put(Bytes::from(value.into_vec()))),
        (Mutation::Put(_), Kind::Counter | Kind::Set) => wrong(Kind::Value),
        (Mutation::Delete, Kind::Value) => Ok(Action::DeleteValue),
        (Mutation::Delete, Kind::Counter) => Ok(Action::ResetCounter),
        (Mutation::Delete, Kind::Set) => Ok(Action::ClearSet),
        (Mutation::Increment(amount), Kind::Counter) => Ok(Action::Increment(amount)),
        (Mutation::Increment(_), Kind::Value | Kind::Set) => wrong(Kind::Counter),
        (Mutation::Add(elements), Kind::Set) => Ok(Action::Add(bytes(elements))),
        (Mutation::Remove(elements), Kind::Set) => Ok(Action::Remove(bytes(elements))),
        (Mutation::Add(_) | Mutation::Remove(_), Kind::Value | Kind::Counter) => wrong(Kind::Set),
    }
}

fn bytes(elements: Vec<ByteBuf>) -> Vec<Bytes> {
    elements
        .into_iter()
        .map(|element| Bytes::from(element.into_vec()))
        .collect()
}

fn op_id(
    OperationId {
        client: (high, low),
        sequence,
    }: OperationId,
) -> OpId {
    OpId {
        client: (u128::from(high) << 64) | u128::from(low),
        sequence,
    }
}

/// The longest that a request may keep a node busy: a minute.
const MAX_TIMEOUT_MS: u32 = 60_000;
