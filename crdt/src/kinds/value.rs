//! `value`: opaque bytes; concurrent writes are siblings (a multi-value register).
//!
//! | concurrent | gives |
//! |---|---|
//! | put a, put b | both, as siblings |
//! | put a, delete | a: a delete removes only what its context covers |
//! | put a, put a under one operation id (a retry) | one a: the version with the smaller dot |

use bytes::Bytes;

use crate::dot::Dot;
use crate::hlc::Hlc;
use crate::kinds::rules::{Rows, Rules, Twice};
use crate::row::Row;

/// A put is no update of its row alone: what it covers depends on the bucket's policy, too.
pub const RULES: Rules = Rules::new("value", Rows::One, Twice::Aliases);

/// One of the concurrent values of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sibling {
    /// The write that put it there.
    pub dot: Dot,
    /// When its coordinator says that was.
    pub hlc: Hlc,
    /// The bytes.
    pub value: Bytes,
}

/// The values a reader sees, in the order of their dots.
///
/// Versions with one operation id are one write that was retried elsewhere; the one with the
/// smallest dot is shown. The choice is made here and never in the join, so that the loser's dot
/// stays until a write covers it.
#[must_use]
pub fn siblings(row: &Row) -> Vec<Sibling> {
    let mut operations = Vec::new();
    let mut siblings = Vec::with_capacity(row.versions().len());
    for (&dot, version) in row.versions() {
        if let Some(op) = version.op {
            if operations.contains(&op) {
                continue;
            }
            operations.push(op);
        }
        siblings.push(Sibling {
            dot,
            hlc: version.hlc,
            value: version.body.clone(),
        });
    }
    siblings
}

/// The sibling with the greatest stamp, of equal ones that with the greatest dot: for who would
/// rather lose a write than see two.
#[must_use]
pub fn latest(row: &Row) -> Option<Sibling> {
    let siblings = siblings(row).into_iter();
    siblings.max_by_key(|sibling| (sibling.hlc, sibling.dot))
}

#[cfg(test)]
mod tests {
    use super::{latest, siblings};
    use crate::{Actor, Context, Dot, Hlc, OpId, Row, Version};

    fn put(row: &mut Row, node: u64, sequence: Option<u64>, body: &'static str) {
        let op = sequence.map(|sequence| OpId {
            client: 1,
            sequence,
        });
        let version = Version {
            hlc: Hlc::at(100 - node),
            op,
            expires_ms: None,
            body: body.into(),
        };
        let dot = Dot::new(Actor { node, nonce: 0 }, 1);
        row.join(&Row::write(dot, version, Context::default()));
    }

    fn bodies(row: &Row) -> Vec<&str> {
        let bodies = row.versions().values().map(|version| &version.body[..]);
        bodies.map(|body| str::from_utf8(body).unwrap()).collect()
    }

    #[test]
    fn siblings_come_in_the_order_of_their_dots_whatever_their_stamps() {
        let mut row = Row::default();
        put(&mut row, 2, None, "b");
        put(&mut row, 1, Some(1), "a");
        let seen = siblings(&row);
        assert_eq!(seen.len(), 2);
        assert!(seen[0].dot < seen[1].dot && seen[0].hlc > seen[1].hlc);
        assert_eq!(
            (&seen[0].value[..], &seen[1].value[..]),
            (&b"a"[..], &b"b"[..])
        );
    }

    #[test]
    fn the_latest_has_the_greatest_stamp_and_of_one_operation_that_of_the_smallest_dot() {
        let mut row = Row::default();
        assert_eq!(latest(&row), None);
        put(&mut row, 2, Some(7), "first");
        put(&mut row, 3, Some(8), "early");
        assert_eq!(&latest(&row).unwrap().value[..], b"first");
        put(&mut row, 1, Some(7), "again");
        assert_eq!(&latest(&row).unwrap().value[..], b"again");
    }

    #[test]
    fn of_one_operation_the_smallest_dot_is_shown_and_the_join_keeps_both() {
        let mut row = Row::default();
        put(&mut row, 3, Some(7), "late");
        put(&mut row, 1, Some(7), "first");
        put(&mut row, 2, Some(8), "other");
        let seen = siblings(&row);
        let shown: Vec<&[u8]> = seen.iter().map(|sibling| &sibling.value[..]).collect();
        assert_eq!(shown, [&b"first"[..], b"other"]);
        assert_eq!(bodies(&row), ["first", "other", "late"]);
    }

    #[test]
    fn versions_without_an_operation_are_never_taken_for_one() {
        let mut row = Row::default();
        put(&mut row, 1, None, "same");
        put(&mut row, 2, None, "same");
        assert_eq!(siblings(&row).len(), 2);
        assert_eq!(siblings(&Row::default()), []);
    }
}
