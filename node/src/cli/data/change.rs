//! Changes of a map's fields, written like the commands of their kinds: `incr logins 2`.

use std::str::FromStr;

use clap::{Parser, Subcommand};

use super::path::FieldPath;
use super::{kind_parser_of, set};
use crate::cli::exit::UsageError;
use crate::cli::text::{read_value, split_line};
use starling::{Kind, MapEdits, SetEdits};

/// A change of one field, as a line of its own.
#[derive(Debug, Clone)]
pub(crate) struct Change(Verb);

/// What becomes of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edit {
    Put(Vec<u8>),
    Increment(i64),
    Reset,
    Add(Kind, Vec<String>),
    Remove(Kind, Vec<String>),
    Assign(Vec<u8>),
    Offer(Kind, i64),
    Switch(Kind, bool),
    Count(Vec<String>),
    Delete,
}

#[derive(Debug, Clone, Parser)]
#[command(
    multicall = true,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, Subcommand)]
enum Verb {
    Put(Assignment),
    Incr {
        field: FieldPath,
        #[arg(default_value_t = 1, allow_negative_numbers = true)]
        amount: i64,
    },
    Reset {
        field: FieldPath,
    },
    Sadd(Elements),
    Srem(Elements),
    #[command(subcommand)]
    Register(RegisterVerb),
    #[command(subcommand)]
    Max(NumberVerb),
    #[command(subcommand)]
    Min(NumberVerb),
    #[command(subcommand)]
    Flag(FlagVerb),
    #[command(subcommand)]
    Hll(SketchVerb),
    Delete {
        field: FieldPath,
    },
}

#[derive(Debug, Clone, Subcommand)]
enum RegisterVerb {
    Set(Assignment),
}

#[derive(Debug, Clone, Subcommand)]
enum NumberVerb {
    Offer {
        field: FieldPath,
        #[arg(allow_negative_numbers = true)]
        number: i64,
    },
}

#[derive(Debug, Clone, Subcommand)]
enum FlagVerb {
    On(FlagField),
    Off(FlagField),
}

#[derive(Debug, Clone, Subcommand)]
enum SketchVerb {
    Add {
        field: FieldPath,
        #[arg(required = true)]
        things: Vec<String>,
    },
}

#[derive(Debug, Clone, clap::Args)]
struct Assignment {
    field: FieldPath,
    value: String,
}

#[derive(Debug, Clone, clap::Args)]
struct Elements {
    field: FieldPath,
    #[arg(required = true)]
    elements: Vec<String>,
    #[arg(long, value_parser = kind_parser_of(&set::SETS), default_value = "set")]
    kind: Kind,
}

#[derive(Debug, Clone, clap::Args)]
struct FlagField {
    field: FieldPath,
    #[arg(long, value_parser = kind_parser_of(&super::flag::FLAGS), default_value = "flag")]
    kind: Kind,
}

impl FromStr for Change {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        match Line::try_parse_from(split_line(text)?) {
            Ok(line) => Ok(Self(line.verb)),
            Err(error) => {
                let why = error.to_string();
                let why = why
                    .trim_start_matches("error: ")
                    .lines()
                    .next()
                    .unwrap_or_default();
                Err(UsageError(format!(
                    "{text:?} is no change of a field: {why}"
                )))
            }
        }
    }
}

impl Change {
    /// The field, and what becomes of it.
    pub(super) fn into_edit(self) -> anyhow::Result<(FieldPath, Edit)> {
        Ok(match self.0 {
            Verb::Put(Assignment { field, value }) => (field, Edit::Put(read_value(&value)?)),
            Verb::Incr { field, amount } => (field, Edit::Increment(amount)),
            Verb::Reset { field } => (field, Edit::Reset),
            Verb::Sadd(of) => (of.field, Edit::Add(of.kind, of.elements)),
            Verb::Srem(of) => (of.field, Edit::Remove(of.kind, of.elements)),
            Verb::Register(RegisterVerb::Set(Assignment { field, value })) => {
                (field, Edit::Assign(read_value(&value)?))
            }
            Verb::Max(NumberVerb::Offer { field, number }) => {
                (field, Edit::Offer(Kind::Max, number))
            }
            Verb::Min(NumberVerb::Offer { field, number }) => {
                (field, Edit::Offer(Kind::Min, number))
            }
            Verb::Flag(FlagVerb::On(of)) => (of.field, Edit::Switch(of.kind, true)),
            Verb::Flag(FlagVerb::Off(of)) => (of.field, Edit::Switch(of.kind, false)),
            Verb::Hll(SketchVerb::Add { field, things }) => (field, Edit::Count(things)),
            Verb::Delete { field } => (field, Edit::Delete),
        })
    }
}

impl Edit {
    /// Adds it to the changes of a map that the path begins in.
    pub(super) fn apply(&self, map: &mut MapEdits<'_>, field: &FieldPath) {
        let (maps, name) = field.split();
        self.apply_within(map, maps, name);
    }

    /// As deep as a path may be, which is checked.
    fn apply_within(&self, map: &mut MapEdits<'_>, maps: &[Vec<u8>], name: &[u8]) {
        match maps.split_first() {
            Some((first, rest)) => self.apply_within(&mut map.map(first), rest, name),
            None => self.apply_here(map, name),
        }
    }

    fn apply_here(&self, map: &mut MapEdits<'_>, name: &[u8]) {
        match self {
            Self::Put(value) => {
                map.value(name).put(value.clone());
            }
            Self::Increment(amount) => {
                map.counter(name).add(*amount);
            }
            Self::Reset => {
                map.counter(name).reset();
            }
            Self::Add(kind, elements) => {
                for element in elements {
                    set_of(map, *kind, name).add(element.clone());
                }
            }
            Self::Remove(kind, elements) => {
                for element in elements {
                    set_of(map, *kind, name).remove(element.clone());
                }
            }
            Self::Assign(value) => {
                map.register(name).set(value.clone());
            }
            Self::Offer(Kind::Min, number) => {
                map.min(name).offer(*number);
            }
            Self::Offer(_, number) => {
                map.max(name).offer(*number);
            }
            Self::Switch(kind, is_on) => switch(map, *kind, name, *is_on),
            Self::Count(things) => {
                for thing in things {
                    map.hll(name).add(thing.clone());
                }
            }
            Self::Delete => {
                map.remove(name);
            }
        }
    }
}

fn set_of<'a>(map: &'a mut MapEdits<'_>, kind: Kind, name: &[u8]) -> SetEdits<'a> {
    match kind {
        Kind::GrowSet => map.grow_set(name),
        Kind::RemoveSet => map.remove_set(name),
        _ => map.set(name),
    }
}

fn switch(map: &mut MapEdits<'_>, kind: Kind, name: &[u8], is_on: bool) {
    let mut flag = match kind {
        Kind::DisableFlag => map.disable_flag(name),
        _ => map.flag(name),
    };
    if is_on {
        flag.enable();
    } else {
        flag.disable();
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Edit, Kind};
    use crate::cli::data::path::path_text;

    fn edit(line: &str) -> (String, Edit) {
        let (field, edit) = line.parse::<Change>().unwrap().into_edit().unwrap();
        (path_text(field.names()), edit)
    }

    #[test]
    fn a_change_reads_like_the_command_of_its_kind() {
        let two = || vec!["a b".to_owned(), "c".to_owned()];
        for (line, field, change) in [
            (
                "put note 'two words'",
                "note",
                Edit::Put(b"two words".to_vec()),
            ),
            ("incr logins", "logins", Edit::Increment(1)),
            ("incr logins -3", "logins", Edit::Increment(-3)),
            ("reset logins", "logins", Edit::Reset),
            ("sadd emails 'a b' c", "emails", Edit::Add(Kind::Set, two())),
            (
                "srem emails 'a b' c --kind remove-set",
                "emails",
                Edit::Remove(Kind::RemoveSet, two()),
            ),
            (
                "register set address.city London",
                "address.city",
                Edit::Assign(b"London".to_vec()),
            ),
            ("max offer best -7", "best", Edit::Offer(Kind::Max, -7)),
            ("min offer first 7", "first", Edit::Offer(Kind::Min, 7)),
            ("flag on vip", "vip", Edit::Switch(Kind::Flag, true)),
            (
                "flag off vip --kind disable-flag",
                "vip",
                Edit::Switch(Kind::DisableFlag, false),
            ),
            ("hll add seen 'a b' c", "seen", Edit::Count(two())),
            ("delete legacy", "legacy", Edit::Delete),
        ] {
            assert_eq!(edit(line), (field.to_owned(), change), "{line}");
        }
    }

    #[test]
    fn what_is_no_change_is_refused_before_anything_is_sent() {
        for wrong in [
            "",
            "get a",
            "incr",
            "incr a x",
            "sadd a",
            "sadd a b --kind list",
            "put 'a",
        ] {
            assert!(wrong.parse::<Change>().is_err(), "{wrong}");
        }
    }
}
