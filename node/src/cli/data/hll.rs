//! `hll add|count`: about how many different things there were.

use clap::Subcommand;
use serde_bytes::ByteBuf;

use super::options::{ReadOptions, WriteOptions};
use super::place::Place;
use super::{Setting, read, write};
use crate::cli::exit::Exit;
use starling::Kind;
use starling::wire::Mutation;

/// Sketches (`HyperLogLog`).
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SketchCommand {
    /// Count things, each of them once.
    Add {
        #[command(flatten)]
        place: Place,
        /// The things.
        #[arg(required = true)]
        things: Vec<String>,
        #[command(flatten)]
        options: WriteOptions,
    },
    /// Read about how many different things were counted.
    Count {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: ReadOptions,
    },
}

impl SketchCommand {
    pub(super) async fn run(self, setting: &Setting) -> anyhow::Result<Exit> {
        match self {
            Self::Add {
                place,
                things,
                options,
            } => {
                let kind = place.kind(setting, &[Kind::Sketch]).await?;
                let add = Mutation::Add(things.into_iter().map(ByteBuf::from).collect());
                let add = place.home(setting).change(kind, add);
                write::run(setting, &place, &options, add).await
            }
            Self::Count { place, options } => {
                read::run(setting, &place, &[Kind::Sketch], &options).await
            }
        }
    }
}
