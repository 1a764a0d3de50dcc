//! Which shelves are found where something cannot be read.

use std::collections::BTreeMap;

use super::{Family, Held, Source, SourceError, Span, Visit, key_of, list};
use ring::{PartitionId, ReplicaCount, VnodeId};

/// A table of hints, and a key in it that cannot be read.
struct Disk {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    bad: Option<Vec<u8>>,
}

impl Disk {
    /// A head and a row of each of these shelves.
    fn of(shelves: &[VnodeId]) -> Self {
        let head = |&id| (key_of(id, None, &[]), vec![0; 8]);
        let row = |&id| (key_of(id, Some(Family::Data), b"row"), Vec::new());
        let rows = shelves.iter().flat_map(|id| [head(id), row(id)]);
        Self {
            rows: rows.collect(),
            bad: None,
        }
    }
}

impl Source for Disk {
    fn get(&self, _: Family, key: &[u8]) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.rows.get(key).cloned())
    }

    fn walk(&self, _: Family, span: Span<'_>, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        assert!(!span.reverse, "shelves are read in order");
        for (key, value) in self.rows.range(span.from.to_vec()..span.to.to_vec()) {
            if self.bad.as_ref() == Some(key) {
                let reason = "a bad block".to_owned();
                return Err(SourceError::Unreadable { reason });
            }
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn id(n: u8, partition: u32) -> VnodeId {
    VnodeId {
        n: ReplicaCount::new(n).expect("a number of copies"),
        partition: PartitionId(partition),
    }
}

#[test]
fn a_shelf_whose_beginning_cannot_be_read_hides_no_other() {
    let last = id(3, u32::MAX);
    let all = [id(2, 7), id(3, 0), id(3, 5), id(3, 6), last, id(7, 1)];
    for hidden in all {
        let mut disk = Disk::of(&all);
        disk.bad = Some(key_of(hidden, None, &[]));
        let (found, failed) = list(&disk);
        let others = all.into_iter().filter(|&id| id != hidden);
        assert_eq!(found, others.collect::<Vec<_>>());
        assert!(matches!(failed, Some(SourceError::Unreadable { .. })));
    }
}

#[test]
fn a_key_that_is_no_hint_hides_no_shelf() {
    let all = [id(3, 5), id(3, 6)];
    let mut disk = Disk::of(&all);
    for key in [&b"\x01"[..], b"\x03\0\0\0\x05\xee", b"\xaa\0\0\0\x05\0"] {
        disk.rows.insert(key.to_vec(), Vec::new());
    }
    let (found, failed) = list(&disk);
    assert_eq!(found, all);
    assert!(matches!(failed, Some(SourceError::Corrupt { .. })));
    // What is wrong within a shelf costs that one.
    assert!(Held::of(all[0], &disk).is_err());
    assert!(Held::of(all[1], &disk).is_ok_and(|held| held.is_some()));
}
