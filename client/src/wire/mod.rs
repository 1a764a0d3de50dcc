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
mod limits;
mod requests;
mod responses;

pub use codec::{VERSION, WireError, decode, encode};
pub use failure::{Failure, FailureKind, Outcome};
pub use limits::{
    LimitError, MAX_BUCKET_NAME, MAX_CONTEXT, MAX_ELEMENT, MAX_ELEMENTS, MAX_KEY, MAX_MESSAGE,
    MAX_VALUE, check_context, check_element, validate_bucket_name,
};
pub use requests::{
    CreateBucket, Durability, InspectRequest, Key, Kind, Mutation, OperationId, ReadRequest,
    Request, WriteRequest,
};
pub use responses::{
    Bucket, Inspection, MemberAddress, MemberStatus, ReadResponse, ReplicaState, Response,
    RowState, State, Status, Topology, VersionState, WriteResponse,
};
