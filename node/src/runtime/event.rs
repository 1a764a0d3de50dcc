//! What reaches the node loop. Everything that happens outside of it is one of these, in one queue.
//!
//! The queue has no bound of its own, because its senders have: a connection reads no further while
//! 8,192 of its requests are unanswered, replies answer calls that are bounded too, and the
//! committer answers what it was handed.

use std::sync::Arc;

use bytes::Bytes;

use super::envelope::Asked;
use crate::protocol::messages::codec::MessageError;
use crate::protocol::replica::Output;
use crate::protocol::time::{Moment, Time};
use ring::{Address, NodeId};
use starling::transport::{Connection, Incoming, Principal, ReplyTo};

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A client asks something.
    Client {
        /// Who it proved to be, if anybody.
        principal: Arc<Option<Principal>>,
        /// When the request was here, which is before the loop comes to it.
        arrived: Moment,
        /// The request.
        incoming: Incoming,
    },
    /// Another node asks something.
    Peer {
        /// Which.
        from: NodeId,
        /// When the request was here.
        arrived: Time,
        /// What, or why it is no message.
        asked: Result<Asked, MessageError>,
        /// The size of the frame.
        bytes: usize,
        /// Where the answer goes.
        reply: ReplyTo,
    },
    /// A call was answered, or will not be.
    Reply {
        /// Whose call it was.
        caller: Caller,
        /// Whom it was to.
        from: NodeId,
        /// The frame, if there is one.
        frame: Option<Bytes>,
    },
    /// A connection to a peer is up.
    Reachable {
        /// The peer.
        peer: NodeId,
        /// The connection to call it on.
        connection: Connection,
    },
    /// There is no connection to a peer, or no longer.
    Unreachable {
        /// The peer.
        peer: NodeId,
        /// Why not.
        reason: String,
    },
    /// A seed has answered while this node reached nobody.
    Found {
        /// Who it is.
        peer: NodeId,
        /// Where.
        address: Address,
    },
    /// A batch is written.
    Outputs(Vec<Output>),
    /// The node is to stop.
    Stop,
}

/// Whose call to a peer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The coordinator's, under its number.
    Coordinator(u64),
    /// The replica's, under its tag.
    Replica(u64),
    /// The exchange's, one at a time for each peer.
    Exchange,
    /// A bucket in the making, under its number.
    Creation(u64),
    /// A status under way, under its number.
    Status(u64),
}
