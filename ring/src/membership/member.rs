//! One node's word about itself.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::canonical::Canonical;
use crate::id::NodeId;
use crate::layout::LayoutId;
use crate::membership::address::{Address, MemberName};
use crate::zone::Zone;

/// A member record.
///
/// Of two records about one node the one of the later incarnation counts, of two of one
/// incarnation the graver state, and of two of one state the higher version. Removal is above all:
/// a removed node stays removed, whatever it says afterwards.
///
/// A node writes its own record with state `Alive`, raising `version` with every change. When it
/// hears that others suspect it, it refutes with a new [`Incarnation`].
///
/// The record in bytes is a sequence with the format number, 1, before the fields below. Whoever
/// meets another number refuses the record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "MemberRecord", into = "MemberRecord")]
pub struct Member {
    /// Whose record this is.
    pub id: NodeId,
    /// Which life of the node, and which word in it, the record is from.
    pub incarnation: Incarnation,
    /// What the cluster is to believe of the node.
    pub state: MemberState,
    /// Raised by the node whenever anything below has changed.
    pub version: u64,
    /// What people call it.
    pub name: MemberName,
    /// Where it takes QUIC connections, best first, at most 64. One per shard, or per network.
    pub addresses: Vec<Address>,
    /// Where its metrics, health and dashboard are.
    pub http: Option<Address>,
    /// The failure domain it says it stands in.
    pub zone: Zone,
    /// The weight it asks for. The layout's counts.
    pub weight: u32,
    /// The newest layout it knows; none before it has joined a cluster.
    pub layout: Option<LayoutId>,
    /// How much it holds.
    pub load: Load,
    /// How far its clock is from the median of its peers', in milliseconds, as it sees it.
    pub hlc_offset_ms: i64,
}

impl Member {
    /// Whether this record counts more than `other`, which is about the same node.
    ///
    /// Two different records of one incarnation, state and version have two authors, which is an
    /// alarm elsewhere. They are ordered by content, so that all nodes make the same choice.
    pub(super) fn outranks(&self, other: &Self) -> bool {
        let order = other.rank().cmp(&self.rank());
        order.then_with(|| other.cmp(self)) == Ordering::Less
    }

    /// Whether the record keeps its bounds. All but the number of addresses is kept by types.
    pub(crate) fn check(&self) -> Result<(), InvalidMember> {
        if self.addresses.len() > MAX_ADDRESSES {
            return Err(InvalidMember::Addresses {
                id: self.id,
                found: self.addresses.len(),
            });
        }
        Ok(())
    }

    /// Writes every field in the order of declaration.
    pub(super) fn encode(&self, bytes: &mut Canonical) {
        bytes.u64(self.id.0);
        bytes.u64(self.incarnation.boot);
        bytes.u64(self.incarnation.refutations);
        bytes.u8(match self.state {
            MemberState::Alive => 0,
            MemberState::Suspect => 1,
            MemberState::Down => 2,
            MemberState::Removed => 3,
        });
        bytes.u64(self.version);
        bytes.text(self.name.as_str());
        bytes.count(self.addresses.len());
        for address in &self.addresses {
            bytes.text(address.as_str());
        }
        bytes.option(self.http.as_ref(), |bytes, http| bytes.text(http.as_str()));
        bytes.text(self.zone.as_str());
        bytes.u32(self.weight);
        bytes.option(self.layout, |bytes, layout| {
            bytes.u64(layout.epoch);
            bytes.u128(layout.digest);
        });
        bytes.u64(self.load.vnodes);
        bytes.u64(self.load.rows);
        bytes.i64(self.hlc_offset_ms);
    }

    fn rank(&self) -> (bool, Incarnation, MemberState, u64) {
        (
            self.state == MemberState::Removed,
            self.incarnation,
            self.state,
            self.version,
        )
    }
}

/// A member's own count of its words against suspicion.
///
/// The boot stamp comes first, so that a node that was restarted, and has forgotten how often it
/// had refuted, is believed at once.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation {
    /// The node's hybrid logical clock at its start, or where that was put right since, a number
    /// above that of its last life.
    pub boot: u64,
    /// How often it has refuted a suspicion since.
    pub refutations: u64,
}

impl Incarnation {
    /// The first incarnation of a node that starts at `boot`.
    pub fn at(boot: u64) -> Self {
        Self {
            boot,
            refutations: 0,
        }
    }

    /// The smallest incarnation of this life that is above `suspected` too, if there is one.
    ///
    /// With this a node answers whatever is said of it. Of a suspicion from a later life than the
    /// present one, it takes over the boot stamp.
    #[must_use]
    pub fn refute(self, suspected: Self) -> Self {
        let highest = self.max(suspected);
        match highest.refutations.checked_add(1) {
            Some(refutations) => Self {
                boot: highest.boot,
                refutations,
            },
            None => Self {
                boot: highest.boot.saturating_add(1),
                refutations: 0,
            },
        }
    }
}

/// What the cluster believes of a member, in the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// It takes part.
    Alive,
    /// Some observer has not heard of it for too long.
    Suspect,
    /// Enough observers agree. Others route round it; its data stays its own.
    Down,
    /// It has left for good and its id is never used again.
    Removed,
}

/// How much a node holds. An estimate, for people and for the choice among equal owners.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Load {
    /// How many vnodes it has.
    pub vnodes: u64,
    /// How many rows they have, about.
    pub rows: u64,
}

/// A record that breaks the bounds of a member record. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidMember {
    /// A format that this version does not know; a newer one does.
    Format {
        /// Whose record it is.
        id: NodeId,
        /// The format found.
        found: u8,
    },
    /// More addresses than a record may have.
    Addresses {
        /// Whose record it is.
        id: NodeId,
        /// How many it has.
        found: usize,
    },
}

impl fmt::Display for InvalidMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused a member record, the known ones stay as they are: ")?;
        match self {
            Self::Format { id, found } => write!(
                f,
                "that of {id} has format {found} and this version reads {FORMAT}; update this node"
            ),
            Self::Addresses { id, found } => {
                write!(
                    f,
                    "that of {id} has {found} addresses, at most {MAX_ADDRESSES} are allowed"
                )
            }
        }
    }
}

impl std::error::Error for InvalidMember {}

/// The fields of a [`Member`] as they travel, after the number of their format.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct MemberRecord {
    format: u8,
    id: NodeId,
    incarnation: Incarnation,
    state: MemberState,
    version: u64,
    name: MemberName,
    addresses: Vec<Address>,
    http: Option<Address>,
    zone: Zone,
    weight: u32,
    layout: Option<LayoutId>,
    load: Load,
    hlc_offset_ms: i64,
}

impl From<Member> for MemberRecord {
    fn from(member: Member) -> Self {
        Self {
            format: FORMAT,
            id: member.id,
            incarnation: member.incarnation,
            state: member.state,
            version: member.version,
            name: member.name,
            addresses: member.addresses,
            http: member.http,
            zone: member.zone,
            weight: member.weight,
            layout: member.layout,
            load: member.load,
            hlc_offset_ms: member.hlc_offset_ms,
        }
    }
}

impl TryFrom<MemberRecord> for Member {
    type Error = InvalidMember;

    fn try_from(record: MemberRecord) -> Result<Self, Self::Error> {
        if record.format != FORMAT {
            return Err(InvalidMember::Format {
                id: record.id,
                found: record.format,
            });
        }
        let member = Self {
            id: record.id,
            incarnation: record.incarnation,
            state: record.state,
            version: record.version,
            name: record.name,
            addresses: record.addresses,
            http: record.http,
            zone: record.zone,
            weight: record.weight,
            layout: record.layout,
            load: record.load,
            hlc_offset_ms: record.hlc_offset_ms,
        };
        member.check()?;
        Ok(member)
    }
}

/// The only format there is so far. A successor reads this one too.
pub(super) const FORMAT: u8 = 1;
const MAX_ADDRESSES: usize = 64;
