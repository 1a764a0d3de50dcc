//! How a cluster begins: the plan that `starling init` sends to its nodes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::buckets::Buckets;
use super::secret::Secret;
use super::state::{ClusterState, StateError};
use ring::{
    Address, ClusterId, Incarnation, Layout, LayoutError, Load, Member, MemberMap, MemberMapError,
    MemberName, MemberState, NodeId, NodeRole, NodeState, QBits, ReplicaCount, RoleStamp, Roles,
    Zone,
};

/// A cluster to be. Every node that is handed the same plan computes the same state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitPlan {
    /// Its id, as in the certificates of its nodes.
    pub cluster: ClusterId,
    /// Its secret, drawn at random by whoever makes the plan.
    pub secret: Secret,
    /// Its first members.
    pub members: Vec<InitMember>,
    /// How finely its ring is cut.
    pub q_bits: QBits,
    /// Owners of a key where a bucket does not say otherwise.
    pub n: ReplicaCount,
}

/// One of the first members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitMember {
    /// Its id, as in its certificate.
    pub node: NodeId,
    /// What people call it.
    pub name: MemberName,
    /// Where it takes QUIC connections, best first.
    pub addresses: Vec<Address>,
    /// Its failure domain.
    pub zone: Zone,
    /// Its share of the data relative to the others.
    pub weight: u32,
}

impl ClusterState {
    /// The first state of a cluster.
    ///
    /// # Errors
    /// When the plan names nobody or somebody twice, or exceeds a limit.
    pub fn from_plan(plan: &InitPlan) -> Result<Self, PlanError> {
        let author = plan.members.iter().map(|member| member.node).min();
        let author = author.ok_or(PlanError::NoMembers)?;
        let (mut members, mut roles) = (MemberMap::new(), Roles::new());
        for member in &plan.members {
            if members.member(member.node).is_some() {
                return Err(PlanError::Repeated { node: member.node });
            }
            if member.addresses.is_empty() {
                return Err(PlanError::NoAddress { node: member.node });
            }
            members
                .insert(member.record())
                .map_err(PlanError::Members)?;
            roles.insert(member.node, &member.role(author));
        }
        let layout = Layout::first(roles, plan.q_bits, plan.n).map_err(PlanError::Layout)?;
        let state = Self {
            cluster: plan.cluster,
            secret: plan.secret,
            members,
            layout: Some(layout),
            buckets: Buckets::default(),
        };
        state.encode().map_err(PlanError::State)?;
        Ok(state)
    }
}

impl InitMember {
    /// What the others believe of the node until it speaks for itself.
    fn record(&self) -> Member {
        Member {
            id: self.node,
            incarnation: Incarnation::at(0),
            state: MemberState::Alive,
            version: 0,
            name: self.name.clone(),
            addresses: self.addresses.clone(),
            http: None,
            zone: self.zone.clone(),
            weight: self.weight,
            layout: None,
            load: Load::default(),
            hlc_offset_ms: 0,
        }
    }

    fn role(&self, author: NodeId) -> NodeRole {
        NodeRole {
            stamp: RoleStamp { counter: 1, author },
            state: NodeState::Normal,
            weight: self.weight,
            zone: self.zone.clone(),
        }
    }
}

/// Why a plan makes no cluster. No node was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// It names no node.
    NoMembers,
    /// It names a node twice.
    Repeated {
        /// Which.
        node: NodeId,
    },
    /// It does not say where a node is.
    NoAddress {
        /// Which.
        node: NodeId,
    },
    /// A member record breaks a bound.
    Members(MemberMapError),
    /// The partitions cannot be given to these nodes.
    Layout(LayoutError),
    /// The state would be too large.
    State(StateError),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMembers => {
                f.write_str("the plan names no node; nothing was initialised: name at least one")
            }
            Self::Repeated { node } => write!(
                f,
                "the plan names node {node} twice; nothing was initialised: two nodes cannot \
                 share a certificate, make one for each"
            ),
            Self::NoAddress { node } => write!(
                f,
                "the plan does not say where node {node} is; nothing was initialised: give it an \
                 address"
            ),
            Self::Members(error) => error.fmt(f),
            Self::Layout(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PlanError {}
