//! What nodes say to each other about the cluster, as values.
//!
//! They become bytes by [`encode`](crate::protocol::messages::codec::encode) and
//! [`decode`](crate::protocol::messages::codec::decode), like all messages between nodes. A state
//! travels inside as the bytes of [`ClusterState::encode`](super::ClusterState::encode).
//!
//! | request | reply |
//! |---|---|
//! | [`ClusterRequest::Hello`], first on every connection | `Welcome` |
//! | [`ClusterRequest::Exchange`] with a digest | `Same`, `State` or `Blank` |
//! | [`ClusterRequest::Exchange`] with a state | `Joined` |
//! | [`ClusterRequest::Init`] | `Initialised` |
//! | any | `Refused` |

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::plan::InitPlan;
use ring::{ClusterId, NodeId};

/// What one node asks of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterRequest {
    /// Here I am.
    Hello(Hello),
    /// Let us know the same.
    Exchange {
        /// The sender's process, as in its hello.
        instance: u64,
        /// What it knows.
        offer: Offer,
    },
    /// Begin this cluster.
    Init(InitPlan),
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its id.
    pub node: NodeId,
    /// Random, drawn when the process started: what tells two processes of one id apart.
    pub instance: u64,
}

/// What a node knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Offer {
    /// The digest of its state.
    Digest(u64),
    /// The state itself.
    State(ByteBuf),
}

/// What the other answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterReply {
    /// To a hello.
    Welcome {
        /// The answering process.
        instance: u64,
        /// It belongs to a cluster already.
        initialised: bool,
    },
    /// The digests are equal.
    Same,
    /// The digests differ, and this is what the answerer knows.
    State(ByteBuf),
    /// The answerer knows nothing yet.
    Blank,
    /// The state was joined.
    Joined,
    /// The node belongs to the cluster.
    Initialised {
        /// It did before, and the plan changed nothing.
        already: bool,
    },
    /// Nothing was done.
    Refused(ClusterRefusal),
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterRefusal {
    /// The answerer is of another cluster.
    OtherCluster {
        /// Its cluster.
        cluster: ClusterId,
    },
    /// The sender's certificate and its hello name different nodes.
    WrongNode {
        /// Who it is by its certificate.
        certified: NodeId,
    },
    /// Another live process has the sender's id.
    DuplicateNode,
    /// The plan does not name the answerer.
    NotInPlan {
        /// The answerer.
        node: NodeId,
    },
    /// The plan or the state was not taken in.
    Unusable {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for ClusterRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCluster { cluster } => write!(
                f,
                "the node is of cluster {cluster}; nothing was changed: correct the addresses or \
                 the certificates"
            ),
            Self::WrongNode { certified } => write!(
                f,
                "the certificate is that of node {certified} and the hello names another; \
                 nothing was changed: the data directory is not this node's"
            ),
            Self::DuplicateNode => f.write_str(
                "two live processes have this node's id; both stop coordinating, nothing is \
                 lost: stop one of them, and give a copied node a certificate and an empty data \
                 directory of its own",
            ),
            Self::NotInPlan { node } => write!(
                f,
                "the plan does not name node {node}, which it was sent to; that node was not \
                 changed: correct the ids in the plan"
            ),
            Self::Unusable { reason } => f.write_str(reason),
        }
    }
}

impl std::error::Error for ClusterRefusal {}
