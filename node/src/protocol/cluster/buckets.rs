//! The buckets of a cluster.
//!
//! A bucket may be made on any node at any time, also on both sides of a network partition, so the
//! records of one name are joined: the one with the smallest stamp stays, on every node alike. If
//! two people made one name with different properties in the same moment, the later bucket is
//! displaced: what was written to it meanwhile stays on the disks and is not shown. Whoever waits
//! for the answer of one creation before starting the other is refused instead.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use ring::{BucketId, NodeId, ReplicaCount};
use starling::wire::{Kind, LimitError, Siblings, validate_bucket_name};

/// Most buckets of one cluster. Creating one more is refused; a state that would have more is
/// refused whole.
pub const MAX_BUCKETS: usize = 10_000;

/// All buckets, by their ids. Nothing is ever taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<BucketRecord>", into = "Vec<BucketRecord>")]
pub struct Buckets {
    records: BTreeMap<BucketId, BucketRecord>,
}

/// One bucket. All but the stamp is fixed for its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketRecord {
    /// The hash of its name.
    pub id: BucketId,
    /// Its name.
    pub name: String,
    /// What its keys hold.
    pub kind: Kind,
    /// Replicas of each key.
    pub n: ReplicaCount,
    /// What becomes of values that were written at the same time.
    pub siblings: Siblings,
    /// When and where it was made.
    pub stamp: BucketStamp,
    /// Stand-ins may take the place of owners that are away, in writes that do not say.
    #[serde(default)]
    pub sloppy: bool,
}

/// What makes one bucket another than the next; fixed for its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketProperties {
    /// What its keys hold.
    pub kind: Kind,
    /// Replicas of each key.
    pub n: ReplicaCount,
    /// What becomes of values that were written at the same time.
    pub siblings: Siblings,
    /// Stand-ins may take the place of owners that are away, in writes that do not say.
    pub sloppy: bool,
}

/// When and where a bucket was made: of two records of one name the smaller stamp counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BucketStamp {
    /// Milliseconds since the Unix epoch, by the clock of the node.
    pub wall_ms: u64,
    /// The node.
    pub node: NodeId,
}

/// What came of creating a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It is new.
    Created,
    /// It was there with the same properties.
    Exists,
}

/// Why there is no such bucket. The buckets are as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketError {
    /// The node does not belong to a cluster yet.
    NotInitialised,
    /// The name breaks the rules.
    Name(LimitError),
    /// The name is taken by a bucket with other properties.
    Conflict {
        /// The bucket that is there.
        known: BucketRecord,
    },
    /// Another name has the same hash.
    SameHash {
        /// The name that was asked for.
        name: String,
        /// The name that is there.
        known: String,
    },
    /// There would be too many.
    Full {
        /// How many there would be.
        buckets: usize,
    },
    /// Received records are unordered, repeated, or have ids that are not of their names.
    Malformed,
}

impl Buckets {
    /// Makes a bucket, or confirms one with the same properties.
    ///
    /// # Errors
    /// When the name is no bucket's name, or is taken otherwise, or there are too many buckets.
    pub fn create(
        &mut self,
        name: &str,
        properties: BucketProperties,
        stamp: BucketStamp,
    ) -> Result<Creation, BucketError> {
        validate_bucket_name(name).map_err(BucketError::Name)?;
        let id = BucketId::of_name(name);
        match self.records.get(&id) {
            Some(known) if known.name != name => Err(BucketError::SameHash {
                name: name.to_owned(),
                known: known.name.clone(),
            }),
            Some(known) if known.properties() == properties => Ok(Creation::Exists),
            Some(known) => Err(BucketError::Conflict {
                known: known.clone(),
            }),
            None if self.records.len() >= MAX_BUCKETS => Err(BucketError::Full {
                buckets: self.records.len() + 1,
            }),
            None => {
                let BucketProperties {
                    kind,
                    n,
                    siblings,
                    sloppy,
                } = properties;
                let record = BucketRecord {
                    id,
                    name: name.to_owned(),
                    kind,
                    n,
                    siblings,
                    stamp,
                    sloppy,
                };
                self.records.insert(id, record);
                Ok(Creation::Created)
            }
        }
    }

    /// Joins all of `other` in; says whether anything changed, and which records were displaced.
    ///
    /// Two names with one hash (one chance in 10^11 with ten thousand buckets) are joined like one
    /// name made twice, so that the exchange of everything else goes on.
    ///
    /// # Errors
    /// When both together have too many buckets. Nothing is changed.
    pub fn join(&mut self, other: &Self) -> Result<(bool, Vec<BucketRecord>), BucketError> {
        let new = other
            .records
            .keys()
            .filter(|id| !self.records.contains_key(id))
            .count();
        let buckets = self.records.len() + new;
        if buckets > MAX_BUCKETS {
            return Err(BucketError::Full { buckets });
        }
        let (mut changed, mut displaced) = (false, Vec::new());
        for (id, theirs) in &other.records {
            match self.records.get_mut(id) {
                None => {
                    self.records.insert(*id, theirs.clone());
                    changed = true;
                }
                Some(ours) if theirs.rank() < ours.rank() => {
                    let before = std::mem::replace(ours, theirs.clone());
                    changed = true;
                    displaced.extend(before.is_another_than(theirs).then_some(before));
                }
                Some(_) => {}
            }
        }
        Ok((changed, displaced))
    }

    /// The bucket of a name.
    #[must_use]
    pub fn of_name(&self, name: &str) -> Option<&BucketRecord> {
        self.records
            .get(&BucketId::of_name(name))
            .filter(|record| record.name == name)
    }

    /// All buckets by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = &BucketRecord> {
        self.records.values()
    }

    /// Every n that some bucket has, ascending.
    #[must_use]
    pub fn counts(&self) -> Vec<ReplicaCount> {
        let counts: std::collections::BTreeSet<_> =
            self.records.values().map(|record| record.n).collect();
        counts.into_iter().collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

impl BucketProperties {
    /// A bucket that keeps the usual number of siblings.
    #[must_use]
    pub fn new(kind: Kind, n: ReplicaCount) -> Self {
        Self {
            kind,
            n,
            siblings: Siblings::default(),
            sloppy: false,
        }
    }
}

impl BucketRecord {
    fn properties(&self) -> BucketProperties {
        BucketProperties {
            kind: self.kind,
            n: self.n,
            siblings: self.siblings,
            sloppy: self.sloppy,
        }
    }

    fn rank(&self) -> Rank<'_> {
        let siblings = (self.siblings, self.sloppy);
        (self.stamp, &self.name, self.kind, self.n, siblings)
    }

    fn is_another_than(&self, other: &Self) -> bool {
        (&self.name, self.properties()) != (&other.name, other.properties())
    }
}

/// What decides between two records of one name.
type Rank<'a> = (BucketStamp, &'a str, Kind, ReplicaCount, (Siblings, bool));

impl From<Buckets> for Vec<BucketRecord> {
    fn from(buckets: Buckets) -> Self {
        buckets.records.into_values().collect()
    }
}

/// Decoding accepts only the form that encoding gives.
impl TryFrom<Vec<BucketRecord>> for Buckets {
    type Error = BucketError;

    fn try_from(records: Vec<BucketRecord>) -> Result<Self, BucketError> {
        if records.len() > MAX_BUCKETS {
            return Err(BucketError::Full {
                buckets: records.len(),
            });
        }
        for record in &records {
            validate_bucket_name(&record.name).map_err(BucketError::Name)?;
        }
        let named = records
            .iter()
            .all(|record| record.id == BucketId::of_name(&record.name));
        if !named || !records.is_sorted_by(|a, b| a.id < b.id) {
            return Err(BucketError::Malformed);
        }
        Ok(Self {
            records: records
                .into_iter()
                .map(|record| (record.id, record))
                .collect(),
        })
    }
}

impl fmt::Display for BucketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInitialised => f.write_str(
                "the node has not joined a cluster; no bucket was made: run `starling init`",
            ),
            Self::Name(error) => error.fmt(f),
            Self::Conflict { known } => write!(
                f,
                "bucket {} exists with kind {}, n = {} and siblings = {}, which are fixed for its \
                 life; it stays as it is: choose another name",
                known.name, known.kind, known.n, known.siblings
            ),
            Self::SameHash { name, known } => write!(
                f,
                "bucket {name} would have the id of bucket {known}; nothing was made: choose \
                 another name"
            ),
            Self::Full { buckets } => write!(
                f,
                "a cluster cannot have {buckets} buckets (at most {MAX_BUCKETS}, and its whole \
                 state must fit into a message); those that exist stay: put several kinds of keys \
                 into one bucket"
            ),
            Self::Malformed => f.write_str(
                "refused records of buckets, the known ones stay as they are: they are unordered, \
                 repeated, or have ids that are not of their names",
            ),
        }
    }
}

impl std::error::Error for BucketError {}
