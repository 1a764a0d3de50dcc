//! Changes of a map's fields, written like the commands of their kinds: `incr logins 2`.

use std::str::FromStr;

use clap::{Parser, Subcommand};
use serde_bytes::ByteBuf;

use super::path::FieldPath;
use super::{kind_parser_of, set};
use crate::cli::exit::UsageError;
use crate::cli::text::{read_value, split_line};
use starling::wire::Mutation;
use starling::{Kind, MapEdits};

/// A change of one field, as a line of its own.
#[derive(Debug, Clone)]
pub(crate) struct Change(Verb);

/// What becomes of a field, and what it is taken for.
pub(super) type Edit = (Kind, Mutation);

/// The removal of a field of whatever kind, and of all below it.
pub(super) const REMOVAL: Edit = (Kind::Map, Mutation::Delete);

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
            Verb::Put(put) => (put.field, (Kind::Value, assign(&put.value)?)),
            Verb::Incr { field, amount } => (field, (Kind::Counter, Mutation::Increment(amount))),
            Verb::Reset { field } => (field, (Kind::Counter, Mutation::Delete)),
            Verb::Sadd(of) => (of.field, (of.kind, Mutation::Add(bytes(of.elements)))),
            Verb::Srem(of) => (of.field, (of.kind, Mutation::Remove(bytes(of.elements)))),
            Verb::Register(RegisterVerb::Set(set)) => {
                (set.field, (Kind::Register, assign(&set.value)?))
            }
            Verb::Max(NumberVerb::Offer { field, number }) => {
                (field, (Kind::Max, Mutation::Offer(number)))
            }
            Verb::Min(NumberVerb::Offer { field, number }) => {
                (field, (Kind::Min, Mutation::Offer(number)))
            }
            Verb::Flag(FlagVerb::On(of)) => (of.field, (of.kind, Mutation::Switch(true))),
            Verb::Flag(FlagVerb::Off(of)) => (of.field, (of.kind, Mutation::Switch(false))),
            Verb::Hll(SketchVerb::Add { field, things }) => {
                (field, (Kind::Sketch, Mutation::Add(bytes(things))))
            }
            Verb::Delete { field } => (field, REMOVAL),
        })
    }
}

/// Adds an edit to the changes of a map that the path begins in.
pub(super) fn apply(edit: &Edit, map: &mut MapEdits<'_>, field: &FieldPath) {
    let (maps, name) = field.split();
    apply_within(edit, map, maps, name);
}

/// As deep as a path may be, which is checked.
fn apply_within(edit: &Edit, map: &mut MapEdits<'_>, maps: &[Vec<u8>], name: &[u8]) {
    match maps.split_first() {
        Some((first, rest)) => apply_within(edit, &mut map.map(first), rest, name),
        None => {
            let (kind, mutation) = edit;
            map.change(name, *kind, mutation.clone());
        }
    }
}

fn assign(value: &str) -> anyhow::Result<Mutation> {
    Ok(Mutation::Put(ByteBuf::from(read_value(value)?)))
}

fn bytes(texts: Vec<String>) -> Vec<ByteBuf> {
    texts.into_iter().map(ByteBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::{Change, Edit, Kind, Mutation, bytes};
    use crate::cli::data::path::path_text;

    fn edit(line: &str) -> (String, Edit) {
        let (field, edit) = line.parse::<Change>().unwrap().into_edit().unwrap();
        (path_text(field.names()), edit)
    }

    #[test]
    fn a_change_reads_like_the_command_of_its_kind() {
        let two = || bytes(vec!["a b".to_owned(), "c".to_owned()]);
        let put = |value: &str| Mutation::Put(ByteBuf::from(value));
        let switch = |kind, is_on| (kind, Mutation::Switch(is_on));
        for (line, field, change) in [
            (
                "put note 'two words'",
                "note",
                (Kind::Value, put("two words")),
            ),
            (
                "incr logins",
                "logins",
                (Kind::Counter, Mutation::Increment(1)),
            ),
            (
                "incr logins -3",
                "logins",
                (Kind::Counter, Mutation::Increment(-3)),
            ),
            ("reset logins", "logins", (Kind::Counter, Mutation::Delete)),
            (
                "sadd emails 'a b' c",
                "emails",
                (Kind::Set, Mutation::Add(two())),
            ),
            (
                "srem emails 'a b' c --kind remove-set",
                "emails",
                (Kind::RemoveSet, Mutation::Remove(two())),
            ),
            (
                "register set address.city London",
                "address.city",
                (Kind::Register, put("London")),
            ),
            (
                "max offer best -7",
                "best",
                (Kind::Max, Mutation::Offer(-7)),
            ),
            (
                "min offer first 7",
                "first",
                (Kind::Min, Mutation::Offer(7)),
            ),
            ("flag on vip", "vip", switch(Kind::Flag, true)),
            (
                "flag off vip --kind disable-flag",
                "vip",
                switch(Kind::DisableFlag, false),
            ),
            (
                "hll add seen 'a b' c",
                "seen",
                (Kind::Sketch, Mutation::Add(two())),
            ),
            ("delete legacy", "legacy", (Kind::Map, Mutation::Delete)),
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
