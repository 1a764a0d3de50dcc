//! What a client asks of a node.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::kinds::{Edit, Kind};
use super::session::SessionRequest;
use super::siblings::Siblings;

/// How durable a write must be at each replica that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Durability {
    /// Applied in the replica's memory: survives neither a crash of the process nor power loss.
    Memory,
    /// In the log, handed to the operating system: survives `kill -9`, not power loss.
    Wal,
    /// On the disk: survives power loss.
    Synced,
}

/// A key: a partition key, which places it, and a sort key within it (often empty).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Places the key on the ring; keys with one partition key live together.
    pub partition: ByteBuf,
    /// Orders the keys of one partition key.
    pub sort: ByteBuf,
}

/// The name of one operation, the same in every retry of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationId {
    /// The client: 128 random bits, upper half first.
    pub client: (u64, u64),
    /// Which of its operations.
    pub sequence: u64,
}

/// A request. Every request is answered by one [`Response`](super::Response).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Read a key.
    Read(ReadRequest),
    /// Read the keys of a partition key.
    Scan(ScanRequest),
    /// List the keys of a bucket.
    Keys(KeysRequest),
    /// Change keys.
    Write(WriteRequest),
    /// The ring and the buckets, for routing and checks.
    Topology,
    /// Make a bucket.
    CreateBucket(CreateBucket),
    /// What this node knows of the cluster.
    Status,
    /// What this node knows of one member, and how it hears it.
    MemberInfo {
        /// The member's number.
        node: u64,
    },
    /// What every replica holds of a key, and what this node's clock says.
    Inspect(InspectRequest),
    /// What this node knows of each of its vnodes.
    Vnodes {
        /// It is to compare their content with the other owners now, without pauses.
        scrub: bool,
    },
    /// One of the above, in a session.
    InSession(Box<SessionRequest>),
}

/// Reads a key, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRequest {
    /// The bucket's name.
    pub bucket: String,
    /// Which key.
    pub key: Key,
    /// The names that lead to a field of a map, outermost first; empty for the key itself.
    pub path: Vec<ByteBuf>,
    /// The kind the client takes the bucket, or the field, for.
    pub kind: Kind,
    /// How much of it.
    pub part: Part,
    /// How many replicas must answer; `None` for the bucket's default.
    pub r: Option<u8>,
    /// This node's replica alone, for tests and inspection.
    pub local: bool,
    /// How long the node may take, in milliseconds.
    pub timeout_ms: u32,
    /// How many owners of the key must be among those that answer.
    #[serde(default)]
    pub pr: Option<u8>,
    /// Answer only when more than half of the owners, and no fewer than r, hold what is shown: no
    /// such read that begins later shows less. Not of pages, counts and estimates.
    #[serde(default)]
    pub monotonic: bool,
}

/// How much of a key or field to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// All of it; an error if it does not fit into a message.
    Whole,
    /// One element of a set.
    Element(ByteBuf),
    /// A page of a set's elements, a list's items or a map's fields, each of these whole.
    Page(Page),
    /// How many a page of a set's elements, a list's items or the names of a map's fields has,
    /// without them.
    Count(Page),
    /// About how many elements a set, items a list or names a map has.
    Estimate,
}

/// A stretch of something ordered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Begin here; `None` for the beginning.
    pub from: Option<ByteBuf>,
    /// End before this; `None` for the end.
    pub to: Option<ByteBuf>,
    /// Begin at the end and go backwards.
    pub reverse: bool,
    /// The cursor that came with the page before; `None` for the first page.
    pub cursor: Option<ByteBuf>,
    /// How many at the most; a page may have fewer, and still be followed by another.
    pub limit: u32,
}

/// Reads the keys of one partition key in the order of their sort keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanRequest {
    /// The bucket's name.
    pub bucket: String,
    /// The kind the client takes the bucket for.
    pub kind: Kind,
    /// The partition key.
    pub partition: ByteBuf,
    /// Which sort keys.
    pub page: Page,
    /// How many replicas must answer; `None` for the bucket's default.
    pub r: Option<u8>,
    /// How long the node may take, in milliseconds.
    pub timeout_ms: u32,
}

/// Lists the keys of a bucket that lie in one partition of the ring, in no order that means
/// anything. The node looks at a bounded number of rows, so a page may be empty and not the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysRequest {
    /// The bucket's name.
    pub bucket: String,
    /// Which partition of the ring.
    pub ring_partition: u32,
    /// The cursor that came with the page before; `None` for the first page.
    pub cursor: Option<ByteBuf>,
    /// How many replicas must answer; `None` for the bucket's default.
    pub r: Option<u8>,
    /// How long the node may take, in milliseconds.
    pub timeout_ms: u32,
}

/// Changes keys of one partition key, as one atomic batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteRequest {
    /// The bucket's name.
    pub bucket: String,
    /// The partition key.
    pub partition: ByteBuf,
    /// What to change, each sort key once.
    pub items: Vec<WriteItem>,
    /// The operation's name, the same in every retry.
    pub operation: OperationId,
    /// Milliseconds since the operation was first tried, by the client's steady clock.
    pub age_ms: u64,
    /// How long what is written lasts, in milliseconds; `None` for ever.
    pub ttl_ms: Option<u64>,
    /// How many replicas must have it; `None` for the bucket's default.
    pub w: Option<u8>,
    /// How durable at each of them; `None` for the bucket's default.
    pub durability: Option<Durability>,
    /// Answer with the key's state at the coordinator after the write; for one item only.
    pub return_value: bool,
    /// How long the node may take, in milliseconds.
    pub timeout_ms: u32,
    /// May stand-ins take the place of owners that are away? `None` for the bucket's default.
    #[serde(default)]
    pub sloppy: Option<bool>,
    /// How many owners must be among those that have it.
    #[serde(default)]
    pub pw: Option<u8>,
}

/// The changes of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteItem {
    /// Its sort key.
    pub sort: ByteBuf,
    /// The changes, in order.
    pub edits: Vec<Edit>,
    /// The context token of the read or write that this write builds on; empty for none.
    pub context: ByteBuf,
    /// Write only if the key shows nothing at the coordinator that the context does not cover.
    pub only_if_current: bool,
}

/// Makes a bucket, or confirms one with the same properties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateBucket {
    /// 1 to 255 bytes of letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// Fixed for the bucket's life.
    pub kind: Kind,
    /// Replicas of each key, 1 to 7; fixed for the bucket's life.
    pub n: u8,
    /// What becomes of values that were written at the same time.
    pub siblings: Siblings,
    /// Stand-ins may take the place of owners that are away, in writes that do not say.
    #[serde(default)]
    pub sloppy: bool,
}

/// Asks for every replica's rows of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectRequest {
    /// The bucket's name.
    pub bucket: String,
    /// Which key.
    pub key: Key,
    /// How long the node may take, in milliseconds.
    pub timeout_ms: u32,
}
