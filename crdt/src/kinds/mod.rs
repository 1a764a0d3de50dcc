//! The kinds of a bucket: what the versions of its rows mean.
//!
//! Storage, replication and repair know rows, dots and contexts alone. A kind says which rows an
//! operation touches, what goes into a version's body and what the write covers ([`Edit`]), and
//! what a reader makes of joined rows. Whoever reads has left out the versions that are expired.
//! What others need to know of its rows stands in its [`rules`].
//!
//! | kind | leaf | rows of a key | body of a version |
//! |---|---|---|---|
//! | [`value`] | value | one, part empty | the value's bytes |
//! | [`counter`] | share | one for each actor, part = actor | that actor's [`counter::Share`] |
//! | [`set`] | element, grow-element | one for each element, part = element | empty |
//! | [`remove_wins`] | remove-wins-element | one for each element, part = element | 1 in, 0 out |
//! | [`register`] | register | one, part empty | the value's bytes |
//! | [`extremum`] | max, min | one, part empty | the number |
//! | [`flag`] | flag, disable-flag | one, part empty | 1 or empty for on, 0 for off |
//! | [`hll`] | sketch | up to 64, part = block | a [`hll::Block`] of registers |
//! | [`list`] | item | one for each item, part = [`list::Position`] | the item's bytes |
//! | [`bounded`] | rights | one for each node, part = node | that node's [`bounded::Rights`] |
//! | [`cleared`] | cleared | one for each range, part = scope | the dots that went |
//! | [`map`] | any of these | those of its fields, behind a path | as there |

pub mod bounded;
pub mod cleared;
pub mod counter;
pub mod extremum;
pub mod flag;
pub mod hll;
pub mod list;
pub mod map;
pub mod register;
pub mod remove_wins;
pub mod rules;
pub mod set;
pub mod value;

use bytes::Bytes;

use crate::context::Context;
use crate::row::Row;
use rules::Rules;

/// What a row of a key is: the byte before its part in the row's key.
///
/// Codes are part of the data directory's format: they are never used for anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Leaf {
    /// Opaque bytes with siblings: [`value`].
    Value = 0,
    /// One actor's share of a counter: [`counter`].
    Share = 1,
    /// An element of an add-wins set: [`set`].
    Element = 2,
    /// Bytes of which the latest counts: [`register`].
    Register = 3,
    /// A number that only grows: [`extremum`].
    Max = 4,
    /// A number that only shrinks: [`extremum`].
    Min = 5,
    /// A flag whose enabling wins: [`flag`].
    Flag = 6,
    /// A flag whose disabling wins: [`flag`].
    DisableFlag = 7,
    /// An element of a set that only grows: [`set`].
    GrowElement = 8,
    /// An element of a set whose removals win: [`remove_wins`].
    RemoveWinsElement = 9,
    /// A block of the registers of a sketch: [`hll`].
    Sketch = 10,
    /// An item of a list: [`list`].
    Item = 11,
    /// One node's rights of a bounded counter: [`bounded`].
    Rights = 12,
    /// What went from a range of rows at once: [`cleared`].
    Cleared = 13,
}

impl Leaf {
    /// All leaves in the order of their codes, which begin at 0 and have no gaps.
    pub const ALL: [Self; 14] = [
        Self::Value,
        Self::Share,
        Self::Element,
        Self::Register,
        Self::Max,
        Self::Min,
        Self::Flag,
        Self::DisableFlag,
        Self::GrowElement,
        Self::RemoveWinsElement,
        Self::Sketch,
        Self::Item,
        Self::Rights,
        Self::Cleared,
    ];

    /// The byte that stands for it, below [`map::STEP`].
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The leaf that a byte stands for, if any does.
    #[must_use]
    pub fn of(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// What its kind says of its rows: the table.
    #[must_use]
    pub fn rules(self) -> &'static Rules {
        match self {
            Self::Value => &value::RULES,
            Self::Share => &counter::RULES,
            Self::Element => &set::ADD_WINS,
            Self::Register => &register::RULES,
            Self::Max => &extremum::MAX,
            Self::Min => &extremum::MIN,
            Self::Flag => &flag::ENABLE_WINS,
            Self::DisableFlag => &flag::DISABLE_WINS,
            Self::GrowElement => &set::GROW_ONLY,
            Self::RemoveWinsElement => &remove_wins::RULES,
            Self::Sketch => &hll::RULES,
            Self::Item => &list::RULES,
            Self::Rights => &bounded::RULES,
            Self::Cleared => &cleared::RULES,
        }
    }

    /// Its name for people, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.rules().name
    }
}

/// What one operation writes into one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The body of the new version. `None` writes no version: what `context` covers goes.
    pub body: Option<Bytes>,
    /// What the write covers.
    pub context: Context,
}

impl Edit {
    /// Writes `body` over exactly the versions of `row`.
    #[must_use]
    pub fn put(row: &Row, body: Bytes) -> Self {
        Self {
            body: Some(body),
            context: versions_of(row),
        }
    }

    /// Removes exactly the versions of `row`.
    #[must_use]
    pub fn remove(row: &Row) -> Self {
        Self {
            body: None,
            context: versions_of(row),
        }
    }

    /// Does it write no version and remove none? Such an edit needs no dot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.is_none() && self.context.is_empty()
    }
}

/// The versions of a row as exact dots: a kind covers what it has read and nothing beside it.
fn versions_of(row: &Row) -> Context {
    let mut context = Context::default();
    let dots = row.versions().keys();
    dots.for_each(|&dot| context.insert(dot));
    context
}

#[cfg(test)]
mod tests {
    use super::{Edit, Leaf, map};
    use crate::{Actor, Context, Dot, Hlc, Row, Version};

    #[test]
    fn codes_are_the_places_in_the_list_and_leave_room_for_steps() {
        for (place, leaf) in Leaf::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(leaf.code()), place);
            assert_eq!(Leaf::of(leaf.code()), Some(leaf));
            assert!(leaf.code() < map::STEP);
        }
        assert_eq!(Leaf::of(14), None);
        assert_eq!(Leaf::of(map::STEP), None);
    }

    #[test]
    fn an_edit_covers_the_versions_of_its_row_and_nothing_else() {
        let dot = |counter| {
            let actor = Actor { node: 1, nonce: 1 };
            Dot::new(actor, counter)
        };
        let mut killed = Context::default();
        killed.insert(dot(1));
        let row = Row::write(dot(3), Version::new(Hlc::at(0), None, "x".into()), killed);
        let edit = Edit::put(&row, "y".into());
        assert!(edit.context.contains(dot(3)));
        assert!(!edit.context.contains(dot(1)) && !edit.context.contains(dot(2)));
        assert_eq!(Edit::remove(&row).context, edit.context);
    }

    #[test]
    fn only_a_removal_of_nothing_is_empty() {
        let nothing = Row::default();
        assert!(Edit::remove(&nothing).is_empty());
        assert!(!Edit::put(&nothing, "".into()).is_empty());
    }
}
