//! `flag on|off|get`: on or off.

use clap::Subcommand;

use super::options::{ReadOptions, WriteOptions};
use super::place::Place;
use super::{Setting, read, write};
use crate::cli::exit::Exit;
use starling::Kind;
use starling::wire::Mutation;

/// Flags of both kinds.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum FlagCommand {
    /// Turn a flag on.
    On {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Turn a flag off.
    Off {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Read a flag: on or off.
    Get {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: ReadOptions,
    },
}

impl FlagCommand {
    pub(super) async fn run(self, setting: &Setting) -> anyhow::Result<Exit> {
        let (place, options, is_on) = match &self {
            Self::On { place, options } => (place, options, true),
            Self::Off { place, options } => (place, options, false),
            Self::Get { place, options } => {
                return read::run(setting, place, &FLAGS, options).await;
            }
        };
        let kind = place.kind(setting, &FLAGS).await?;
        let switch = place.home(setting).change(kind, Mutation::Switch(is_on));
        write::run(setting, place, options, switch).await
    }
}

/// The kinds of flags; the first is what a field is unless --kind says otherwise.
pub(super) const FLAGS: [Kind; 2] = [Kind::Flag, Kind::DisableFlag];
