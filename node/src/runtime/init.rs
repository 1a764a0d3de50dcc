//! Beginning a cluster: the plan goes to its nodes, and those that take it tell the others.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;

use super::envelope::{Answered, Asked};
use super::peers::resolve;
use super::start::{StartError, endpoint};
use crate::config::Config;
use crate::protocol::cluster::{
    ClusterReply, ClusterRequest, ClusterState, InitMember, InitPlan, PlanError,
};
use crate::protocol::messages::codec::MessageError;
use ring::{ClusterId, NodeId};
use starling::transport::{Alpn, Connection, Endpoint, EndpointConfig, Expect, TransportError};

/// What came of sending a plan: at least one node belongs to the cluster now, and the others learn
/// it from that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitReport {
    /// The cluster.
    pub cluster: ClusterId,
    /// Each node of the plan, and what it said.
    pub nodes: Vec<(NodeId, InitAnswer)>,
}

/// What one node said to a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitAnswer {
    /// It begins the cluster.
    Begun,
    /// It belonged to the cluster before; the plan changed nothing.
    Already,
    /// It could not be reached, and learns from the others.
    Unreachable {
        /// Why.
        reason: String,
    },
    /// It refused.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Why there is no cluster.
#[derive(Debug)]
pub enum InitError {
    /// The certificates cannot be used.
    Start(StartError),
    /// The plan makes no cluster.
    Plan(PlanError),
    /// The plan has no form in bytes.
    Encoding(MessageError),
    /// The plan is for another cluster than the certificates.
    OtherCluster {
        /// The cluster of this node's certificate.
        ours: ClusterId,
        /// The cluster of the plan.
        plan: ClusterId,
    },
    /// No node took the plan.
    NobodyAccepted {
        /// What each node said.
        nodes: Vec<(NodeId, InitAnswer)>,
    },
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Plan(error) => error.fmt(f),
            Self::Encoding(error) => error.fmt(f),
            Self::OtherCluster { ours, plan } => write!(
                f,
                "the plan is for cluster {plan} and this node's certificate for {ours}; nothing \
                 was changed: use certificates of one authority"
            ),
            Self::NobodyAccepted { nodes } => {
                f.write_str("no node took the plan; nothing was changed:")?;
                for (node, answer) in nodes {
                    write!(f, "\n  node {node}: {answer}")?;
                }
                f.write_str("\nstart the nodes and run `starling init` again")
            }
        }
    }
}

impl std::error::Error for InitError {}

impl fmt::Display for InitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (node, answer)) in self.nodes.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}node {node} {answer}")?;
        }
        Ok(())
    }
}

impl fmt::Display for InitAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun => f.write_str("begins the cluster"),
            Self::Already => f.write_str("belongs to the cluster already"),
            Self::Unreachable { reason } => write!(f, "cannot be reached: {reason}"),
            Self::Refused { reason } => write!(f, "refuses: {reason}"),
        }
    }
}

/// Sends a plan to every node that it names, under the certificate of `config`. Waits a few seconds
/// for each.
///
/// # Errors
/// When the certificates or the plan cannot be used, or no node takes the plan. Nothing was changed
/// then, but at nodes whose answer was lost.
pub async fn send_init(config: &Config, plan: InitPlan) -> Result<InitReport, InitError> {
    let mut settings = endpoint(config).map_err(InitError::Start)?;
    settings.accept = None;
    let principal = settings
        .identity
        .as_ref()
        .map(|identity| identity.principal());
    if let Some(ours) = principal.map(|principal| principal.cluster)
        && ours != plan.cluster
    {
        return Err(InitError::OtherCluster {
            ours,
            plan: plan.cluster,
        });
    }
    // What no node could take is refused before any is asked.
    ClusterState::from_plan(&plan).map_err(InitError::Plan)?;
    let endpoint =
        open(settings).map_err(|error| InitError::Start(StartError::Transport(error)))?;
    let (cluster, members) = (plan.cluster, plan.members.clone());
    let frame = Asked::Cluster(ClusterRequest::Init(plan))
        .encode()
        .map_err(InitError::Encoding)?;
    let mut nodes = Vec::new();
    for member in &members {
        let expect = Expect {
            cluster,
            node: Some(member.node),
        };
        nodes.push((member.node, send(&endpoint, member, expect, &frame).await));
    }
    let accepted = |(_, answer): &(NodeId, InitAnswer)| {
        matches!(answer, InitAnswer::Begun | InitAnswer::Already)
    };
    if nodes.iter().any(accepted) {
        Ok(InitReport { cluster, nodes })
    } else {
        Err(InitError::NobodyAccepted { nodes })
    }
}

/// A socket for both families, or where there is no IPv6 for the other one.
fn open(settings: EndpointConfig) -> Result<Endpoint, TransportError> {
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let v4 = SocketAddr::from(([0, 0, 0, 0], 0));
    Endpoint::bind(v4, settings.clone()).or_else(|_| Endpoint::bind(both, settings))
}

async fn send(
    endpoint: &Endpoint,
    member: &InitMember,
    expect: Expect,
    frame: &Bytes,
) -> InitAnswer {
    match call(endpoint, member, expect, frame).await {
        Ok(ClusterReply::Initialised { already: false }) => InitAnswer::Begun,
        Ok(ClusterReply::Initialised { already: true }) => InitAnswer::Already,
        Ok(ClusterReply::Refused(refusal)) => InitAnswer::Refused {
            reason: refusal.to_string(),
        },
        Ok(
            ClusterReply::Welcome { .. }
            | ClusterReply::Same
            | ClusterReply::State(_)
            | ClusterReply::Blank
            | ClusterReply::Joined,
        ) => InitAnswer::Refused {
            reason: "it answered something else".to_owned(),
        },
        Err(reason) => InitAnswer::Unreachable { reason },
    }
}

async fn call(
    endpoint: &Endpoint,
    member: &InitMember,
    expect: Expect,
    frame: &Bytes,
) -> Result<ClusterReply, String> {
    let mut reason = "the plan says no address".to_owned();
    for address in &member.addresses {
        let connection = match resolve(address).await {
            Ok(socket) => endpoint.connect(socket, Alpn::Peer, Some(expect)).await,
            Err(error) => {
                reason = error;
                continue;
            }
        };
        match connection {
            Ok(connection) => return ask(&connection, frame).await,
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

async fn ask(connection: &Connection, frame: &Bytes) -> Result<ClusterReply, String> {
    let reply = connection.call(frame.clone(), ANSWER_WITHIN).await;
    let reply = reply.map_err(|error| error.to_string())?;
    match Answered::decode(&reply) {
        Ok(Answered::Cluster(reply)) => Ok(reply),
        Ok(Answered::Replica(_) | Answered::Report(_)) => Err("it answered nonsense".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
