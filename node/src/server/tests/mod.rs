//! The desk from outside: bytes in, orders and answers out.

mod accept;
mod contexts;
mod inspect;
mod respond;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_bytes::ByteBuf;

use super::{Accepted, Desk, Posture, Shape};
use crate::protocol::cluster::{BucketStamp, ClusterState, InitMember, InitPlan, Secret};
use crate::protocol::coordinator::Order;
use crate::protocol::time::{Moment, Time};
use crdt::{Actor, Context, Dot, Hlc, Row, Version};
use ring::{Address, ClusterId, MemberName, NodeId, QBits, ReplicaCount, Zone};
use starling::wire::{
    self, Failure, Key, Kind, Mutation, OperationId, ReadRequest, Request, Response, WriteRequest,
};

/// The state of a cluster with the buckets `values`, `counts` and `sets`.
fn cluster(nodes: u64) -> ClusterState {
    let member = |id| InitMember {
        node: NodeId(id),
        name: MemberName::new(format!("node-{id}")).unwrap(),
        addresses: vec![Address::new(format!("127.0.0.1:{}", 7400 + id)).unwrap()],
        zone: Zone::new("z").unwrap(),
        weight: 100,
    };
    let mut state = ClusterState::from_plan(&InitPlan {
        cluster: ClusterId(7),
        secret: Secret::new([9; 16]),
        members: (1..=nodes).map(member).collect(),
        q_bits: QBits::new(4).unwrap(),
        n: ReplicaCount::DEFAULT,
    })
    .unwrap();
    let stamp = BucketStamp {
        wall_ms: 0,
        node: NodeId(1),
    };
    for (name, kind) in [
        ("values", Kind::Value),
        ("counts", Kind::Counter),
        ("sets", Kind::Set),
    ] {
        state
            .buckets
            .create(name, kind, ReplicaCount::DEFAULT, stamp)
            .unwrap();
    }
    state
}

/// The desk of node 1 of a cluster.
fn desk_of(state: &ClusterState) -> Desk {
    let mut desk = Desk::new(NodeId(1));
    desk.refresh(state);
    desk.set_posture(Posture::Serving);
    desk
}

fn desk() -> Desk {
    desk_of(&cluster(3))
}

fn now() -> Moment {
    Moment {
        time: Time::at(Duration::from_secs(10)),
        wall_ms: 1_000,
    }
}

fn read(bucket: &str, kind: Kind) -> ReadRequest {
    ReadRequest {
        bucket: bucket.to_owned(),
        kind,
        key: Key::from("ada"),
        element: None,
        r: None,
        local: false,
        timeout_ms: 1_000,
    }
}

fn write(bucket: &str, mutation: Mutation) -> WriteRequest {
    WriteRequest {
        bucket: bucket.to_owned(),
        key: Key::from("ada"),
        mutation,
        context: ByteBuf::new(),
        operation: OperationId {
            client: (1, 2),
            sequence: 3,
        },
        age_ms: 0,
        w: None,
        durability: None,
        return_value: false,
        timeout_ms: 1_000,
    }
}

fn put() -> Mutation {
    Mutation::Put(ByteBuf::from(b"v"))
}

fn encoded(request: &Request) -> Bytes {
    let mut bytes = BytesMut::new();
    wire::encode(request, &mut bytes).unwrap();
    bytes.freeze()
}

fn accept(desk: &Desk, request: &Request) -> Accepted {
    desk.accept(now(), &encoded(request))
}

/// The order that a request becomes.
fn ordered(desk: &Desk, request: &Request) -> (Order, Shape) {
    match accept(desk, request) {
        Accepted::Order { order, shape } => (order, shape),
        other => panic!("no order: {other:?}"),
    }
}

/// The failure that a request is answered with.
fn refused(desk: &Desk, request: &Request) -> Failure {
    match accept(desk, request) {
        Accepted::Reply(Response::Failed(failure)) => failure,
        other => panic!("no failure: {other:?}"),
    }
}

fn dot(node: u64, counter: u64) -> Dot {
    Dot::new(Actor { node, nonce: 5 }, counter)
}

/// A row with one version.
fn row(dot: Dot, body: impl Into<Bytes>) -> Row {
    let version = Version {
        hlc: Hlc::at(1_000),
        op: None,
        body: body.into(),
    };
    Row::write(dot, version, Context::default())
}
