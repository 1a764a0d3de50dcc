//! What a replica is asked to store, beside plain deltas.

use serde::{Deserialize, Serialize};

use super::{Bundle, Replicate, encoded};
use crdt::dots::DotSet;
use ring::VnodeId;
use starling::wire::Durability;

/// The events of an operation that is tried again. The asker has them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// The vnode.
    pub vnode: VnodeId,
    /// How durable they must be before the ack.
    pub durability: Durability,
    /// Their dots.
    #[serde(with = "encoded")]
    pub dots: DotSet,
}

/// Containers with their dots for a vnode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absorb {
    /// The vnode.
    pub vnode: VnodeId,
    /// How durable they must be before the ack.
    pub durability: Durability,
    /// What to absorb.
    pub bundle: Bundle,
}

/// What a stand-in keeps for the owners of a vnode: what it would be sent if it were one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// New deltas.
    Changes(Replicate),
    /// The events of a repeated operation.
    Again(Again),
}
