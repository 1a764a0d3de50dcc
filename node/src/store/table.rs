//! The tables of a store: a fixed list, each a column family of its own in RocksDB.
//!
//! Separate families let each kind of row have the compaction that suits it, while one batch still
//! writes to all of them atomically. The list is part of the disk format: a name is never reused
//! for something else, and adding one raises the format number.

use std::fmt;

/// One ordered space of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The rows of values, sets and counters: large, read at random, scanned by vnode.
    Data,
    /// Dot to row and op-id: appended in dot order, read soon after, trimmed from the front.
    Dotlog,
    /// Operation records, by which a retried update counts once.
    Records,
    /// Rows kept for an owner that was away.
    Hints,
    /// Clock checkpoints, buckets, members: small and few.
    Meta,
}

impl Table {
    /// Every table, in the order of [`Table::index`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::Data,
        Self::Dotlog,
        Self::Records,
        Self::Hints,
        Self::Meta,
    ];

    /// How many tables there are.
    pub const COUNT: usize = 5;

    /// The name of the column family; part of the disk format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Dotlog => "dotlog",
            Self::Records => "records",
            Self::Hints => "hints",
            Self::Meta => "meta",
        }
    }

    /// The place of this table in an array with one entry per table.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Data => 0,
            Self::Dotlog => 1,
            Self::Records => 2,
            Self::Hints => 3,
            Self::Meta => 4,
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn every_table_stands_at_its_index() {
        for (index, table) in Table::ALL.into_iter().enumerate() {
            assert_eq!(table.index(), index);
        }
    }

    #[test]
    fn names_of_tables_are_part_of_the_format() {
        let names = Table::ALL.map(Table::name);
        assert_eq!(names, ["data", "dotlog", "records", "hints", "meta"]);
    }
}
