//! What the nodes of a cluster agree on: its id and secret, its members, its layout, its buckets.
//!
//! [`ClusterState`] is a join-semilattice: nodes that have heard of the same things in any order,
//! any number of times, hold equal states with equal bytes. [`Exchange`] is the machine that
//! spreads it: it greets the peers that can be reached, compares digests every five seconds and
//! sends whole states where they differ. It also notices two live processes with one node id.
//! Who the members are is told by [`Gossip`](ring::gossip::Gossip); a state carries them for nodes
//! that have none.
//!
//! ```text
//!   init ──Init(plan)──> node A ──digest──> node B   (no state yet: "blank")
//!                           └─────state───> node B   joined, and persisted by its shell
//! ```

mod buckets;
mod exchange;
mod holders;
mod lives;
mod messages;
mod plan;
mod secret;
mod state;
#[cfg(test)]
mod tests;

pub use buckets::{
    BucketError, BucketProperties, BucketRecord, BucketStamp, Buckets, Creation, MAX_BUCKETS,
};
pub use exchange::{Event, Exchange, ExchangeConfig, Transmit};
pub use holders::Holders;
pub use lives::Alarm;
pub use messages::{ClusterRefusal, ClusterReply, ClusterRequest, Hello, Offer};
pub use plan::{InitMember, InitPlan, PlanError};
pub use secret::Secret;
pub use state::{Changed, ClusterState, MAX_STATE, StateError};
