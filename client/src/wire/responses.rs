//! What a node answers.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{Durability, Failure, Key, Kind, MemberInfo, MemberView, SessionResponse, Siblings};

/// The answer to a [`Request`](super::Request).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// To a read.
    Read(ReadResponse),
    /// To a scan.
    Scanned(ScanResponse),
    /// To a listing of keys.
    Keys(KeysResponse),
    /// To a write.
    Written(WriteResponse),
    /// To a topology request.
    Topology(Topology),
    /// The bucket is there, with these properties.
    Bucket(Bucket),
    /// To a status request.
    Status(Status),
    /// To a question about a member.
    MemberInfo(MemberInfo),
    /// To a question about vnodes: all that the node has, in the order of their ids.
    Vnodes(Vec<VnodeStatus>),
    /// To an inspection.
    Inspection(Inspection),
    /// The request failed; the failure says whether it may have been applied.
    Failed(Failure),
    /// To a request of a session.
    InSession(Box<SessionResponse>),
}

/// A key's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadResponse {
    /// What was read.
    pub state: State,
    /// The opaque context token that a write over this state passes on.
    pub context: ByteBuf,
    /// How many replicas the answer was joined from.
    pub answered: u8,
    /// Of a page: where to go on; `None` at the end.
    pub next: Option<ByteBuf>,
}

/// A key's state by kind. A key that was never written, or was deleted, is the empty one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The concurrent values; none, one, or siblings.
    Value(Vec<ByteBuf>),
    /// The counter's value.
    Counter(i64),
    /// The elements of a set of any kind, in byte order.
    Set(Vec<ByteBuf>),
    /// What the register was assigned last.
    Register(Option<ByteBuf>),
    /// A maximum or minimum, none if nothing was offered; or to [`Part::Count`](super::Part::Count)
    /// how many there are.
    Number(Option<i64>),
    /// Is the flag on?
    Flag(bool),
    /// About how many different things the sketch has seen; or to
    /// [`Part::Estimate`](super::Part::Estimate) about how many elements, items or names of
    /// fields there are.
    Estimate(u64),
    /// The items of a list, in order.
    List(Vec<Item>),
    /// The fields of a map, in byte order of their names.
    Map(Vec<Field>),
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Where it is: a name for it, ordered as the list is.
    pub position: ByteBuf,
    /// What it is.
    pub item: ByteBuf,
}

/// A field of a map. A name may stand for one field of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: ByteBuf,
    /// Its kind.
    pub kind: Kind,
    /// Its state.
    pub state: State,
}

/// The keys of a partition key, in the order of their sort keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanResponse {
    /// The keys that hold something.
    pub keys: Vec<ScannedKey>,
    /// Where to go on; `None` at the end.
    pub next: Option<ByteBuf>,
    /// How many replicas the answer was joined from.
    pub answered: u8,
}

/// One key of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedKey {
    /// Its sort key.
    pub sort: ByteBuf,
    /// Its state.
    pub state: State,
    /// The context token for a write over it.
    pub context: ByteBuf,
}

/// Keys of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysResponse {
    /// The keys that hold something.
    pub keys: Vec<Key>,
    /// Where to go on; `None` at the end of the ring's partition.
    pub next: Option<ByteBuf>,
}

/// A write that reached what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteResponse {
    /// For each key its context after the write: the next write over it needs no read.
    pub contexts: Vec<ByteBuf>,
    /// How many replicas had it when the answer was given: owners, and stand-ins.
    pub acks: u8,
    /// The state at the coordinator, if it was asked for.
    pub state: Option<State>,
    /// The operation had been applied before: this was a retry that counted once.
    pub repeated: bool,
    /// How many of those that had it are stand-ins, which keep it for owners that were away.
    #[serde(default)]
    pub stand_ins: u8,
    /// How many owners the key has.
    #[serde(default)]
    pub owners: u8,
}

/// A bucket's properties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Replicas of each key.
    pub n: u8,
    /// What becomes of values that were written at the same time.
    pub siblings: Siblings,
    /// Default for reads.
    pub r: u8,
    /// Default for writes.
    pub w: u8,
    /// Default for writes.
    pub durability: Durability,
    /// Default for writes: may stand-ins take the place of owners that are away?
    #[serde(default)]
    pub sloppy: bool,
}

/// What a client routes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The cluster id, 16 bytes.
    pub cluster: ByteBuf,
    /// The current layout, as `ring` encodes it with MessagePack.
    pub layout: ByteBuf,
    /// Where the members are.
    pub members: Vec<MemberAddress>,
    /// All buckets.
    pub buckets: Vec<Bucket>,
}

/// Where a member can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberAddress {
    /// The node's number.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// `host:port` of its QUIC endpoint, best first.
    pub addresses: Vec<String>,
}

/// What a node knows of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The cluster id, 16 bytes.
    pub cluster: ByteBuf,
    /// The answering node.
    pub node: u64,
    /// The layout's epoch and the first hex digits of its digest.
    pub layout: String,
    /// Partitions on the ring.
    pub partitions: u32,
    /// The members, this node first.
    pub members: Vec<MemberStatus>,
}

/// One member, as the answering node sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its number.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// Its failure domain.
    pub zone: String,
    /// `host:port` of its QUIC endpoint.
    pub address: String,
    /// Does the answering node count it as reachable? Its own calls to it succeed, and the members
    /// do not hold it for down.
    pub reachable: bool,
    /// Why not, or what it is doing.
    pub note: String,
    /// Round trip in microseconds; 0 when unknown.
    pub rtt_us: u64,
    /// Vnodes it owns (with the default n).
    pub vnodes: u32,
    /// Vnodes that are catching up after a crash; they do not count for reads.
    pub catching_up: u32,
    /// Rows it holds, roughly.
    pub rows: u64,
    /// Bytes on its disk.
    pub disk_bytes: u64,
    /// Client reads and writes it has coordinated since it started.
    pub reads: u64,
    /// Client writes it has coordinated since it started.
    pub writes: u64,
    /// Dots that this node has and the answering node lacks, over the vnodes both own.
    pub missing_here: u64,
    /// Dots that the answering node has and this one lacks, over the vnodes both own.
    pub missing_there: u64,
    /// What the answering node holds it for.
    #[serde(default)]
    pub view: MemberView,
    /// What it keeps, as a stand-in, for owners that were away.
    #[serde(default)]
    pub hints: Vec<HintStatus>,
    /// Its vnodes that are damaged and in no use.
    #[serde(default)]
    pub vnodes_quarantined: u32,
    /// What came of comparing the content of its rows with the other owners.
    #[serde(default)]
    pub scrub: ScrubStatus,
    /// How far its wall clock is ahead of those of most nodes, in milliseconds: it goes by theirs.
    /// 0 if it agrees with them.
    #[serde(default)]
    pub clock_ahead_ms: i64,
    /// For the owners of how many partitions it keeps writes that are damaged or cannot be read:
    /// those are not handed over.
    #[serde(default)]
    pub hints_damaged: u32,
}

/// What came of comparing the content of a node's rows with the other owners, since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubStatus {
    /// Vnodes that were walked over from their first row to their last, each time counted.
    pub walked: u64,
    /// Versions that it alone had lost, and has again.
    pub restored: u64,
    /// Versions on which owners differ and nobody can say who is right; nothing was changed.
    pub alarms: u64,
    /// Stretches of rows that could not be compared, and are tried again in the next walk.
    pub given_up: u64,
    /// For how long, in milliseconds, some vnode of it was not found equal to all other owners;
    /// from its start where it never was.
    pub unagreed_ms: u64,
}

/// What a node knows of one of its vnodes: its replica of one partition, for one n.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnodeStatus {
    /// Which partition of the ring.
    pub ring_partition: u32,
    /// How many replicas the keys in it have.
    pub n: u8,
    /// How many other owners there are.
    pub others: u8,
    /// It may lack what it once acknowledged, and does not count for reads.
    pub catching_up: bool,
    /// What is damaged in it, so that it is in no use; empty for nothing.
    pub damage: String,
    /// How long ago, in milliseconds, all its rows were last found equal to those of all other
    /// owners; `None` if never since the node started.
    pub agreed_ms_ago: Option<u64>,
}

/// What a node keeps for one owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HintStatus {
    /// The owner's number.
    pub node: u64,
    /// Writes that the owner is not known to hold durably.
    pub events: u64,
    /// About how many bytes they take, with what is kept for other owners of the same keys.
    pub bytes: u64,
    /// How old the oldest may be, in milliseconds.
    pub age_ms: u64,
}

/// Every replica's rows of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// The bucket.
    pub bucket: Bucket,
    /// The key's token.
    pub token: u64,
    /// The key's partition.
    pub partition: u32,
    /// One entry for each owner, in the order of the preference list.
    pub replicas: Vec<ReplicaState>,
    /// In words: are the replicas equal, and if not who lacks what.
    pub verdict: String,
    /// Whether all owners answered and agree.
    pub equal: bool,
}

/// One replica of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaState {
    /// The owner.
    pub node: u64,
    /// Its name.
    pub name: String,
    /// Why it did not answer; empty if it did.
    pub error: String,
    /// It is catching up and does not count for reads.
    pub catching_up: bool,
    /// Its rows of the key.
    pub rows: Vec<RowState>,
    /// The vnode's clock as text, one entry an actor.
    pub clock: Vec<String>,
    /// The dots of this key that other replicas have seen and this one has not, as text.
    pub lacks: Vec<String>,
}

/// One row of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowState {
    /// The names that lead to the field of a map that it is of, outermost first.
    pub path: Vec<ByteBuf>,
    /// What the row is, as `crdt` names it: `value`, `share`, `element` and so on.
    pub leaf: String,
    /// The part: empty, an element, an item's position; an actor or the number of a block as text.
    pub part: ByteBuf,
    /// The versions that are alive.
    pub versions: Vec<VersionState>,
    /// The row's context as text; empty when the clock explains all.
    pub context: String,
}

/// One version of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionState {
    /// Its dot as text.
    pub dot: String,
    /// Its stamp: milliseconds since the Unix epoch.
    pub hlc_ms: u64,
    /// The operation that wrote it, as text; empty if none.
    pub operation: String,
    /// When it ends: milliseconds since the Unix epoch; `None` if never.
    pub expires_ms: Option<u64>,
    /// The body: the bytes of a value, register or item; of everything else what it says, as text.
    pub body: ByteBuf,
}
