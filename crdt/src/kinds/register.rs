//! `register`: opaque bytes of which the latest assignment counts, by stamp and then by dot.
//!
//! An assignment covers what its coordinator saw, so mostly one version is there. Concurrent ones
//! stay until the next assignment covers them; the choice is made when reading, never in the join.
//!
//! | concurrent | gives |
//! |---|---|
//! | assign a, assign b | the one with the greater (stamp, dot); the other is lost, by design |
//! | assign a, remove | a: a removal takes only what it saw |
//! | assign a, assign a under one operation id (a retry) | one a, with the smaller dot's stamp |
//!
//! The same choice is the reading policy `lww` of [`super::value`]. Stamps come from coordinators
//! and never from clients, so a client with a wrong clock cannot win for ever.
//!
//! Source: Johnson and Thomas, *Maintenance of Duplicate Databases* (RFC 677, 1975).

use bytes::Bytes;

use crate::kinds::Edit;
use crate::kinds::rules::{Rows, Rules, Twice, Unmade, Update};
use crate::kinds::value::{Sibling, siblings};
use crate::row::Row;

/// Its row is assigned to.
pub const RULES: Rules = Rules {
    make: |row, update| match update {
        Update::Assign(value) => Ok(Some(assign(row, value.clone()))),
        _ => Err(Unmade::NotOfKind),
    },
    ..Rules::new("register", Rows::One, Twice::Aliases)
};

/// Assigns `value` over everything that is seen here.
#[must_use]
pub fn assign(row: &Row, value: Bytes) -> Edit {
    Edit::put(row, value)
}

/// Removes the assignments that are seen here.
#[must_use]
pub fn remove(row: &Row) -> Edit {
    Edit::remove(row)
}

/// The latest of the values of a joined row: the greatest by (stamp, dot). `None` for none.
///
/// A retried write counts as the version with its smallest dot, as in [`siblings`], so a retry
/// that came late does not beat what was assigned in between.
#[must_use]
pub fn latest(row: &Row) -> Option<Sibling> {
    let siblings = siblings(row).into_iter();
    siblings.max_by_key(|sibling| (sibling.hlc, sibling.dot))
}

#[cfg(test)]
mod tests {
    use super::latest;
    use crate::{Actor, Context, Dot, Hlc, OpId, Row, Version};

    /// Node, stamp, operation and value.
    type Assigned = (u64, u64, Option<u64>, &'static str);

    fn assigned(versions: &[Assigned]) -> Row {
        let mut row = Row::default();
        for &(node, stamp, sequence, body) in versions {
            let op = sequence.map(|sequence| OpId {
                client: 1,
                sequence,
            });
            let dot = Dot::new(Actor { node, nonce: 0 }, 1);
            let version = Version::new(Hlc::at(stamp), op, body.into());
            row.join(&Row::write(dot, version, Context::default()));
        }
        row
    }

    fn shown(versions: &[Assigned]) -> Vec<u8> {
        latest(&assigned(versions)).unwrap().value.to_vec()
    }

    #[test]
    fn the_greater_stamp_wins_and_then_the_greater_dot() {
        assert_eq!(shown(&[(1, 9, None, "a"), (2, 8, None, "b")]), b"a");
        assert_eq!(shown(&[(1, 8, None, "a"), (2, 8, None, "b")]), b"b");
        assert_eq!(latest(&Row::default()), None);
    }

    #[test]
    fn a_late_retry_does_not_beat_what_came_between() {
        let versions = [
            (1, 1, Some(7), "a"),
            (2, 2, None, "b"),
            (3, 3, Some(7), "a"),
        ];
        assert_eq!(shown(&versions), b"b");
    }
}
