//! Handles on buckets and keys: where operations begin.

mod answers;
mod any;
mod batch;
mod bulk;
mod edits;
mod keys;
mod kinds;
mod length;
mod list;
mod many;
mod map;
mod read;
mod scan;
mod send;
mod set;
mod stream;
mod write;

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use crate::client::{Client, Plan};
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::session::Session;
use crate::typed::{MessagePack, Typed};
use crate::wire::{Edit, Key, Kind, Mutation, Outcome, Part, Request, Response, SessionWork};
use ring::NodeId;

pub use answers::{
    Batched, Conflict, Count, FieldState, Found, Gap, Items, ListItem, MapEntry, MapState, Members,
    Position, Read, Written,
};
pub use batch::{Batch, BatchEdits, BatchItem};
pub use bulk::{Bulk, BulkReport};
pub use edits::{
    CounterEdits, FlagEdits, ListEdits, NumberEdits, RegisterEdits, SetEdits, SketchEdits,
    ValueEdits,
};
pub use keys::Keys;
pub use kinds::{BoundedCounter, Counter, Extreme, Flag, Register, Sketch, Value};
pub use length::Length;
pub use list::List;
pub use many::{MultiGet, OneOfMany};
pub use map::{Map, MapEdits};
pub use read::Query;
pub use scan::{Entry, Scan};
pub use set::{GrowSet, Set};
pub use write::{Adding, Elements, Plain, Write};

pub(crate) use answers::Answer;
pub(crate) use send::Draft;

/// The future of an operation.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// A named set of keys. Its kind decides which of the methods work: [`get`](Bucket::get) and
/// [`put`](Bucket::put) on values, [`counter`](Bucket::counter) on counters, [`map`](Bucket::map)
/// on maps and so on; [`delete`](Bucket::delete), [`batch`](Bucket::batch) and
/// [`keys`](Bucket::keys) on all.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
    session: Option<Session>,
}

/// What an operation is about.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) bucket: String,
    pub(crate) key: Key,
    /// The names that lead to a field of a map; empty for the key itself.
    pub(crate) path: Vec<ByteBuf>,
    pub(crate) session: Option<Session>,
}

impl Bucket {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self {
            client,
            name,
            session: None,
        }
    }

    /// The same bucket, all operations on which are of a session.
    pub fn in_session(mut self, session: &Session) -> Self {
        self.session = Some(session.clone());
        self
    }

    /// The bucket's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same bucket for values of a type of the program's own, as MessagePack.
    pub fn typed<T: Serialize + DeserializeOwned>(&self) -> Typed<T, MessagePack> {
        Typed::new(self.clone())
    }

    /// Reads a value, with its siblings and the context for the next write.
    pub fn get(&self, key: impl Into<Key>) -> Query<Read> {
        self.value(key).get()
    }

    /// Writes a value over what its [`context`](Write::context) covers. Without one it is
    /// [`blind`](Write::blind), and becomes a sibling of what is there.
    pub fn put(&self, key: impl Into<Key>, value: impl Into<Bytes>) -> Write<Plain> {
        self.value(key).put(value)
    }

    /// Removes a key of any kind: what the context covers of it, or without one what the
    /// coordinator sees. What somebody writes at the same time, unseen, stays. A counter begins
    /// again at zero, and takes no context.
    pub fn delete(&self, key: impl Into<Key>) -> Write<Plain> {
        let mut draft = Draft::new(vec![Edit::of_key(Kind::Value, Mutation::Delete)]);
        draft.is_of_any_kind = true;
        Write::of_draft(self.target(key), draft)
    }

    /// Reads a value, lets `change` make a new one of its siblings (none if the key is not there),
    /// and writes that over them if they are still current. If somebody else was faster it begins
    /// again, up to ten times, so `change` may run several times. Two updates through different
    /// coordinators can still leave siblings, which the next update sees: nothing is lost, and
    /// `change` must be able to merge.
    ///
    /// ```no_run
    /// # async fn run(users: starling::Bucket) -> Result<(), starling::Error> {
    /// users.update("ada", |siblings| siblings.concat()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for reading and writing; after a failed read nothing was written.
    pub async fn update<V: Into<Bytes>>(
        &self,
        key: impl Into<Key>,
        mut change: impl FnMut(&[Bytes]) -> V,
    ) -> Result<Written, Error> {
        let key = key.into();
        let mut rounds = Rounds::default();
        loop {
            let read = self.get(&key).await?;
            let value = change(read.siblings());
            let put = self.put(&key, value).context(read.context());
            match put.only_if_current().await {
                Err(error) if rounds.goes_on(&self.client, &error).await => {}
                done => return done,
            }
        }
    }

    /// A value of this bucket.
    pub fn value(&self, key: impl Into<Key>) -> Value {
        Value::new(self.target(key))
    }

    /// A counter of this bucket.
    pub fn counter(&self, key: impl Into<Key>) -> Counter {
        Counter::new(self.target(key))
    }

    /// A bounded counter of this bucket, which is never below 0.
    pub fn bounded_counter(&self, key: impl Into<Key>) -> BoundedCounter {
        BoundedCounter::new(self.target(key))
    }

    /// A set of this bucket in which an add wins over a removal at the same time.
    pub fn set(&self, key: impl Into<Key>) -> Set {
        Set::new(self.target(key), Kind::Set)
    }

    /// A set of this bucket in which a removal wins over an add at the same time.
    pub fn remove_set(&self, key: impl Into<Key>) -> Set {
        Set::new(self.target(key), Kind::RemoveSet)
    }

    /// A set of this bucket from which nothing is removed.
    pub fn grow_set(&self, key: impl Into<Key>) -> GrowSet {
        GrowSet::new(self.target(key))
    }

    /// A register of this bucket: the latest assignment counts.
    pub fn register(&self, key: impl Into<Key>) -> Register {
        Register::new(self.target(key))
    }

    /// A number of this bucket that only grows.
    pub fn max(&self, key: impl Into<Key>) -> Extreme {
        Extreme::new(self.target(key), Kind::Max)
    }

    /// A number of this bucket that only shrinks.
    pub fn min(&self, key: impl Into<Key>) -> Extreme {
        Extreme::new(self.target(key), Kind::Min)
    }

    /// A flag of this bucket: enabling wins over disabling at the same time.
    pub fn flag(&self, key: impl Into<Key>) -> Flag {
        Flag::new(self.target(key), Kind::Flag)
    }

    /// A flag of this bucket: disabling wins over enabling at the same time.
    pub fn disable_flag(&self, key: impl Into<Key>) -> Flag {
        Flag::new(self.target(key), Kind::DisableFlag)
    }

    /// A sketch of this bucket, which counts different things (`HyperLogLog`).
    pub fn hll(&self, key: impl Into<Key>) -> Sketch {
        Sketch::new(self.target(key))
    }

    /// A list of this bucket.
    pub fn list(&self, key: impl Into<Key>) -> List {
        List::new(self.target(key))
    }

    /// A map of this bucket.
    pub fn map(&self, key: impl Into<Key>) -> Map {
        Map::new(self.target(key))
    }

    /// Changes of several keys that share a partition key, as one atomic batch: all of them are
    /// applied, or none, and whoever sees one of them at a replica sees the others there.
    ///
    /// ```no_run
    /// # async fn run(orders: starling::Bucket) -> Result<(), starling::Error> {
    /// let batch = orders.batch("customer-7", |keys| {
    ///     keys.key("2026-11-21").value().put("two books");
    ///     keys.key("2026-11-20").delete();
    /// });
    /// batch.w(2).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch(
        &self,
        partition_key: impl AsRef<[u8]>,
        change: impl FnOnce(&mut BatchEdits),
    ) -> Batch {
        let mut edits = BatchEdits::default();
        change(&mut edits);
        Batch::new(self.target(Key::new(partition_key, "")), edits)
    }

    /// Reads several values, some at a time, in the order in which they arrive.
    pub fn multi_get<K: Into<Key> + 'static, I: IntoIterator<Item = K>>(
        &self,
        keys: I,
    ) -> MultiGet<Read>
    where
        I::IntoIter: Send + 'static,
    {
        let bucket = self.clone();
        MultiGet::new(keys, move |key| bucket.get(key))
    }

    /// Reads the values of a partition key, in the order of their sort keys.
    pub fn scan(&self, partition_key: impl AsRef<[u8]>) -> Scan<Entry<Read>> {
        let target = self.target(Key::new(partition_key, ""));
        Scan::of_keys(target, Kind::Value, Read::new)
    }

    /// Lists the keys of the bucket, in no order that means anything.
    pub fn keys(&self) -> Keys {
        Keys::new(self.target(Key::new("", "")))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn target(&self, key: impl Into<Key>) -> Target {
        Target {
            client: self.client.clone(),
            bucket: self.name.clone(),
            key: key.into(),
            path: Vec::new(),
            session: self.session.clone(),
        }
    }
}

impl Target {
    /// Carries out a read, a scan or a write, in the target's session if it has one.
    pub(crate) async fn call(
        &self,
        plan: Plan,
        request: Request,
    ) -> Result<(NodeId, Response), Error> {
        let Some(session) = &self.session else {
            return self.client.shared().call(plan, request).await;
        };
        let work = match request {
            Request::Read(read) => SessionWork::Read(read),
            Request::Scan(scan) => SessionWork::Scan(scan),
            Request::Write(write) => SessionWork::Write(write),
            _ => return Err(Error::local(ErrorKind::BadRequest, NO_SESSION)),
        };
        session.call(plan, work).await
    }

    pub(crate) fn read<T>(&self, kind: Kind, finish: fn(Answer) -> Result<T, Error>) -> Query<T> {
        Query::new(self.clone(), kind, Part::Whole, finish)
    }

    pub(crate) fn write<M>(&self, kind: Kind, mutation: Mutation) -> Write<M> {
        Write::new(self.clone(), kind, mutation)
    }

    /// The key with the same partition key and another sort key.
    fn sibling(&self, sort: &ByteBuf) -> Key {
        Key {
            partition: self.key.partition.clone(),
            sort: sort.clone(),
        }
    }

    /// A field of this map.
    pub(crate) fn field(&self, name: impl AsRef<[u8]>) -> Self {
        let mut field = self.clone();
        field.path.push(ByteBuf::from(name.as_ref()));
        field
    }
}

/// The rounds of an update: read, change, write if that is still current.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    lost: u32,
}

impl Rounds {
    /// Whether to begin again after an error, which this waits a little for. Only what was
    /// certainly not applied is tried again, under another name.
    pub(crate) async fn goes_on(&mut self, client: &Client, error: &Error) -> bool {
        self.lost += 1;
        let was_lost =
            error.kind() == ErrorKind::NotCurrent && error.outcome() == Outcome::NotApplied;
        if !was_lost || self.lost >= MOST_ROUNDS {
            return false;
        }
        let clock = client.shared().clock();
        let pause = PAUSE
            .saturating_mul(self.lost)
            .mul_f64(clock::random_fraction());
        clock.sleep_until(clock.now().saturating_add(pause)).await;
        true
    }
}

/// How often an update begins at most.
const MOST_ROUNDS: u32 = 10;
/// The longest pause after the first round that was lost; each next one may be longer by as much.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

const NO_SESSION: &str = "a listing of keys is in no session; nothing was sent: list the keys of a \
                          bucket without one";
