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
//! # Ok(())
//! # }
//! ```
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
//! | no connection | next owner, free | next owner, free |
//! | connection lost after sending | next owner | same node once, then the next |
//! | no answer in time, `Timeout` | next owner | same node once, then the next |
//! | certificate or cluster not accepted | two more nodes, free | two more nodes, free |
//! | answer not understood | next owner, once | next owner, once |
//! | `Overloaded`, own queue full | next owner, after a pause | next owner, after a pause |
//! | `Unavailable` | next owner, once, after a pause | next owner, once, after a pause |
//! | `QuorumNotReached` | next owner, once | same node, once |
//! | `NotOwner` | refresh the ring, free | refresh the ring, free |
//! | `UnknownBucket` that this client knows | refresh, after a pause | refresh, after a pause |
//! | `NotInitialised`, `ShuttingDown` | next owner, free | next owner, free |
//! | `DiskFull`, `Storage` | next owner, once | next owner, once |
//! | `UnknownBucket` otherwise, `WrongKind` | no | no |
//! | `TooLarge`, `BadContext`, `BadRequest`, `BadOperation` | no | no |
//!
//! "Free" retries are not paid from the budget, because they cost the cluster nothing. When all
//! owners were asked, there is a pause before the next round: exponential backoff with full
//! jitter. A node whose calls fail is avoided until a probe of it succeeds.
//!
//! # Layers
//!
//! [`Client`] and [`Bucket`] are what programs use. Beneath them, [`wire`] says what the messages
//! are and [`transport`] moves bytes; the nodes use the same two.

mod bucket;
mod client;
mod clock;
mod context;
mod error;
mod key;
mod operation;
pub mod prelude;
mod retry;
mod routing;
pub mod transport;
pub mod wire;

pub use bucket::{
    Adding, Bucket, Conflict, Count, Counter, Members, Plain, Query, Read, Removing, Set, Write,
    Written,
};
pub use client::{Ask, Client, ClientBuilder, NewBucket, Profile, Tls};
pub use context::{BadContextToken, Context};
pub use error::{Error, ErrorKind};
pub use operation::BadOperationId;
pub use routing::{ClusterMap, NodeInfo};
pub use wire::{
    Bucket as BucketProperties, Durability, Inspection, Key, Kind, OperationId, Outcome, State,
    Status,
};
