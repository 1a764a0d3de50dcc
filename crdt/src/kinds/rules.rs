//! What a kind says of its rows to whoever knows rows alone: one constant in the kind's file, one
//! row in the table of [`Leaf::rules`](super::Leaf::rules).
//!
//! By it a replica plans changes, tells a retry from another operation, counts and removes, and
//! shows rows to people, without knowing which kind it is.

use bytes::Bytes;

use crate::codec::DecodeError;
use crate::kinds::Edit;
use crate::kinds::hll::Offer;
use crate::row::Row;

/// What a kind says of its rows.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The leaf's name for people, in lower case.
    pub name: &'static str,
    /// Which rows there are of a key or field.
    pub rows: Rows,
    /// What becomes of an operation that was entered twice.
    pub twice: Twice,
    /// May a version keep a later one that stands beside it from counting? Then a write has an
    /// effect only over what is here.
    pub vetoes: bool,
    /// What an update makes of a row as it is here.
    pub make: fn(&Row, &Update) -> Made,
    /// The part of a row's key in words; `None` if it is the user's own bytes.
    pub part: Option<PartSaid>,
    /// What a row says in words; `None` if its bodies are the user's own bytes.
    pub body: Option<BodySaid>,
}

/// Which rows there are of a key or field.
#[derive(Debug, Clone, Copy)]
pub enum Rows {
    /// One, whose part is empty.
    One,
    /// One for each part of what is kept; nobody asks for a single one.
    Parts,
    /// One for each element, whose part it is. It is in as its joined row says.
    Elements(IsIn),
    /// One for each item, in the order of their parts. It is there as its joined row says.
    Items(IsIn),
}

/// Is an element in, or an item there, as its joined row says?
pub type IsIn = fn(&Row) -> bool;

/// What becomes of an operation that two coordinators have entered, each under a dot of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twice {
    /// Both put the same version into the same rows: aliases, of which readers show one.
    Aliases,
    /// The second found that the first was there, or says the same once more without harm.
    Folds,
    /// It counts twice, until one of them is made void.
    Sums,
}

/// What to do to one row. A value, the two counters and clears are changed in ways of their own,
/// which depend on more than the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// Assign these bytes.
    Assign(Bytes),
    /// Put the element in.
    Add,
    /// Put this item in.
    Insert(Bytes),
    /// Take the element or item out.
    Remove,
    /// Offer a number.
    Offer(i64),
    /// Turn on or off.
    Switch(bool),
    /// Offer ranks to the registers of the block.
    Observe(Vec<Offer>),
}

/// What an update makes of a row: an edit, or nothing if all of it is there already.
pub type Made = Result<Option<Edit>, Unmade>;

/// Why an update makes nothing of a row. Nothing is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmade {
    /// The kind has no such update.
    NotOfKind,
    /// A body in the row is not what the kind writes.
    Damaged(DecodeError),
}

/// What a part or a body says, for people.
pub type Said = Result<String, DecodeError>;

/// Says what a part means.
pub type PartSaid = fn(&[u8]) -> Said;

/// Says what the versions of a row mean.
pub type BodySaid = fn(&Row) -> Said;

impl Rules {
    /// Rules of rows that no [`Update`] changes, with parts and bodies that are the user's own.
    #[must_use]
    pub const fn new(name: &'static str, rows: Rows, twice: Twice) -> Self {
        Self {
            name,
            rows,
            twice,
            vetoes: false,
            make: |_, _| Err(Unmade::NotOfKind),
            part: None,
            body: None,
        }
    }

    /// Has the kind such an update?
    #[must_use]
    pub fn takes(&self, update: &Update) -> bool {
        (self.make)(&Row::default(), update) != Err(Unmade::NotOfKind)
    }

    /// Does an update write a version, and not only remove some?
    #[must_use]
    pub fn writes(&self, update: &Update) -> bool {
        let made = (self.make)(&Row::default(), update);
        made.is_ok_and(|edit| edit.is_some_and(|edit| edit.body.is_some()))
    }
}

impl Rows {
    /// How an element or item is known to be there; `None` where nothing is counted.
    #[must_use]
    pub fn counted(self) -> Option<IsIn> {
        match self {
            Self::Elements(is_in) | Self::Items(is_in) => Some(is_in),
            Self::One | Self::Parts => None,
        }
    }
}

impl Update {
    /// About how many bytes it holds.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Assign(bytes) | Self::Insert(bytes) => bytes.len(),
            Self::Observe(ranks) => 2 * ranks.len(),
            Self::Offer(_) => 8,
            Self::Add | Self::Remove | Self::Switch(_) => 0,
        }
    }
}

impl From<DecodeError> for Unmade {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error)
    }
}

#[cfg(test)]
mod tests {
    use super::Update;
    use crate::kinds::Leaf;

    /// One of every sort.
    fn updates() -> [Update; 8] {
        [
            Update::Assign("a".into()),
            Update::Add,
            Update::Insert("a".into()),
            Update::Remove,
            Update::Offer(1),
            Update::Switch(true),
            Update::Switch(false),
            Update::Observe(vec![(1, 1)]),
        ]
    }

    #[test]
    fn an_update_writes_a_version_unless_it_only_removes() {
        for leaf in Leaf::ALL {
            for update in updates() {
                let rules = leaf.rules();
                let only_removes = matches!(
                    (leaf, &update),
                    (Leaf::Element | Leaf::Item, Update::Remove)
                        | (Leaf::Flag, Update::Switch(false))
                );
                let writes = rules.takes(&update) && !only_removes;
                assert_eq!(rules.writes(&update), writes, "{leaf:?} {update:?}");
            }
        }
    }

    #[test]
    fn nothing_is_removed_from_a_set_that_only_grows() {
        assert!(Leaf::GrowElement.rules().takes(&Update::Add));
        assert!(!Leaf::GrowElement.rules().takes(&Update::Remove));
    }
}
