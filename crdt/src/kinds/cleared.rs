//! Clearing at once: the removal of every row in a range, as one version in one row.
//!
//! Removing many rows one by one costs an event for each. A *clear* is one event however many rows
//! it removes: a version in a row of its own, whose body names the dots that its writer had seen.
//! What stands under one of these dots in the range is gone; whoever stores or shows rows leaves it
//! out. A version that the writer had not seen stays: the removal is observed, as any other.
//!
//! ```text
//!   rows   x {a1}  y {b1, b2}        clear {a1, b1}        shown   y {b2}
//! ```
//!
//! The body may name dots of other rows too, since dots are never used twice: the range alone says
//! whom it concerns. Counters are spared. Their shares are reset as observed, one by one, since a
//! running total under a new dot would bring the old increments back.
//!
//! | concurrent | gives |
//! |---|---|
//! | clear, write into the range | the write |
//! | clear, clear | both: what either has seen is gone |
//! | clear, removal of one row | both |
//!
//! A clear is a row like any other, so that it is joined, logged, pulled and repaired like any.

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::dots::DotSet;
use crate::kinds::rules::{Rows, Rules, Said, Twice};
use crate::kinds::{Edit, Leaf};
use crate::row::Row;

/// A clear is no update of its row alone: it names what the writer's clock holds.
pub const RULES: Rules = Rules {
    part: Some(part_said),
    body: Some(|row| {
        Ok(format!(
            "whatever {} events have written",
            removed(row)?.len()
        ))
    }),
    ..Rules::new("cleared", Rows::Parts, Twice::Folds)
};

/// Which rows of a field a clear removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The field's own rows of one leaf.
    Leaf(Leaf),
    /// All rows of the field and of the fields below it.
    Below,
}

impl Scope {
    /// The part of the clear's row key: the leaf's code, or nothing.
    #[must_use]
    pub fn part(self) -> Vec<u8> {
        match self {
            Self::Leaf(leaf) => vec![leaf.code()],
            Self::Below => Vec::new(),
        }
    }

    /// The scope that a part names, if it names one.
    #[must_use]
    pub fn of(part: &[u8]) -> Option<Self> {
        match part {
            [] => Some(Self::Below),
            [code] => Leaf::of(*code).map(Self::Leaf),
            _ => None,
        }
    }
}

/// Clears what stands under the dots `seen`, and what earlier clears in `row` have cleared.
///
/// # Errors
/// When an earlier body is none of [`clear`]'s.
pub fn clear(row: &Row, seen: &DotSet) -> Result<Edit, DecodeError> {
    let mut all = removed(row)?;
    all.join(seen);
    let mut encoder = Encoder::with_capacity(64);
    all.encode(&mut encoder);
    Ok(Edit::put(row, Bytes::from(encoder.finish())))
}

/// The dots under which nothing stands any more in the range of a clear's row.
///
/// # Errors
/// When a body is none of [`clear`]'s.
pub fn removed(row: &Row) -> Result<DotSet, DecodeError> {
    let mut all = DotSet::default();
    for version in row.versions().values() {
        let mut decoder = Decoder::new(&version.body);
        let dots = DotSet::decode(&mut decoder)?;
        decoder.finish()?;
        all.join(&dots);
    }
    Ok(all)
}

/// Do clears leave rows of this leaf alone?
#[must_use]
pub fn spares(leaf: Leaf) -> bool {
    matches!(leaf, Leaf::Share | Leaf::Rights | Leaf::Cleared)
}

fn part_said(part: &[u8]) -> Said {
    Ok(match Scope::of(part) {
        Some(Scope::Leaf(leaf)) => format!("every {}", leaf.name()),
        Some(Scope::Below) => "everything".to_owned(),
        None => "unknown".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

    use super::{Scope, clear, removed};
    use crate::dots::DotSet;
    use crate::kinds::Leaf;
    use crate::{Actor, Context, Dot, Hlc, Row, Version};

    fn dot(node: u64, counter: u64) -> Dot {
        Dot::new(Actor { node, nonce: 7 }, counter)
    }

    fn dots() -> impl Strategy<Value = DotSet> {
        btree_set((0_u64..3, 1_u64..6), 0..10).prop_map(|dots| {
            let mut set = DotSet::default();
            let dots = dots.into_iter().map(|(node, counter)| dot(node, counter));
            dots.for_each(|dot| set.insert(dot));
            set
        })
    }

    /// The row after a clear under the `n`th dot of a node that writes nothing else.
    fn cleared(row: &Row, n: u64, seen: &DotSet) -> Row {
        let edit = clear(row, seen).unwrap();
        let version = Version::new(Hlc::at(0), None, edit.body.unwrap());
        let mut cleared = row.clone();
        cleared.join(&Row::write(dot(9, n), version, edit.context));
        cleared
    }

    proptest! {
        #[test]
        fn a_later_clear_takes_over_what_earlier_ones_removed(a in dots(), b in dots()) {
            let both = cleared(&cleared(&Row::default(), 1, &a), 2, &b);
            let mut all = a;
            all.join(&b);
            prop_assert_eq!(removed(&both), Ok(all));
            prop_assert_eq!(both.versions().len(), 1);
        }

        #[test]
        fn concurrent_clears_both_count(a in dots(), b in dots()) {
            let mut both = cleared(&Row::default(), 1, &a);
            both.join(&cleared(&Row::default(), 2, &b));
            let mut all = a;
            all.join(&b);
            prop_assert_eq!(removed(&both), Ok(all));
        }

        #[test]
        fn what_a_clear_has_not_seen_stays(alive in dots(), seen in dots()) {
            let mut row = Row::default();
            for (actor, first, last) in alive.ranges() {
                for counter in first..=last {
                    let version = Version::new(Hlc::at(0), None, "x".into());
                    let dot = Dot::new(actor, counter);
                    row.join(&Row::write(dot, version, Context::default()));
                }
            }
            let cleared = cleared(&Row::default(), 1, &seen);
            row.hide(&removed(&cleared).unwrap());
            let shown = row.versions().keys().copied().collect::<Vec<_>>();
            prop_assert!(shown.iter().all(|&dot| alive.contains(dot) && !seen.contains(dot)));
            prop_assert_eq!(shown.len() as u64, alive.difference(&seen).len());
        }
    }

    #[test]
    fn a_scope_is_what_its_part_says() {
        let leaves = Leaf::ALL.into_iter().map(Scope::Leaf);
        for scope in leaves.chain([Scope::Below]) {
            assert_eq!(Scope::of(&scope.part()), Some(scope));
        }
        assert_eq!(Scope::of(&[99]), None);
        assert_eq!(Scope::of(&[1, 1]), None);
    }

    #[test]
    fn bodies_that_are_none_are_errors() {
        let version = Version::new(Hlc::at(0), None, "what".into());
        let row = Row::write(dot(1, 1), version, Context::default());
        assert!(removed(&row).is_err());
        assert!(clear(&row, &DotSet::default()).is_err());
    }
}
