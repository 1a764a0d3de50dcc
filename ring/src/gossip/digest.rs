//! What a node knows of all members, in 256 sums: the index of pull repair.
//!
//! Each member is hashed into one of 256 buckets, and a bucket is the wrapping sum of a hash of
//! each record in it. A changed record subtracts its old hash and adds its new one, so that nothing
//! is ever computed over all members.
//!
//! ```text
//!   root (8 bytes)                         equal: nothing to say, and that is the usual case
//!   +-- 256 fingerprints (4 bytes each)    which buckets differ
//!       +-- entries of those buckets       which records differ, and who has the newer one
//! ```
//!
//! The fingerprints that travel are the sums hashed with a salt drawn for each comparison: two sums
//! that collide in 32 bits today do not tomorrow. So no difference stays hidden, and no periodic
//! exchange of everything is needed, whose cost would grow with the cluster.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::wire::{BUCKETS, Entry};
use crate::id::NodeId;

/// The sums.
#[derive(Clone, Debug)]
pub(super) struct Digest {
    sums: Vec<u64>,
}

impl Digest {
    /// Of no members.
    pub(super) fn new() -> Self {
        Self {
            sums: vec![0; BUCKETS],
        }
    }

    /// A member's entry changes.
    pub(super) fn replace(&mut self, old: Option<&Entry>, new: Option<&Entry>) {
        for (entry, is_new) in [(old, false), (new, true)] {
            let Some(entry) = entry else { continue };
            let sum = self.sums.get_mut(usize::from(bucket(entry.id)));
            if let Some(sum) = sum {
                *sum = if is_new {
                    sum.wrapping_add(hash(entry))
                } else {
                    sum.wrapping_sub(hash(entry))
                };
            }
        }
    }

    /// A hash of everything.
    pub(super) fn root(&self) -> u64 {
        let bytes: Vec<u8> = self.sums.iter().flat_map(|sum| sum.to_be_bytes()).collect();
        xxh3_64(&bytes)
    }

    /// A hash of each bucket.
    pub(super) fn fingerprints(&self, salt: u32) -> Vec<u32> {
        let seed = u64::from(salt);
        let hashed = |sum: &u64| {
            let [a, b, c, d, ..] = xxh3_64_with_seed(&sum.to_be_bytes(), seed).to_be_bytes();
            u32::from_be_bytes([a, b, c, d])
        };
        self.sums.iter().map(hashed).collect()
    }
}

/// The bucket of a member.
pub(super) fn bucket(id: NodeId) -> u8 {
    xxh3_64(&id.0.to_be_bytes()).to_be_bytes()[0]
}

fn hash(entry: &Entry) -> u64 {
    let mut bytes = Vec::with_capacity(34);
    bytes.extend(entry.id.0.to_be_bytes());
    bytes.extend(entry.incarnation.boot.to_be_bytes());
    bytes.extend(entry.incarnation.refutations.to_be_bytes());
    bytes.extend(entry.version.to_be_bytes());
    bytes.extend([u8::from(entry.is_removed), u8::from(entry.is_down)]);
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert_eq, prop_assert_ne, proptest};

    use super::{Digest, Entry, bucket};
    use crate::id::NodeId;
    use crate::membership::Incarnation;

    fn entry(id: u64, version: u64) -> Entry {
        Entry {
            id: NodeId(id),
            incarnation: Incarnation::at(1),
            version,
            is_removed: false,
            is_down: false,
        }
    }

    proptest! {
        #[test]
        fn the_digest_depends_on_the_last_entries_only(
            changes in vec((0_u64..9, 1_u64..99), 1..40),
        ) {
            let (mut grown, mut last) = (Digest::new(), std::collections::BTreeMap::new());
            for (id, version) in changes {
                let new = entry(id, version);
                let old = last.insert(id, new);
                grown.replace(old.as_ref(), Some(&new));
            }
            let mut fresh = Digest::new();
            last.values().for_each(|entry| fresh.replace(None, Some(entry)));
            prop_assert_eq!(grown.root(), fresh.root());
            prop_assert_eq!(grown.fingerprints(7), fresh.fingerprints(7));
            let down = Entry { is_down: true, ..entry(0, 1) };
            fresh.replace(None, Some(&down));
            prop_assert_ne!(grown.root(), fresh.root());
        }
    }

    #[test]
    fn one_changed_record_shows_in_its_bucket_alone() {
        let (mut a, mut b) = (Digest::new(), Digest::new());
        (0..1_000).for_each(|id| a.replace(None, Some(&entry(id, 1))));
        (0..1_000).for_each(|id| b.replace(None, Some(&entry(id, 1 + u64::from(id == 5)))));
        let differing: Vec<usize> = a
            .fingerprints(3)
            .iter()
            .zip(b.fingerprints(3))
            .enumerate()
            .filter(|(_, (a, b))| *a != b)
            .map(|(number, _)| number)
            .collect();
        assert_eq!(differing, [usize::from(bucket(NodeId(5)))]);
    }
}
