//! What a client asks of a node.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

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

/// What a bucket's keys hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Opaque bytes with siblings.
    Value,
    /// A number that is incremented, decremented and reset.
    Counter,
    /// A set of byte strings, add-wins.
    Set,
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
    /// Change a key.
    Write(WriteRequest),
    /// The ring and the buckets, for routing and checks.
    Topology,
    /// Make a bucket.
    CreateBucket(CreateBucket),
    /// What this node knows of the cluster.
    Status,
    /// What every replica holds of a key, and what this node's clock says.
    Inspect(InspectRequest),
}

/// Reads a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRequest {
    /// The bucket's name.
    pub bucket: String,
    /// The kind the client takes the bucket for.
    pub kind: Kind,
    /// Which key.
    pub key: Key,
    /// In a set: only this element.
    pub element: Option<ByteBuf>,
    /// How many replicas must answer; `None` for the bucket's default.
    pub r: Option<u8>,
    /// This node's replica alone, for tests and inspection.
    pub local: bool,
    /// How long the node may take, in milliseconds.
    pub timeout_ms: u32,
}

/// Changes a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteRequest {
    /// The bucket's name.
    pub bucket: String,
    /// Which key.
    pub key: Key,
    /// What to do.
    pub mutation: Mutation,
    /// The context token of the read or write that this write builds on; empty for none.
    pub context: ByteBuf,
    /// The operation's name, the same in every retry.
    pub operation: OperationId,
    /// Milliseconds since the operation was first tried, by the client's steady clock.
    pub age_ms: u64,
    /// How many replicas must have it; `None` for the bucket's default.
    pub w: Option<u8>,
    /// How durable at each of them; `None` for the bucket's default.
    pub durability: Option<Durability>,
    /// Answer with the key's state at the coordinator after the write.
    pub return_value: bool,
    /// How long the node may take, in milliseconds.
    pub timeout_ms: u32,
}

/// A change of one key. Each belongs to one kind of bucket, `Delete` to all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mutation {
    /// `value`: write these bytes over what the context covers.
    Put(ByteBuf),
    /// Any kind: remove what the context covers, or without one what the coordinator sees.
    Delete,
    /// `counter`: add, or with a negative amount subtract.
    Increment(i64),
    /// `set`: put the elements in, atomically.
    Add(Vec<ByteBuf>),
    /// `set`: take the elements out, atomically: what the context covers of them, or without one
    /// what the coordinator sees.
    Remove(Vec<ByteBuf>),
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
