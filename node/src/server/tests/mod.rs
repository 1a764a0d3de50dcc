//! The desk from outside: bytes in, orders and answers out.

mod accept;
mod contexts;
mod digests;
mod fields;
mod inspect;
mod kinds;
mod respond;
mod scans;
mod sessions;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_bytes::ByteBuf;

use super::{Accepted, Desk, Posture, Shape};
use crate::protocol::cluster::{
    BucketProperties, BucketStamp, ClusterState, InitMember, InitPlan, Secret,
};
use crate::protocol::coordinator::Order;
use crate::protocol::time::{Moment, Time};
use crate::protocol::vnode::{Action, Command};
use crdt::{Actor, Context, Dot, Hlc, Row, Version};
use ring::{Address, ClusterId, MemberName, NodeId, QBits, ReplicaCount, Zone};
use starling::wire::{
    self, Edit, Failure, Key, Kind, Mutation, OperationId, Part, ReadRequest, Request, Response,
    WriteItem, WriteRequest,
};

/// The state of a cluster with the buckets `values`, `counts`, `sets` and `tickets`.
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
        ("tickets", Kind::BoundedCounter),
    ] {
        state
            .buckets
            .create(
                name,
                BucketProperties::new(kind, ReplicaCount::DEFAULT),
                stamp,
            )
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

/// The desk of a cluster that has a bucket of every kind, called as the kind is.
fn desk_of_all_kinds() -> Desk {
    let mut state = cluster(3);
    for (kind, name) in Kind::ALL {
        let stamp = BucketStamp {
            wall_ms: 0,
            node: NodeId(1),
        };
        let n = ReplicaCount::DEFAULT;
        state
            .buckets
            .create(name, BucketProperties::new(kind, n), stamp)
            .unwrap();
    }
    desk_of(&state)
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
        key: Key::from("ada"),
        path: Vec::new(),
        kind,
        part: Part::Whole,
        r: None,
        local: false,
        timeout_ms: 1_000,
        pr: None,
        monotonic: false,
    }
}

/// What the buckets of these tests hold.
fn kind_of(bucket: &str) -> Kind {
    match bucket {
        "counts" => Kind::Counter,
        "sets" => Kind::Set,
        "tickets" => Kind::BoundedCounter,
        _ => bucket.parse().unwrap_or(Kind::Value),
    }
}

fn write(bucket: &str, mutation: Mutation) -> WriteRequest {
    write_edits(bucket, vec![Edit::of_key(kind_of(bucket), mutation)])
}

fn write_edits(bucket: &str, edits: Vec<Edit>) -> WriteRequest {
    let item = WriteItem {
        sort: ByteBuf::new(),
        edits,
        context: ByteBuf::new(),
        only_if_current: false,
    };
    WriteRequest {
        bucket: bucket.to_owned(),
        partition: ByteBuf::from("ada"),
        items: vec![item],
        operation: OperationId {
            client: (1, 2),
            sequence: 3,
        },
        age_ms: 0,
        ttl_ms: None,
        w: None,
        durability: None,
        return_value: false,
        timeout_ms: 1_000,
        sloppy: None,
        pw: None,
    }
}

/// A write of one key, over what a token has seen of it.
fn over(token: &ByteBuf, mut write: WriteRequest) -> WriteRequest {
    write.items[0].context = token.clone();
    write
}

/// A field of a map.
fn field(names: &[&str], kind: Kind, mutation: Mutation) -> Edit {
    Edit {
        path: names.iter().map(|name| ByteBuf::from(*name)).collect(),
        kind,
        mutation,
    }
}

/// What a write asks the vnode to do to the key itself.
fn actions(order: &Order) -> Vec<&Action> {
    let Order::Write(order) = order else {
        panic!("{order:?}")
    };
    let edits = order.command.targets.iter().flat_map(|t| &t.edits);
    edits.map(|edit| &edit.action).collect()
}

/// What a write of one key builds on.
fn context_of(order: &Order) -> &Context {
    match order {
        Order::Write(order) => &order.command.targets[0].context,
        Order::Read(_) | Order::Inspect(_) => panic!("{order:?}"),
    }
}

fn command_of(order: Order) -> Command {
    match order {
        Order::Write(order) => order.command,
        Order::Read(_) | Order::Inspect(_) => panic!("{order:?}"),
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
        expires_ms: None,
        body: body.into(),
    };
    Row::write(dot, version, Context::default())
}
