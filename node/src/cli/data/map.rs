//! `map get|scan|len|update|remove`: whole maps, and several of their fields in one write.
//!
//! One field is read and written by the command of its kind, with `--field`. Here are what a map
//! has beyond that: all fields at once, and changes of several that are one atomic batch.

use clap::Subcommand;
use serde_json::json;

use super::change::{Change, Edit, REMOVAL, apply};
use super::count::CountOptions;
use super::options::{PageOptions, ReadOptions, WriteOptions};
use super::path::FieldPath;
use super::place::Place;
use super::scan::walk;
use super::show::{lines, state_json};
use super::{Setting, read, write};
use crate::cli::exit::Exit;
use crate::cli::text::bytes_json;
use starling::{FieldState, Kind, MapEntry};

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
    /// Read a map's fields by pages, in byte order of their names.
    Scan {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        page: PageOptions,
    },
    /// Count the names of a map's fields, by pages.
    Len {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: CountOptions,
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
            Self::Scan { place, page } => {
                place.kind(setting, &[Kind::Map]).await?;
                let scan = page.apply(setting, place.home(setting).map().scan());
                walk(setting, scan, page.walk.limit, entry_json, entry_lines).await
            }
            Self::Len { place, options } => {
                place.kind(setting, &[Kind::Map]).await?;
                let map = place.home(setting).map();
                let ways = (map.len(), map.approximate_len());
                options.show(setting, ways, place.json()).await
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
                let edits: Vec<_> = fields.into_iter().map(|field| (field, REMOVAL)).collect();
                change_fields(setting, &place, &edits, &options).await
            }
        }
    }
}

fn entry_json(entry: &MapEntry) -> serde_json::Value {
    let fields = state_json(&FieldState::Map(entry.fields.clone()));
    json!({ "v": 1, "name": bytes_json(&entry.name), "fields": fields })
}

fn entry_lines(entry: &MapEntry) -> Vec<Vec<u8>> {
    lines(&FieldState::Map(entry.fields.clone()))
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
            apply(edit, map, field);
        }
    });
    write::run(setting, place, options, update).await
}
