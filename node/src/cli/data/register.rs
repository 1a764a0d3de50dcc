//! `register set|get`: bytes of which the latest assignment counts.

use clap::Subcommand;

use super::options::{ReadOptions, WriteOptions};
use super::place::Place;
use super::{Setting, read, write};
use crate::cli::exit::Exit;
use crate::cli::text::read_value;
use starling::Kind;

/// Registers.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum RegisterCommand {
    /// Assign; of two assignments the later one counts.
    Set {
        #[command(flatten)]
        place: Place,
        /// The value itself, @FILE, or - for standard input.
        value: String,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Read what was assigned last.
    Get {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: ReadOptions,
    },
}

impl RegisterCommand {
    pub(super) async fn run(self, setting: &Setting) -> anyhow::Result<Exit> {
        match self {
            Self::Set {
                place,
                value,
                options,
            } => {
                place.kind(setting, &[Kind::Register]).await?;
                let set = place.home(setting).register().set(read_value(&value)?);
                write::run(setting, &place, &options, set).await
            }
            Self::Get { place, options } => {
                read::run(setting, &place, &[Kind::Register], &options).await
            }
        }
    }
}
