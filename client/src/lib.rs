//! The Starling client.
//!
//! Starling is a leaderless key-value store: every node takes writes, replicas that were apart
//! become equal again by themselves, and concurrent writes are never silently dropped.
//!
//! ```no_run
//! use starling::prelude::*;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder()
//!     .seeds(["kv-0:7401", "kv-1:7401"])
//!     .tls(Tls::ca_file("ca.pem").identity_files("app.pem", "app.key"))
//!     .connect()
//!     .await?;
//!
//! // Values. A read carries its siblings and the context for the next write.
//! client.create_bucket("users").await?;
//! let users = client.bucket("users");
//! let written = users.put("ada", "Ada").await?;
//! users.put("ada", "Ada Lovelace").context(written.context()).w(3).await?;
//! let read = users.get("ada").r(2).await?;
//! assert_eq!(read.single()?.map(|value| value.as_ref()), Some(&b"Ada Lovelace"[..]));
//!
//! // Counters and sets merge by themselves.
//! client.create_bucket("hits").kind(Kind::Counter).await?;
//! client.bucket("hits").counter("/home").add(1).await?;
//! client.create_bucket("tags").kind(Kind::Set).await?;
//! client.bucket("tags").set("post-42").add("rust").add("kv").await?;
//!
//! // Maps hold fields of any kind, and all changes of one write are one atomic batch.
//! client.create_bucket("profiles").kind(Kind::Map).await?;
//! let ada = client.bucket("profiles").map("ada");
//! ada.update(|m| {
//!     m.counter("logins").add(1);
//!     m.set("emails").add("ada@example.org").remove("old@example.org");
//!     m.map("address").register("city").set("London");
//! })
//! .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Kinds
//!
//! A bucket holds keys of one [`Kind`]; a map's fields may be of any but a bounded counter. The
//! handle of a field works like that of a key.
//!
//! | kind | handle | at the same time | lasts for a while |
//! |---|---|---|---|
//! | value | [`Bucket::get`], [`put`](Bucket::put), [`value`](Bucket::value) | siblings | yes |
//! | counter | [`Bucket::counter`] | both count | |
//! | set | [`Bucket::set`] | the add wins | each element |
//! | grow-set | [`Bucket::grow_set`] | both | each element |
//! | remove-set | [`Bucket::remove_set`] | the removal wins | |
//! | register | [`Bucket::register`] | the later one | yes |
//! | max, min | [`Bucket::max`], [`min`](Bucket::min) | the larger, the smaller | |
//! | flag | [`Bucket::flag`] | on wins | |
//! | disable-flag | [`Bucket::disable_flag`] | off wins | |
//! | hll | [`Bucket::hll`] | both are counted | |
//! | list | [`Bucket::list`] | both, each in a row | each item |
//! | bounded-counter | [`Bucket::bounded_counter`] | both, and never below 0 | |
//! | map | [`Bucket::map`] | as the fields' kinds say | those fields |
//!
//! Values of a type of the program's own are read and written by [`Client::typed`], as MessagePack
//! or, with the feature `json`, as JSON; contents of registers, elements of sets and items of
//! lists, also in a map, by the `typed` of their handles. [`Typed`] says which types elements of
//! sets can be.
//!
//! # Blind and informed writes
//!
//! A write with a [`context`](Write::context) replaces exactly what was seen. One without is
//! *blind*: a value becomes a sibling of what is there, a removal takes what the coordinator sees.
//! [`blind`](Write::blind) says so, and [`Profile::explicit_blind_puts`] makes it a must for puts.
//! [`Bucket::update`] and [`Typed::update`] read, change and write with the context.
//! [`only_if_current`](Write::only_if_current) writes nothing if the coordinator has more than the
//! context covers; it is no compare-and-swap, which no store can give that stays available.
//!
//! # Many keys
//!
//! | | keys | what it promises |
//! |---|---|---|
//! | [`Bucket::batch`] | of one partition key | all or nothing |
//! | [`Client::bulk`] | any | a result for each write |
//! | [`Bucket::multi_get`] | any | a result for each read, as they arrive |
//! | [`Bucket::scan`] | of one partition key | in the order of the sort keys, by pages |
//! | [`Bucket::keys`] | all | each that is there all the time, by pages |
//!
//! `stream()` makes a [`Stream`](futures_util::Stream) of a scan, a list of keys or a `multi_get`.
//! Scans and lists of keys give a cursor, a text from which they go on later, in any process.
//!
//! # Errors and retries
//!
//! An [`Error`] says what went wrong ([`Error::kind`]), whether a write was applied
//! ([`Error::outcome`]) and whether it can succeed later ([`Error::is_retryable`]). Every write has
//! a name, an [`OperationId`], under which it counts once, so the client retries by itself, within
//! the operation's one deadline and a budget of a tenth of all requests:
//!
//! | failure | read | write |
//! |---|---|---|
//! | no connection (within 250 ms, if there are others) | next owner, free | next owner, free |
//! | connection lost after sending | next owner | same node once, then the next |
//! | no answer in time, `Timeout` | next owner | same node once, then the next |
//! | certificate or cluster not accepted | two more nodes, free | two more nodes, free |
//! | answer not understood | next owner, once | next owner, once |
//! | `Overloaded`, own queue full, held back | next owner, after a pause | the same |
//! | `Unavailable` | next owner, once, after a pause | next owner, once, after a pause |
//! | `QuorumNotReached` | next owner, once | same node, once |
//! | `NotOwner` | refresh the ring, free | refresh the ring, free |
//! | `UnknownBucket` that this client knows | refresh, after a pause | refresh, after a pause |
//! | `NotInitialised`, `ShuttingDown` | next owner, free | next owner, free |
//! | `DiskFull`, `Storage` | next owner, once | next owner, once |
//! | `Insufficient` with a time to wait for | | same node once more, after a pause |
//! | `Insufficient` without | | no |
//! | `SessionBehind` | next owner | next owner |
//! | `UnknownBucket` otherwise, `WrongKind`, `SessionLost` | no | no |
//! | `TooLarge`, `BadContext`, `BadRequest`, `BadOperation`, `NotCurrent` | no | no |
//!
//! "Free" retries are not paid from the budget, because they cost the cluster nothing. When all
//! owners were asked, there is a pause before the next round: exponential backoff with full
//! jitter. A node whose calls fail is avoided until a probe of it succeeds. An error is that of the
//! attempt which says most, and lists all of them ([`Error::tried`]).
//!
//! A read that is not answered as soon as nineteen of twenty are is sent to a second owner too, if
//! no more than one in twenty was lately: whoever is first counts. A node that leaves something
//! open for three times as long is asked last until it answers, for writes too. A write is sent to
//! a second owner only if the first is silent: it has answered nothing at all, reads or writes, for
//! three times as long as writes usually take, and for 50 ms at least. The write has the same name
//! there, so it counts once, and is paid from the budget. A profile without retries
//! ([`Profile::max_retries`] of 0) has no second owners either.
//!
//! # Layers
//!
//! [`Client`] and [`Bucket`] are what programs use. Beneath them, [`wire`] says what the messages
//! are and [`transport`] moves bytes; the nodes use the same two.

#![deny(clippy::expect_used)]

mod bucket;
mod client;
mod clock;
mod context;
mod error;
mod hex;
mod key;
mod operation;
pub mod prelude;
mod retry;
mod routing;
mod session;
pub mod transport;
mod typed;
pub mod wire;

pub use bucket::{
    Adding, Batch, BatchEdits, BatchItem, Batched, BoundedCounter, Bucket, Bulk, BulkReport,
    Conflict, Count, Counter, CounterEdits, Elements, Entry, Extreme, FieldState, Flag, FlagEdits,
    Found, Gap, GrowSet, Items, Keys, Length, List, ListEdits, ListItem, Map, MapEdits, MapEntry,
    MapState, Members, MultiGet, NumberEdits, OneOfMany, Plain, Position, Query, Read, Register,
    RegisterEdits, Scan, Set, SetEdits, Sketch, SketchEdits, Value, ValueEdits, Write, Written,
};
pub use client::{Ask, Client, ClientBuilder, NewBucket, Profile, Tls};
pub use context::{BadContextToken, Context};
pub use error::{Error, ErrorKind, Tried};
pub use operation::BadOperationId;
pub use routing::{ClusterMap, NodeInfo};
pub use session::{MOST_BYTES as MOST_SESSION_BYTES, Session};
#[cfg(feature = "json")]
pub use typed::Json;
pub use typed::{Codec, MessagePack, Typed};
pub use wire::{
    Bucket as BucketProperties, Durability, Inspection, Key, Kind, MemberInfo, OperationId,
    Outcome, Siblings, State, Status,
};
