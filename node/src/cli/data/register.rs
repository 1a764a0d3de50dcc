//! `register set|get`: bytes of which the latest assignment counts.

use clap::Subcommand;
use serde_bytes::ByteBuf;

use super::options::{ReadOptions, WriteOptions};
use super::place::Place;
use super::{Setting, read, write};
use crate::cli::exit::Exit;
use crate::cli::text::read_value;
use starling::Kind;
use starling::wire::Mutation;

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
                let kind = place.kind(setting, &[Kind::Register]).await?;
                let assigned = Mutation::Put(ByteBuf::from(read_value(&value)?));
                let set = place.home(setting).change(kind, assigned);
                write::run(setting, &place, &options, set).await
            }
            Self::Get { place, options } => {
                read::run(setting, &place, &[Kind::Register], &options).await
            }
        }
    }
}
