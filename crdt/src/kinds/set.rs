//! `set`: add-wins observed-remove set, one row for each element.
//!
//! Adding writes a version with an empty body over the adds that the coordinator saw of the
//! element; removing deletes over what the client's context, or else the coordinator, saw.
//!
//! | concurrent | gives |
//! |---|---|
//! | add e, remove e | e is in: the add's dot is outside of the remove's context |
//! | add e, add e | e is in, once |
//! | remove e, remove e | e is out |
//! | add e, clear | e is in |
//!
//! A grow-only set has the same rows and adds, and its bucket takes no removals. Where removals
//! must win, see [`super::remove_wins`].
//!
//! Source: Bieniusa et al., *An Optimized Conflict-free Replicated Set* (2012), decomposed into
//! rows as in *Big(ger) Sets* (PaPoC'16).

use bytes::Bytes;

use crate::kinds::Edit;
use crate::kinds::rules::{Rows, Rules, Twice, Unmade, Update};
use crate::row::Row;

/// Elements are added and removed.
pub const ADD_WINS: Rules = Rules {
    make: |row, update| match update {
        Update::Add => Ok(Some(add(row))),
        Update::Remove => Ok(Some(remove(row))),
        _ => Err(Unmade::NotOfKind),
    },
    body: Some(|_| Ok("in".to_owned())),
    ..Rules::new("element", Rows::Elements(contains), Twice::Aliases)
};

/// Elements are added alone.
pub const GROW_ONLY: Rules = Rules {
    name: "grow-element",
    make: |row, update| match update {
        Update::Add => Ok(Some(add(row))),
        _ => Err(Unmade::NotOfKind),
    },
    ..ADD_WINS
};

/// Puts the element in, over the adds that are seen of it here.
#[must_use]
pub fn add(row: &Row) -> Edit {
    Edit::put(row, Bytes::new())
}

/// Takes the element out: exactly the adds that are seen of it here.
#[must_use]
pub fn remove(row: &Row) -> Edit {
    Edit::remove(row)
}

/// Is the element in the set, as its joined row says?
#[must_use]
pub fn contains(row: &Row) -> bool {
    !row.versions().is_empty()
}

#[cfg(test)]
mod tests {
    use super::contains;
    use crate::{Actor, Context, Dot, Hlc, Row, Version};

    #[test]
    fn an_element_is_in_while_any_add_is_alive() {
        let add = |node| {
            let version = Version {
                hlc: Hlc::at(0),
                op: None,
                expires_ms: None,
                body: "".into(),
            };
            Row::write(
                Dot::new(Actor { node, nonce: 0 }, 1),
                version,
                Context::default(),
            )
        };
        let mut row = add(1);
        row.join(&add(2));
        row.join(&Row::delete(add(1).seen()));
        assert!(contains(&row));
        row.join(&Row::delete(add(2).seen()));
        // What is left is a context alone, and that is no element.
        assert!(!contains(&row) && !row.is_empty());
    }
}
