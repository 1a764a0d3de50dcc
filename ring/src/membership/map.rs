//! All members that a node has heard of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::canonical::Canonical;
use crate::id::NodeId;
use crate::membership::member::{FORMAT, InvalidMember, Member};

/// The newest record of every member: a map that is joined entry by entry.
///
/// Joining is associative, commutative and idempotent, so that maps which have taken in the same
/// records in any order, any number of times, are equal and have equal digests. Entries are never
/// taken out: a removed member stays as `Removed`, lest it come back.
///
/// At most 10,000 members. A record or map that would exceed them is refused whole and changes
/// nothing; so many removed members are a reason to begin a new cluster. Copies share their
/// records, so that a copy of a large map costs little.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Member>", into = "Vec<Member>")]
pub struct MemberMap {
    members: BTreeMap<NodeId, Arc<Member>>,
}

impl MemberMap {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins one record in; says whether that changed anything.
    ///
    /// # Errors
    /// When the record breaks its bounds or the map is full. The map is unchanged.
    pub fn insert(&mut self, member: Member) -> Result<bool, MemberMapError> {
        member.check()?;
        if let Some(known) = self.members.get_mut(&member.id) {
            return Ok(join_shared(known, &member));
        }
        if self.members.len() >= MAX_MEMBERS {
            return Err(MemberMapError::Full {
                members: self.members.len() + 1,
            });
        }
        self.members.insert(member.id, Arc::new(member));
        Ok(true)
    }

    /// Joins all of `other` in; gives the members whose record changed, by ascending id.
    ///
    /// # Errors
    /// When both together have too many members. The map is unchanged.
    pub fn join(&mut self, other: &Self) -> Result<Vec<NodeId>, MemberMapError> {
        let new = other
            .members
            .keys()
            .filter(|id| !self.members.contains_key(id))
            .count();
        let members = self.members.len() + new;
        if members > MAX_MEMBERS {
            return Err(MemberMapError::Full { members });
        }
        let mut changed = Vec::new();
        for (id, member) in &other.members {
            let differs = match self.members.get_mut(id) {
                Some(known) => join_shared(known, member),
                None => self.members.insert(*id, Arc::clone(member)).is_none(),
            };
            if differs {
                changed.push(*id);
            }
        }
        Ok(changed)
    }

    /// The record of one member.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.get(&id).map(Arc::as_ref)
    }

    /// All records by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.values().map(Arc::as_ref)
    }

    /// How many members there are, removed ones included.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A hash of the whole map. Two nodes whose digests are equal have nothing to tell each other.
    pub fn digest(&self) -> u128 {
        let mut bytes = Canonical::new(b"SLMM", FORMAT);
        bytes.count(self.members.len());
        for member in self.members.values() {
            member.encode(&mut bytes);
        }
        bytes.digest()
    }
}

impl From<MemberMap> for Vec<Member> {
    fn from(map: MemberMap) -> Self {
        map.members
            .into_values()
            .map(Arc::unwrap_or_clone)
            .collect()
    }
}

/// Decoding accepts only the form that encoding gives: ids ascending, none twice.
impl TryFrom<Vec<Member>> for MemberMap {
    type Error = MemberMapError;

    fn try_from(members: Vec<Member>) -> Result<Self, Self::Error> {
        if members.len() > MAX_MEMBERS {
            return Err(MemberMapError::Full {
                members: members.len(),
            });
        }
        if !members.is_sorted_by(|a, b| a.id < b.id) {
            return Err(MemberMapError::Order);
        }
        let members = members
            .into_iter()
            .map(|member| (member.id, Arc::new(member)))
            .collect();
        Ok(Self { members })
    }
}

/// Joins into a record that other maps may share: they keep what they have.
fn join_shared(known: &mut Arc<Member>, other: &Member) -> bool {
    let is_newer = other.outranks(known);
    if is_newer {
        *known = Arc::new(other.clone());
    }
    is_newer
}

/// Why records were not taken in. The map is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberMapError {
    /// There would be more members than a map holds.
    Full {
        /// How many there would be.
        members: usize,
    },
    /// The records are not in ascending order of distinct ids.
    Order,
    /// A record breaks its own bounds.
    Member(InvalidMember),
}

impl From<InvalidMember> for MemberMapError {
    fn from(error: InvalidMember) -> Self {
        Self::Member(error)
    }
}

impl fmt::Display for MemberMapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { members } => write!(
                f,
                "refused member records, the known ones stay as they are: there would be \
                 {members} members, removed ones included, and a cluster has at most \
                 {MAX_MEMBERS}; begin a new cluster beside this one"
            ),
            Self::Order => f.write_str(
                "refused a member map, the known one stays as it is: its records are not in \
                 ascending order of distinct ids",
            ),
            Self::Member(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for MemberMapError {}

const MAX_MEMBERS: usize = 10_000;
