//! The desk: what a node needs to know to take orders, refreshed when the cluster's state changes.

use bytes::{Bytes, BytesMut};
use serde_bytes::ByteBuf;

use super::failure;
use super::token::TokenKey;
use crate::protocol::cluster::{Alarm, BucketError, BucketRecord, Buckets, ClusterState};
use ring::{Layout, MemberMap, NodeId, ReplicaCount, Ring};
use starling::wire::{
    self, Bucket, Durability, Failure, FailureKind, MemberAddress, Outcome, Response, SessionDone,
    SessionResponse, Topology, WriteResponse,
};

/// Takes clients' requests for one node.
#[derive(Debug)]
pub struct Desk {
    pub(super) node: NodeId,
    posture: Posture,
    known: Option<Known>,
}

/// Whether a node takes orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posture {
    /// It recovers its vnodes.
    Starting,
    /// It serves.
    Serving,
    /// It finishes what is under way and stops.
    Draining,
    /// It must not coordinate.
    Alarmed(Alarm),
}

/// What a node of a cluster knows.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) ring: Ring,
    pub(super) tokens: TokenKey,
    pub(super) buckets: Buckets,
    pub(super) members: MemberMap,
}

impl Desk {
    /// The desk of a node that belongs to no cluster yet: it refuses everything.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            posture: Posture::Starting,
            known: None,
        }
    }

    /// Takes over what the cluster has agreed on.
    pub fn refresh(&mut self, state: &ClusterState) {
        self.known = state.layout.clone().map(|layout| Known {
            ring: Ring::new(state.cluster, layout),
            tokens: TokenKey::new(state.cluster, &state.secret),
            buckets: state.buckets.clone(),
            members: state.members.clone(),
        });
    }

    /// Whether to take orders from now on.
    pub fn set_posture(&mut self, posture: Posture) {
        self.posture = posture;
    }

    /// Whether it takes orders.
    #[must_use]
    pub fn posture(&self) -> Posture {
        self.posture
    }

    /// The ring it routes by.
    #[must_use]
    pub fn ring(&self) -> Option<&Ring> {
        self.known.as_ref().map(|known| &known.ring)
    }

    /// What to answer to whoever asked for a bucket.
    #[must_use]
    pub fn bucket_created(&self, created: Result<BucketRecord, BucketError>) -> Response {
        let record = created.map_err(|error| failure::of_bucket(&error));
        match (record, &self.known) {
            (Ok(record), Some(known)) => Response::Bucket(bucket(&record, known.ring.layout())),
            (Ok(_), None) => Response::Failed(failure::not_initialised()),
            (Err(failure), _) => Response::Failed(failure),
        }
    }

    /// What to answer when too few members said in time that they have the bucket.
    #[must_use]
    pub fn bucket_below_majority(&self, name: &str, holders: usize, required: usize) -> Response {
        Response::Failed(failure::bucket_below_majority(name, holders, required))
    }

    /// What to answer when too many buckets are being made.
    #[must_use]
    pub fn too_many_creations(&self) -> Response {
        Response::Failed(failure::too_many_creations())
    }

    /// What clients route by.
    pub(super) fn topology(&self) -> Result<Topology, Failure> {
        let known = self.known()?;
        let layout = known.ring.layout();
        let encoded = rmp_serde::to_vec(layout).map_err(|error| failure::of_layout(&error))?;
        let member = |member: &ring::Member| MemberAddress {
            node: member.id.0,
            name: member.name.as_str().to_owned(),
            addresses: member.addresses.iter().map(ToString::to_string).collect(),
        };
        Ok(Topology {
            cluster: ByteBuf::from(known.ring.cluster().0.to_be_bytes().to_vec()),
            layout: ByteBuf::from(encoded),
            members: known.members.iter().map(member).collect(),
            buckets: known
                .buckets
                .iter()
                .map(|record| bucket(record, layout))
                .collect(),
        })
    }

    /// What is known, wherever it is not needed that orders are taken.
    pub(super) fn known(&self) -> Result<&Known, Failure> {
        self.known.as_ref().ok_or_else(failure::not_initialised)
    }

    /// What is known, if orders are taken.
    pub(super) fn serving(&self) -> Result<&Known, Failure> {
        match self.posture {
            // A node without a cluster has nothing to recover: that it waits for one says more.
            Posture::Starting => Err(self
                .known()
                .map_or_else(|failure| failure, |_| failure::starting())),
            Posture::Serving => self.known(),
            Posture::Draining => Err(failure::shutting_down()),
            Posture::Alarmed(alarm) => Err(failure::alarmed(alarm)),
        }
    }
}

impl Known {
    /// What people call a node.
    pub(super) fn name_of(&self, node: NodeId) -> String {
        let member = self.members.member(node);
        member.map_or_else(
            || node.to_string(),
            |member| member.name.as_str().to_owned(),
        )
    }
}

/// A bucket as clients see it. Half of the owners and one are the default for r and w, so that
/// both sides overlap.
pub(super) fn bucket(record: &BucketRecord, layout: &Layout) -> Bucket {
    let majority = majority(layout, record.n);
    Bucket {
        name: record.name.clone(),
        kind: record.kind,
        n: record.n.into(),
        siblings: record.siblings,
        r: majority,
        w: majority,
        durability: DEFAULT_DURABILITY,
        sloppy: record.sloppy,
    }
}

/// More than half of the owners that a bucket really has.
pub(super) fn majority(layout: &Layout, n: ReplicaCount) -> u8 {
    // A width is at most 7.
    u8::try_from(layout.width(n) / 2 + 1).unwrap_or(u8::MAX)
}

/// How durable a write is where the client does not say.
pub(super) const DEFAULT_DURABILITY: Durability = Durability::Wal;

/// The bytes of an answer. One that is too large for a message becomes a smaller one that says so:
/// a write keeps its result and loses the state that was to come with it.
#[must_use]
pub fn encode_response(response: &Response) -> Bytes {
    let mut bytes = BytesMut::new();
    let Err(error) = wire::encode(response, &mut bytes) else {
        return bytes.freeze();
    };
    let too_large = || {
        Response::Failed(Failure {
            kind: FailureKind::TooLarge,
            outcome: Outcome::NotApplied,
            message: format!("the answer does not fit into a message: {error}"),
            retry_after_ms: 0,
        })
    };
    let shorter = without_state(response).unwrap_or_else(too_large);
    match wire::encode(&shorter, &mut bytes) {
        Ok(()) => bytes.freeze(),
        // Neither of the two can be too large. The client takes no bytes for a broken answer.
        Err(_) => Bytes::new(),
    }
}

/// The answer to a write without the state that came with it, if one did.
fn without_state(response: &Response) -> Option<Response> {
    let shorten = |written: &WriteResponse| {
        written.state.as_ref()?;
        Some(WriteResponse {
            state: None,
            ..written.clone()
        })
    };
    match response {
        Response::Written(written) => shorten(written).map(Response::Written),
        Response::InSession(session) => match &session.done {
            SessionDone::Written(written) => {
                let done = SessionDone::Written(shorten(written)?);
                let seen = session.seen.clone();
                Some(Response::InSession(Box::new(SessionResponse {
                    seen,
                    done,
                })))
            }
            SessionDone::Read(_) | SessionDone::Scanned(_) => None,
        },
        _ => None,
    }
}
