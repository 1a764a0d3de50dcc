//! What replicas say to each other, as values; [`codec`] makes them bytes.
//!
//! | request | reply | what for |
//! |---|---|---|
//! | [`Replicate`] | [`PeerReply::Acked`] | the write path: deltas under their dots |
//! | [`Again`] | [`PeerReply::Acked`] | a repeated operation: who lacks its events pulls them |
//! | [`Absorb`] | [`PeerReply::Acked`] | delivered hints: containers with their dots |
//! | [`Kept`] | [`PeerReply::Acked`] | deltas, or a repeated operation, for a stand-in |
//! | [`ReadRows`] | [`PeerReply::Rows`] | the read path |
//! | [`PeerRequest::Repair`] | [`PeerReply::Acked`] | read repair: "pull this key from me" |
//! | [`Grant`] | [`PeerReply::Acked`] | a bounded counter: "grant me rights", perhaps in vain |
//! | [`PeerRequest::Compare`] | [`PeerReply::Differences`] | dot pull, step 1: what differs |
//! | [`Pull`] | [`PeerReply::Pulled`] | dot pull, step 2: the rows behind missing dots |
//! | [`PullKey`] | [`PeerReply::Pulled`] | the same for all missing dots of one key |
//! | [`Sync`] | [`PeerReply::Page`] | a full sync, when the dotlog is trimmed: the vnode by pages |
//! | [`Examine`] | [`PeerReply::Examined`] | scrub: what the rows of ranges come to |

pub mod codec;
mod encoded;
mod reading;
mod scrubbing;
mod storing;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::keys::{KeyPrefix, RowKey};
use crdt::dots::DotSet;
use crdt::{Clock, Row};
pub use reading::{Range, ReadRows, RowsRead, Selection};
use ring::VnodeId;
pub use scrubbing::{Examine, Examined, MAX_BOUNDS};
use starling::wire::Durability;
pub use storing::{Absorb, Again, Kept};

/// What one replica asks of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerRequest {
    /// Store new deltas.
    Replicate(Replicate),
    /// Hold the events of a repeated operation.
    Again(Again),
    /// Store containers with their dots.
    Absorb(Absorb),
    /// Keep this for the owners: this node owns nothing of it.
    Keep(Kept),
    /// Read rows with the clock that belongs to them.
    Read(ReadRows),
    /// Pull what you lack of this key from me.
    Repair {
        /// The vnode.
        vnode: VnodeId,
        /// The key.
        #[serde(with = "encoded")]
        prefix: KeyPrefix,
    },
    /// Grant me rights of this bounded counter.
    Grant(Grant),
    /// Here are my clocks' fingerprints: which of yours differ?
    Compare(Vec<Fingerprint>),
    /// Send the rows behind these dots.
    Pull(Pull),
    /// Send what I lack of this key.
    PullKey(PullKey),
    /// Send a page of the whole vnode.
    Sync(Sync),
    /// What do the rows of these ranges come to?
    Examine(Examine),
}

/// What the other answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerReply {
    /// Stored, as durably as was asked, or had been before.
    Acked,
    /// To [`PeerRequest::Read`].
    Rows(RowsRead),
    /// To [`PeerRequest::Compare`].
    Differences(Differences),
    /// To [`PeerRequest::Pull`] and [`PeerRequest::PullKey`].
    Pulled(Pulled),
    /// To [`PeerRequest::Sync`].
    Page(Box<Page>),
    /// To [`PeerRequest::Examine`].
    Examined(Examined),
    /// Nothing was done.
    Refused(Refusal),
}

/// Why a peer did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It does not own the vnode in its layout.
    NotOwner,
    /// It has not recovered yet.
    Starting,
    /// Its disk is full.
    DiskFull,
    /// Its store failed.
    Storage,
    /// The request makes no sense to it.
    Malformed,
    /// It has too much to do.
    Overloaded,
    /// The answer would be over the limit of a message.
    TooLarge,
    /// It lacks earlier increments that this one builds on, and pulls them; or it is in the middle
    /// of a full sync, which brings this one or what became of it.
    Behind,
    /// Its copy of the vnode is damaged, and kept from use until it is filled anew.
    Quarantined,
    /// It keeps as many hints as it may, or keeps some for too long already, or keeps none at all.
    HintsFull,
}

/// One new event and what it does to its row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The event.
    #[serde(with = "encoded")]
    pub event: Event,
    /// The delta.
    #[serde(with = "encoded")]
    pub delta: Row,
}

/// New deltas for a vnode. The events of one atomic batch travel together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicate {
    /// The vnode.
    pub vnode: VnodeId,
    /// How durable they must be before the ack.
    pub durability: Durability,
    /// The changes, in the order of their dots.
    pub changes: Vec<Change>,
}

/// Asks for rights of a bounded counter. They come as a change of the other's row, if at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The vnode.
    pub vnode: VnodeId,
    /// The counter.
    #[serde(with = "encoded")]
    pub prefix: KeyPrefix,
    /// How much the asker lacks.
    pub lacking: u64,
}

/// Rows as they stand at their sender, and the dots that they bring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The events to enter; every one's row is in `rows`.
    #[serde(with = "encoded::list")]
    pub events: Vec<Event>,
    /// The rows, not filled.
    pub rows: Vec<KeyedRow>,
    /// The bases of the sender's clock, one atomic pair with the rows: what fills them.
    #[serde(with = "encoded")]
    pub bases: Clock,
    /// Of those, the dots that the receiver lacks and the sender has trimmed: nothing but the rows
    /// says what they were. Empty unless the receiver lost its disk.
    #[serde(with = "encoded")]
    pub trimmed: DotSet,
    /// Dots that the receiver lacks, that do not come along, and whose events the rows may show the
    /// effects of. A dot of which the event does come may be among them.
    #[serde(with = "encoded")]
    pub lent: DotSet,
    /// The nonce of the sender's actor.
    pub sender: u64,
    /// The records of operations whose versions the rows show and whose events are trimmed: an
    /// event would have told of its operation.
    pub records: Vec<KeyedRecord>,
}

/// A row and its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedRow {
    /// The key.
    #[serde(with = "encoded")]
    pub key: RowKey,
    /// The row, not filled.
    #[serde(with = "encoded")]
    pub row: Row,
}

/// What one owner tells another of a vnode that both own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The vnode.
    pub vnode: VnodeId,
    /// The nonce of the asker's actor: what an older one has sent is not waited for any more.
    pub incarnation: u64,
    /// A hash of the asker's clock.
    pub clock: u64,
    /// A hash of what the asker takes for the answerer's durable clock.
    pub known_durable: u64,
}

/// How the answerer's vnodes differ from the fingerprints. What is in neither list is equal, and
/// whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// Those that differ, or whose durable clock is news to the asker, or that are not whole.
    pub differing: Vec<Difference>,
    /// Those that the answerer does not have (yet).
    pub unknown: Vec<VnodeId>,
    /// Milliseconds since the Unix epoch by the answerer's own wall clock, right or wrong.
    pub wall_ms: u64,
}

/// A vnode whose clocks differ, or whose durable clock is news to the asker, or that is not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The vnode.
    pub vnode: VnodeId,
    /// The nonce of the answerer's actor: a new one forgets what was known of the old.
    pub incarnation: u64,
    /// The answerer's clock.
    #[serde(with = "encoded")]
    pub clock: Clock,
    /// The part of it that would survive power loss.
    #[serde(with = "encoded")]
    pub durable: Clock,
    /// It has taken over all that every other owner had seen when it first heard that one.
    pub whole: bool,
}

/// Asks for the rows behind missing dots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// The vnode.
    pub vnode: VnodeId,
    /// The nonce of the asker's actor; an answer to another one is dropped.
    pub incarnation: u64,
    /// The dots.
    #[serde(with = "encoded")]
    pub want: DotSet,
    /// The asker's clock. What it lacks of a wanted dot's row travels with it, wanted or not.
    #[serde(with = "encoded")]
    pub have: Clock,
}

/// Asks for all that is missing of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullKey {
    /// The vnode.
    pub vnode: VnodeId,
    /// The nonce of the asker's actor.
    pub incarnation: u64,
    /// The key.
    #[serde(with = "encoded")]
    pub prefix: KeyPrefix,
    /// The asker's clock.
    #[serde(with = "encoded")]
    pub have: Clock,
}

/// The answer to a pull. It is partial by row: all wanted dots of a row travel with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// The vnode.
    pub vnode: VnodeId,
    /// The asker's incarnation, repeated.
    pub incarnation: u64,
    /// The rows and their dots.
    pub bundle: Bundle,
    /// Wanted dots whose dotlog entries are trimmed here: they need a full sync.
    #[serde(with = "encoded")]
    pub trimmed: DotSet,
    /// More of what was wanted is here: ask again.
    pub more: bool,
}

/// Asks for a page of a vnode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    /// The vnode.
    pub vnode: VnodeId,
    /// The nonce of the asker's actor.
    pub incarnation: u64,
    /// Where the page begins.
    pub from: Cursor,
    /// The asker's clock.
    #[serde(with = "encoded")]
    pub have: Clock,
}

/// How far a full sync has come: first all rows in the order of their keys, then all records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// At the first row.
    Rows,
    /// After the row with this key.
    RowsAfter(serde_bytes::ByteBuf),
    /// At the first record.
    Records,
    /// After the record with this key.
    RecordsAfter(serde_bytes::ByteBuf),
}

/// The record of an operation, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedRecord {
    /// Its key.
    pub key: serde_bytes::ByteBuf,
    /// Its value.
    pub value: serde_bytes::ByteBuf,
}

/// A page of a vnode in key order: rows or records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The vnode.
    pub vnode: VnodeId,
    /// The asker's incarnation, repeated.
    pub incarnation: u64,
    /// The nonce of the sender's actor: pages of two incarnations do not make one vnode.
    pub sender: u64,
    /// The rows of the page, and what is logged of them that the asker lacks. Rows that share a
    /// span with those may lie outside of the page.
    pub bundle: Bundle,
    /// The records of the page.
    pub records: Vec<KeyedRecord>,
    /// Where the page begins, as it was asked.
    pub from: Cursor,
    /// Where the next one begins; `None` when this is the last.
    pub next: Option<Cursor>,
    /// The dots that the sender has seen and no longer logs. The asker enters the first page's when
    /// it has the last; what is logged it pulls.
    #[serde(with = "encoded")]
    pub unlogged: Clock,
}
