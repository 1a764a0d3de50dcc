//! What client and node say to each other, as bytes: no sockets.
//!
//! ```text
//!   message = u8 version (1) | MessagePack of the request or response, as compact arrays
//! ```
//!
//! New fields go at the end with `#[serde(default)]`, so that a new reader accepts an old message;
//! what an old reader would not accept gets a new version byte. Decoding is total and refuses
//! trailing bytes.

#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

mod codec;
mod failure;
mod kinds;
mod limits;
mod members;
mod requests;
mod responses;
mod session;
mod siblings;

pub use codec::{VERSION, WireError, decode, encode};
pub use failure::{Failure, FailureKind, Outcome};
pub use kinds::{Edit, Kind, Mutation, UnknownKind};
pub use limits::{
    LimitError, MAX_BUCKET_NAME, MAX_CONTEXT, MAX_DEPTH, MAX_EDITS, MAX_ELEMENT, MAX_ELEMENTS,
    MAX_FIELD_NAME, MAX_ITEMS, MAX_KEY, MAX_MESSAGE, MAX_PAGE, MAX_VALUE, check_context,
    check_element, check_path, validate_bucket_name,
};
pub use members::{EdgeInfo, MemberInfo, MemberView, RecordInfo, Suspecting};
pub use requests::{
    CreateBucket, Durability, InspectRequest, Key, KeysRequest, OperationId, Page, Part,
    ReadRequest, Request, ScanRequest, WriteItem, WriteRequest,
};
pub use responses::{
    Bucket, Field, HintStatus, Inspection, Item, KeysResponse, MemberAddress, MemberStatus,
    ReadResponse, ReplicaState, Response, RowState, ScanResponse, ScannedKey, ScrubStatus, State,
    Status, Topology, VersionState, VnodeStatus, WriteResponse,
};
pub use session::{MAX_SEEN, SessionDone, SessionRequest, SessionResponse, SessionWork};
pub use siblings::{Siblings, UnknownSiblings};
