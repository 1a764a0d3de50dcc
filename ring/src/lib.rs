//! Who is in the flock and who owns what.
//!
//! A key hashes to a [`Token`] on a 64-bit ring; the ring is cut into equal partitions
//! ([`QBits`], [`PartitionId`]); a [`Layout`] says which nodes own each partition, in order; and a
//! [`Ring`] answers the question every request begins with: to whom does this key belong?
//! Beside it stands the [`MemberMap`], what the nodes tell each other about themselves; [`gossip`]
//! is how they tell it, [`detector`] how they notice that one of them has fallen silent, and
//! [`pace`] how they notice within milliseconds that one is slow.
//!
//! Everything here is a value or a pure function of its arguments: no I/O, no clock, no hidden
//! randomness, ordered maps only. Two nodes with equal inputs compute equal tables, byte for
//! byte, so that nobody has to be asked.

#![deny(clippy::expect_used, clippy::wildcard_enum_match_arm)]

mod canonical;
mod claim;
mod count;
pub mod detector;
pub mod gossip;
mod hex;
mod id;
mod layout;
mod membership;
pub mod mutants;
pub mod pace;
mod partition;
mod preference;
mod ring;
mod role;
mod token;
mod zone;

pub use claim::ClaimError;
pub use count::{InvalidReplicaCount, ReplicaCount};
pub use id::{BucketId, ClusterId, NodeId, ParseIdError};
pub use layout::{Layout, LayoutError, LayoutId, MalformedLayout};
pub use membership::{
    Address, Incarnation, InvalidAddress, InvalidMember, InvalidMemberName, Load, Member,
    MemberMap, MemberMapError, MemberName, MemberState,
};
pub use partition::{InvalidQBits, PartitionId, QBits, VnodeId};
pub use preference::PreferenceList;
pub use ring::Ring;
pub use role::{NodeRole, NodeState, RoleStamp, Roles};
pub use token::Token;
pub use zone::{InvalidZone, Zone};
