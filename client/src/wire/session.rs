//! Requests of sessions: an ordinary request, and what the session has seen.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::limits::at_most;
use super::{
    LimitError, MAX_CONTEXT, ReadRequest, ReadResponse, Response, ScanRequest, ScanResponse,
    WriteRequest, WriteResponse,
};

/// A request whose answer must not fall behind what a session has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRequest {
    /// What it has seen of the keys' partition: the tokens that nodes gave for it.
    pub seen: Vec<ByteBuf>,
    /// What is asked for.
    pub work: SessionWork,
}

/// What can be done in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionWork {
    /// Read a key.
    Read(ReadRequest),
    /// Read the keys of a partition key.
    Scan(ScanRequest),
    /// Change keys.
    Write(WriteRequest),
}

/// The answer to a request of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionResponse {
    /// What the session has seen now of the keys' partition. It takes the place of the tokens that
    /// were sent.
    pub seen: ByteBuf,
    /// The answer itself.
    pub done: SessionDone,
}

/// What came of a request of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionDone {
    /// To a read.
    Read(ReadResponse),
    /// To a scan.
    Scanned(ScanResponse),
    /// To a write.
    Written(WriteResponse),
}

impl SessionRequest {
    /// Checks how much of what it has seen a session sends along.
    ///
    /// # Errors
    /// If that is more than [`MAX_SEEN`] tokens, or more than [`MAX_CONTEXT`] bytes of them.
    pub fn check(&self) -> Result<(), LimitError> {
        at_most("a number of session tokens", self.seen.len(), MAX_SEEN)?;
        let bytes = self.seen.iter().map(|token| token.len()).sum();
        at_most("session tokens in bytes", bytes, MAX_CONTEXT)
    }
}

impl From<SessionDone> for Response {
    fn from(done: SessionDone) -> Self {
        match done {
            SessionDone::Read(read) => Self::Read(read),
            SessionDone::Scanned(scanned) => Self::Scanned(scanned),
            SessionDone::Written(written) => Self::Written(written),
        }
    }
}

/// Tokens that a session sends along for one partition: there is one for each of its operations
/// that were under way at the same time.
pub const MAX_SEEN: usize = 256;
