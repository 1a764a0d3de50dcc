//! `map get|update|remove`: whole maps, and several of their fields in one write.
//!
//! One field is read and written by the command of its kind, with `--field`. Here are what a map
//! has beyond that: all fields at once, and changes of several that are one atomic batch.

use clap::Subcommand;

use super::change::{Change, Edit};
use super::options::{ReadOptions, WriteOptions};
use super::path::FieldPath;
use super::place::Place;
use super::{Setting, read, write};
use crate::cli::exit::Exit;
use starling::Kind;

/// Maps.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum MapCommand {
    /// Read all fields of a map as a tree.
    Get {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: ReadOptions,
    },
    /// Change several fields in one atomic write.
    Update {
        #[command(flatten)]
        place: Place,
        /// The changes, each in quotes: put, incr, reset, sadd, srem, register set, max offer, min
        /// offer, flag on, flag off, hll add or delete, then FIELD, then what that command takes.
        #[arg(required = true, value_name = "CHANGE")]
        changes: Vec<Change>,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Remove fields of whatever kind, and all below them.
    Remove {
        #[command(flatten)]
        place: Place,
        /// The fields' paths.
        #[arg(required = true)]
        fields: Vec<FieldPath>,
        #[command(flatten)]
        options: WriteOptions,
    },
}

impl MapCommand {
    pub(super) async fn run(self, setting: &Setting) -> anyhow::Result<Exit> {
        match self {
            Self::Get { place, options } => {
                read::run(setting, &place, &[Kind::Map], &options).await
            }
            Self::Update {
                place,
                changes,
                options,
            } => {
                let edits = changes.into_iter().map(Change::into_edit);
                let edits = edits.collect::<anyhow::Result<Vec<_>>>()?;
                change_fields(setting, &place, &edits, &options).await
            }
            Self::Remove {
                place,
                fields,
                options,
            } => {
                let edits: Vec<_> = fields
                    .into_iter()
                    .map(|field| (field, Edit::Delete))
                    .collect();
                change_fields(setting, &place, &edits, &options).await
            }
        }
    }
}

async fn change_fields(
    setting: &Setting,
    place: &Place,
    edits: &[(FieldPath, Edit)],
    options: &WriteOptions,
) -> anyhow::Result<Exit> {
    place.kind(setting, &[Kind::Map]).await?;
    let update = place.home(setting).map().update(|map| {
        for (field, edit) in edits {
            edit.apply(map, field);
        }
    });
    write::run(setting, place, options, update).await
}
