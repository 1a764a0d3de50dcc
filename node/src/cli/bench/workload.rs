//! The workloads: which operations there are, and what must be there before they begin.

use clap::ValueEnum;

use starling::Kind;

/// Which operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// Writes of values.
    Put,
    /// Reads of values.
    Get,
    /// Both.
    Mixed,
    /// Increments.
    Counter,
    /// Additions to sets.
    #[value(alias = "set")]
    SetAdd,
    /// Removals from sets.
    SetRemove,
    /// Whether an element is in a set; half of those that are asked for are.
    SetContains,
    /// Assignments of registers in maps.
    MapUpdate,
    /// Increments of counters in maps.
    MapIncrement,
    /// Reads of one register in maps.
    MapGet,
    /// Removals of one field of maps, a register.
    MapRemove,
    /// Things shown to sketches.
    HllAdd,
    /// Items put behind the last one of a list, which is read before each.
    ListPush,
    /// Pages of the values of a partition key, from a place in it on.
    Scan,
    /// Whole sets, read by pages.
    Members,
    /// Whole sets, counted by pages.
    Length,
    /// Estimates of the length of sets.
    Estimate,
}

impl Workload {
    /// The kind of the bucket.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Put | Self::Get | Self::Mixed | Self::Scan => Kind::Value,
            Self::Counter => Kind::Counter,
            Self::SetAdd
            | Self::SetRemove
            | Self::SetContains
            | Self::Members
            | Self::Length
            | Self::Estimate => Kind::Set,
            Self::MapUpdate | Self::MapIncrement | Self::MapGet | Self::MapRemove => Kind::Map,
            Self::HllAdd => Kind::Sketch,
            Self::ListPush => Kind::List,
        }
    }

    /// What an operation is called.
    pub(super) fn verbs(self) -> Verbs {
        let (read, write) = match self {
            Self::Put | Self::Get | Self::Mixed => ("get", "put"),
            Self::Counter | Self::MapIncrement => ("read", "incr"),
            Self::SetAdd | Self::SetContains => ("contains", "sadd"),
            Self::SetRemove => ("contains", "srem"),
            Self::MapUpdate | Self::MapGet => ("read", "set"),
            Self::MapRemove => ("read", "remove"),
            Self::HllAdd => ("read", "add"),
            Self::ListPush => ("read", "push"),
            Self::Scan => ("page", "put"),
            Self::Members => ("members", "sadd"),
            Self::Length => ("length", "sadd"),
            Self::Estimate => ("estimate", "sadd"),
        };
        Verbs { read, write }
    }

    /// Is an operation a read? `chance` is one of a hundred, of which `reads` are, in a mix.
    pub(super) fn is_read(self, chance: u8, reads: u8) -> bool {
        match self {
            Self::Get
            | Self::SetContains
            | Self::MapGet
            | Self::Scan
            | Self::Members
            | Self::Length
            | Self::Estimate => true,
            Self::Mixed => chance < reads,
            Self::Put
            | Self::Counter
            | Self::SetAdd
            | Self::SetRemove
            | Self::MapUpdate
            | Self::MapIncrement
            | Self::MapRemove
            | Self::HllAdd
            | Self::ListPush => false,
        }
    }

    /// How many elements, fields or sort keys each key has before the beginning, if it has parts.
    pub(super) fn elements(self, asked: Option<u64>) -> Elements {
        let filled = |count| Elements {
            names: count,
            is_filled: true,
        };
        match self {
            Self::SetRemove
            | Self::SetContains
            | Self::MapGet
            | Self::MapRemove
            | Self::Scan
            | Self::Members
            | Self::Length
            | Self::Estimate => filled(asked.unwrap_or(ELEMENTS_TO_FIND)),
            Self::SetAdd | Self::MapUpdate | Self::MapIncrement => match asked {
                Some(count) => filled(count),
                None => Elements {
                    names: ELEMENTS_TO_ADD,
                    is_filled: false,
                },
            },
            Self::Put | Self::Get | Self::Mixed | Self::Counter | Self::HllAdd | Self::ListPush => {
                Elements::default()
            }
        }
    }

    /// Does any worker use any key? Otherwise each has keys of its own.
    pub(super) fn shares_keys(self) -> bool {
        self.elements(None) != Elements::default()
    }

    /// Must every key be written before the beginning?
    pub(super) fn loads_keys(self) -> bool {
        matches!(self, Self::Get | Self::Mixed)
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What operations are called in the report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verbs {
    pub(super) read: &'static str,
    pub(super) write: &'static str,
}

/// The parts of each key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Elements {
    /// How many there are; 0 if the keys have no parts.
    pub(super) names: u64,
    /// They are written before the beginning.
    pub(super) is_filled: bool,
}

/// So many there are to be found where it is not said how many.
const ELEMENTS_TO_FIND: u64 = 100_000;
/// One of so many is added where nothing is filled.
const ELEMENTS_TO_ADD: u64 = 1_000;
