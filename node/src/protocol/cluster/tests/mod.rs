//! Laws of the cluster's state, and transcripts of its exchange.

mod exchange;
mod state;

use super::{InitMember, InitPlan, Secret};
use ring::{Address, ClusterId, MemberName, NodeId, QBits, ReplicaCount, Zone};

fn node(id: u64) -> NodeId {
    NodeId(id)
}

fn member(id: u64) -> InitMember {
    InitMember {
        node: node(id),
        name: MemberName::new(format!("node-{id}")).unwrap(),
        addresses: vec![Address::new(format!("127.0.0.1:{}", 7400 + id)).unwrap()],
        zone: Zone::new(format!("zone-{id}")).unwrap(),
        weight: 100,
    }
}

fn plan(members: impl IntoIterator<Item = u64>) -> InitPlan {
    InitPlan {
        cluster: ClusterId(7),
        secret: Secret::new([9; 16]),
        members: members.into_iter().map(member).collect(),
        q_bits: QBits::new(3).unwrap(),
        n: ReplicaCount::DEFAULT,
    }
}
