//! `set` with the option `remove_wins`: one row for each element, and removals that are kept.
//!
//! Adding writes a version that says 1, removing one that says 0, each over all versions that its
//! coordinator saw of the element. An element is in if some version says 1 and none says 0.
//!
//! | concurrent | gives |
//! |---|---|
//! | add e, remove e | e is out, until an add that saw the removal |
//! | add e, add e | e is in, once |
//! | remove e, remove e | e is out |
//! | add e, clear | e is in: a clear forgets what it saw, and is no removal of e |
//!
//! *A removed element leaves a row behind*: the version that says 0, which a concurrent add must
//! meet. It costs about as much as the element itself, also for an element that was never in, and
//! goes when the element is added again or the set is cleared. Where that is too much, use the
//! add-wins [`super::set`], whose removals leave nothing.
//!
//! Source: Bieniusa et al., *An Optimized Conflict-free Replicated Set* (2012), section on
//! remove-wins, with one row for each element.

use bytes::Bytes;

use crate::kinds::Edit;
use crate::kinds::rules::{Rows, Rules, Twice, Unmade, Update};
use crate::row::Row;

/// Elements are added and removed; either leaves a version.
pub const RULES: Rules = Rules {
    make: |row, update| match update {
        Update::Add => Ok(Some(add(row))),
        Update::Remove => Ok(Some(remove(row))),
        _ => Err(Unmade::NotOfKind),
    },
    vetoes: true,
    body: Some(|row| Ok(if contains(row) { "in" } else { "out" }.to_owned())),
    ..Rules::new(
        "remove-wins-element",
        Rows::Elements(contains),
        Twice::Aliases,
    )
};

/// Puts the element in, over everything that is seen of it here.
#[must_use]
pub fn add(row: &Row) -> Edit {
    Edit::put(row, Bytes::from_static(&IN))
}

/// Takes the element out, over everything that is seen of it here.
#[must_use]
pub fn remove(row: &Row) -> Edit {
    Edit::put(row, Bytes::from_static(&OUT))
}

/// Forgets the element and its removals, as far as they are seen here: what a clear does.
#[must_use]
pub fn forget(row: &Row) -> Edit {
    Edit::remove(row)
}

/// Is the element in the set, as its joined row says? A body that is never written counts as out.
#[must_use]
pub fn contains(row: &Row) -> bool {
    let mut versions = row.versions().values();
    let some = !row.versions().is_empty();
    some && versions.all(|version| version.body[..] == IN)
}

const IN: [u8; 1] = [1];
const OUT: [u8; 1] = [0];

#[cfg(test)]
mod tests {
    use super::contains;
    use crate::{Actor, Context, Dot, Hlc, Row, Version};

    #[test]
    fn an_element_is_in_if_some_version_says_so_and_none_says_no() {
        let holding = |bodies: &[&'static [u8]]| {
            let mut row = Row::default();
            for (node, &body) in (1..).zip(bodies) {
                let dot = Dot::new(Actor { node, nonce: 0 }, 1);
                let version = Version::new(Hlc::at(0), None, body.into());
                row.join(&Row::write(dot, version, Context::default()));
            }
            row
        };
        assert!(contains(&holding(&[&[1]])) && contains(&holding(&[&[1], &[1]])));
        assert!(!contains(&holding(&[])) && !contains(&holding(&[&[0]])));
        assert!(!contains(&holding(&[&[1], &[0]])) && !contains(&holding(&[&[1], &[]])));
    }
}
