//! The kinds of a bucket and of a map's fields, and what can be changed in each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use thiserror::Error;

/// What a bucket's keys hold, or a field of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Opaque bytes with siblings.
    Value,
    /// A number that is incremented, decremented and reset.
    Counter,
    /// A set of byte strings: an add wins over a removal at the same time.
    Set,
    /// Opaque bytes of which the latest assignment counts.
    Register,
    /// A number that only grows.
    Max,
    /// A number that only shrinks.
    Min,
    /// On or off: enabling wins over disabling at the same time.
    Flag,
    /// On or off: disabling wins over enabling at the same time.
    DisableFlag,
    /// A set of byte strings from which nothing is removed.
    GrowSet,
    /// A set of byte strings: a removal wins over an add at the same time.
    RemoveSet,
    /// About how many different things were seen (`HyperLogLog`).
    Sketch,
    /// Items in an order that concurrent inserts do not interleave.
    List,
    /// Named fields of any of these kinds but a bounded counter, maps among them.
    Map,
    /// A number that is added to and spent from, and is never below 0.
    BoundedCounter,
}

impl Kind {
    /// All kinds and their names.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::Value, "value"),
        (Self::Counter, "counter"),
        (Self::Set, "set"),
        (Self::Register, "register"),
        (Self::Max, "max"),
        (Self::Min, "min"),
        (Self::Flag, "flag"),
        (Self::DisableFlag, "disable-flag"),
        (Self::GrowSet, "grow-set"),
        (Self::RemoveSet, "remove-set"),
        (Self::Sketch, "hll"),
        (Self::List, "list"),
        (Self::Map, "map"),
        (Self::BoundedCounter, "bounded-counter"),
    ];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// May what is written into it have an end?
    #[must_use]
    pub fn takes_ttl(self) -> bool {
        match self {
            Self::Value | Self::Set | Self::GrowSet | Self::Register | Self::List => true,
            Self::Counter
            | Self::Max
            | Self::Min
            | Self::Flag
            | Self::DisableFlag
            | Self::RemoveSet
            | Self::Sketch
            | Self::Map
            | Self::BoundedCounter => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is no kind's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no kind '{text}'; the kinds are {}", names())]
pub struct UnknownKind {
    text: String,
}

fn names() -> String {
    Kind::ALL.map(|(_, name)| name).join(", ")
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|(_, name)| *name == text);
        found.map(|(kind, _)| kind).ok_or_else(|| UnknownKind {
            text: text.to_owned(),
        })
    }
}

/// One change within a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The names that lead to a field of a map, outermost first; empty for the key itself.
    pub path: Vec<ByteBuf>,
    /// The kind of the field, or of the bucket.
    pub kind: Kind,
    /// What to do.
    pub mutation: Mutation,
}

impl Edit {
    /// A change of the key itself.
    #[must_use]
    pub fn of_key(kind: Kind, mutation: Mutation) -> Self {
        Self {
            path: Vec::new(),
            kind,
            mutation,
        }
    }
}

/// What to do to a key or a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mutation {
    /// Any kind but `grow-set` and `bounded-counter`: remove what the context covers, or without
    /// one what the coordinator sees. Of a map, all fields; a counter starts again at zero.
    Delete,
    /// `value`: write these bytes over what the context covers. `register`: assign them.
    Put(ByteBuf),
    /// `counter`: add, or with a negative amount subtract. `bounded-counter`: add, or with a
    /// negative amount spend.
    Increment(i64),
    /// Sets and `hll`: put the elements in.
    Add(Vec<ByteBuf>),
    /// `set`, `remove-set`: take the elements out: what the context covers of them, or without one
    /// what the coordinator sees. `list`: take out the items at these positions.
    Remove(Vec<ByteBuf>),
    /// `max`: raise to at least this. `min`: lower to at most this.
    Offer(i64),
    /// Flags: turn on or off.
    Switch(bool),
    /// `list`: put items between two neighbours, which a read of the list has shown.
    Insert {
        /// The position before; `None` for the beginning.
        after: Option<ByteBuf>,
        /// The position behind; `None` for the end.
        before: Option<ByteBuf>,
        /// The items, in order.
        items: Vec<ByteBuf>,
    },
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn every_kind_is_known_by_its_name() {
        for (kind, name) in Kind::ALL {
            assert_eq!(name.parse(), Ok(kind));
            assert_eq!(kind.to_string(), name);
        }
        let error = "sett".parse::<Kind>().unwrap_err().to_string();
        assert!(error.contains("'sett'") && error.contains("disable-flag"));
    }
}
