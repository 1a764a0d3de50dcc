//! What travels in a frame between nodes.
//!
//! ```text
//!   request = u8 lane | message       reply = u8 lane | message
//!   lane 1   between replicas            u32 time left | PeerRequest, PeerReply
//!   lane 2   about the cluster           ClusterRequest, ClusterReply
//!   lane 3   a report, for `status`      empty, Report
//!   lane 4   gossip, one way             a message of `ring::gossip`, which has no reply
//! ```
//!
//! The time left, in milliseconds and big endian, is how long the asker waits for the answer. It is
//! a duration, since no two nodes need agree on what time it is: it runs from when the request has
//! arrived.
//!
//! Gossip that fits into a datagram travels in one, without a lane.
//!
//! A message is a version byte and MessagePack ([`codec`]). The first request on a connection is a
//! hello, or the plan of `starling init`. Decoding is total; what is no message gets a refusal.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::protocol::cluster::{ClusterReply, ClusterRequest};
use crate::protocol::messages::codec::{self, MessageError};
use crate::protocol::messages::{PeerReply, PeerRequest};
use starling::wire::{HintStatus, ScrubStatus};

/// What one node asks of another.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// A replica asks a replica.
    Replica {
        /// How long it waits for the answer, to the millisecond.
        left: Duration,
        /// What.
        request: PeerRequest,
    },
    /// About the cluster.
    Cluster(ClusterRequest),
    /// How are you?
    Report,
    /// A message of gossip; nobody answers.
    Gossip(Bytes),
}

/// What the other answers.
#[derive(Clone, Debug)]
pub(crate) enum Answered {
    /// To [`Asked::Replica`].
    Replica(PeerReply),
    /// To [`Asked::Cluster`].
    Cluster(ClusterReply),
    /// To [`Asked::Report`].
    Report(Report),
}

/// What a node says of itself when somebody asks for the cluster's status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Vnodes that are catching up.
    pub(crate) catching_up: u32,
    /// Rows of keys, about.
    pub(crate) rows: u64,
    /// Bytes of the store's files.
    pub(crate) disk_bytes: u64,
    /// Reads coordinated since the start.
    pub(crate) reads: u64,
    /// Writes coordinated since the start.
    pub(crate) writes: u64,
    /// What it keeps for owners that were away.
    #[serde(default)]
    pub(crate) hints: Vec<HintStatus>,
    /// Vnodes that are damaged and in no use.
    #[serde(default)]
    pub(crate) vnodes_quarantined: u32,
    /// What came of comparing contents.
    #[serde(default)]
    pub(crate) scrub: ScrubStatus,
    /// How far its wall clock is ahead of those of most nodes, in milliseconds; 0 if it agrees.
    #[serde(default)]
    pub(crate) clock_ahead_ms: i64,
    /// Partitions for whose owners it keeps what is damaged or cannot be read.
    #[serde(default)]
    pub(crate) hints_damaged: u32,
}

impl Asked {
    /// The bytes of a frame.
    pub(crate) fn encode(&self) -> Result<Bytes, MessageError> {
        match self {
            Self::Replica { left, request } => {
                let left = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
                let message = codec::encode(request)?;
                Ok([&[REPLICA][..], &left.to_be_bytes(), &message]
                    .concat()
                    .into())
            }
            Self::Cluster(request) => framed(CLUSTER, codec::encode(request)?),
            Self::Report => Ok(Bytes::from_static(&[REPORT])),
            Self::Gossip(message) => framed(GOSSIP, message.to_vec()),
        }
    }

    /// The request in a frame.
    pub(crate) fn decode(frame: &[u8]) -> Result<Self, MessageError> {
        match frame.split_first() {
            Some((&REPLICA, rest)) => {
                let (left, message) = rest.split_first_chunk().ok_or(MessageError::Empty)?;
                let left = Duration::from_millis(u32::from_be_bytes(*left).into());
                let request = codec::decode(message)?;
                Ok(Self::Replica { left, request })
            }
            Some((&CLUSTER, message)) => codec::decode(message).map(Self::Cluster),
            Some((&REPORT, [])) => Ok(Self::Report),
            Some((&GOSSIP, message)) => Ok(Self::Gossip(Bytes::copy_from_slice(message))),
            other => Err(unknown(other)),
        }
    }
}

impl Answered {
    /// What a replica says, unless somebody else does.
    pub(crate) fn into_replica(self) -> Option<PeerReply> {
        match self {
            Self::Replica(reply) => Some(reply),
            Self::Cluster(_) | Self::Report(_) => None,
        }
    }

    /// The bytes of a frame.
    pub(crate) fn encode(&self) -> Result<Bytes, MessageError> {
        match self {
            Self::Replica(reply) => framed(REPLICA, codec::encode(reply)?),
            Self::Cluster(reply) => framed(CLUSTER, codec::encode(reply)?),
            Self::Report(report) => framed(REPORT, codec::encode(report)?),
        }
    }

    /// The reply in a frame.
    pub(crate) fn decode(frame: &[u8]) -> Result<Self, MessageError> {
        match frame.split_first() {
            Some((&REPLICA, message)) => codec::decode(message).map(Self::Replica),
            Some((&CLUSTER, message)) => codec::decode(message).map(Self::Cluster),
            Some((&REPORT, message)) => codec::decode(message).map(Self::Report),
            other => Err(unknown(other)),
        }
    }
}

fn framed(lane: u8, mut message: Vec<u8>) -> Result<Bytes, MessageError> {
    message.insert(0, lane);
    Ok(Bytes::from(message))
}

fn unknown(frame: Option<(&u8, &[u8])>) -> MessageError {
    match frame {
        None => MessageError::Empty,
        Some((lane, _)) => MessageError::Malformed {
            reason: format!("no such lane as {lane}"),
        },
    }
}

const REPLICA: u8 = 1;
const CLUSTER: u8 = 2;
const REPORT: u8 = 3;
const GOSSIP: u8 = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Answered, Asked, Bytes, Duration, HintStatus, Report, ScrubStatus};
    use crate::protocol::messages::{PeerReply, PeerRequest};

    #[test]
    fn the_first_bytes_stay() {
        let asked = Asked::Replica {
            left: Duration::from_millis(258),
            request: PeerRequest::Compare(Vec::new()),
        };
        let asked = asked.encode().expect("bytes");
        assert_eq!(&asked[..6], &[1, 0, 0, 1, 2, 1]);
        assert_eq!(&Asked::Report.encode().expect("bytes")[..], &[3]);
        let gossip = Asked::Gossip(Bytes::from_static(b"hi"));
        assert_eq!(&gossip.encode().expect("bytes")[..], b"\x04hi");
        let acked = Answered::Replica(PeerReply::Acked).encode().expect("bytes");
        assert_eq!(&acked[..], b"\x01\x01\xa5Acked");
    }

    #[test]
    fn the_time_that_is_left_arrives_with_the_request() {
        let asked = Asked::Replica {
            left: Duration::from_micros(1_234_567),
            request: PeerRequest::Compare(Vec::new()),
        };
        let bytes = asked.encode().expect("bytes");
        let Ok(Asked::Replica { left, request }) = Asked::decode(&bytes) else {
            panic!("another request than was sent");
        };
        assert_eq!(left, Duration::from_millis(1_234));
        assert_eq!(request, PeerRequest::Compare(Vec::new()));
    }

    #[test]
    fn what_is_sent_arrives() {
        let report = Report {
            catching_up: 1,
            rows: 2,
            disk_bytes: 3,
            reads: 4,
            writes: 5,
            hints: vec![HintStatus {
                node: 6,
                ..HintStatus::default()
            }],
            vnodes_quarantined: 7,
            scrub: ScrubStatus {
                walked: 8,
                ..ScrubStatus::default()
            },
            clock_ahead_ms: -9,
            hints_damaged: 10,
        };
        let bytes = Answered::Report(report.clone()).encode().expect("bytes");
        let back = Answered::decode(&bytes).expect("a reply");
        assert!(matches!(back, Answered::Report(back) if back == report));
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_message_or_an_error(lane in 0_u8..5, rest in any::<Vec<u8>>()) {
            let frame = [&[lane][..], &rest].concat();
            drop(Asked::decode(&frame));
            drop(Answered::decode(&frame));
            drop(Asked::decode(&rest));
        }
    }
}
